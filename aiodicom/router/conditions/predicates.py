"""What conditions are compiled to: functions of a header and its origin."""

from __future__ import annotations

import operator
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple, TypeAlias

from aiodicom.dataset import Dataset
from aiodicom.router.conditions.kinds import Kind, comparable
from aiodicom.router.conditions.reading import SINGLE, value_of
from aiodicom.router.origin import ORIGIN_NAMES, Origin

__all__ = [
    "ConditionFunction",
    "Operand",
    "Reader",
    "Test",
    "all_of",
    "any_item",
    "counted",
    "exists",
    "holds",
    "is_in",
    "is_like",
    "named",
    "negated",
    "one_of",
    "plugged",
    "some_pair",
    "top_level",
    "values",
]

Test: TypeAlias = Callable[[Dataset, Origin], bool]
Reader: TypeAlias = Callable[[Dataset, Origin], Sequence[Any]]
#: A function that a plug-in adds: header, origin, and the texts, numbers and lists that it is called with.
ConditionFunction: TypeAlias = Callable[..., bool]


class Operand(NamedTuple):
    """What is compared: values as they are in the data set, and the kind that they are of."""

    kind: Kind
    read: Reader
    #: the tag of an attribute at the top level, which is looked at without detour, as most are
    tag: int | None = None
    #: of something in `Origin`, its place there
    place: int | None = None
    #: compared in small letters
    is_lower: bool = False


# --- readers ---------------------------------------------------------------------------------------------------------


def top_level(tag: int) -> Reader:
    def read(header: Dataset, origin: Origin) -> Sequence[Any]:
        value = value_of(header, tag, None)
        if value is None or value == "" or value == b"":
            return ()
        return (value,) if isinstance(value, SINGLE) else list(value)

    return read


def named(name: str) -> Operand:
    """Something in `Origin`."""
    place = ORIGIN_NAMES.index(name)
    kind = Kind.UID if name == "transfer_syntax" else Kind.TEXT
    return Operand(kind, lambda header, origin: (origin[place],), place=place)


def _of_value(operand: Operand, kind: Kind) -> Callable[[Any], Any]:
    of_value = comparable(kind).of_value
    if not operand.is_lower:
        return of_value

    def of_value_in_small_letters(value: Any) -> Any:
        made = of_value(value)
        return None if made is None else made.lower()

    return of_value_in_small_letters


def values(operand: Operand, kind: Kind) -> Reader:
    """The values as they are compared, without those that are none of the kind."""
    read = operand.read
    of_value = _of_value(operand, kind)

    def read_values(header: Dataset, origin: Origin) -> Sequence[Any]:
        return [made for value in read(header, origin) if (made := of_value(value)) is not None]

    return read_values


def counted(read: Reader) -> Reader:
    return lambda header, origin: (len(read(header, origin)),)


# --- tests -----------------------------------------------------------------------------------------------------------


def is_in(value: Any, constants: frozenset[Any]) -> bool:
    return value in constants


def is_like(value: str, match: Callable[[str], object]) -> bool:
    return match(value) is not None


def holds(operand: Operand, kind: Kind, compare: Callable[[Any, Any], bool], constant: Any) -> Test:
    """Whether some value compares so with a constant."""
    of_value = _of_value(operand, kind)
    if operand.place is not None:
        return _holds_of_origin(operand.place, of_value, compare, constant)
    if operand.tag is not None:
        test = _holds_at(operand.tag, of_value, compare, constant)
        is_equality = compare is operator.eq and isinstance(constant, str) and not operand.is_lower
        return _equal_at(operand.tag, constant, test) if is_equality else test
    read = values(operand, kind)
    return lambda header, origin: any(compare(value, constant) for value in read(header, origin))


def _holds_of_origin(
    place: int, of_value: Callable[[Any], Any], compare: Callable[[Any, Any], bool], constant: Any
) -> Test:
    def test(header: Dataset, origin: Origin) -> bool:
        made = of_value(origin[place])
        return made is not None and compare(made, constant)

    return test


def _equal_at(tag: int, constant: str, otherwise: Test) -> Test:
    """Most of what is asked: whether one text is this one."""

    def test(header: Dataset, origin: Origin) -> bool:
        value = value_of(header, tag, None)
        if value is None:
            return False
        if isinstance(value, str):
            return value == constant or value.strip(" ") == constant
        return otherwise(header, origin)

    return test


def _holds_at(tag: int, of_value: Callable[[Any], Any], compare: Callable[[Any, Any], bool], constant: Any) -> Test:
    def test(header: Dataset, origin: Origin) -> bool:
        value = value_of(header, tag, None)
        if value is None:
            return False
        if isinstance(value, SINGLE):
            made = of_value(value)
            return made is not None and compare(made, constant)
        for each in value:
            made = of_value(each)
            if made is not None and compare(made, constant):
                return True
        return False

    return test


def some_pair(left: Reader, compare: Callable[[Any, Any], bool], right: Reader) -> Test:
    def test(header: Dataset, origin: Origin) -> bool:
        others = right(header, origin)
        return any(compare(one, other) for one in left(header, origin) for other in others)

    return test


def exists(read: Reader) -> Test:
    """Whether there is a value."""

    def test(header: Dataset, origin: Origin) -> bool:
        return any(value is not None and value != "" for value in read(header, origin))

    return test


def any_item(read: Reader, test: Test) -> Test:
    """Whether there is an item in which the test holds."""

    def test_items(header: Dataset, origin: Origin) -> bool:
        return any(isinstance(item, Dataset) and test(item, origin) for item in read(header, origin))

    return test_items


def plugged(function: ConditionFunction, arguments: tuple[Any, ...]) -> Test:
    return lambda header, origin: bool(function(header, origin, *arguments))


def negated(test: Test) -> Test:
    return lambda header, origin: not test(header, origin)


def all_of(tests: Sequence[Test]) -> Test:
    """Halves of halves, so that of a thousand no stack of calls becomes deep."""
    if len(tests) == 1:
        return tests[0]
    middle = len(tests) // 2
    first, second = all_of(tests[:middle]), all_of(tests[middle:])
    return lambda header, origin: first(header, origin) and second(header, origin)


def one_of(tests: Sequence[Test]) -> Test:
    """As `all_of`."""
    if len(tests) == 1:
        return tests[0]
    middle = len(tests) // 2
    first, second = one_of(tests[:middle]), one_of(tests[middle:])
    return lambda header, origin: first(header, origin) or second(header, origin)
