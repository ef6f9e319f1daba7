"""AE titles: the rule of the VR AE (PS3.5 6.2), which PS3.8 9.3.2 has for both titles of an association."""

from __future__ import annotations

__all__ = ["ae_title"]


def ae_title(text: str) -> str:
    """The AE title that ``text`` is, without the spaces around it, which are not significant.

    Raises ValueError for what is none.
    """
    title = text.strip(" ")
    if not 1 <= len(title) <= 16 or "\\" in title or not (title.isascii() and title.isprintable()):
        raise ValueError(f"{text!r} is no AE title: 1 to 16 characters of ASCII, no backslash")
    return title
