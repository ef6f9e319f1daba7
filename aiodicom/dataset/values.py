"""Values that are more than a string or a number (PS3.5 6.2): the plain Python type, with its parts on demand."""

from __future__ import annotations

import datetime
from typing import Any, Self

__all__ = ["DA", "DT", "IS", "TM", "UID", "PersonName", "Tag"]


class Tag(int):
    """An attribute tag, ``0xGGGGEEEE``; its text is ``(gggg,eeee)``."""

    __slots__ = ()

    @property
    def group(self) -> int:
        """The group number, the upper 16 bits."""
        return self >> 16

    @property
    def element(self) -> int:
        """The element number, the lower 16 bits."""
        return self & 0xFFFF

    elem = element

    @property
    def is_private(self) -> bool:
        """Whether the group number is odd (PS3.5 7.8)."""
        return bool(self & 0x10000)

    @property
    def is_private_creator(self) -> bool:
        """Whether it is (gggg,0010) to (gggg,00FF) of a private group, which reserve blocks (PS3.5 7.8.1)."""
        return bool(self & 0x10000) and 0x10 <= self & 0xFFFF <= 0xFF

    @property
    def private_creator(self) -> Tag:
        """The tag of the private creator that reserves this tag's block (PS3.5 7.8.1)."""
        return Tag((self & 0xFFFF0000) | ((self >> 8) & 0xFF))

    def __str__(self) -> str:
        return f"({self >> 16:04X},{self & 0xFFFF:04X})"

    __repr__ = __str__


class UID(str):
    """A unique identifier (PS3.5 9), without padding."""

    __slots__ = ()

    @property
    def is_valid(self) -> bool:
        """At most 64 characters in components of digits without leading zeros (PS3.5 9.1)."""
        return 0 < len(self) <= 64 and all(
            part.isascii() and part.isdigit() and (len(part) == 1 or part[0] != "0") for part in self.split(".")
        )

    @property
    def name(self) -> str:
        """The name that PS3.6 gives it, or its text where there is none."""
        from aiodicom.standard.uids import uid_name

        return uid_name(self)

    @property
    def is_compressed(self) -> bool:
        """Whether it is a transfer syntax of pixels in fragments (PS3.5 A.4)."""
        from aiodicom.standard.transfer_syntaxes import transfer_syntax

        return transfer_syntax(self).encapsulated


class DA(str):
    """A date as it is written; `date` is its meaning."""

    __slots__ = ()

    @property
    def date(self) -> datetime.date | None:
        """The day of ``YYYYMMDD``, or of the ``YYYY.MM.DD`` of ACR-NEMA; None where the text is no such day."""
        text = self.strip()
        if len(text) == 10 and text[4] == text[7] == ".":
            text = text.replace(".", "")
        if len(text) != 8 or not (text.isascii() and text.isdigit()):
            return None
        try:
            return datetime.date(int(text[:4]), int(text[4:6]), int(text[6:]))
        except ValueError:
            return None


def _time(text: str) -> datetime.time | None:
    """``HH``, ``HHMM``, ``HHMMSS`` or ``HHMMSS.F`` to ``.FFFFFF``; a leap second is the last microsecond before it."""
    whole, point, fraction = text.partition(".")
    if len(whole) not in (2, 4, 6) or not (whole.isascii() and whole.isdigit()):
        return None
    if point and not (len(whole) == 6 and fraction.isascii() and fraction.isdigit()):
        return None
    hour, minute, second = int(whole[:2]), int(whole[2:4] or 0), int(whole[4:6] or 0)
    microsecond = int(fraction[:6].ljust(6, "0")) if fraction else 0
    if second == 60:
        second, microsecond = 59, 999_999
    try:
        return datetime.time(hour, minute, second, microsecond)
    except ValueError:
        return None


class TM(str):
    """A time of day as it is written; `time` is its meaning."""

    __slots__ = ()

    @property
    def time(self) -> datetime.time | None:
        """The time of ``HH[MM[SS[.F]]]``, or of the ``HH:MM:SS`` of ACR-NEMA; None where the text is no such time."""
        return _time(self.strip().replace(":", ""))


class DT(str):
    """A date and time as it is written; `datetime` is its meaning."""

    __slots__ = ()

    @property
    def datetime(self) -> datetime.datetime | None:
        """The instant, missing parts the least they can be, in its zone where ``&ZZXX`` says so; else None."""
        text = self.strip()
        zone: datetime.tzinfo | None = None
        if len(text) > 5 and text[-5] in "+-":
            offset = text[-4:]
            if not (offset.isascii() and offset.isdigit()) or int(offset[2:]) > 59 or int(offset[:2]) > 14:
                return None
            minutes = int(offset[:2]) * 60 + int(offset[2:])
            zone = datetime.timezone(datetime.timedelta(minutes=-minutes if text[-5] == "-" else minutes))
            text = text[:-5]
        day, rest = text[:8], text[8:]
        if len(day) not in (4, 6, 8):
            return None
        date = DA(day + "0101"[len(day) - 4 :]).date
        time = _time(rest) if rest else datetime.time()
        return None if date is None or time is None else datetime.datetime.combine(date, time, zone)


class IS(int):
    """An Integer String: an int; `text` is what stands in the data set without padding."""

    __slots__ = ()

    def __new__(cls, value: Any = 0) -> IS:
        if isinstance(value, str):
            return IS.from_text(value.strip())
        return value if type(value) is cls or isinstance(value, IS) else int.__new__(cls, value)

    @staticmethod
    def from_text(text: str) -> IS:
        """The integer that `text` says, which is kept where it isn't the shortest way to say it.

        Raises ValueError where it is no integer; ``1.0`` is one.
        """
        try:
            number = int(text)
        except ValueError:
            value = float(text)
            if not value.is_integer():  # infinity neither
                raise
            number = int(value)
        if str(number) == text:
            return int.__new__(IS, number)
        exact = int.__new__(_WrittenIS, number)
        exact._text = text
        return exact

    @property
    def text(self) -> str:
        """The number as it is written."""
        return int.__repr__(self)

    @property
    def original_string(self) -> str:
        """The same under pydicom's name."""
        return self.text

    def __str__(self) -> str:
        return self.text

    def __reduce__(self) -> tuple[Any, ...]:
        return IS.from_text, (self.text,)


class _WrittenIS(IS):
    """An Integer String that isn't written in the shortest way, such as ``+07``."""

    _text: str

    @property
    def text(self) -> str:
        """The number as the data set has it."""
        return self._text


class PersonName(str):
    """A person's name (PS3.5 6.2.1): up to three component groups, each of up to five components.

    The text is as the data set has it, ``alphabetic=ideographic=phonetic`` with components parted by ``^``.
    """

    __slots__ = ()

    @property
    def components(self) -> tuple[str, ...]:
        """The component groups."""
        return tuple(self.split("="))

    def _group(self, number: int) -> str:
        groups = self.split("=")
        return groups[number] if number < len(groups) else ""

    def _component(self, number: int) -> str:
        components = self._group(0).split("^")
        return components[number] if number < len(components) else ""

    @property
    def alphabetic(self) -> str:
        """The first component group, of single-byte characters."""
        return self._group(0)

    @property
    def ideographic(self) -> str:
        """The second component group; empty where there is none."""
        return self._group(1)

    @property
    def phonetic(self) -> str:
        """The third component group; empty where there is none."""
        return self._group(2)

    @property
    def family_name(self) -> str:
        """Of the alphabetic group, as the other components here."""
        return self._component(0)

    @property
    def given_name(self) -> str:
        """The second component."""
        return self._component(1)

    @property
    def middle_name(self) -> str:
        """The third component."""
        return self._component(2)

    @property
    def name_prefix(self) -> str:
        """The fourth component."""
        return self._component(3)

    @property
    def name_suffix(self) -> str:
        """The fifth component."""
        return self._component(4)

    def family_comma_given(self) -> str:
        """Family and given name, such as ``Doe, Jane``."""
        return f"{self.family_name}, {self.given_name}"

    def formatted(self, pattern: str) -> str:
        """The name under a pattern such as ``"%(family_name)s, %(given_name)s"``."""
        return pattern % {
            name: getattr(self, name)
            for name in ("family_name", "given_name", "middle_name", "name_prefix", "name_suffix")
        }

    @classmethod
    def from_named_components(
        cls,
        family_name: str = "",
        given_name: str = "",
        middle_name: str = "",
        name_prefix: str = "",
        name_suffix: str = "",
    ) -> Self:
        """A name of one alphabetic group, trailing delimiters left out."""
        return cls("^".join((family_name, given_name, middle_name, name_prefix, name_suffix)).rstrip("^"))
