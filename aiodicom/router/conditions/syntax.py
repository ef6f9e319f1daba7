"""What conditions are made of. `str()` of a node is a condition that means the same."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final, NamedTuple, TypeAlias

from aiodicom.dataset.values import Tag
from aiodicom.standard.dictionary import keyword_for_tag, tag_for_keyword

__all__ = [
    "EVERY",
    "And",
    "Call",
    "Compare",
    "List",
    "Literal",
    "Name",
    "Node",
    "Not",
    "Or",
    "Path",
    "PrivateTag",
    "Step",
]

#: In place of the number of an item: every one.
EVERY: Final = -1


class PrivateTag(NamedTuple):
    """The element ``xx`` of the block that a creator has reserved in a group (PS3.5 7.8.1)."""

    group: int
    creator: str
    element: int

    def __str__(self) -> str:
        return f"({self.group:04X},{_quoted(self.creator)},{self.element:02X})"


class Step(NamedTuple):
    """An attribute, and the number of the item in it that the path goes on in: from 0, `EVERY`, or None at its end."""

    tag: int | PrivateTag
    item: int | None = None

    def __str__(self) -> str:
        name = str(self.tag)
        if isinstance(self.tag, int):
            keyword = keyword_for_tag(self.tag)
            name = keyword if keyword and tag_for_keyword(keyword) == self.tag else str(Tag(self.tag))
        return name if self.item is None else f"{name}[{'*' if self.item == EVERY else self.item}]"


def _quoted(text: str) -> str:
    escaped = text.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'


@dataclass(frozen=True, slots=True)
class _Node:
    #: where it begins in the source, from 1
    column: int = field(compare=False, kw_only=True)


@dataclass(frozen=True, slots=True)
class Literal(_Node):
    """A text or a number."""

    value: str | int | float

    def __str__(self) -> str:
        return _quoted(self.value) if isinstance(self.value, str) else repr(self.value)


@dataclass(frozen=True, slots=True)
class List(_Node):
    """Texts or numbers."""

    items: tuple[Literal, ...]

    def __str__(self) -> str:
        return f"[{', '.join(map(str, self.items))}]"


@dataclass(frozen=True, slots=True)
class Path(_Node):
    """An attribute, maybe in an item of a sequence."""

    steps: tuple[Step, ...]

    def __str__(self) -> str:
        return ".".join(map(str, self.steps))


@dataclass(frozen=True, slots=True)
class Name(_Node):
    """What the association says: one of `ORIGIN_NAMES`."""

    name: str

    def __str__(self) -> str:
        return self.name


@dataclass(frozen=True, slots=True)
class Call(_Node):
    """A function: of the language, or of a plug-in."""

    name: str
    arguments: tuple[Node, ...]

    def __str__(self) -> str:
        return f"{self.name}({', '.join(map(str, self.arguments))})"


@dataclass(frozen=True, slots=True)
class Compare(_Node):
    """Two operands, and the sign between them: ``==``, ``!=``, ``<``, ``<=``, ``>``, ``>=``, ``~``, ``!~``, ``in`` or
    ``not in``.
    """

    sign: str
    left: Node
    right: Node

    def __str__(self) -> str:
        return f"{self.left} {self.sign} {self.right}"


@dataclass(frozen=True, slots=True)
class Not(_Node):
    operand: Node

    def __str__(self) -> str:
        return f"not {_enclosed(self.operand, And, Or)}"


@dataclass(frozen=True, slots=True)
class And(_Node):
    operands: tuple[Node, ...]

    def __str__(self) -> str:
        return " and ".join(_enclosed(operand, And, Or) for operand in self.operands)


@dataclass(frozen=True, slots=True)
class Or(_Node):
    operands: tuple[Node, ...]

    def __str__(self) -> str:
        return " or ".join(_enclosed(operand, Or) for operand in self.operands)


Node: TypeAlias = Literal | List | Path | Name | Call | Compare | Not | And | Or


def _enclosed(node: Node, *kinds: type) -> str:
    return f"({node})" if isinstance(node, kinds) else str(node)
