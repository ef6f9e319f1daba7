"""The standard streams: put in order at the start, and when there may be nobody who reads them, or no room where they
go.
"""

from __future__ import annotations

import codecs
import io
import os
import sys
from contextlib import suppress
from typing import TextIO

__all__ = ["flush", "is_gone", "is_unicode", "prepare", "tell"]


def prepare() -> None:
    """Opens those on nothing that are closed, and has what they cannot encode escaped.

    Else the next files and sockets would have the descriptors 0, 1 and 2, which libuv refuses to close and to which
    others write; and Python has None for a stream whose descriptor was closed when it started.
    """
    for descriptor, name in enumerate(("stdin", "stdout", "stderr")):
        try:
            os.fstat(descriptor)
        except OSError:
            nowhere = os.open(os.devnull, os.O_RDWR)  # takes the lowest: this one, as those below are open
            os.set_inheritable(nowhere, True)
        if getattr(sys, name) is None:
            mode = "w" if descriptor else "r"
            setattr(sys, name, open(descriptor, mode, encoding="utf-8", closefd=False))  # noqa: SIM115 (stays open)
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")


def is_unicode(stream: TextIO) -> bool:
    """Whether there is nothing that cannot be written to it as it is."""
    return not stream.encoding or codecs.lookup(stream.encoding).name.startswith("utf")


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
