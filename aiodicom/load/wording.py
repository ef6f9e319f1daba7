"""What is wrong with a file of tables, in words: the path of the key, and what would be right."""

from __future__ import annotations

import re

__all__ = ["in_words", "located"]


def located(message: str) -> tuple[str, str]:
    """Returns the message of a `msgspec.ValidationError` as the path of the key, empty for none, and what is wanted of
    it.
    """
    text, _, where = message.partition(" - at `")
    key = where.partition("$")[2].rstrip("`").removeprefix(".").removesuffix("[...]")
    if match := re.fullmatch(r"Object contains unknown field `(.*)`", text):
        return _joined(key, match[1]), "no such key"
    if match := re.fullmatch(r"Object missing required field `(.*)`", text):
        return _joined(key, match[1]), "wanted, and not there"
    if match := re.fullmatch(r"Expected `(.*)`, got `(.*)`", text):
        text = f"wanted {match[1].replace(' | null', '').replace(' | ', ' or ')}, got {match[2]}"
    return key, text


def in_words(message: str) -> str:
    """Returns that in one line."""
    key, text = located(message)
    return f"key `{key}`: {text}" if key else text


def _joined(key: str, name: str) -> str:
    return f"{key}.{name}" if key else name
