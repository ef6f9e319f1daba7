"""The operating system's limits that many associations meet."""

from __future__ import annotations

from contextlib import suppress

from aiodicom.errors import LocalError

__all__ = ["allow_descriptors", "allow_most_descriptors"]

#: What a process has open besides its associations, amply.
_OTHERS = 64


def allow_descriptors(associations: int) -> None:
    """Raises the soft limit of open files (RLIMIT_NOFILE) so that one process can hold so many associations.

    The processes that it starts inherit the limit. Raises LocalError when the hard limit, which only the administrator
    can raise, is too low.
    """
    import resource

    needed = associations + _OTHERS
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft == resource.RLIM_INFINITY or soft >= needed:
        return
    if hard != resource.RLIM_INFINITY and hard < needed:
        raise LocalError(
            f"{associations:,} associations need {needed:,} open files, and the limit is {hard:,}: "
            f"raise it as root (ulimit -Hn {needed}), or take at most {max(0, hard - _OTHERS):,} associations"
        )
    resource.setrlimit(resource.RLIMIT_NOFILE, (needed, hard))


def allow_most_descriptors() -> None:
    """Raises the soft limit of open files to the hard one: what a server needs, its peers decide."""
    import resource

    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    with suppress(ValueError, OSError):  # macOS says "unlimited" and takes less
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
