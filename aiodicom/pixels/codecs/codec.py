"""What a codec is: `Codec`, and what all of them need."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from functools import cache
from typing import TYPE_CHECKING, Any, ClassVar, NamedTuple

import numpy

from aiodicom.errors import CodecMissing, PixelDataError
from aiodicom.pixels._pixels import keep_stored

if TYPE_CHECKING:
    from aiodicom.pixels.description import Description
    from aiodicom.pixels.encapsulation import Buffer

__all__ = [
    "Array",
    "Codec",
    "Decoded",
    "Encoded",
    "check_header",
    "conform",
    "for_loss",
    "library",
    "library_decodes",
    "library_encodes",
    "needed_bits",
    "refuse_widths",
    "stored_range",
    "upright",
]

Array = numpy.ndarray[Any, numpy.dtype[Any]]


#: Types of cells, by whether they are signed and their bytes.
_TYPES = {
    (signed, width): numpy.dtype(f"{'i' if signed else 'u'}{width}")
    for signed in (False, True)
    for width in (1, 2, 4, 8)
}


class Decoded(NamedTuple):
    """A decoded frame: cells of Bits Allocated, (rows, columns[, samples]), as they were stored, and their colour.

    Bits beyond those stored are as they come. An array that may be written to is nobody else's; one that may not can be
    a view of the bytes that were decoded. ``photometric_interpretation`` is what the samples are now: a codec may
    have undone a colour transformation, and subsampled chrominance is at every pixel.
    """

    cells: Array
    photometric_interpretation: str

    def stored_values(self, description: Description) -> Array:
        """The stored values of the cells: only the bits stored, with their sign.

        The array is the cells' own where that may be written to, which is changed then.
        """
        values = self.cells
        if not (values.flags.writeable and values.dtype.isnative):
            values = numpy.array(values, values.dtype.newbyteorder("="), order="C")
        if description.kind == "PixelData":
            shift = description.high_bit + 1 - description.bits_stored
            keep_stored(values, description.width, shift, description.bits_stored, description.signed)
        return values


class Encoded(NamedTuple):
    """An encoded frame, and what a data set that has it must say: Photometric Interpretation, and Bits Stored.

    ``bits_stored`` is None where nothing is to change. Else High Bit is the one below; where it is more than before, so
    may samples be.
    """

    data: bytes
    photometric_interpretation: str
    bits_stored: int | None = None


class Codec(ABC):
    """Decodes and encodes single frames of one transfer syntax. Has no state; threads may share it.

    The interpreter's lock is left alone while a frame is decoded or encoded.
    """

    #: What ``quality`` is where none is given; None of a codec that has none.
    default_quality: ClassVar[float | None] = None

    #: Whether frames may be of floating point numbers.
    floats: ClassVar[bool] = False

    @abstractmethod
    def decode(self, data: Buffer, description: Description) -> Decoded:
        """The frame that `data` encode.

        Raises `aiodicom.errors.PixelDataError` where they are corrupt, or not of the frame that `description` speaks
        of; which is found out before memory is allocated for it.
        """

    @abstractmethod
    def encode(self, cells: Array, description: Description, quality: float | None = None) -> Encoded:
        """Encodes cells as `decode` gives them: (rows, columns[, samples]), in the colour that `description` says.

        `quality` is the codec's own measure, which its class tells of. Raises ValueError for what the codec cannot
        encode.
        """

    @staticmethod
    def begins(data: Buffer) -> bool:
        """Whether a fragment is the first of a frame; `data` are at most its first 64 bytes."""
        return False


@cache
def library(transfer_syntax: str) -> Any:
    """The module imagecodecs. Raises `aiodicom.errors.CodecMissing` where it is not installed."""
    try:
        import imagecodecs
    except ImportError as error:
        raise CodecMissing(
            transfer_syntax,
            f"frames in {transfer_syntax} need imagecodecs: pip install 'aiodicom[pixels]'",
            "pixels",
        ) from error
    return imagecodecs


def library_decodes(name: str, decode: Callable[..., Array], *arguments: Any, **options: Any) -> Array:
    """What `decode` returns; what it raises becomes a PixelDataError."""
    try:
        return decode(*arguments, **options)
    except (MemoryError, CodecMissing):
        raise
    except Exception as error:  # each of its codecs has exceptions of its own
        raise PixelDataError(f"{name}: {error}") from error


def library_encodes(name: str, encode: Callable[..., bytes], *arguments: Any, **options: Any) -> bytes:
    """What `encode` returns; what it raises becomes a ValueError."""
    try:
        return bytes(encode(*arguments, **options))
    except (MemoryError, CodecMissing):
        raise
    except Exception as error:
        raise ValueError(f"{name} does not encode this: {error}") from error


def check_header(name: str, description: Description, rows: int, columns: int, components: int, precision: int) -> None:
    """Raises PixelDataError where a stream has not the frame that the data set speaks of."""
    if (rows, columns) != (description.rows, description.columns):
        raise PixelDataError(
            f"the {name} stream has {rows} x {columns} pixels, the data set {description.rows} x {description.columns}"
        )
    if components != description.samples:
        raise PixelDataError(f"the {name} stream has {components} components, the data set {description.samples}")
    if not 0 < precision <= max(description.bits_allocated, 8):
        raise PixelDataError(
            f"the {name} stream has {precision} bits a sample, the data set allocates {description.bits_allocated}"
        )


def upright(interpretation: str) -> str:
    """The photometric interpretation of samples that are no longer, or not to be, subsampled."""
    return "YBR_FULL" if interpretation == "YBR_FULL_422" else interpretation


def needed_bits(cells: Array, description: Description) -> int:
    """Bits that a sample must be encoded with for nothing to be lost: those stored, or all where others are in use."""
    least, most = stored_range(description)
    if description.high_bit + 1 == description.bits_stored and least <= cells.min() and cells.max() <= most:
        return description.bits_stored
    return description.bits_allocated


def for_loss(cells: Array, description: Description) -> Array:
    """What is encoded with loss of cells: the stored bits alone, since others would be noise.

    Raises ValueError for a palette's indexes, whose neighbours are other colours.
    """
    if description.photometric_interpretation == "PALETTE COLOR":
        raise ValueError("indexes of a palette cannot be encoded with loss (PS3.5 8.2)")
    if needed_bits(cells, description) == description.bits_stored:
        return cells
    values = numpy.array(cells, order="C")
    shift = description.high_bit + 1 - description.bits_stored
    keep_stored(values, description.width, shift, description.bits_stored, description.signed)
    return values


def stored_range(description: Description) -> tuple[int, int]:
    """The least and the greatest stored value."""
    if description.signed:
        return -(1 << description.bits_stored - 1), (1 << description.bits_stored - 1) - 1
    return 0, (1 << description.bits_stored) - 1


def refuse_widths(name: str, description: Description, *widths: int) -> None:
    """Raises ValueError where the cells are not of one of these numbers of bits."""
    if description.bits_allocated not in widths:
        raise ValueError(f"{name} has no samples of {description.bits_allocated} bits allocated")


def conform(array: Array, description: Description) -> Array:
    """What a codec gave, as cells of the type that the data set's are, of the same bits where it is as wide."""
    if array.shape != description.shape:
        raise PixelDataError(f"the decoder gave an array of {array.shape}, not {description.shape}")
    type_ = _TYPES[description.signed, description.width]
    if array.itemsize == description.width:
        return (array if array.flags.c_contiguous else numpy.ascontiguousarray(array)).view(type_)
    return array.astype(type_, order="C")
