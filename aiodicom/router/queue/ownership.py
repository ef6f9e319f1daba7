"""Who owns a shard: one process at a time, and when it dies, any other may."""

from __future__ import annotations

import fcntl
import os
from itertools import count

from aiodicom.errors import LocalError
from aiodicom.store.files import make_folder

__all__ = ["Ownership", "ShardInUse", "first_free", "shard_path", "shards_in"]

_PREFIX = "shard-"


class ShardInUse(LocalError):
    """Another process owns the shard, and is alive."""


class Ownership:
    """A lock on the folder of a shard, which it creates when it is missing. The system takes it back from a process
    that dies.

    Raises OSError, and ShardInUse when somebody has it.
    """

    __slots__ = ("_descriptor", "generation", "path")

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self.path = os.fspath(path)
        make_folder(self.path, 0o700)  # it tells of patients
        self._descriptor = os.open(f"{self.path}/lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
        try:
            try:
                fcntl.flock(self._descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                raise ShardInUse(
                    f"another process has the queue {self.path}: stop it, or name another directory"
                ) from None
            said = os.pread(self._descriptor, 32, 0).strip()
            #: How many owners there have been before.
            self.generation = int(said) if said.isdigit() else 0
        except BaseException:
            os.close(self._descriptor)
            raise

    def begin(self, generation: int) -> None:
        """Begins a generation; that is on the disk afterwards. Raises OSError."""
        os.pwrite(self._descriptor, b"%-31d\n" % generation, 0)
        os.fsync(self._descriptor)
        self.generation = generation

    def release(self) -> None:
        """Lets others have the shard."""
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1


def first_free(directory: str | os.PathLike[str]) -> Ownership:
    """Takes the first folder of a queue that nobody has, a new one if there is none. Raises OSError."""
    for number in count():
        try:
            return Ownership(shard_path(directory, number))
        except ShardInUse:
            continue
    raise AssertionError


def shards_in(directory: str | os.PathLike[str]) -> list[str]:
    """Returns the paths of the shards of a queue, whoever owns them. Raises OSError."""
    with os.scandir(directory) as entries:
        return sorted(entry.path for entry in entries if entry.name.startswith(_PREFIX) and entry.is_dir())


def shard_path(directory: str | os.PathLike[str], number: int) -> str:
    """Returns the path of a shard of a queue."""
    return os.path.join(directory, f"{_PREFIX}{number:03d}")
