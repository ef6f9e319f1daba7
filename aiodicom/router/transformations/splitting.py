"""Objects of one series, or study, that become several."""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from typing import Literal

from aiodicom.dataset import Dataset
from aiodicom.router.conditions.kinds import Kind, kind_of
from aiodicom.router.conditions.reading import values_at
from aiodicom.router.conditions.syntax import Path
from aiodicom.router.origin import Origin
from aiodicom.router.transformations.pipeline import Change

__all__ = ["splitting"]


def splitting(by: Sequence[Path], level: Literal["series", "study"]) -> Change:
    """Gives an object another Series Instance UID, which follows from its own and the values of `by`; on the level of
    studies another Study Instance UID as well. An object without any of the values stays where it is.

    Raises ValueError for attributes that have no values to tell objects apart by.
    """
    for path in by:
        kind = kind_of(path.steps[-1].tag)
        if kind in (Kind.ITEMS, Kind.BYTES):
            raise ValueError(
                f"{path} is {kind.value}: name what is in it" if kind is Kind.ITEMS else f"{path} is binary"
            )
    uids = ("SeriesInstanceUID",) if level == "series" else ("StudyInstanceUID", "SeriesInstanceUID")

    def change(data_set: Dataset, origin: Origin) -> Dataset:
        values = [[str(value).strip(" ") for value in values_at(data_set, path)] for path in by]
        if any(values):
            for keyword in uids:
                own = data_set.get(keyword)
                if own:
                    setattr(data_set, keyword, f"2.25.{uuid.uuid5(uuid.NAMESPACE_OID, f'{own} {values}').int}")
        return data_set

    return change
