"""Queries as a service user makes them: keywords in, data sets out (PS3.4 C.6)."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterable
from contextlib import AbstractAsyncContextManager
from typing import Any, Final, Protocol

from aiodicom.dataset import Dataset
from aiodicom.services.characters import sayable
from aiodicom.standard.models import InformationModel, StudyRoot

__all__ = ["find_instances", "find_series", "find_studies"]

#: What is asked for unless the caller says: the required keys, and what most archives have besides (PS3.4 C.6.2.1).
_STUDY: Final = (
    "StudyDate",
    "StudyTime",
    "AccessionNumber",
    "ModalitiesInStudy",
    "ReferringPhysicianName",
    "StudyDescription",
    "PatientName",
    "PatientID",
    "PatientBirthDate",
    "PatientSex",
    "StudyInstanceUID",
    "StudyID",
    "NumberOfStudyRelatedSeries",
    "NumberOfStudyRelatedInstances",
)
_SERIES: Final = (
    "Modality",
    "SeriesDate",
    "SeriesTime",
    "SeriesDescription",
    "BodyPartExamined",
    "StudyInstanceUID",
    "SeriesInstanceUID",
    "SeriesNumber",
    "NumberOfSeriesRelatedInstances",
)
_IMAGE: Final = (
    "SOPClassUID",
    "SOPInstanceUID",
    "StudyInstanceUID",
    "SeriesInstanceUID",
    "InstanceNumber",
)


class _FindOperations(Protocol):
    """An `Association`, or a `Pool` of them."""

    def c_find(
        self, query: Dataset, model: InformationModel | str = StudyRoot, *, priority: int = 0
    ) -> AbstractAsyncContextManager[AsyncIterator[Dataset]]:
        """See `Association.c_find`."""
        ...


def find_studies(
    operations: _FindOperations,
    *,
    model: InformationModel | str = StudyRoot,
    priority: int = 0,
    keys: Iterable[str] = _STUDY,
    **values: Any,
) -> AsyncIterator[Dataset]:
    """Iterates over the studies that match `values`, by keyword: ``find_studies(association, PatientID="1",
    StudyDate="20240101-", ModalitiesInStudy="CT")``.

    `operations`: an `Association` or a `Pool`. `keys`: keywords of what is to be answered besides; the default is what
    most archives have. Text beyond ASCII is sent in UTF-8. Left early, C-CANCEL is sent; close the iterator
    (`contextlib.aclosing`) for that to happen at once. Raises what `Association.c_find` does.
    """
    return _find(operations, "STUDY", model, priority, keys, values)


def find_series(
    operations: _FindOperations,
    study_instance_uid: str,
    *,
    model: InformationModel | str = StudyRoot,
    priority: int = 0,
    keys: Iterable[str] = _SERIES,
    **values: Any,
) -> AsyncIterator[Dataset]:
    """Iterates over the series of a study, as `find_studies` over studies."""
    values["StudyInstanceUID"] = study_instance_uid
    return _find(operations, "SERIES", model, priority, keys, values)


def find_instances(
    operations: _FindOperations,
    study_instance_uid: str,
    series_instance_uid: str,
    *,
    model: InformationModel | str = StudyRoot,
    priority: int = 0,
    keys: Iterable[str] = _IMAGE,
    **values: Any,
) -> AsyncIterator[Dataset]:
    """Iterates over the instances of a series, as `find_studies` over studies."""
    values |= {"StudyInstanceUID": study_instance_uid, "SeriesInstanceUID": series_instance_uid}
    return _find(operations, "IMAGE", model, priority, keys, values)


async def _find(
    operations: _FindOperations,
    level: str,
    model: InformationModel | str,
    priority: int,
    keys: Iterable[str],
    values: dict[str, Any],
) -> AsyncIterator[Dataset]:
    query = Dataset(QueryRetrieveLevel=level)
    query.update(dict.fromkeys(keys) | values)
    async with operations.c_find(sayable(query), model, priority=priority) as matches:
        async for match in matches:
            yield match
