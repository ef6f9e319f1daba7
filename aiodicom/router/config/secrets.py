"""Secrets, which stand in files of their own."""

from __future__ import annotations

__all__ = ["first_line"]

_LONGEST = 1 << 16


def first_line(path: str) -> str:
    """The secret in the first line of a file. Raises ValueError where there is none, OSError."""
    with open(path, "rb") as file:
        line = file.readline(_LONGEST)
    try:
        secret = line.decode().strip()
    except UnicodeDecodeError:
        raise ValueError(f"the first line of {path} is no text in UTF-8") from None
    if not secret:
        raise ValueError(f"the first line of {path} is empty")
    return secret
