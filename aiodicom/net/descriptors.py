"""The operating system's limit of open files, which is one of associations: each has a socket."""

from __future__ import annotations

import resource
from contextlib import suppress

from aiodicom.errors import LocalError

__all__ = ["allow_descriptors", "allow_most_descriptors", "open_file_limit", "shortage"]

#: What a process has open besides its associations, amply.
_OTHERS = 64


def allow_descriptors(associations: int) -> None:
    """Raises the soft limit of open files (RLIMIT_NOFILE) so that one process can hold so many associations.

    The processes that it starts inherit the limit. Raises LocalError when the hard limit, which only the administrator
    can raise, is too low.
    """
    needed = associations + _OTHERS
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft == resource.RLIM_INFINITY or soft >= needed:
        return
    if hard != resource.RLIM_INFINITY and hard < needed:
        raise LocalError(_too_low(associations, hard))
    resource.setrlimit(resource.RLIMIT_NOFILE, (needed, hard))


def allow_most_descriptors() -> None:
    """Raises the soft limit of open files to the hard one: what a server needs, its peers decide."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    with suppress(ValueError, OSError):  # macOS says "unlimited" and takes less
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))


def shortage(associations: int, processes: int = 1) -> str | None:
    """Says what is missing for so many associations, spread evenly over processes with the limit of this one; None if
    they fit.
    """
    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    each = -(-associations // processes)
    if soft == resource.RLIM_INFINITY or each <= soft - _OTHERS:
        return None
    return _too_low(each, soft, " in each process" if processes > 1 else "")


def open_file_limit() -> str:
    """The limit of this process in words, and what to do about it."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft == resource.RLIM_INFINITY:
        return "this process may have any number of open files: the system as a whole has too many"
    if hard == resource.RLIM_INFINITY or soft < hard:
        return f"this process may have {soft:,} open files: raise it with ulimit -n"
    return f"this process may have {soft:,} open files: raise it as root with ulimit -Hn"


def _too_low(associations: int, limit: int, where: str = "") -> str:
    needed = associations + _OTHERS
    return (
        f"{associations:,} associations{where} need {needed:,} open files, and the limit is {limit:,}: "
        f"raise it as root (ulimit -Hn {needed}), or take at most {max(0, limit - _OTHERS):,} associations{where}"
    )
