"""The character set of what services make themselves, out of text of whatever origin."""

from __future__ import annotations

from copy import deepcopy

from aiodicom.dataset import Dataset, Sequence
from aiodicom.dataset._dataset import lacks_characters

__all__ = ["sayable"]

#: Has every character (PS3.3 C.12.1.1.2).
_UTF_8 = "ISO_IR 192"


def sayable(data_set: Dataset) -> Dataset:
    """The data set, or a copy in UTF-8 where it, or an item in it, names no character set that has its text: a message
    with it could not be encoded, or (Latin 1 without one) would not say how it is.
    """
    if not lacks_characters(data_set):
        return data_set
    said = data_set.copy()
    said.SpecificCharacterSet = _UTF_8
    if lacks_characters(said):  # an item that names one of its own; those of the copy are shared
        said = deepcopy(said)
        _say(said)
    return said


def _say(data_set: Dataset) -> None:
    if "SpecificCharacterSet" in data_set:
        data_set.SpecificCharacterSet = _UTF_8
    for element in data_set:
        if isinstance(element.value, Sequence):
            for item in element.value:
                _say(item)
