"""What values of attributes are compared as: `Kind`.

Texts are compared without the spaces around them. Dates and times are compared by what they mean, numbers too. Of a
value that is none of its kind, such as a date of ten letters, nothing can be said: it is as if it were not there.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import datetime
from enum import Enum
from functools import lru_cache
from typing import Any, Final, NamedTuple

from aiodicom.dataset.values import DA, DT, TM
from aiodicom.router.conditions.syntax import PrivateTag
from aiodicom.standard.dictionary import entry_for_tag, private_entry
from aiodicom.standard.uids import is_valid_uid, uid_of_keyword

__all__ = ["Comparable", "Kind", "comparable", "kind_of", "vr_of"]


class Kind(Enum):
    """Each with what is said of an attribute of it."""

    TEXT = "text"
    UID = "a UID"
    NUMBER = "a number"
    DATE = "a date"
    TIME = "a time"
    MOMENT = "a date and time"
    AGE = "an age"
    ITEMS = "a sequence"
    BYTES = "binary"
    #: private, and not in the dictionary: what it is compared with decides
    ANY = "of unknown VR"


_KINDS: Final = {
    **dict.fromkeys(("AE", "CS", "LO", "LT", "PN", "SH", "ST", "UC", "UR", "UT"), Kind.TEXT),
    **dict.fromkeys(("DS", "FD", "FL", "IS", "SL", "SS", "SV", "UL", "US", "UV"), Kind.NUMBER),
    **dict.fromkeys(("AT", "OB", "OD", "OF", "OL", "OV", "OW"), Kind.BYTES),
    "AS": Kind.AGE,
    "DA": Kind.DATE,
    "DT": Kind.MOMENT,
    "SQ": Kind.ITEMS,
    "TM": Kind.TIME,
    "UI": Kind.UID,
}


def vr_of(tag: int | PrivateTag) -> str:
    """The VR that the dictionary has, of a choice the first; UN where it has none."""
    if isinstance(tag, PrivateTag):
        entry = private_entry(tag.group << 16 | 0x1000 | tag.element, tag.creator)
    else:
        entry = entry_for_tag(tag)
    return "UN" if entry is None or entry.vr == "NONE" else entry.vr[:2]


def kind_of(tag: int | PrivateTag) -> Kind:
    """The kind of an attribute, by the dictionary."""
    return _KINDS.get(vr_of(tag), Kind.ANY)


class Comparable(NamedTuple):
    """`of_value` makes what is compared of one value of a data set, None where it is none of the kind; `of_text` and
    `of_number` of what stands in a condition, raising ValueError with what would be right.
    """

    of_value: Callable[[Any], Any]
    of_text: Callable[[str], Any]
    of_number: Callable[[float], Any]
    has_order: bool = True


def comparable(kind: Kind) -> Comparable:
    """What is compared of a kind other than those of sequences and bytes."""
    return _COMPARABLE[kind]


# --- of values in data sets ------------------------------------------------------------------------------------------

#: A longer value of unknown VR is no text.
_LONGEST_TEXT: Final = 1024


def _text(value: Any) -> str | None:
    if isinstance(value, str):
        return value.strip(" ") or None
    if isinstance(value, (int, float)):
        return str(value)
    if isinstance(value, (bytes, memoryview)) and len(value) <= _LONGEST_TEXT:
        return bytes(value).decode("ascii", "replace").strip(" \0") or None
    return None


def _number(value: Any) -> Any:
    if isinstance(value, (int, float)):
        return value
    if isinstance(value, (bytes, memoryview)):
        value = _text(value)
    if isinstance(value, str) and len(value) <= 16:  # a DS has no more (PS3.5 6.2)
        try:
            return float(value)
        except ValueError:
            return None
    return None


#: Objects that come together say the same: what texts of theirs mean is remembered for a while.
_remembered = lru_cache(maxsize=1024)


def _of_text(meaning: Callable[[str], Any]) -> Callable[[Any], Any]:
    return lambda value: meaning(value) if isinstance(value, str) else None


@_remembered
def _date(text: str) -> Any:
    return DA(text).date


@_remembered
def _time(text: str) -> Any:
    return TM(text).time


@_remembered
def _moment(text: str) -> datetime | None:
    # As it is written: an offset from UTC is left away, since most values have none.
    found = DT(text).datetime
    return None if found is None else found.replace(tzinfo=None)


_AGE: Final = re.compile(r"(\d{1,3})([DWMY])", re.ASCII)
_DAYS: Final = {"D": 1.0, "W": 7.0, "M": 30.4375, "Y": 365.25}


@_remembered
def _age(text: str) -> float | None:
    found = _AGE.fullmatch(text.strip(" "))
    return None if found is None else int(found[1]) * _DAYS[found[2]]


# --- of what stands in conditions ------------------------------------------------------------------------------------


def _literal_text(text: str) -> str:
    text = text.strip(" ")
    if not text:
        raise ValueError("no value is empty: write not exists(...) for what is absent or empty")
    return text


def _literal_uid(text: str) -> str:
    text = _literal_text(text)
    uid = text if is_valid_uid(text) else uid_of_keyword(text)
    if uid is None:
        raise ValueError(f'"{text}" is neither a UID nor the keyword of one, such as "CTImageStorage"')
    return uid


def _parsed(parse: Callable[[str], Any], what: str) -> Callable[[str], Any]:
    def of_text(text: str) -> Any:
        value = parse(text)
        if value is None:
            raise ValueError(f'"{text}" is not {what}')
        return value

    return of_text


def _no_text(text: str) -> Any:
    raise ValueError(f'"{text}" is text: write numbers without quotation marks')


def _no_number(what: str) -> Callable[[float], Any]:
    def of_number(number: float) -> Any:
        raise ValueError(f'{number} is a number: write "{number}" for {what}')

    return of_number


def _no_age(number: float) -> Any:
    raise ValueError(f'{number} is a number: write "{int(number):03}Y" for an age in years')


def _itself(value: Any) -> Any:
    return value


_COMPARABLE: Final = {
    Kind.TEXT: Comparable(_text, _literal_text, _no_number("text"), has_order=False),
    Kind.UID: Comparable(_text, _literal_uid, _no_number("a UID"), has_order=False),
    Kind.NUMBER: Comparable(_number, _no_text, _itself),
    Kind.DATE: Comparable(
        _of_text(_date),
        _parsed(lambda text: _date(text.replace("-", "") if text.count("-") == 2 else text), 'a date like "20240131"'),
        _no_number("a date"),
    ),
    Kind.TIME: Comparable(_of_text(_time), _parsed(_time, 'a time like "08:30" or "083000"'), _no_number("a time")),
    Kind.MOMENT: Comparable(
        _of_text(_moment), _parsed(_moment, 'a date and time like "20240131083000"'), _no_number("a date and time")
    ),
    Kind.AGE: Comparable(_of_text(_age), _parsed(_age, 'an age like "018Y", "006M", "002W" or "003D"'), _no_age),
}
