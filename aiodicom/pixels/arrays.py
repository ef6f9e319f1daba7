"""Arrays of samples: overlays in unused bits, palettes, and colour (PS3.3 C.7.6.3)."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy

from aiodicom.errors import PixelDataError
from aiodicom.pixels._pixels import look_up, ybr_to_rgb

from .codecs.codec import Array, Decoded

if TYPE_CHECKING:
    from .description import Description
    from .palette import Palette

__all__ = ["bit_plane", "to_rgb"]


def bit_plane(decoded: Decoded, description: Description, position: int) -> Array:
    """One of the bits that are not stored, 0 or 1 for each pixel: an overlay, before PS3.3-2004 retired them there.

    Raises PixelDataError for a bit that is stored, or not there.
    """
    lowest = description.high_bit + 1 - description.bits_stored
    if not 0 <= position < description.bits_allocated or lowest <= position <= description.high_bit:
        raise PixelDataError(f"an overlay in bit {position}, which is stored or not there")
    if description.samples != 1 or description.kind != "PixelData":
        raise PixelDataError("an overlay in the bits of what has none to spare")
    cells = decoded.cells.view(decoded.cells.dtype.str.replace("i", "u"))
    plane: Array = (cells >> position & 1).astype("u1")
    return plane


def to_rgb(
    values: Array, description: Description, interpretation: str, palette: Palette | None, clamp: bool = False
) -> Array:
    """Stored values as RGB, in an array of its own or in `values`; what is monochrome stays so.

    RGB has the bits of the palette's entries, else those of the samples. `clamp` takes the nearest entry for an index
    that the palette has not.

    Raises PixelDataError for such an index otherwise, and for colours that are not converted.
    """
    if interpretation == "PALETTE COLOR":
        return _coloured(values, description, palette, clamp)
    if interpretation in ("RGB", "MONOCHROME1", "MONOCHROME2"):
        return values
    if not interpretation.startswith("YBR_"):
        raise PixelDataError(f"{interpretation} is not converted to RGB")
    if description.width > 2 or description.signed or description.bits_stored < 2:
        raise PixelDataError(f"{interpretation} in samples that are signed, or not of 8 or 16 bits")
    partial = interpretation.startswith("YBR_PARTIAL")
    ybr_to_rgb(_bytes(values), description.width, description.bits_stored, partial)
    return values


def _coloured(values: Array, description: Description, palette: Palette | None, clamp: bool) -> Array:
    if palette is None:
        raise PixelDataError("PALETTE COLOR without palettes")
    if description.width > 2:
        raise PixelDataError(f"PALETTE COLOR with {description.bits_allocated} bits allocated")
    target = numpy.empty((*values.shape, 3), f"u{palette.width}")
    outside = look_up(
        _bytes(values),
        description.width,
        description.signed,
        palette.first,
        palette.entries,
        palette.width,
        _bytes(target),
    )
    if outside >= 0 and not clamp:
        row, column = divmod(outside, description.columns)
        raise PixelDataError(
            f"palette index {values.reshape(-1)[outside]} at row {row}, column {column}, of a palette from "
            f"{palette.first} to {palette.first + palette.size - 1}"
        )
    return target


def _bytes(array: Array) -> Array:
    return array.reshape(-1).view("u1")
