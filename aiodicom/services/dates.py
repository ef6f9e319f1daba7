"""What dates, times and date-times can mean, for matching by meaning (PS3.4 C.2.2.2.1.3, C.2.2.2.5).

Dates and times are compared as text that is brought into one form, date-times as microseconds since the year 1.
"""

from __future__ import annotations

import re
from calendar import monthrange
from datetime import datetime, timedelta
from typing import Final, NamedTuple

__all__ = ["Moments", "date_range", "datetime_range", "offset_minutes", "one_date", "one_time"]

_DATE: Final = re.compile(r"\d{4}(?:0[1-9]|1[0-2])(?:0[1-9]|[12]\d|3[01])", re.ASCII)
_TIME: Final = re.compile(r"(?:[01]\d|2[0-3])(?:[0-5]\d(?:(?:[0-5]\d|60)(?:\.\d{1,6})?)?)?", re.ASCII)
_DATETIME: Final = re.compile(
    r"(\d{4})(?:(\d\d)(?:(\d\d)(?:(\d\d)(?:(\d\d)(?:(\d\d)(?:\.(\d{1,6}))?)?)?)?)?)?([+-](?:0\d|1[0-4])[0-5]\d)?",
    re.ASCII,
)
_OFFSET: Final = re.compile(r"[+-](?:0\d|1[0-4])[0-5]\d", re.ASCII)
_BEGINNING: Final = datetime(1, 1, 1)
_MICROSECOND: Final = timedelta(microseconds=1)
_MINUTE: Final = 60_000_000

#: Greater than digits and the point: text that ends so is greater than any that goes on with those instead.
_REST: Final = "~"


def one_date(text: str) -> str:
    """A DA as ``YYYYMMDD``, also where it is written ``YYYY.MM.DD`` as in ACR-NEMA."""
    return text.strip().replace(".", "")


def one_time(text: str) -> str:
    """A TM as ``HHMMSS`` or ``HHMMSS.F``: the first moment that it can mean."""
    text = text.strip().replace(":", "")
    return text + "000000"[len(text) :]


def date_range(text: str) -> tuple[str, str]:
    """The first and the last date of a DA key, to compare with what `one_date` gives.

    Raises ValueError for what is neither a date nor a range of dates.
    """
    return _range(text.replace(".", ""), _DATE)


def time_range(text: str) -> tuple[str, str]:
    """The first and the last moment of a TM key, to compare with what `one_time` gives.

    Raises ValueError for what is neither a time nor a range of times.
    """
    first, last = _range(text.replace(":", ""), _TIME)
    return first.rstrip("0").rstrip(".") if "." in first else first, last + _REST


def _range(text: str, form: re.Pattern[str]) -> tuple[str, str]:
    first, hyphen, last = (part.strip() for part in text.partition("-"))
    if not hyphen:
        last = first
    if not (first or last) or any(part and not form.fullmatch(part) for part in (first, last)):
        raise ValueError(text)
    return first, last or _REST


class Moments(NamedTuple):
    """What a date-time can mean, in microseconds since the year 1, and its offset from UTC in minutes if it has one."""

    first: int
    last: int
    offset: int | None

    @classmethod
    def of(cls, text: str) -> Moments | None:
        """What a DT means (PS3.5 6.2); None for what is none."""
        match = _DATETIME.fullmatch(text.strip())
        if match is None:
            return None
        year, month, day, hour, minute, second, fraction, offset = match.groups()
        try:
            first = datetime(int(year), int(month or 1), int(day or 1), int(hour or 0), int(minute or 0))
        except ValueError:
            return None
        last = first.replace(month=int(month or 12))
        last = last.replace(day=int(day or monthrange(last.year, last.month)[1]))
        last = last.replace(hour=int(hour or 23), minute=int(minute or 59))
        if int(second or 0) > 60:
            return None
        within = int((fraction or "").ljust(6, "0")), int((fraction or "").ljust(6, "9"))
        seconds = int(second or 0), int(second or 59)
        return cls(
            (first - _BEGINNING) // _MICROSECOND + seconds[0] * 1_000_000 + within[0],
            (last - _BEGINNING) // _MICROSECOND + seconds[1] * 1_000_000 + within[1],
            None if offset is None else offset_minutes(offset),
        )


class DatetimeRange(NamedTuple):
    """A range of date-times; None where it is open."""

    first: Moments | None
    last: Moments | None

    def holds(self, moments: Moments, own_offset: int | None, offset: int | None) -> bool:
        """Whether the first moment of `moments` is in the range.

        `own_offset` is the offset from UTC, in minutes, of what has none in the range, `offset` that of `moments`.
        """
        at = moments.first
        offset = offset if moments.offset is None else moments.offset
        first, last = self
        if first is not None:
            begin = own_offset if first.offset is None else first.offset
            if at < first.first + _between(begin, offset):
                return False
        if last is not None:
            end = own_offset if last.offset is None else last.offset
            return at <= last.last + _between(end, offset)
        return True


def _between(one: int | None, other: int | None) -> int:
    """The microseconds to add to a time with one offset from UTC to have it with the other; 0 if one is unknown."""
    return 0 if one is None or other is None else (other - one) * _MINUTE


def datetime_range(text: str) -> DatetimeRange:
    """The range of a DT key; a single one begins and ends with all that it can mean.

    Raises ValueError for what is neither a date-time nor a range of them.
    """
    text = text.strip()
    moments = Moments.of(text)
    if moments is not None:
        return DatetimeRange(moments, moments)
    # A hyphen may also begin an offset from UTC.
    for hyphen in re.finditer("-", text):
        first, last = text[: hyphen.start()].strip(), text[hyphen.end() :].strip()
        ends = Moments.of(first), Moments.of(last)
        if (first or last) and all(found or not written for found, written in zip(ends, (first, last), strict=True)):
            return DatetimeRange(*ends)
    raise ValueError(text)


def offset_minutes(text: object) -> int | None:
    """The minutes that an offset from UTC such as ``-0330`` is; None for what is none."""
    if not isinstance(text, str) or not _OFFSET.fullmatch(text.strip()):
        return None
    text = text.strip()
    minutes = int(text[1:3]) * 60 + int(text[3:])
    return -minutes if text[0] == "-" else minutes
