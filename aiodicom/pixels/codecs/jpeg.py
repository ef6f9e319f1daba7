"""JPEG (PS3.5 8.2.1, A.4.1, A.4.2): baseline, extended with 12 bits, lossless, and progressive, which is retired."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, Final

from aiodicom.errors import PixelDataError
from aiodicom.pixels._markers import Header, has_end, read_header

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

if TYPE_CHECKING:
    from aiodicom.pixels.description import Description
    from aiodicom.pixels.encapsulation import Buffer

__all__ = ["JPEG", "Baseline", "Extended", "Lossless", "Progressive"]

#: The processes that the library decodes: baseline, extended, progressive, lossless, all with Huffman coding.
_DECODED: Final = (0, 1, 2, 3)
_PROGRESSIVE: Final = 2
_LOSSLESS: Final = 3


class JPEG(Codec):
    """What all JPEG has in common: decoding goes by the stream, whatever process the transfer syntax names."""

    def __init__(self, transfer_syntax: str) -> None:
        self.transfer_syntax = transfer_syntax

    def decode(self, data: Buffer, description: Description) -> Decoded:
        header = read_header(data, "JPEG")
        check_header("JPEG", description, header.rows, header.columns, len(header.components), header.precision)
        if header.process not in _DECODED:
            raise PixelDataError(f"JPEG: the process of SOF{header.process} is not decoded")
        # libjpeg makes up what is missing, and says so to nobody here.
        if not has_end(data):
            raise PixelDataError("the JPEG stream ends before EOI")
        if 8 * len(data) < _least_bits(header):
            raise PixelDataError(
                f"the {len(data)} bytes of the JPEG stream cannot hold {header.rows} x {header.columns} pixels"
            )
        decode = library(self.transfer_syntax).jpeg8_decode
        # The same colour space on both sides: samples come as they stand in the stream, and what they mean is for the
        # data set to say.
        space = {3: "YCbCr", 4: "CMYK"}.get(description.samples)
        array = library_decodes("JPEG", decode, data, colorspace=space, outcolorspace=space)
        return Decoded(conform(array, description), _colour(header, description))

    @staticmethod
    def begins(data: Buffer) -> bool:
        return bytes(data[:3]) == b"\xff\xd8\xff"


def _least_bits(header: Header) -> int:
    """Bits that a stream has at least, by the shortest of Huffman codes: one for each sample without loss, else one for
    the DC coefficient of each block and, unless that is in a scan of its own, another one for all AC coefficients.
    """
    # Other components than the first may be subsampled.
    if header.process == _LOSSLESS:
        return header.rows * header.columns
    blocks = -(-header.rows // 8) * -(-header.columns // 8)
    return blocks if header.process == _PROGRESSIVE else 2 * blocks


def _colour(header: Header, description: Description) -> str:
    """What three components are: what the stream says outright goes before the data set's word, which is often copied
    from what had been there before compression.
    """
    declared = description.photometric_interpretation
    if description.samples != 3:
        return declared
    if header.process != _LOSSLESS and declared in ("RGB", "YBR_FULL", "YBR_FULL_422"):
        if header.components == (0x52, 0x47, 0x42):
            return "RGB"
        if header.jfif or header.adobe == 1:
            return "YBR_FULL"
    return upright(declared)


class _Lossy(JPEG):
    """`quality` is libjpeg's, from 1 to 100. RGB becomes YBR_FULL_422, chrominance at every other column."""

    default_quality = 90
    bits: ClassVar[int]

    def encode(self, cells: Array, description: Description, quality: float | None = None) -> Encoded:
        _refuse(description)
        bits = min(self.bits, description.bits_allocated)
        if description.signed:
            raise ValueError("lossy JPEG has no signed samples (PS3.5 8.2.1)")
        if description.bits_stored > bits or description.width != (bits + 7) // 8:
            raise ValueError(
                f"{description.bits_stored} bits stored of {description.bits_allocated} allocated do not fit JPEG with "
                f"{bits} bits (PS3.5 8.2.1)"
            )
        level = self.default_quality if quality is None else quality
        if level not in range(1, 101):
            raise ValueError(f"the quality of JPEG is a whole number from 1 to 100, not {level:g}")
        interpretation = description.photometric_interpretation
        options: dict[str, object] = {"bitspersample": bits}
        if description.samples == 3:
            if interpretation not in ("RGB", "YBR_FULL"):
                raise ValueError(f"JPEG is not made of {interpretation} (PS3.5 8.2.1)")
            space = "RGB" if interpretation == "RGB" else "YCbCr"
            options.update(colorspace=space, outcolorspace="YCbCr", subsampling="422")
            interpretation = "YBR_FULL_422"
        encode = library(self.transfer_syntax).jpeg8_encode
        cells = for_loss(cells, description)
        return Encoded(library_encodes("JPEG", encode, cells, int(level), **options), interpretation, bits)


class Baseline(_Lossy):
    """Process 1: 8 bits. `quality` is libjpeg's, from 1 to 100."""

    bits = 8


class Extended(_Lossy):
    """Processes 2 and 4: 12 bits, or 8 where no more are allocated. `quality` is libjpeg's, from 1 to 100."""

    bits = 12


class Progressive(JPEG):
    """Processes 6 and 8, and 10 and 12, which the standard has retired: decoded only."""

    def encode(self, cells: Array, description: Description, quality: float | None = None) -> Encoded:
        raise ValueError("progressive JPEG is retired, and decoded only")


class Lossless(JPEG):
    """Process 14, with the predictor that is told; what is signed is encoded as the same bits without sign."""

    def __init__(self, transfer_syntax: str, predictor: int) -> None:
        super().__init__(transfer_syntax)
        self.predictor = predictor

    def encode(self, cells: Array, description: Description, quality: float | None = None) -> Encoded:
        _refuse(description)
        bits = 8 * description.width if description.signed else needed_bits(cells, description)
        # The library takes bytes for 2 to 8 bits, and words for 9 to 16.
        bits = max(bits, 2 if description.width == 1 else 9)
        options: dict[str, object] = {"lossless": True, "predictor": self.predictor, "bitspersample": bits}
        if description.samples == 3:
            options.update(colorspace="RGB", outcolorspace="RGB")
        encode = library(self.transfer_syntax).jpeg8_encode
        data = library_encodes("JPEG", encode, cells.view(f"u{description.width}"), **options)
        return Encoded(data, upright(description.photometric_interpretation))


def _refuse(description: Description) -> None:
    refuse_widths("JPEG", description, 8, 16)
    if description.samples == 4:
        raise ValueError("DICOM has no JPEG of 4 samples (PS3.5 8.2.1)")
