"""Keys: random bytes that replacements follow from, in a file that only its owner reads."""

from __future__ import annotations

import os
import stat

from aiodicom.errors import LocalError

from .mapping import SHORTEST_KEY

__all__ = ["new_key", "read_key", "write_new_key"]

_LENGTH = 32
#: A key is no document.
_LONGEST = 4096


def new_key() -> bytes:
    """A random key."""
    return os.urandom(_LENGTH)


def write_new_key(path: str | os.PathLike[str]) -> bytes:
    """A random key, written in hexadecimal digits to a new file that only its owner may read.

    Raises FileExistsError where there is one: whoever replaces a key loses what belongs together; other OSError.
    """
    key = new_key()
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    with open(descriptor, "w", encoding="ascii") as file:
        file.write(f"{key.hex()}\n")
        file.flush()
        os.fsync(descriptor)
    return key


def read_key(path: str | os.PathLike[str]) -> bytes:
    """The key of a file: hexadecimal digits, at least 32 of them.

    Raises OSError; LocalError for what is no key, and for a file that others may read.
    """
    name = os.fspath(path)
    with open(path, "rb") as file:
        mode = os.fstat(file.fileno()).st_mode
        content = file.read(_LONGEST)
    if stat.S_ISREG(mode) and mode & (stat.S_IRGRP | stat.S_IROTH):
        raise LocalError(f"{name}: others may read this key: chmod 600 {name}")
    try:
        key = bytes.fromhex(content.decode("ascii").strip())
    except ValueError as error:
        raise LocalError(f"{name}: no key, which is {2 * SHORTEST_KEY} hexadecimal digits or more") from error
    if len(key) < SHORTEST_KEY:
        raise LocalError(f"{name}: too short for a key, which is {2 * SHORTEST_KEY} hexadecimal digits or more")
    return key
