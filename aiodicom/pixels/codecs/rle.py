"""RLE lossless (PS3.5 annex G), our own: `aiodicom.pixels._rle`."""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING

import numpy

from aiodicom.pixels import _rle

from .codec import Array, Codec, Decoded, Encoded, upright

if TYPE_CHECKING:
    from aiodicom.pixels.description import Description
    from aiodicom.pixels.encapsulation import Buffer

__all__ = ["RLE"]


class RLE(Codec):
    """Lossless, fast, and as a rule half as large. A single bit has a byte of its own (PS3.5 G.2)."""

    def decode(self, data: Buffer, description: Description) -> Decoded:
        target = numpy.empty(description.decoded_size, "u1")
        _rle.decode(data, target, description.rows, description.columns, description.samples, description.width)
        letter = "i" if description.signed else "u"
        cells = target.view(f"<{letter}{description.width}").reshape(description.shape)
        return Decoded(cells, upright(description.photometric_interpretation))

    def encode(self, cells: Array, description: Description, quality: float | None = None) -> Encoded:
        source = numpy.ascontiguousarray(cells, cells.dtype.newbyteorder("<")).reshape(-1).view("u1")
        data = _rle.encode(source, description.rows, description.columns, description.samples, description.width)
        return Encoded(data, upright(description.photometric_interpretation))

    @staticmethod
    def begins(data: Buffer) -> bool:
        """The header (PS3.5 G.5): some segments, the first right behind it."""
        if len(data) < 64:
            return False
        segments, first, *others = struct.unpack_from("<16I", data)
        return 0 < segments <= 15 and first == 64 and not any(others[segments - 1 :])
