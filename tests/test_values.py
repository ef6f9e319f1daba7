"""Values are frozen dataclasses with slots, to whoever makes, compares, shows, copies or looks into them."""

from __future__ import annotations

import copy
import dataclasses
import inspect
import pickle
from dataclasses import field
from typing import Any

import pytest

from aiodicom.values import Value, frozen


@frozen
class Point(Value):
    """A value."""

    x: int
    y: int = 0
    note: str = field(default="", compare=False)
    key: bytes = field(default=b"", repr=False)


@frozen
class Named(Point):
    """One with a field more, and another default."""

    y: int = 7
    name: str = "none"


@frozen
class Checked(Value):
    """One that looks at what it is given."""

    number: int

    def __post_init__(self) -> None:
        if self.number < 0:
            raise ValueError(self.number)


def test_made_by_position_name_and_default() -> None:
    assert Point(1, 2) == Point(1, y=2) == Point(y=2, x=1)
    assert (Point(1).x, Point(1).y, Point(1).note, Point(1).key) == (1, 0, "", b"")
    named = Named(1, name="this")
    assert (named.x, named.y, named.name) == (1, 7, "this")
    match named:
        case Named(x, y):
            assert (x, y) == (1, 7)


@pytest.mark.parametrize(
    ("given", "named", "said"),
    [
        ((), {}, "Point() is missing x"),
        ((), {"y": 1}, "Point() is missing x"),
        ((1, 2, "", b"", 5), {}, "Point() takes 4 arguments, but 5 were given"),
        ((1,), {"x": 1}, "Point() got argument 'x' twice"),
        ((1,), {"z": 1}, "Point() has no argument 'z'"),
    ],
)
def test_other_arguments_than_its_fields(given: tuple[int, ...], named: dict[str, int], said: str) -> None:
    with pytest.raises(TypeError) as caught:
        Point(*given, **named)  # type: ignore[arg-type]
    assert str(caught.value) == said


def test_a_field_that_is_hidden() -> None:
    class Between(Point):
        y = 5  # type: ignore[misc]

    with pytest.raises(TypeError, match=r"Below\.y is hidden"):

        @frozen
        class Below(Between):
            z: int = 0


def test_what_it_is_given_is_looked_at() -> None:
    assert Checked(1).number == 1
    with pytest.raises(ValueError, match="-1"):
        Checked(-1)


def test_equal_by_class_and_fields() -> None:
    assert Point(1) == Point(1, note="left out")
    assert hash(Point(1)) == hash(Point(1, note="left out"))
    assert Point(1) != Point(2)
    assert Point(1, 7) != Named(1)
    assert Point(1) != (1, 0)
    with pytest.raises(TypeError):
        hash(Point([]))  # type: ignore[arg-type]


def test_shown_with_its_fields() -> None:
    assert repr(Named(1, key=b"secret")) == "Named(x=1, y=7, note='', name='none')"


def test_frozen_and_without_a_dictionary() -> None:
    point = Named(1)
    assert not hasattr(point, "__dict__")
    for name in ("x", "name", "more"):
        with pytest.raises(dataclasses.FrozenInstanceError):
            setattr(point, name, 2)
    with pytest.raises(dataclasses.FrozenInstanceError):
        del point.x
    # Nor behind its back, which a frozen dataclass lets happen.
    with pytest.raises(TypeError):
        object.__setattr__(point, "x", 2)
    assert point == Named(1)


def test_one_that_was_never_made_has_no_fields() -> None:
    nothing = Point.__new__(Point)
    with pytest.raises(AttributeError):
        repr(nothing)


def test_a_dataclass_to_others() -> None:
    point = Named(1, key=b"k")
    assert dataclasses.is_dataclass(Point)
    assert [each.name for each in dataclasses.fields(point)] == ["x", "y", "note", "key", "name"]
    assert dataclasses.replace(point, y=2) == Named(1, 2, key=b"k")
    assert dataclasses.asdict(Point(1)) == {"x": 1, "y": 0, "note": "", "key": b""}
    assert str(inspect.signature(Point)) == "(x: 'int', y: 'int' = 0, note: 'str' = '', key: 'bytes' = b'')"
    for same in (pickle.loads(pickle.dumps(point)), copy.copy(point), copy.deepcopy(point)):
        assert type(same) is Named
        assert same == point


def test_a_class_with_arguments_of_its_own_says_so() -> None:
    class Doubled(Point):
        def __init__(self, half: int) -> None:
            super().__init__(2 * half)

    assert list(inspect.signature(Doubled).parameters) == ["half"]
    assert Doubled(2).x == 4


@pytest.mark.parametrize(
    "made", [dataclasses.field(default_factory=list), dataclasses.field(kw_only=True), dataclasses.field(init=False)]
)
def test_fields_that_values_cannot_have_are_refused(made: Any) -> None:
    class Wrong(Value):
        x: int = made

    with pytest.raises(TypeError, match="no field of a value"):
        frozen(Wrong)
