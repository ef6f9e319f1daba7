"""JPEG XL (PS3.5 8.2.15, A.4.12): lossless, lossy, and JPEG streams in fewer bytes, to be had back bit by bit."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, NamedTuple

from aiodicom.errors import PixelDataError

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
    needed_bits,
    refuse_widths,
    upright,
)
from .markers import read_header as read_jpeg_header

if TYPE_CHECKING:
    from aiodicom.pixels.description import Description
    from aiodicom.pixels.encapsulation import Buffer

__all__ = ["JPEGXL", "JPEGRecompression"]

_CODESTREAM: Final = b"\xff\x0a"
_SIGNATURE: Final = b"\0\0\0\x0cJXL \r\n\x87\n"
_MOST_BOXES: Final = 100

#: Columns by rows, by the ratio that SizeHeader names (ISO/IEC 18181-1 D.2).
_RATIOS: Final = ((1, 1), (12, 10), (4, 3), (3, 2), (16, 9), (5, 4), (2, 1))


class _Header(NamedTuple):
    rows: int
    columns: int
    components: int
    precision: int


class JPEGXL(Codec):
    """`quality` of the lossy one is libjxl's distance: 1 is visually lossless, up to 25.

    What is signed is encoded as the same bits without sign, and not with loss.
    """

    default_quality = 1

    def __init__(self, transfer_syntax: str, *, lossless: bool) -> None:
        self.transfer_syntax = transfer_syntax
        self.lossless = lossless

    def decode(self, data: Buffer, description: Description) -> Decoded:
        header = _read_header(data)
        check_header("JPEG XL", description, *header)
        decode = library(self.transfer_syntax).jpegxl_decode
        array = library_decodes("JPEG XL", decode, data, numthreads=1)
        declared = upright(description.photometric_interpretation)
        # What was transformed to another colour space for compression is RGB again.
        transformed = declared in ("XYB", "YBR_RCT", "YBR_ICT") or not self.lossless
        return Decoded(conform(array, description), "RGB" if description.samples == 3 and transformed else declared)

    def encode(self, cells: Array, description: Description, quality: float | None = None) -> Encoded:
        refuse_widths("JPEG XL", description, 8, 16)
        if description.samples == 4:
            raise ValueError("JPEG XL has no 4 samples (PS3.5 8.2.15)")
        interpretation = upright(description.photometric_interpretation)
        options: dict[str, Any] = {"usecontainer": False, "numthreads": 1}
        options["photometric"] = "GRAY" if description.samples == 1 else "RGB"
        encode = library(self.transfer_syntax).jpegxl_encode
        if self.lossless:
            bits = description.bits_allocated if description.signed else needed_bits(cells, description)
            # The library takes words for more than 8 bits alone.
            options["bitspersample"] = max(bits, 9) if description.width == 2 else bits
            unsigned = cells.view(f"u{description.width}")
            return Encoded(library_encodes("JPEG XL", encode, unsigned, lossless=True, **options), interpretation)
        if description.signed:
            raise ValueError("lossy JPEG XL has no signed samples (PS3.5 8.2.15)")
        if description.samples == 3 and interpretation != "RGB":
            raise ValueError(f"lossy JPEG XL is made of RGB, not of {interpretation} (PS3.5 8.2.15)")
        distance = self.default_quality if quality is None else quality
        if not 0 < distance <= 25:
            raise ValueError(f"the distance of JPEG XL is above 0 and at most 25, not {distance:g}")
        options["bitspersample"] = bits = max(description.bits_stored, 8 if description.width == 1 else 9)
        cells = for_loss(cells, description)
        data = library_encodes("JPEG XL", encode, cells, distance=distance, lossless=False, **options)
        return Encoded(data, "XYB" if description.samples == 3 else interpretation, bits)

    @staticmethod
    def begins(data: Buffer) -> bool:
        start = bytes(data[:12])
        return start.startswith(_CODESTREAM) or start == _SIGNATURE


class JPEGRecompression(JPEGXL):
    """JPEG streams recompressed: `recompress` makes frames of JPEG frames, and `reconstruct` gives those back."""

    def __init__(self, transfer_syntax: str) -> None:
        super().__init__(transfer_syntax, lossless=False)

    def encode(self, cells: Array, description: Description, quality: float | None = None) -> Encoded:
        raise ValueError("JPEG XL JPEG recompression is made of JPEG frames, not of pixels (PS3.5 A.4.12)")

    def recompress(self, data: Buffer) -> bytes:
        """A JPEG frame as JPEG XL, losing nothing: not even the JPEG stream.

        Raises ValueError for a JPEG that libjxl does not recompress, as lossless or 12-bit ones.
        """
        # An odd stream has a byte of padding, which must not become part of it.
        stream = bytes(data)
        if stream[-1:] == b"\0" and stream[-3:-1] == b"\xff\xd9":
            stream = stream[:-1]
        return library_encodes("JPEG XL", library(self.transfer_syntax).jpegxl_encode_jpeg, stream)

    def reconstruct(self, data: Buffer, description: Description) -> bytes:
        """The JPEG frame that was recompressed, bit by bit.

        Raises `aiodicom.errors.PixelDataError` where there is none, or not of the frame that `description` speaks of.
        """
        check_header("JPEG XL", description, *_read_header(data))
        decode = library(self.transfer_syntax).jpegxl_decode_jpeg
        stream = bytes(library_decodes("JPEG XL", decode, data))
        read_jpeg_header(stream, "JPEG")
        return stream


class _Bits:
    """Bits of a codestream's head, the least significant first (ISO/IEC 18181-1 annex B)."""

    def __init__(self, data: bytes) -> None:
        self._left = len(data) * 8
        self._bits = int.from_bytes(data, "little")

    def take(self, count: int) -> int:
        if count > self._left:
            raise PixelDataError("the JPEG XL codestream ends within its header")
        value = self._bits & (1 << count) - 1
        self._bits >>= count
        self._left -= count
        return value

    def choose(self, *choices: tuple[int, int]) -> int:
        """U32(): one of four, each an offset and the bits to be added to it."""
        offset, count = choices[self.take(2)]
        return offset + self.take(count)


def _codestream_start(data: Buffer) -> bytes:
    """The first bytes of the codestream, which may be in boxes (ISO/IEC 18181-2)."""
    if bytes(data[:2]) == _CODESTREAM:
        return bytes(data[:64])
    if bytes(data[:12]) == _SIGNATURE:
        at = 12
        for _ in range(_MOST_BOXES):
            if len(data) - at < 8:
                break
            length, kind = int.from_bytes(data[at : at + 4], "big"), bytes(data[at + 4 : at + 8])
            header = 8
            if length == 1:
                length, header = int.from_bytes(data[at + 8 : at + 16], "big"), 16
            if kind in (b"jxlc", b"jxlp"):
                at += header + (4 if kind == b"jxlp" else 0)
                return bytes(data[at : at + 64])
            if length < header:
                break
            at += length
    raise PixelDataError("no JPEG XL codestream")


def _read_header(data: Buffer) -> _Header:
    """SizeHeader and ImageMetadata (ISO/IEC 18181-1 annex D) of what DICOM may have: one image, no channels besides."""
    start = _codestream_start(data)
    if start[:2] != _CODESTREAM:
        raise PixelDataError("no JPEG XL codestream: it has not its signature")
    bits = _Bits(start[2:])
    rows, columns = _size(bits)
    if bits.take(1):
        return _Header(rows, columns, 3, 8)
    if bits.take(1):
        orientation = bits.take(3) + 1
        if bits.take(1):
            _size(bits)
        preview = bits.take(1)
        animation = 0 if preview else bits.take(1)
        if orientation != 1 or preview or animation:
            raise PixelDataError("the JPEG XL codestream has an orientation, a preview or an animation (PS3.5 8.2.15)")
    if bits.take(1):
        raise PixelDataError("the JPEG XL codestream has floating point samples (PS3.5 8.2.15)")
    precision = bits.choose((8, 0), (10, 0), (12, 0), (1, 6))
    bits.take(1)
    if bits.choose((0, 0), (1, 0), (2, 4), (1, 12)):
        raise PixelDataError("the JPEG XL codestream has extra channels (PS3.5 8.2.15)")
    bits.take(1)
    if bits.take(1):
        return _Header(rows, columns, 3, precision)
    bits.take(1)
    grey = bits.choose((0, 0), (1, 0), (2, 4), (18, 6)) == 1
    return _Header(rows, columns, 1 if grey else 3, precision)


def _size(bits: _Bits) -> tuple[int, int]:
    small = bits.take(1)

    def side() -> int:
        if small:
            return (bits.take(5) + 1) * 8
        return bits.choose((1, 9), (1, 13), (1, 18), (1, 30))

    rows = side()
    ratio = bits.take(3)
    if not ratio:
        return rows, side()
    across, down = _RATIOS[ratio - 1]
    return rows, rows * across // down
