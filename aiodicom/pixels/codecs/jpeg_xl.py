"""JPEG XL (PS3.5 8.2.15, A.4.12): lossless, lossy, and JPEG streams in fewer bytes, to be had back bit by bit."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from aiodicom.errors import PixelDataError
from aiodicom.pixels._markers import has_end
from aiodicom.pixels._markers import read_header as read_jpeg_header

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
from .jpeg_xl_codestream import Codestream, begins

if TYPE_CHECKING:
    from aiodicom.pixels.description import Description
    from aiodicom.pixels.encapsulation import Buffer

__all__ = ["JPEGXL", "JPEGRecompression"]


class JPEGXL(Codec):
    """`quality` of the lossy one is libjxl's distance: 1 is visually lossless, up to 25.

    What is signed is encoded as the same bits without sign, and not with loss.
    """

    default_quality = 1

    def __init__(self, transfer_syntax: str, *, lossless: bool) -> None:
        self.transfer_syntax = transfer_syntax
        self.lossless = lossless

    def decode(self, data: Buffer, description: Description) -> Decoded:
        _check(data, description)
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

    begins = staticmethod(begins)


class JPEGRecompression(JPEGXL):
    """JPEG streams recompressed: `recompress` makes frames of JPEG frames, and `reconstruct` gives those back."""

    def __init__(self, transfer_syntax: str) -> None:
        super().__init__(transfer_syntax, lossless=False)

    def encode(self, cells: Array, description: Description, quality: float | None = None) -> Encoded:
        raise ValueError("JPEG XL JPEG recompression is made of JPEG frames, not of pixels (PS3.5 A.4.12)")

    def recompress(self, data: Buffer) -> bytes:
        """A JPEG frame as JPEG XL, losing nothing: not even the JPEG stream.

        Raises ValueError for a JPEG that libjxl does not recompress, as lossless or 12-bit ones, and
        `aiodicom.errors.PixelDataError` for what is none.
        """
        stream = bytes(data)
        header = read_jpeg_header(stream, "JPEG")
        if header.process > 2 or header.precision != 8:
            raise ValueError(
                f"JPEG XL does not recompress the process of SOF{header.process} with {header.precision} bits"
            )
        if not has_end(stream):
            raise PixelDataError("the JPEG stream ends before EOI")
        # An odd stream has a byte of padding, which must not become part of it.
        if stream[-1:] == b"\0" and stream[-3:-1] == b"\xff\xd9":
            stream = stream[:-1]
        return library_encodes("JPEG XL", library(self.transfer_syntax).jpegxl_encode_jpeg, stream)

    def reconstruct(self, data: Buffer, description: Description) -> bytes:
        """The JPEG frame that was recompressed, bit by bit.

        Raises `aiodicom.errors.PixelDataError` where there is none, or not of the frame that `description` speaks of.
        """
        _check(data, description)
        decode = library(self.transfer_syntax).jpegxl_decode_jpeg
        stream = bytes(library_decodes("JPEG XL", decode, data))
        read_jpeg_header(stream, "JPEG")
        return stream


def _check(data: Buffer, description: Description) -> None:
    """Raises PixelDataError where a codestream has not the frame that the data set speaks of, or promises more."""
    codestream = Codestream(data)
    check_header("JPEG XL", description, *codestream.header)
    codestream.check_frames()
