"""The options that say what objects there are to be: synthetic ones, or copies of files."""

from __future__ import annotations

import secrets
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from aiodicom.cli import output
from aiodicom.standard.transfer_syntaxes import named_transfer_syntax
from aiodicom.values import Value, frozen

if TYPE_CHECKING:
    from aiodicom.load.renewing import Renewed
    from aiodicom.services.scan import Unusable

__all__ = ["Data", "tell_unusable"]


def _dates(text: str | None) -> str | None:
    from aiodicom.load.data import dates_of

    try:
        dates_of(text)
    except ValueError as error:
        raise typer.BadParameter(str(error)) from None
    return text


def _text(value: str | None) -> str | None:
    if value is not None and not (value.isascii() and value.isprintable() and "\\" not in value and len(value) <= 64):
        raise typer.BadParameter(f"{value!r} is not up to 64 letters, digits and signs of ASCII without a backslash")
    return value


def _transfer_syntax(name: str) -> str:
    try:
        return named_transfer_syntax(name).uid
    except ValueError as error:
        raise typer.BadParameter(str(error)) from None


@frozen
class Data(Value):
    """What objects there are to be."""

    modalities: Annotated[
        list[str] | None,
        typer.Option(
            "--modality",
            metavar="NAME",
            show_default="CT",
            help="CT, MR, US, MG, CR, DX, SC, SR, enhanced-CT; several: a study has series of each, in this order.",
        ),
    ] = None
    series: Annotated[int, typer.Option("--series", metavar="N", min=1, help="Series of each modality in a study.")] = 1
    images: Annotated[
        int | None,
        typer.Option("--images", metavar="N", min=1, show_default="as usual", help="Objects of a series."),
    ] = None
    rows: Annotated[
        int | None, typer.Option("--rows", metavar="N", min=1, max=65535, show_default="as usual", help="Of an image.")
    ] = None
    columns: Annotated[
        int | None,
        typer.Option("--columns", metavar="N", min=1, max=65535, show_default="as usual", help="Of an image."),
    ] = None
    frames: Annotated[
        int | None,
        typer.Option("--frames", metavar="N", min=1, show_default="as usual", help="Of an image: US, enhanced-CT."),
    ] = None
    transfer_syntax: Annotated[
        str,
        typer.Option(
            "--transfer-syntax",
            metavar="NAME|UID",
            callback=_transfer_syntax,
            help="Of synthetic objects; the names are those of aiodicom transcode.",
        ),
    ] = "explicit-le"
    distinct: Annotated[
        int,
        typer.Option(
            "--distinct",
            metavar="N",
            min=1,
            help="Images of a modality, and frames of an image, whose pixels differ; more have the same in turn.",
        ),
    ] = 4
    source: Annotated[
        Path | None,
        typer.Option(
            "--input",
            metavar="PATH",
            exists=True,
            show_default=False,
            help="Copies of this DICOM file, or those of this folder, as new studies, instead of synthetic ones.",
        ),
    ] = None
    patient_id: Annotated[
        str | None,
        typer.Option(
            "--patient-id", metavar="ID", callback=_text, show_default="another for each", help="Of all studies."
        ),
    ] = None
    patient_name: Annotated[
        str | None,
        typer.Option(
            "--patient-name", metavar="NAME", callback=_text, show_default="another for each", help="Of all studies."
        ),
    ] = None
    dates: Annotated[
        str | None,
        typer.Option(
            "--date",
            metavar="DATE[-DATE]",
            callback=_dates,
            show_default=False,
            help="When studies are of, such as 20260131; of a range, each study is of the next day.",
        ),
    ] = None
    seed: Annotated[
        str | None,
        typer.Option(
            "--seed",
            metavar="TEXT",
            show_default="made up",
            help="The same seed, and the same other options, make the same objects.",
        ),
    ] = None

    @property
    def input(self) -> Path | None:
        """The folder or file that is copied."""
        return self.source

    @property
    def modality(self) -> tuple[str, ...]:
        """The modalities, one by one."""
        return tuple(name.strip() for names in self.modalities or ["CT"] for name in names.split(","))

    def check(self) -> None:
        """Raises BadParameter for studies that cannot be."""
        if self.source is None:
            from aiodicom.load.data import shape_of

            try:
                shape_of(self).profiles()
            except ValueError as error:
                raise typer.BadParameter(str(error)) from None

    def supply(self, command: str) -> tuple[Renewed, str]:
        """What gives the objects, and its seed; takes its time. Files that cannot be used are named on stderr.

        Raises LocalError for what cannot be made, and OSError.
        """
        from aiodicom.load.data import supply_of

        seed = self.seed or secrets.token_hex(4)
        return supply_of(self, seed, lambda unusable: tell_unusable(command, unusable)), seed


def tell_unusable(command: str, unusable: Unusable) -> None:
    """Names a file on stderr that cannot be used, and why."""
    output.note(command, f"{unusable.path}: {'' if unusable.broken else 'skipped: '}{unusable.reason}")
