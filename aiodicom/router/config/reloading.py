"""A configuration that is read again while a router runs: `reload`."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from collections.abc import Set as AbstractSet
from typing import Final, NamedTuple, TypeGuard

import msgspec

from aiodicom.errors import ConfigurationError
from aiodicom.router.config.reading import load
from aiodicom.router.config.root import Config

__all__ = ["Reloaded", "differences", "reload"]

#: What a router keeps from its start to its end: its queue, who it is made of, and who watches it.
_FIXED: Final = ("workers", "queue", "operations", "metrics", "tracing", "audit")


class Reloaded(NamedTuple):
    """What has come of reading a configuration again."""

    #: What is to be used from now on: the new one, or the one before where that cannot be used.
    config: Config
    #: Why the new one cannot be used, a line each.
    problems: tuple[str, ...] = ()
    #: The paths of the keys that say something else.
    changed: tuple[str, ...] = ()


def reload(path: str | os.PathLike[str], before: Config, bound: AbstractSet[tuple[str, int]] | None = None) -> Reloaded:
    """Reads a file again. One that is missing or wrong, or changes what cannot change, leaves all as it was.

    `bound`: where alone can be listened, hosts and ports, as several processes share sockets that are bound already.
    """
    try:
        config = load(path)
    except ConfigurationError as error:
        return Reloaded(before, error.problems)
    except OSError as error:
        return Reloaded(before, (f"{error.filename}: {error.strerror}",))
    changed = tuple(differences(before, config))
    fixed = [key for key in changed if key.split(".")[0] in _FIXED]
    if fixed:
        return Reloaded(before, tuple(f"{key}: this changes with a restart alone" for key in fixed))
    if bound is not None and not {(each.host, each.port) for each in config.listeners} <= bound:
        return Reloaded(before, ("listen: with several workers, where is listened changes with a restart alone",))
    return Reloaded(config, (), changed)


def differences(before: object, after: object, path: str = "") -> Iterator[str]:
    """The paths of what differs between two configurations, as deep as both have sections there."""
    if before == after:
        return
    if isinstance(before, msgspec.Struct) and type(before) is type(after):
        for field in msgspec.structs.fields(type(before)):
            below = f"{path}.{field.encode_name}" if path else field.encode_name
            yield from differences(getattr(before, field.name), getattr(after, field.name), below)
    elif isinstance(before, Mapping) and isinstance(after, Mapping):
        for key in dict.fromkeys([*before, *after]):
            yield from differences(before.get(key), after.get(key), f"{path}.{key}")
    elif _is_list_of_sections(before) and _is_list_of_sections(after) and len(before) == len(after):
        for number, (one, other) in enumerate(zip(before, after, strict=True)):
            yield from differences(one, other, f"{path}[{number}]")
    else:
        yield path


def _is_list_of_sections(value: object) -> TypeGuard[tuple[msgspec.Struct, ...]]:
    return isinstance(value, tuple) and bool(value) and all(isinstance(each, msgspec.Struct) for each in value)
