"""What is wrong with a file of tables, in words: the path of the key, and what would be right."""

from __future__ import annotations

import re
from difflib import get_close_matches
from enum import Enum
from typing import Any, Final, Literal, get_args, get_origin, get_type_hints

import msgspec

__all__ = ["in_words", "located"]

#: The types of msgspec's messages as TOML has them.
_TYPES: Final = {
    "int": "a whole number",
    "float": "a number",
    "str": "text in quotes",
    "bool": "true or false",
    "array": "a list",
    "object": "a table",
}


def located(message: str, table: type[msgspec.Struct]) -> tuple[str, str]:
    """Returns the message of a `msgspec.ValidationError` as the path of the key, empty for none, and what is wanted of
    it. `table` is what was to be read.
    """
    text, _, where = message.partition(" - at `")
    key = where.partition("$")[2].rstrip("`").removeprefix(".").removesuffix("[...]")
    if match := re.fullmatch(r"Object contains unknown field `(.*)`", text):
        return _joined(key, match[1]), _no_such_key(match[1], table, key)
    if match := re.fullmatch(r"Object missing required field `(.*)`", text):
        return _joined(key, match[1]), "wanted, and not there"
    if match := re.fullmatch(r"Expected `(.*)`, got `(.*)`", text):
        wanted = [_TYPES.get(kind, kind) for kind in match[1].split(" | ") if kind != "null"]
        text = f"wanted {' or '.join(wanted)}, got {_TYPES.get(match[2], match[2])}"
    elif match := re.fullmatch(r"Invalid enum value (.*)", text):
        text = f"wanted {', '.join(_choices(table, key))}, got {match[1]}"
    return key, text


def in_words(message: str, table: type[msgspec.Struct]) -> str:
    """Returns that in one line."""
    key, text = located(message, table)
    return f"key `{key}`: {text}" if key else text


def _joined(key: str, name: str) -> str:
    return f"{key}.{name}" if key else name


def _no_such_key(name: str, table: type[msgspec.Struct], key: str) -> str:
    there = [field for each in _tables(_at(table, key)) for field in each.__struct_encode_fields__]
    meant = get_close_matches(name, there, n=1)
    return f"no such key: {meant[0]}?" if meant else f"no such key: wanted one of {', '.join(there)}"


def _at(kind: Any, key: str) -> Any:
    """The type of what stands at a key of a table."""
    for name in filter(None, re.sub(r"\[[^]]*\]", "", key).split(".")):
        (table,) = _tables(kind)
        fields = dict(zip(table.__struct_encode_fields__, table.__struct_fields__, strict=True))
        kind = get_type_hints(table)[fields[name]]
    return kind


def _tables(kind: Any) -> list[type[msgspec.Struct]]:
    return [each for each in _alternatives(kind) if isinstance(each, type) and issubclass(each, msgspec.Struct)]


def _choices(kind: Any, key: str) -> list[str]:
    """What may stand at a key that is one of several words, in quotes; and "a number", where that may stand too."""
    choices: list[str] = []
    for each in _alternatives(_at(kind, key)):
        if get_origin(each) is Literal:
            choices += [f'"{word}"' for word in get_args(each)]
        elif isinstance(each, type) and issubclass(each, Enum):
            choices += [f'"{word.value}"' for word in each]
        elif each is int:
            choices.append("a number")
    return choices


def _alternatives(kind: Any) -> list[Any]:
    """The types that a union, or what a container has, is one of."""
    if get_origin(kind) is Literal or not get_args(kind):
        return [kind]
    return [alternative for each in get_args(kind) for alternative in _alternatives(each)]
