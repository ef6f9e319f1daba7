"""What is wrong with a file of tables, in one line with the path of the key."""

from __future__ import annotations

import re

__all__ = ["in_words"]


def in_words(message: str) -> str:
    """Returns the message of a `msgspec.ValidationError` as: key `path`: wanted ..., got ..."""
    text, _, where = message.partition(" - at `")
    key = where.partition("$")[2].rstrip("`").removeprefix(".").removesuffix("[...]")
    if match := re.fullmatch(r"Object contains unknown field `(.*)`", text):
        return f"key `{_joined(key, match[1])}`: no such key"
    if match := re.fullmatch(r"Object missing required field `(.*)`", text):
        return f"key `{_joined(key, match[1])}`: wanted, and not there"
    if match := re.fullmatch(r"Expected `(.*)`, got `(.*)`", text):
        text = f"wanted {match[1].replace(' | null', '').replace(' | ', ' or ')}, got {match[2]}"
    return f"key `{key}`: {text}" if key else text


def _joined(key: str, name: str) -> str:
    return f"{key}.{name}" if key else name
