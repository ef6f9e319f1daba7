"""Files that appear whole under their name, or not at all.

A `Folder` makes `PartialFile`s: an object is written under a temporary name in the folder where it shall stand, and
`commit` renames it over the final name, which is atomic and replaces what was there. Whoever lists the folder sees
whole files, and temporary names that begin with `TEMPORARY_PREFIX`. What is in memory as a whole is written without a
name, where the file system has that: threads that make files don't wait for one another then.

The descriptor of the folder saves every call from walking the path.

`store.committer` commits without holding up an event loop.
"""

from __future__ import annotations

import enum
import os
from contextlib import suppress
from typing import Final

from aiodicom.store._writers import FileJob, links_unnamed

__all__ = ["TEMPORARY_PREFIX", "Durability", "Folder", "PartialFile", "Path", "make_folder", "sync_folder"]

#: Where a file goes in its folder: names of sub-folders, and its own last.
Path = tuple[str, ...]

#: What a temporary name begins with: hidden, and never the beginning of a UID.
TEMPORARY_PREFIX: Final = ".aiodicom-"
_TEMPORARY_SUFFIX: Final = ".part"

_CREATE: Final = os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC


class Durability(enum.StrEnum):
    """What has been reached when an object is answered with Success.

    The stricter the level, the more survives: `RECEIVED` loses objects when the process dies, `WRITTEN` when the
    machine does, `SYNCED` with the disk alone.
    """

    #: The whole object has arrived; it is written right after the answer. A fault of the disk is then only logged.
    RECEIVED = "received"
    #: The whole object stands under its final name; the operating system has it, in its cache or passed on to the disk.
    WRITTEN = "written"
    #: The object's bytes and its name are on the disk (fdatasync, rename, fsync of the folder).
    SYNCED = "synced"


class Folder:
    """A folder on one file system, which it creates when it is missing; its name is then on the disk.

    Any number of processes may write into one folder. Each holds a shared lock on it; the one that opens it when no
    other has it open removes what interrupted processes left (a lock that the file system does not support leaves it).

    Raises OSError when the path is no folder, or may not be written.
    """

    __slots__ = ("_allows_unnamed", "_count", "_descriptor", "_prefix", "path")

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self.path = os.fspath(path)
        make_folder(self.path)
        self._descriptor = os.open(self.path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            if not os.access(self.path, os.W_OK | os.X_OK):
                raise PermissionError(13, "the folder may not be written", self.path)
            # Random, so that neither processes that share a volume between containers nor a reused pid collide.
            self._prefix = f"{TEMPORARY_PREFIX}{os.urandom(6).hex()}-"
            self._count = 0
            self._lock()
            self._allows_unnamed = links_unnamed(self._descriptor, self._temporary_name())
        except BaseException:
            os.close(self._descriptor)
            raise

    @property
    def descriptor(self) -> int:
        """Of the folder, while it is open."""
        return self._descriptor

    def create(self, name: str) -> PartialFile:
        """A file that will be called `name`, a single component of a path; nothing is opened before it must be.

        Raises ValueError for any other name.
        """
        check_names((name,))
        return PartialFile(self, name, self._temporary_name())

    def close(self) -> None:
        """Partial files that are still open must have been committed or discarded."""
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1

    def __enter__(self) -> Folder:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _temporary_name(self) -> bytes:
        self._count = count = self._count + 1
        return f"{self._prefix}{count:x}{_TEMPORARY_SUFFIX}".encode()

    def _lock(self) -> None:
        import fcntl

        try:
            fcntl.flock(self._descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            pass  # another process writes here: any of the temporary files may be its own
        except OSError:
            return  # the file system has no locks (NFS locks no folders): leftovers stay, nothing else depends on it
        else:
            self._remove_leftovers()
        # Waits at most while another process, which is opening the folder too, removes leftovers.
        fcntl.flock(self._descriptor, fcntl.LOCK_SH)

    def _remove_leftovers(self) -> None:
        with os.scandir(self._descriptor) as entries:
            leftovers = [
                entry.name
                for entry in entries
                if entry.name.startswith(TEMPORARY_PREFIX) and entry.name.endswith(_TEMPORARY_SUFFIX)
            ]
        for name in leftovers:
            with suppress(OSError):  # somebody else's file in a shared folder: it does no harm
                os.unlink(name, dir_fd=self._descriptor)


def check_names(path: Path) -> None:
    """Raises ValueError unless each is a name in a folder, and that of no temporary file."""
    for name in path:
        if "/" in name or "\0" in name or name in ("", ".", "..") or name.startswith(TEMPORARY_PREFIX):
            raise ValueError(f"not the name of a file in a folder: {name!r}")


class PartialFile:
    """A file on its way to its name. Not for use by two threads at once.

    It is a body sink: `write`, then `finish` or `abandon`. Finished, it belongs to whoever will `commit` it.

    After an OSError from `write` or `commit`, the temporary file is gone and the final name is as it was.
    """

    __slots__ = ("_descriptor", "_folder", "_held", "_is_finished", "_temporary", "name", "size")

    def __init__(self, folder: Folder, name: str, temporary: bytes) -> None:
        self._folder = folder
        self._temporary = temporary
        self._descriptor = -1
        self._held: memoryview | None = None
        self._is_finished = False
        self.name = name
        #: bytes given to `write` and `hold` so far
        self.size = 0

    def write(self, view: bytes | bytearray | memoryview) -> None:
        """Appends `view`, which is free again when the call returns. Raises OSError."""
        self.size += len(view)
        try:
            self._write(self._open(), view)
        except BaseException:
            self.discard()
            raise

    def hold(self, view: memoryview) -> None:
        """`view` is the whole file: it is written when it has to be, by whoever commits the file, and then let go."""
        self.size += len(view)
        self._held = view

    @property
    def is_held(self) -> bool:
        """Whether all of it is in memory."""
        return self._held is not None

    @property
    def held(self) -> memoryview | None:
        """All of it, if that is in memory."""
        return self._held

    def finish(self) -> None:
        """Nothing more will be written; `abandon` does nothing from here."""
        self._is_finished = True

    def abandon(self) -> None:
        """The file will not be completed: as `discard`."""
        if not self._is_finished:
            self.discard()

    def open_reader(self) -> int:
        """A descriptor that reads what has been written; whoever asks for it closes it. Raises OSError."""
        if self._held is not None:
            held, self._held = self._held, None
            self.size -= len(held)
            self.write(held)
        return os.dup(self._open())

    def commit(self, path: Path = ()) -> None:
        """Gives the file its name, by way of the operating system's cache: it is `WRITTEN`. Blocks. Raises OSError.

        `path`: as of `job`.
        """
        job = self.job(path)
        job.run()
        if job.result:
            raise OSError(job.result, os.strerror(job.result))

    def job(self, path: Path = (), *, sync: bool = False) -> FileJob:
        """What has to be done to give the file its name. From here on the file is the job's, which fails as `commit`.

        `path`: in place of the name that it was created for, a path below the folder, the name last. Sub-folders are
        made on demand; a symbolic link in the place of one is an error. `sync`: the bytes are on the disk before they
        have their name; the names of the file and of sub-folders are not.

        Raises ValueError for a path that is none; the file is discarded then.
        """
        try:
            check_names(path)
            job = FileJob(
                self._folder._descriptor,
                self._temporary,
                tuple(map(os.fsencode, path)) if path else (os.fsencode(self.name),),
                data=self._held,
                file=self._descriptor,
                unnamed=self._folder._allows_unnamed,
                sync=sync,
            )
        except BaseException:
            self.discard()
            raise
        self._held = None
        self._descriptor = -1
        return job

    def discard(self) -> None:
        """Removes what was written, if there is anything. The final name is as it was."""
        self._held = None
        if self._descriptor >= 0:
            self._remove()

    def __del__(self) -> None:
        # Whoever forgot it, for instance when an association ends at a bad moment, did not mean to keep it.
        if self._descriptor >= 0:
            self._remove()

    def _open(self) -> int:
        if self._descriptor < 0:
            # The mode is what the umask leaves of it, as for any file that a program makes.
            self._descriptor = os.open(self._temporary, _CREATE, 0o666, dir_fd=self._folder._descriptor)
        return self._descriptor

    def _write(self, descriptor: int, view: bytes | bytearray | memoryview) -> None:
        written = os.write(descriptor, view)
        if written != len(view):  # the disk is full, or there is more than one call takes
            with memoryview(view) as whole:
                while written < len(whole):
                    written += os.write(descriptor, whole[written:])

    def _remove(self) -> None:
        self._held = None
        descriptor, self._descriptor = self._descriptor, -1
        with suppress(OSError):
            if descriptor >= 0:
                os.close(descriptor)
        with suppress(OSError):  # it was never made, or it has been renamed
            os.unlink(self._temporary, dir_fd=self._folder._descriptor)


def make_folder(path: str, mode: int = 0o777) -> None:
    """Makes a folder and those that it is in, as far as they are missing, and has their names on the disk.

    Raises OSError.
    """
    above = []
    missing = os.path.abspath(path)
    while not os.path.lexists(missing):
        missing = os.path.dirname(missing)
        above.append(missing)
    os.makedirs(path, mode, exist_ok=True)
    for parent in above:
        with suppress(PermissionError):  # a folder that may be written need not be readable
            sync_folder(parent)


def sync_folder(path: str) -> None:
    """Has the names in a folder on the disk. Raises OSError."""
    descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
