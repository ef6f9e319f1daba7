"""Tokens of a condition."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator
from typing import Any, Final, NamedTuple

from aiodicom.errors import ConditionError

__all__ = ["LONGEST", "WORDS", "Token", "tokens"]

#: Names that are neither attributes nor functions.
WORDS: Final = frozenset(("and", "or", "not", "in"))

#: The longest condition, in characters.
LONGEST: Final = 10_000
#: The longest number, in characters.
_LONGEST_NUMBER: Final = 32

_TOKEN: Final = re.compile(
    r"""(?P<space>\s+)
    | (?P<tag>\([0-9A-Fa-f]{4},[ ]?[0-9A-Fa-f]{4}\))
    | \((?P<private>[0-9A-Fa-f]{4},[ ]?"(?:[^"\\]|\\["\\])*",[ ]?[0-9A-Fa-f]{2})\)
    | (?P<string>"(?:[^"\\]|\\["\\])*"|'(?:[^'\\]|\\['\\])*')
    | (?P<number>-?(?:\d+(?:\.\d*)?|\.\d+)(?:[eE][+-]?\d+)?)
    | (?P<name>[A-Za-z_][A-Za-z0-9_]*)
    | (?P<sign>==|!=|<=|>=|!~|[<>~()\[\],.*])
    """,
    re.VERBOSE | re.ASCII,
)
_ESCAPE: Final = re.compile(r"\\(.)")


class Token(NamedTuple):
    """`kind`: ``tag`` (value: int), ``private`` (group, creator, element), ``string``, ``number``, ``name``, ``sign``,
    or ``end``; `text` is how it is written, `column` where, from 1.
    """

    kind: str
    text: str
    column: int
    value: Any = None


def tokens(source: str) -> Iterator[Token]:
    """The tokens of a condition, ``end`` the last. Raises `ConditionError`."""
    if len(source) > LONGEST:
        raise ConditionError(LONGEST + 1, f"a condition has at most {LONGEST:,} characters")
    offset = 0
    is_call = False
    while offset < len(source):
        found = _TOKEN.match(source, offset)
        if found is None:
            raise ConditionError(offset + 1, _wrong(source, offset))
        kind, text, column = str(found.lastgroup), found[0], offset + 1
        if is_call and text[0] == "(":
            # The arguments of a function, even where they could be the parts of a tag.
            kind, text = "sign", "("
        offset += len(text)
        if kind != "space":
            is_call = kind == "name" and text not in WORDS
            yield Token(kind, text, column, _value(kind, found[kind], column))
    yield Token("end", "", len(source) + 1)


def _value(kind: str, text: str, column: int) -> Any:
    match kind:
        case "tag":
            return int(text[1:5] + text[-5:-1], 16)
        case "private":
            group, creator, element = text[:4], text[text.index('"') : -2].rstrip(" ,"), text[-2:]
            return int(group, 16), _unquoted(creator), int(element, 16)
        case "string":
            return _unquoted(text)
        case "number":
            return _number(text, column)
    return None


def _unquoted(text: str) -> str:
    return _ESCAPE.sub(r"\1", text[1:-1])


def _number(text: str, column: int) -> int | float:
    if len(text) > _LONGEST_NUMBER:
        raise ConditionError(column, f"a number has at most {_LONGEST_NUMBER} characters")
    try:
        return int(text)
    except ValueError:
        number = float(text)
    if not math.isfinite(number):
        raise ConditionError(column, f"{text} is too large a number")
    return number


def _wrong(source: str, offset: int) -> str:
    character = source[offset]
    if character in "\"'":
        return f"the text that begins here has no {character} at its end, or a \\ before something else than it"
    known = {"=": "==", "&": "and", "|": "or", "!": "not or !="}.get(character)
    if known is not None:
        return f"{character!r} has no meaning here (did you mean {known}?)"
    return f"{character!r} has no meaning here"
