"""Which information model a query or a retrieval is for, as options have it."""

from __future__ import annotations

from typing import Annotated, Any, Final

import typer

from aiodicom.cli import output
from aiodicom.standard.models import (
    CompositeInstanceRetrieveWithoutBulkData,
    CompositeInstanceRoot,
    InformationModel,
    ModalityWorklist,
    PatientRoot,
    PatientStudyOnly,
    StudyRoot,
    UPSPull,
    UPSQuery,
    UPSWatch,
)
from aiodicom.standard.uids import is_valid_uid, uid_of_keyword
from aiodicom.values import Value, frozen

__all__ = ["FindModels", "ModelOptions", "RetrieveModels"]

_MODELS: Final = (
    PatientRoot,
    StudyRoot,
    PatientStudyOnly,
    CompositeInstanceRoot,
    CompositeInstanceRetrieveWithoutBulkData,
    ModalityWorklist,
    UPSPull,
    UPSWatch,
    UPSQuery,
)


def _option(*examples: str) -> Any:
    """The option that names a model; the examples are some that have the command's operation."""
    return typer.Option(
        "--model",
        metavar="NAME|UID",
        show_default=False,
        help=f"Ask another model: its name, such as {' or '.join(examples)}, or the keyword or UID of its SOP class.",
    )


@frozen
class ModelOptions(Value):
    """Which information model is asked."""

    patient_root: Annotated[
        bool, typer.Option("-P", "--patient-root", help="Ask the Patient Root information model.")
    ] = False
    study_root: Annotated[
        bool, typer.Option("-S", "--study-root", help="Ask the Study Root information model; the default.")
    ] = False
    model: str | None = None

    def chosen(self, *, operation: str, worklist: bool = False) -> InformationModel:
        """The model, which has that operation. Raises `typer.BadParameter`."""
        given = [
            name
            for name, is_given in (
                ("-P", self.patient_root),
                ("-S", self.study_root),
                ("-W", worklist),
                ("--model", self.model is not None),
            )
            if is_given
        ]
        if len(given) > 1:
            raise typer.BadParameter(
                "one information model at a time", param_hint=" and ".join(f"'{name}'" for name in given)
            )
        if self.model is not None:
            return _model(self.model, operation)
        return PatientRoot if self.patient_root else ModalityWorklist if worklist else StudyRoot


@frozen
class FindModels(ModelOptions):
    """Which information model is asked what it has."""

    model: Annotated[str | None, _option("patient-study-only", "ups-pull")] = None


@frozen
class RetrieveModels(ModelOptions):
    """Which information model is asked for objects."""

    model: Annotated[str | None, _option("patient-study-only", "composite-instance-root")] = None


def _model(text: str, operation: str) -> InformationModel:
    folded = _folded(text)
    named = [model for model in _MODELS if _folded(model.name).startswith(folded)]
    named = [model for model in named if _folded(model.name) == folded] or named
    if len(named) == 1 and getattr(named[0], operation) is not None:
        return named[0]
    uid = text if is_valid_uid(text) else uid_of_keyword(text)
    if uid is None:
        names = ", ".join(
            model.name.lower().replace(" - ", "-").replace(" ", "-")
            for model in _MODELS
            if getattr(model, operation) is not None
        )
        raise typer.BadParameter(
            f"{output.quoted(text)} is no information model with C-{operation.upper()}: {names}, or a UID",
            param_hint="'--model'",
        )
    return next(
        (model for model in _MODELS if getattr(model, operation) == uid),
        InformationModel(text, **{operation: uid}),
    )


def _folded(name: str) -> str:
    name = "".join(c for c in name.lower() if c.isalnum())
    return name.replace("unifiedprocedurestep", "ups")
