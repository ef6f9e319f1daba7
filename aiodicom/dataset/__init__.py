"""Data sets (PS3.5): `Dataset`, its elements and values."""

from __future__ import annotations

from aiodicom.dataset._dataset import DS
from aiodicom.dataset.dataset import DataElement, Dataset, PrivateBlock, Sequence
from aiodicom.dataset.values import DA, DT, IS, TM, UID, PersonName, Tag

__all__ = [
    "DA",
    "DS",
    "DT",
    "IS",
    "TM",
    "UID",
    "DataElement",
    "Dataset",
    "PersonName",
    "PrivateBlock",
    "Sequence",
    "Tag",
]
