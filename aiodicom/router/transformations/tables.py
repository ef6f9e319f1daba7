"""Values that are looked up in tables."""

from __future__ import annotations

import csv
from collections.abc import Mapping
from typing import Any, Final, Literal

from aiodicom.dataset import Dataset
from aiodicom.errors import TransformationFailed
from aiodicom.router.conditions.kinds import Kind, kind_of
from aiodicom.router.conditions.reading import find_holders, find_tag, value_of, values_at
from aiodicom.router.conditions.syntax import Path
from aiodicom.router.config.routes import Table
from aiodicom.router.origin import Origin
from aiodicom.router.transformations.attributes import check_characters, replace_values
from aiodicom.router.transformations.pipeline import Change

__all__ = ["mapping", "read_table"]

#: The most rows of a file.
_MOST: Final = 1_000_000

Otherwise = Literal["keep", "empty", "fail"]


def read_table(table: Table) -> Mapping[str, str]:
    """What a table says. Raises ValueError for a file that is no such table, OSError."""
    if table.file is None:
        return {key.strip(" "): value for key, value in table.values.items()}
    found: dict[str, str] = {}
    try:
        with open(table.file, encoding="utf-8-sig", newline="") as file:
            rows = csv.reader(file)
            names = next(rows, [])
            key, value = _column(names, table.key, 0, table.file), _column(names, table.value, 1, table.file)
            for row in rows:
                if not row:
                    continue
                if len(row) <= max(key, value):
                    raise ValueError(f"{table.file}, line {rows.line_num}: there are {len(row)} columns")
                name = row[key].strip(" ")
                if found.setdefault(name, row[value].strip(" ")) != row[value].strip(" "):
                    raise ValueError(f"{table.file}, line {rows.line_num}: {name!r} is there twice, with other values")
                if len(found) > _MOST:
                    raise ValueError(f"{table.file} has more than {_MOST:,} rows")
    except (csv.Error, UnicodeDecodeError) as error:
        raise ValueError(f"{table.file} is no CSV in UTF-8: {error}") from None
    return found


def _column(names: list[str], name: str | None, default: int, file: str) -> int:
    stripped = [each.strip(" ") for each in names]
    if name is None:
        if len(stripped) <= default:
            raise ValueError(f"{file}: the first line has the names of two columns or more")
        return default
    if name not in stripped:
        raise ValueError(f"{file} has no column {name!r}: {', '.join(stripped)}")
    return stripped.index(name)


def mapping(path: Path, table: Mapping[str, str], source: Path | str | None, otherwise: Otherwise) -> Change:
    """Looks values up. `source` is another attribute, or the name of something in `Origin`; None is `path` itself.

    Raises ValueError for an attribute that no text can stand in.
    """
    kind = kind_of(path.steps[-1].tag)
    if kind in (Kind.NUMBER, Kind.ITEMS, Kind.BYTES):
        raise ValueError(f"{path} is {kind.value}: tables have texts")
    name = f"map {path}"

    def look_up(data_set: Dataset, value: Any) -> Any:
        found = table.get(str(value).strip(" "))
        if found is not None:
            check_characters(data_set, found)
            return found
        if otherwise == "fail":
            # The value itself may be what nobody is to see.
            raise TransformationFailed(name, "the value is not in the table")
        return None if otherwise == "empty" else value

    def change_itself(data_set: Dataset, origin: Origin) -> Dataset:
        for holder in find_holders(data_set, path.steps):
            tag = find_tag(holder, path.steps[-1].tag)
            if tag is not None:
                replace_values(holder, tag, lambda value: look_up(data_set, value))
        return data_set

    if source is None:
        return change_itself
    if len(path.steps) > 1 or not isinstance(path.steps[-1].tag, int):
        raise ValueError(f"{path}: what is had from elsewhere is set at the top level, by keyword or tag")
    target = path.steps[-1].tag

    def change(data_set: Dataset, origin: Origin) -> Dataset:
        values = [getattr(origin, source)] if isinstance(source, str) else values_at(data_set, source)
        if values:
            found = look_up(data_set, values[0])
            # What is kept is what stands there, not what was looked up in vain.
            if found is not values[0] and value_of(data_set, target, None) != found:
                data_set._set(target, found)
        return data_set

    return change
