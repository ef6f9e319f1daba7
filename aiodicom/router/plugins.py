"""What other distributions add to a router's rules: entry points, found by name and imported when they are used."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from importlib.metadata import EntryPoint, entry_points
from typing import Any, Final

from aiodicom.errors import LocalError

__all__ = ["CONDITIONS", "TRANSFORMATIONS", "PlugIns"]

#: Group of functions that conditions call: ``f(header, origin, *arguments) -> bool``.
CONDITIONS: Final = "aiodicom.router.conditions"
#: Group of factories of transformations: ``f(options)`` gives a function of a data set and its origin, which gives the
#: data set, changed or another one, or None to drop the object.
TRANSFORMATIONS: Final = "aiodicom.router.transformations"


class PlugIns(Mapping[str, Any]):
    """The plug-ins of a group, by name.

    Looking one up imports it; raises `LocalError` where that fails, and KeyError where there is none.
    """

    def __init__(self, group: str) -> None:
        self._group = group
        self._found: dict[str, EntryPoint] | None = None

    def _entries(self) -> dict[str, EntryPoint]:
        if self._found is None:
            self._found = {entry.name: entry for entry in entry_points(group=self._group)}
        return self._found

    def __getitem__(self, name: str) -> Any:
        entry = self._entries()[name]
        try:
            found = entry.load()
        except Exception as error:
            raise LocalError(f"the plug-in {name} ({entry.value}) cannot be imported: {error}") from error
        if not callable(found):
            raise LocalError(f"the plug-in {name} ({entry.value}) is no function, but {type(found).__name__}")
        return found

    def __iter__(self) -> Iterator[str]:
        return iter(self._entries())

    def __len__(self) -> int:
        return len(self._entries())
