"""A file to a `Config`, or to everything that is wrong with it: `load`, `parse`.

Problems are lines that begin with the path of the key, such as ``destinations.pacs.port: ...``. One does not hide
another: what is wrong in one place is left out, and the rest is looked at as well.
"""

from __future__ import annotations

import os
import re
import tomllib
import types
from collections.abc import Mapping
from difflib import get_close_matches
from functools import cache
from pathlib import Path
from typing import Annotated, Any, Final, Literal, Union, get_args, get_origin, get_type_hints

import msgspec

from aiodicom.errors import ConfigurationError
from aiodicom.router.config.checking import check
from aiodicom.router.config.root import Config
from aiodicom.router.config.values import Value, key_path, shown

__all__ = ["LARGEST", "from_values", "load", "parse"]

#: The largest file, in bytes.
LARGEST: Final = 4 << 20

#: In place of a value that is wrong.
_WRONG: Final = object()

_WORDS: Final = {
    "str": "a text",
    "int": "a whole number",
    "float": "a number",
    "bool": "true or false",
    "array": "a list",
    "object": "a table",
}


def load(path: str | os.PathLike[str]) -> Config:
    """The configuration that a file has. Raises `ConfigurationError` with all that is wrong with it, OSError."""
    with open(path, "rb") as file:
        data = file.read(LARGEST + 1)
    if len(data) > LARGEST:
        raise ConfigurationError((f"the file has more than {LARGEST:,} bytes: that is no configuration",))
    try:
        text = data.decode()
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise ConfigurationError((f"line {line}: no UTF-8, which TOML is written in",)) from None
    return parse(text, Path(path).absolute().parent)


def parse(text: str, base: Path) -> Config:
    """The configuration that a text is; `base` is the folder that relative paths are of.

    Raises `ConfigurationError` with all that is wrong with it.
    """
    try:
        values = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise ConfigurationError((f"no TOML: {error}{_hint(text, str(error))}",)) from None
    except RecursionError:
        raise ConfigurationError(("no TOML: tables or lists in one another without end",)) from None
    return from_values(values, base)


def from_values(values: Mapping[str, Any], base: Path) -> Config:
    """As `parse`, of what TOML has been read as."""
    reader = _Reader(base)
    parts = reader.fields(Config, values, "")
    problems = reader.problems
    problems += check(values, parts, reader.partly)
    if problems:
        raise ConfigurationError(tuple(problems))
    return Config(**parts)


def _hint(text: str, error: str) -> str:
    """What is most often wrong with a line of conditions."""
    found = re.search(r"line (\d+)", error)
    lines = text.splitlines()
    line = lines[int(found[1]) - 1] if found is not None and int(found[1]) <= len(lines) else ""
    is_condition = re.search(r'\b(when|unless)\s*=\s*"', line) is not None
    return (
        ": conditions stand between single quotation marks, as in when = 'Modality == \"CT\"'" if is_condition else ""
    )


@cache
def _hints(kind: type) -> Mapping[str, Any]:
    return get_type_hints(kind, include_extras=True)


def _alternatives(annotation: Any) -> tuple[Any, ...]:
    """What a value may be; TOML has no null."""
    if get_origin(annotation) in (Union, types.UnionType):
        return tuple(each for each in get_args(annotation) if each is not types.NoneType)
    return (annotation,)


def _is(kind: Any, base: type) -> bool:
    return isinstance(kind, type) and issubclass(kind, base)


class _Reader:
    """Makes structs of tables, and notes what is wrong."""

    def __init__(self, base: Path) -> None:
        self._base = base
        self.problems: list[str] = []
        #: What is right in sections in which something is wrong, by their path.
        self.partly: dict[str, dict[str, Any]] = {}

    def _wrong(self, path: str, reason: str) -> Any:
        self.problems.append(f"{path}: {reason}" if path else reason)
        return _WRONG

    def fields(self, kind: type[msgspec.Struct], table: Mapping[str, Any], path: str) -> dict[str, Any]:
        """The values of a table that are right, by field. What is wrong in lists and in tables of any names is None."""
        known = {field.encode_name: field for field in msgspec.structs.fields(kind)}
        tag = kind.__struct_config__.tag_field
        found: dict[str, Any] = {}
        for key, value in table.items():
            if key == tag:
                continue
            if key not in known:
                self._wrong(key_path(path, key), f"there is no such key{_meant(key, known)}")
                continue
            name = known[key].name
            read = self.value(_hints(kind)[name], value, key_path(path, key))
            if read is not _WRONG:
                found[name] = read
        for key, field in known.items():
            if field.required and key not in table:
                self._wrong(key_path(path, key), "is missing")
        return found

    def value(self, annotation: Any, value: Any, path: str) -> Any:
        """What a value is read as, or `_WRONG`."""
        kinds = _alternatives(annotation)
        structs = [kind for kind in kinds if _is(kind, msgspec.Struct)]
        if isinstance(value, dict):
            if structs:
                return self._section(structs, value, path)
            (mapping, *_) = [kind for kind in kinds if get_origin(kind) is dict] or [None]
            if mapping is not None:
                return self._table(mapping, value, path)
        if isinstance(value, list):
            (items, *_) = [kind for kind in kinds if get_origin(kind) is tuple] or [None]
            if items is not None:
                return self._list(get_args(items)[0], value, path)
        if structs or any(get_origin(kind) in (dict, tuple) for kind in kinds):
            plain = [kind for kind in kinds if _is(kind, Value)]
            if not plain or isinstance(value, (dict, list)):
                wanted = "a list" if not structs and get_origin(kinds[0]) is tuple else "a table"
                return self._wrong(path, f"{wanted} is wanted, not {shown(value)}")
            kinds = tuple(plain)
        return self._plain(kinds, value, path)

    def _section(self, kinds: list[type[msgspec.Struct]], table: dict[str, Any], path: str) -> Any:
        kind = kinds[0]
        tag = kind.__struct_config__.tag_field
        if tag is not None:
            by_tag = {str(each.__struct_config__.tag): each for each in kinds}
            given = table.get(tag)
            if given is None:
                return self._wrong(key_path(path, tag), f"is missing: one of {', '.join(by_tag)}")
            if not isinstance(given, str) or given not in by_tag:
                meant = _meant(str(given), by_tag) or f": one of {', '.join(by_tag)}"
                return self._wrong(key_path(path, tag), f"there is no {shown(given)}{meant}")
            kind = by_tag[given]
        before = len(self.problems)
        found = self.fields(kind, table, path)
        if len(self.problems) > before:
            self.partly[path] = found
            return _WRONG
        try:
            return kind(**found)
        except ValueError as error:
            return self._wrong(path, str(error))

    def _table(self, annotation: Any, table: dict[str, Any], path: str) -> Any:
        key_kind, value_kind = get_args(annotation)
        found: dict[Any, Any] = {}
        for key, value in table.items():
            below = key_path(path, key)
            name = self._plain((key_kind,), key, below)
            read = self.value(value_kind, value, below)
            if name is not _WRONG:
                found[name] = None if read is _WRONG else read
        return found

    def _list(self, annotation: Any, values: list[Any], path: str) -> Any:
        read = [self.value(annotation, value, f"{path}[{number}]") for number, value in enumerate(values)]
        return tuple(None if value is _WRONG else value for value in read)

    def _plain(self, kinds: tuple[Any, ...], value: Any, path: str) -> Any:
        reason = ""
        for kind in kinds:
            try:
                return kind.read(value, self._base) if _is(kind, Value) else _converted(kind, value)
            except ValueError as error:
                reason = reason or str(error)
        if len(kinds) > 1:
            reason = f"{' or '.join(map(_wanted, kinds))} is wanted, not {shown(value)}"
        return self._wrong(path, reason)


def _choices(kind: Any) -> list[str]:
    if get_origin(kind) is Literal:
        return list(get_args(kind))
    return [str(member) for member in kind] if _is(kind, str) and hasattr(kind, "__members__") else []


def _converted(kind: Any, value: Any) -> Any:
    if kind is Any:
        return value
    choices = _choices(kind)
    if choices and value not in choices:
        meant = _meant(str(value), choices)
        raise ValueError(f"there is no {shown(value)}{meant or ': one of ' + ', '.join(choices)}")
    try:
        return msgspec.convert(value, kind)
    except msgspec.ValidationError:
        raise ValueError(f"{_wanted(kind)} is wanted, not {shown(value)}") from None


def _wanted(kind: Any) -> str:
    """Words for a type and the limits that it has."""
    if choices := _choices(kind):
        return " or ".join(map(repr, choices))
    if get_origin(kind) is not Annotated:
        return _WORDS.get(getattr(kind, "__name__", ""), "something else")
    plain, meta = get_args(kind)
    words = _WORDS.get(plain.__name__, "something else")
    if meta.min_length is not None:
        return f"{words} of {meta.min_length} to {meta.max_length} characters"
    if meta.gt is not None:
        return f"{words} above {meta.gt}"
    if meta.le is not None:
        return f"{words} from {meta.ge} to {meta.le}"
    return f"{words} of at least {meta.ge}"


def _meant(given: str, known: Any) -> str:
    close = get_close_matches(given.lower(), list(known), 1, 0.6)
    return f" (did you mean {close[0]}?)" if close else ""
