"""Frames that are not compressed: native ones, encapsulated ones (PS3.5 A.4.11), and deflated ones (PS3.5 A.4.13)."""

from __future__ import annotations

import zlib
from typing import TYPE_CHECKING

import numpy

from aiodicom.errors import PixelDataError
from aiodicom.pixels._pixels import deinterleave, expand_422, interleave, pack_bits, unpack_bits

from .codec import Array, Codec, Decoded, Encoded, upright

if TYPE_CHECKING:
    from aiodicom.pixels.description import Description
    from aiodicom.pixels.encapsulation import Buffer

__all__ = ["Deflated", "Native"]

_TYPES = {"FloatPixelData": "f", "DoubleFloatPixelData": "f"}


class Native(Codec):
    """Frames as they stand, in little endian. What decoding gives may be a read-only view of the bytes."""

    floats = True

    def decode(self, data: Buffer, description: Description) -> Decoded:
        size = description.native_size
        if len(data) < size:
            raise PixelDataError(f"{len(data)} bytes, not {size}")
        source = numpy.frombuffer(data, "u1", size)
        source.flags.writeable = False
        interpretation = description.photometric_interpretation
        target = source
        if description.bits_allocated == 1:
            target = numpy.empty(description.decoded_size, "u1")
            unpack_bits(source, 0, target)
            source = target
        if description.subsampled:
            if description.bits_allocated != 8:
                raise PixelDataError(f"{interpretation} with {description.bits_allocated} bits allocated")
            target = numpy.empty(description.decoded_size, "u1")
            expand_422(source, target)
            interpretation = upright(interpretation)
        elif description.planar_configuration == 1:
            target = numpy.empty(description.decoded_size, "u1")
            interleave(source, target, description.samples, description.width)
        letter = _TYPES.get(description.kind, "i" if description.signed else "u")
        return Decoded(target.view(f"<{letter}{description.width}").reshape(description.shape), interpretation)

    def encode(self, cells: Array, description: Description, quality: float | None = None) -> Encoded:
        """The cells as they are, one sample behind the other as Planar Configuration has it.

        A subsampled photometric interpretation becomes the one that is not.
        """
        little = cells.dtype.newbyteorder("<")
        source = numpy.ascontiguousarray(cells, little).reshape(-1).view("u1")
        if description.planar_configuration == 1:
            planes = numpy.empty_like(source)
            deinterleave(source, planes, description.samples, description.width)
            source = planes
        if description.bits_allocated == 1:
            bits = numpy.empty((source.size + 7) // 8, "u1")
            pack_bits(source, bits)
            source = bits
        return Encoded(source.tobytes(), upright(description.photometric_interpretation))


class Deflated(Native):
    """Native frames, each deflated (RFC 1951). `quality` is zlib's level, from 0 to 9."""

    default_quality = 6

    def decode(self, data: Buffer, description: Description) -> Decoded:
        size = description.native_size
        inflater = zlib.decompressobj(-zlib.MAX_WBITS)
        try:
            # Nothing is inflated beyond the frame, whatever the data promise.
            inflated = inflater.decompress(data, size)
        except zlib.error as error:
            raise PixelDataError(f"deflated frame: {error}") from error
        return super().decode(inflated, description)

    def encode(self, cells: Array, description: Description, quality: float | None = None) -> Encoded:
        native, interpretation, *_ = super().encode(cells, description)
        level = self.default_quality if quality is None else quality
        if level not in range(10):
            raise ValueError(f"the level of deflating is from 0 to 9, not {level}")
        deflater = zlib.compressobj(int(level), zlib.DEFLATED, -zlib.MAX_WBITS)
        return Encoded(deflater.compress(native) + deflater.flush(), interpretation)
