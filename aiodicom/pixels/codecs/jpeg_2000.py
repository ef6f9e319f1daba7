"""JPEG 2000 (PS3.5 8.2.4, A.4.4) and High-Throughput JPEG 2000 (PS3.5 8.2.14, A.4.10)."""

from __future__ import annotations

from threading import Lock
from typing import TYPE_CHECKING, Any, ClassVar

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
from .codestream import begins, codestream, read_header

if TYPE_CHECKING:
    from aiodicom.pixels.description import Description
    from aiodicom.pixels.encapsulation import Buffer

__all__ = ["HTJ2K", "JPEG2000", "JPEG2000Part2"]


class JPEG2000(Codec):
    """`quality` of the lossy one is the peak signal-to-noise ratio in dB. RGB becomes YBR_RCT, or YBR_ICT with loss."""

    default_quality: ClassVar[float] = 60

    def __init__(self, transfer_syntax: str, *, lossless: bool) -> None:
        self.transfer_syntax = transfer_syntax
        self.lossless = lossless

    def decode(self, data: Buffer, description: Description) -> Decoded:
        stream = codestream(data)
        header = read_header(stream)
        check_header("JPEG 2000", description, header.rows, header.columns, header.components, header.precision)
        # OpenJPEG, for HTJ2K too: OpenJPH 0.26 is twice as fast, but crashes on corrupt streams, and wraps around what
        # loss takes beyond the range of samples.
        decode = library(self.transfer_syntax).jpeg2k_decode
        array = library_decodes("JPEG 2000", decode, stream, numthreads=1)
        return Decoded(conform(array, description), self._colour(description))

    def _colour(self, description: Description) -> str:
        """The library undoes a transformation of colour where the codestream has one (PS3.5 8.2.4)."""
        declared = description.photometric_interpretation
        return "RGB" if declared in ("YBR_ICT", "YBR_RCT") else upright(declared)

    def encode(self, cells: Array, description: Description, quality: float | None = None) -> Encoded:
        refuse_widths("JPEG 2000", description, 8, 16)
        transformed = description.photometric_interpretation == "RGB"
        options: dict[str, Any] = {"codecformat": "J2K", "mct": transformed, "numthreads": 1}
        level = 0.0
        if self.lossless:
            options.update(reversible=True, bitspersample=needed_bits(cells, description))
        else:
            level = self.default_quality if quality is None else quality
            if not 0 < level <= 200:
                raise ValueError(f"the quality of JPEG 2000 is a ratio in dB, up to 200, not {level:g}")
            cells = for_loss(cells, description)
            if description.bits_stored <= 8:
                # The library's ratio is far off for few bits in words.
                cells = cells.astype("i1" if description.signed else "u1")
            options.update(reversible=False, bitspersample=max(description.bits_stored, 8))
        encode = library(self.transfer_syntax).jpeg2k_encode
        data = library_encodes("JPEG 2000", encode, cells, level, **options)
        interpretation = description.photometric_interpretation
        if transformed:
            interpretation = "YBR_RCT" if self.lossless else "YBR_ICT"
        return Encoded(data, upright(interpretation), None if self.lossless else options["bitspersample"])

    begins = staticmethod(begins)


class JPEG2000Part2(JPEG2000):
    """Part 2, with transformations over components (PS3.5 8.2.4.1): decoded as far as the library has them."""

    def encode(self, cells: Array, description: Description, quality: float | None = None) -> Encoded:
        raise ValueError("JPEG 2000 Part 2 is decoded only")


#: Held while OpenJPH encodes for the first time, and whether it has.
_first = Lock()
_has_encoded = False


def _htj2k_encode(transfer_syntax: str) -> Any:
    """The library's encoder.

    OpenJPH 0.26 makes its tables when it first encodes, and threads that begin meanwhile encode with half of them: a
    frame that nobody can decode. So something small is encoded first, by one thread, without and with loss.
    """
    global _has_encoded
    encode = library(transfer_syntax).htj2k_encode
    if not _has_encoded:
        with _first:
            if not _has_encoded:
                import numpy

                for kind in ("u1", "u2"):
                    cells = numpy.arange(256, dtype=kind).reshape(16, 16)
                    encode(cells, reversible=True)
                    encode(cells, 1 / 512, reversible=False)
                _has_encoded = True
    return encode


class HTJ2K(JPEG2000):
    """`quality` of the lossy one is the quantization step, as a part of the range of stored values: less is better.

    With `rpcl`, resolutions come first and can be found by markers (PS3.5 A.4.10).
    """

    default_quality = 1 / 512

    def __init__(self, transfer_syntax: str, *, lossless: bool, rpcl: bool = False) -> None:
        super().__init__(transfer_syntax, lossless=lossless)
        self.rpcl = rpcl

    def encode(self, cells: Array, description: Description, quality: float | None = None) -> Encoded:
        refuse_widths("HTJ2K", description, 8, 16)
        transformed = description.photometric_interpretation == "RGB"
        encode = _htj2k_encode(self.transfer_syntax)
        options: dict[str, Any] = {"rgb": transformed, "tlm": True, "resolutions": _levels(description)}
        if self.rpcl:
            options["tilepart"] = library(self.transfer_syntax).HTJ2K.TILEPART.RESOLUTIONS
        interpretation = upright(description.photometric_interpretation)
        if self.lossless:
            data = library_encodes("HTJ2K", encode, cells, reversible=True, **options)
            return Encoded(data, "YBR_RCT" if transformed else interpretation)
        step = self.default_quality if quality is None else quality
        if not 0 < step <= 0.5:
            raise ValueError(f"the quantization step of HTJ2K is above 0 and at most 0.5, not {step:g}")
        # The library encodes all bits allocated: its step is part of their range, and a sample may come back greater
        # than those stored have it.
        step /= 1 << description.bits_allocated - description.bits_stored
        data = library_encodes("HTJ2K", encode, for_loss(cells, description), step, reversible=False, **options)
        return Encoded(data, "YBR_ICT" if transformed else interpretation, description.bits_allocated)


def _levels(description: Description) -> int:
    """Decompositions after which the lowest resolution has at most 64 rows and columns (PS3.5 A.4.10), 1 at least."""
    levels = 1
    while max(description.rows, description.columns) > 64 << levels:
        levels += 1
    return levels
