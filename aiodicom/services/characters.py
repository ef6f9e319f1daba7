"""The character set of what services make themselves, out of text of whatever origin."""

from __future__ import annotations

from aiodicom.dataset import Dataset
from aiodicom.dataset._dataset import lacks_characters

__all__ = ["sayable"]

#: Has every character (PS3.3 C.12.1.1.2).
_UTF_8 = "ISO_IR 192"


def sayable(data_set: Dataset) -> Dataset:
    """The data set, or a copy in UTF-8 where it names no character set that has its text: a message with it could not
    be encoded.
    """
    if not lacks_characters(data_set):
        return data_set
    data_set = data_set.copy()
    data_set.SpecificCharacterSet = _UTF_8
    return data_set
