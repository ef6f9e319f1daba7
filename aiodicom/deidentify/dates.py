"""Dates and times moved by days (PS3.15 E.3.6): intervals stay what they are, and so do times of day."""

from __future__ import annotations

import re
from datetime import date, timedelta
from typing import Final

__all__ = ["DUMMY_DATE", "earlier"]

#: What stands for a date that cannot be moved, or must not say anything.
DUMMY_DATE: Final = "19000101"

#: A DA, in its form until 1993 too, or the beginning of a DT (PS3.5 6.2), which may end after year or month.
_DATE: Final = re.compile(r"(\d{4})(?:\.?(\d{2})(?:\.?(\d{2}))?)?")


def earlier(value: str, vr: str, days: int) -> str:
    """A value of DA or DT, or a range of them, by so many days earlier; of one that is no date, a dummy date.

    A DT that ends after year or month still does, as the first of those would move.
    """
    if vr == "DA" and value.count("-") == 1:  # a range, in a query; of a DT the hyphen can be of a time zone
        return "-".join(_earlier(part, vr, days) if part else part for part in value.split("-"))
    return _earlier(value, vr, days)


def _earlier(value: str, vr: str, days: int) -> str:
    value = value.strip(" \0")
    if not value:
        return value
    found = _DATE.match(value)
    if found is None or (vr == "DA" and (found.end() != len(value) or found[3] is None)):
        return DUMMY_DATE
    rest = value[found.end() :]
    if rest and (not re.fullmatch(r"[\d.]*([+-]\d{4})?", rest) or (found[3] is None and rest[0] not in "+-")):
        return DUMMY_DATE
    try:
        moved = date(int(found[1]), int(found[2] or 1), int(found[3] or 1)) - timedelta(days)
    except (ValueError, OverflowError):
        return DUMMY_DATE
    length = 4 if found[2] is None else 6 if found[3] is None else 8
    return f"{moved.year:04d}{moved.month:02d}{moved.day:02d}"[:length] + rest
