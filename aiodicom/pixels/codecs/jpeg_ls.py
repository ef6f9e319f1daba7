"""JPEG-LS (PS3.5 8.2.3, A.4.3): lossless and near-lossless."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from aiodicom.errors import PixelDataError
from aiodicom.pixels._markers import has_end, read_header

from .codec import (
    Array,
    Codec,
    Decoded,
    Encoded,
    check_header,
    conform,
    for_loss,
    library,
    library_decodes,
    library_encodes,
    refuse_widths,
    stored_range,
    upright,
)

if TYPE_CHECKING:
    from aiodicom.pixels.description import Description
    from aiodicom.pixels.encapsulation import Buffer

__all__ = ["JPEGLS"]

#: SOF55, as a number like JPEG's.
_JPEG_LS: Final = 0xF7 - 0xC0


class JPEGLS(Codec):
    """`quality` of the near-lossless one is NEAR: how far a sample may be from what it was.

    What is signed is encoded as the same bits without sign.
    """

    default_quality = 2

    def __init__(self, transfer_syntax: str, *, lossless: bool) -> None:
        self.transfer_syntax = transfer_syntax
        self.lossless = lossless

    def decode(self, data: Buffer, description: Description) -> Decoded:
        header = read_header(data, "JPEG-LS")
        if header.process != _JPEG_LS:
            raise PixelDataError("the JPEG-LS stream is one of JPEG")
        check_header("JPEG-LS", description, header.rows, header.columns, len(header.components), header.precision)
        # CharLS 2.4 may count to 2**32, for seconds, where a scan has no end.
        if not has_end(data):
            raise PixelDataError("the JPEG-LS stream ends before EOI")
        array = library_decodes("JPEG-LS", library(self.transfer_syntax).jpegls_decode, data)
        return Decoded(conform(array, description), upright(description.photometric_interpretation))

    def encode(self, cells: Array, description: Description, quality: float | None = None) -> Encoded:
        refuse_widths("JPEG-LS", description, 8, 16)
        near = 0
        if not self.lossless:
            asked = self.default_quality if quality is None else quality
            if asked not in range(128 if description.width == 1 else 256):
                raise ValueError(f"NEAR of JPEG-LS is a whole number from 0 to 255, or 127 of 8 bits, not {asked:g}")
            cells = for_loss(cells, description)
            near = _room(cells, description, int(asked))
        encode = library(self.transfer_syntax).jpegls_encode
        # No sample takes more than four times its bits (ISO/IEC 14495-1 A.2.1, LIMIT); the library has room for less.
        room = 4 * cells.nbytes + 4096
        data = library_encodes("JPEG-LS", encode, cells.view(f"u{description.width}"), near, out=room)
        bits = description.bits_stored
        moved = not self.lossless and description.high_bit != bits - 1
        return Encoded(data, upright(description.photometric_interpretation), bits if moved else None)

    @staticmethod
    def begins(data: Buffer) -> bool:
        return bytes(data[:3]) == b"\xff\xd8\xff"


def _room(cells: Array, description: Description, near: int) -> int:
    """As much of `near` as takes no sample out of the range of those stored: the library knows only those allocated."""
    least, most = stored_range(description)
    if description.signed:
        near = min(near, int(cells.min()) - least)
    elif description.bits_stored == description.bits_allocated:
        return near
    return min(near, most - int(cells.max()))
