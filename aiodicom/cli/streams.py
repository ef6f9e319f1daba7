"""stdout and stderr when there may be nobody who reads them, or no room where they go."""

from __future__ import annotations

import os
import sys
from contextlib import suppress
from typing import TextIO

__all__ = ["flush", "is_gone", "tell"]


def tell(text: str) -> None:
    """Writes a line to stderr. Where it cannot be written, nothing ends, and nothing goes on, because of that."""
    with suppress(OSError):
        sys.stderr.write(f"{text}\n")
        sys.stderr.flush()


def is_gone(stream: TextIO) -> None:
    """Whoever read it has seen enough: nobody is to complain, not even the interpreter when it flushes on exit."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, stream.fileno())
    os.close(nowhere)


def flush() -> None:
    """Writes what is left at the end, or lets go of it: the interpreter would exit with a code of its own, 120."""
    for stream in (sys.stdout, sys.stderr):
        try:
            stream.flush()
        except OSError:
            is_gone(stream)
