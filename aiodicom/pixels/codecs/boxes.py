"""Boxes, which files of JPEG 2000 (ISO/IEC 15444-1 annex I) and JPEG XL (ISO/IEC 18181-2) are made of."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from aiodicom.pixels.encapsulation import Buffer

__all__ = ["boxes"]

#: A codestream is in one of the first, or in a few.
_MOST: Final = 1000


def boxes(data: Buffer) -> Iterator[tuple[bytes, memoryview]]:
    """The type and the contents of each box, as far as they can be told apart; the last one may be cut off."""
    view = memoryview(data)
    at = 0
    for _ in range(_MOST):
        if len(view) - at < 8:
            return
        length, kind = int.from_bytes(view[at : at + 4], "big"), bytes(view[at + 4 : at + 8])
        header = 8
        if length == 1:
            length, header = int.from_bytes(view[at + 8 : at + 16], "big"), 16
        end = at + length if length else len(view)
        if end < at + header:
            return
        yield kind, view[at + header : end]
        at = end
