"""Attribute matching (PS3.4 C.2.2.2): an identifier is prepared once, and then held against any number of entities.

    keys = Keys(identifier)
    answers = [keys.answer(entity) for entity in entities if keys.match(entity)]

What PS3.4 leaves to an implementation:

- A date, time or date-time stands for all of the time that it can mean: the TM 1030 matches 10:30:59, and a range ends
  with the last moment that its end can mean. An entity's own value stands for the first moment that it can mean.
- A DT without an offset from UTC has that of Timezone Offset From UTC (0008,0201) in its data set. Where one of two has
  no offset at all, they are compared as they are written. One DT with a negative offset is no range.
- Names (VR of PN) match whatever their case and the accents of their letters, and whatever delimiters stand at the end
  of a component group. A key of one component group matches any group of the name; one of several, each in its place,
  an empty one any. Wild cards stand for characters of a group.
- Spaces around a value do not matter. Numbers (IS, DS) match by what they say.
- Several values in a key are alternatives, whatever the VR, and two quotation marks match what is absent or empty
  (PS3.4 C.2.2.2.7 and C.2.2.2.8), negotiated or not.
- Without a value an entity matches universal matching and those quotation marks, nothing else.
- Text is compared as characters, whatever character sets the two data sets are encoded in.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Iterable
from functools import lru_cache
from typing import Any, Final, TypeAlias
from unicodedata import normalize

from aiodicom.dataset import DataElement, Dataset, Sequence
from aiodicom.dataset._dataset import lacks_characters
from aiodicom.errors import DecodeError, OperationRefused
from aiodicom.services.characters import sayable
from aiodicom.services.dates import (
    DatetimeRange,
    Moments,
    date_range,
    datetime_range,
    offset_minutes,
    one_date,
    one_time,
    time_range,
)
from aiodicom.standard.dictionary import keyword_for_tag, tag_for_keyword
from aiodicom.standard.status import Status

__all__ = ["Keys", "wild_cards"]

#: Value representations in which ``*`` and ``?`` are wild cards (PS3.4 C.2.2.2.4).
_WILD: Final = frozenset(("AE", "CS", "LO", "LT", "PN", "SH", "ST", "UC", "UR", "UT"))
_EMPTY_VALUE: Final = '""'
#: The longest value with wild cards, in characters, and the most alternatives of one key that are no UIDs.
_LONGEST_PATTERN: Final = 1024
_MOST_ALTERNATIVES: Final = 100

_SPECIFIC_CHARACTER_SET: Final = 0x00080005
_TIMEZONE_OFFSET_FROM_UTC: Final = 0x00080201
#: What says how an identifier is meant, and is no key: these, Query/Retrieve Level and View (PS3.4 C.4.1.1.3.1).
_NO_KEYS: Final = frozenset((_SPECIFIC_CHARACTER_SET, _TIMEZONE_OFFSET_FROM_UTC, 0x00080052, 0x00080053))
#: Keys that tell most entities apart, and are therefore held against them first.
_TELLING: Final = frozenset((0x0020000D, 0x0020000E, 0x00080018, 0x00100020, 0x00080050))

#: Whether one value of an attribute matches.
Test: TypeAlias = Callable[[Any], bool]


class Keys:
    """The keys of an identifier, those to match with and those that are only asked for.

    `supported`: the tags that count, None for all; other keys are neither matched nor answered, and are `unsupported`.
    `combined`: where a date and its time are both ranges of the same form, they are one range of date-times (PS3.4
    C.2.2.2.5.4): True for every such pair, or the tags of dates.

    Raises `OperationRefused` with A900H for a key that cannot be understood, such as a date that is none.
    """

    def __init__(
        self,
        identifier: Dataset,
        *,
        supported: Collection[int] | None = None,
        combined: bool | Collection[int] = False,
    ) -> None:
        self._tests: list[tuple[int, Test]] = []
        self._pairs: list[tuple[int, int, str, str]] = []
        self._datetimes: list[tuple[int, list[DatetimeRange]]] = []
        self._absent: list[int] = []
        self._sequences: list[tuple[int, Keys]] = []
        self._offset = offset_minutes(identifier._value(_TIMEZONE_OFFSET_FROM_UTC, None))
        self._combined = combined
        keys = [element for element in identifier if element.tag not in _NO_KEYS and element.tag & 0xFFFF]
        asked = [element for element in keys if supported is None or element.tag in supported]
        #: Whether there are keys that are not supported.
        self.unsupported = len(asked) < len(keys)
        #: The tags of the keys, in order.
        self.tags: tuple[int, ...] = tuple(int(element.tag) for element in asked)
        self._selected: tuple[int, ...] = ()
        self._defaults: list[DataElement] = []
        self.include([DataElement(element.tag, element.vr) for element in asked])
        paired = self._pair(identifier)
        for element in asked:
            if element.tag in paired:
                continue
            try:
                self._prepare(element)
            except (ValueError, DecodeError):
                raise _refused(element, "cannot be understood") from None
        self._tests.sort(key=lambda test: test[0] not in _TELLING)
        #: The tags of the keys that entities are matched with.
        self.matching: frozenset[int] = frozenset(
            [tag for tag, _ in self._tests]
            + [tag for pair in self._pairs for tag in pair[:2]]
            + [tag for tag, _ in self._datetimes]
            + [tag for tag, keys in self._sequences if keys.matching]
            + self._absent
        )
        self._nested = [(tag, keys) for tag, keys in self._sequences if keys.matching]

    # Preparing

    def _prepare(self, element: DataElement) -> None:
        tag, vr, values = element.tag, element.vr, element.values
        if vr == "SQ":
            if len(values) > 1:
                raise _refused(element, "has more than one item")
            if values:
                self._sequences.append((tag, Keys(values[0], combined=self._combined)))
            return
        if vr != "UI" and len(values) > _MOST_ALTERNATIVES:
            raise _refused(element, "has too many values")
        texts = [value.strip() for value in values if isinstance(value, str)]
        if element.is_empty or any(text and not text.strip("*") for text in texts):
            return
        if texts == [_EMPTY_VALUE]:
            self._absent.append(tag)
        elif vr == "DT":
            self._datetimes.append((tag, [datetime_range(text) for text in texts if text]))
        else:
            self._tests.append((tag, _test(element, values, texts)))

    def _pair(self, identifier: Dataset) -> set[int]:
        """Prepares the dates and times that are one range together, and returns their tags."""
        paired: set[int] = set()
        if not self._combined:
            return paired
        for date in self.tags:
            keyword = keyword_for_tag(date)
            time = tag_for_keyword(f"{keyword.removesuffix('Date')}Time") if keyword.endswith("Date") else None
            if time not in self.tags or not (self._combined is True or date in self._combined):
                continue
            days, times = identifier._value(date, None), identifier._value(time, None)
            if not (isinstance(days, str) and isinstance(times, str) and "-" in days and "-" in times):
                continue
            try:
                (first_day, last_day), (first_time, last_time) = date_range(days), time_range(times)
            except ValueError:
                continue  # each is refused by itself
            if bool(first_day) is bool(first_time) and last_day.isdigit() is (last_time != "~~"):
                self._pairs.append((date, time, first_day + first_time, last_day + last_time))
                paired |= {date, time}
        return paired

    def include(self, elements: Iterable[DataElement]) -> None:
        """Has every answer include these elements, or what the entity has in their place."""
        self._defaults += elements
        included = (int(element.tag) for element in self._defaults)
        self._selected = tuple(sorted({*included, _SPECIFIC_CHARACTER_SET, _TIMEZONE_OFFSET_FROM_UTC}))

    # Matching

    def match(self, entity: Dataset) -> bool:
        """Whether an entity has what every key asks for."""
        value_of = entity._value
        try:
            for tag, test in self._tests:
                value = value_of(tag, None)
                if type(value) is list:
                    if not any(map(test, value)):
                        return False
                elif value is None or value == "" or not test(value):
                    return False
        except TypeError:  # a sequence in the place of a value
            return False
        for date, time, first, last in self._pairs:
            days, times = value_of(date, None), value_of(time, None)
            if not days or not first <= one_date(str(days)) + one_time(str(times or "")) <= last:
                return False
        for tag, keys in self._nested:
            items = value_of(tag, None)
            if not isinstance(items, Sequence) or not any(map(keys.match, items)):
                return False
        for tag in self._absent:
            if value_of(tag, None) not in (None, "", []):
                return False
        return not self._datetimes or self._match_datetimes(entity)

    def _match_datetimes(self, entity: Dataset) -> bool:
        offset = offset_minutes(entity._value(_TIMEZONE_OFFSET_FROM_UTC, None))
        for tag, ranges in self._datetimes:
            value = entity._value(tag, None)
            found = [Moments.of(str(one)) for one in (value if isinstance(value, list) else [value])]
            if not any(each.holds(one, self._offset, offset) for each in ranges for one in found if one is not None):
                return False
        return True

    def answer(self, entity: Dataset) -> Dataset:
        """What an entity has for the keys, with its Specific Character Set and Timezone Offset From UTC: empty where it
        has nothing, of a sequence the items that match, with what is asked for in them (PS3.4 C.2.2.2.6). It is in
        UTF-8 where the entity names no character set that has its text.
        """
        answer = self._answer(entity)
        return sayable(answer) if lacks_characters(answer) else answer  # without a further call for each of thousands

    def _answer(self, entity: Dataset) -> Dataset:
        answer = entity.select(self._selected)
        answer._put_missing(self._defaults)
        for tag, keys in self._sequences:
            items = entity._value(tag, None)
            if keys.tags and isinstance(items, Sequence):
                answer.add(DataElement(tag, "SQ", [keys._answer(item) for item in items if keys.match(item)]))
        return answer


def _refused(element: DataElement, why: str) -> OperationRefused:
    return OperationRefused(
        Status.IDENTIFIER_DOES_NOT_MATCH_SOP_CLASS, f"{element.keyword or element.tag} {why}", (int(element.tag),)
    )


def _test(element: DataElement, values: list[Any], texts: list[str]) -> Test:
    """What holds one value of an attribute against a key's values. Raises ValueError for a key that means nothing."""
    vr = element.vr
    if vr == "PN":
        return _name_test(texts)
    if vr == "DA":
        return _range_test([date_range(text) for text in texts if text], one_date)
    if vr == "TM":
        return _range_test([time_range(text) for text in texts if text], one_time)
    if vr in _WILD and any("*" in text or "?" in text for text in texts):
        patterns = [wild_cards(text).match for text in texts if text]
        return lambda value: any(match(str(value).strip()) for match in patterns)
    if texts and vr not in ("UI", "IS", "DS"):
        wanted_texts = frozenset(texts)
        return lambda value: str(value).strip() in wanted_texts
    try:
        return frozenset(values).__contains__
    except TypeError:  # views of bytes
        return values.__contains__


def _range_test(ranges: list[tuple[str, str]], form: Callable[[str], str]) -> Test:
    if len(ranges) == 1:
        first, last = ranges[0]
        return lambda value: first <= form(str(value)) <= last
    return lambda value: any(first <= form(str(value)) <= last for first, last in ranges)


@lru_cache(maxsize=256)
def wild_cards(text: str) -> re.Pattern[str]:
    """What matches a whole value that a text with ``*`` and ``?`` stands for.

    Each part between two asterisks is looked for once, where it comes first, so that no key and no value together take
    more time than the product of their lengths. Raises ValueError for a text that is too long.
    """
    if len(text) > _LONGEST_PATTERN:
        raise ValueError(f"more than {_LONGEST_PATTERN} characters with wild cards")
    parts = ["".join("." if letter == "?" else re.escape(letter) for letter in part) for part in text.split("*")]
    if len(parts) == 1:
        return re.compile(parts[0] + r"\Z", re.DOTALL)
    between = "".join(f"(?>.*?{part})" for part in parts[1:-1] if part)
    return re.compile(f"{parts[0]}{between}.*{parts[-1]}" + r"\Z", re.DOTALL)


def _name_test(texts: list[str]) -> Test:
    alternatives = [tuple(map(_group_test, _folded_groups(text))) for text in texts if text]

    def test(value: Any) -> bool:
        groups = _folded_groups(str(value))
        for tests in alternatives:
            if len(tests) == 1:
                if any(map(tests[0], groups)):
                    return True
            elif all(one(groups[place] if place < len(groups) else "") for place, one in enumerate(tests)):
                return True
        return False

    return test


def _group_test(group: str) -> Test:
    if not group:
        return lambda value: True
    if "*" in group or "?" in group:
        match = wild_cards(group).match
        # Doe^* is any Doe, with or without a given name: delimiters at the end may be left out.
        return lambda value: bool(match(value) or match(f"{value}^^^^"))
    return lambda value: bool(value == group)


@lru_cache(maxsize=4096)
def _folded_groups(name: str) -> tuple[str, ...]:
    """The component groups of a name without case, accents, and delimiters at their end."""
    if not name.isascii():
        # Accents alone go: the marks of Japanese kana and the parts of Korean syllables come together again.
        letters = [letter for letter in normalize("NFKD", name) if not "\u0300" <= letter <= "\u036f"]
        name = normalize("NFC", "".join(letters))
    return tuple(
        "^".join(component.strip() for component in group.split("^")).rstrip("^")
        for group in name.casefold().split("=")
    )
