"""What group 0028 says of pixel data: `Description`."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from functools import lru_cache
from typing import TYPE_CHECKING, Any, Final, Literal, Self

from aiodicom.errors import PixelDataError

if TYPE_CHECKING:
    from aiodicom.dataset import Dataset

__all__ = ["KINDS", "MAX_FRAME", "Description", "Kind", "kind_of"]

#: Bytes that one decoded frame may have, unless something else is said.
MAX_FRAME: Final = 1 << 30

#: Pixel Data, Float Pixel Data or Double Float Pixel Data (PS3.3 C.7.6.3, C.7.6.24, C.7.6.25).
Kind = Literal["PixelData", "FloatPixelData", "DoubleFloatPixelData"]

#: Those, each with the Bits Allocated that it may have.
KINDS: Final[dict[Kind, tuple[int, ...]]] = {
    "PixelData": (1, 8, 16, 32, 64),
    "FloatPixelData": (32,),
    "DoubleFloatPixelData": (64,),
}

#: The elements that a description is made of, in the order in which `Description.of` takes them.
_TAGS: Final = (
    0x00280002,  # Samples per Pixel
    0x00280004,  # Photometric Interpretation
    0x00280006,  # Planar Configuration
    0x00280008,  # Number of Frames
    0x00280010,  # Rows
    0x00280011,  # Columns
    0x00280100,  # Bits Allocated
    0x00280101,  # Bits Stored
    0x00280102,  # High Bit
    0x00280103,  # Pixel Representation
)

#: Photometric interpretations by the samples that a pixel has (PS3.3 C.7.6.3.1.2), retired ones too.
_SAMPLES: Final = {
    "MONOCHROME1": 1,
    "MONOCHROME2": 1,
    "PALETTE COLOR": 1,
    "RGB": 3,
    "HSV": 3,
    "YBR_FULL": 3,
    "YBR_FULL_422": 3,
    "YBR_PARTIAL_422": 3,
    "YBR_PARTIAL_420": 3,
    "YBR_ICT": 3,
    "YBR_RCT": 3,
    "XYB": 3,
    "ARGB": 4,
    "CMYK": 4,
}


@dataclass(frozen=True, slots=True)
class Description:
    """What a data set says of its frames (PS3.3 C.7.6.3), checked: it is possible, and no frame is larger than allowed.

    ``signed`` is Pixel Representation 1, ``kind`` the keyword of the element that has the frames. Of float pixel data
    all bits are stored. A photometric interpretation that is missing is MONOCHROME2, or RGB where there are three
    samples.

    What follows from that: ``width`` is how many bytes a sample takes in an array, those of Bits Allocated, and one for
    a single bit. ``decoded_size`` is the bytes of a decoded frame, as an array has it, and ``shape`` that array's:
    (rows, columns), and the samples where there are several.
    """

    rows: int
    columns: int
    samples: int = 1
    bits_allocated: int = 8
    bits_stored: int = 8
    high_bit: int = 7
    signed: bool = False
    photometric_interpretation: str = "MONOCHROME2"
    planar_configuration: int = 0
    number_of_frames: int = 1
    kind: Kind = "PixelData"
    width: int = field(init=False, repr=False, compare=False)
    decoded_size: int = field(init=False, repr=False, compare=False)
    shape: tuple[int, ...] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        wrong = self._wrong()
        if wrong is not None:
            raise PixelDataError(f"no pixel data can have {wrong}")
        shape = (self.rows, self.columns) if self.samples == 1 else (self.rows, self.columns, self.samples)
        object.__setattr__(self, "width", max(self.bits_allocated // 8, 1))
        object.__setattr__(self, "decoded_size", self.pixels * self.samples * self.width)
        object.__setattr__(self, "shape", shape)

    def _wrong(self) -> str | None:
        """What cannot be, if anything. Words are made of it only then: this is looked at for each frame."""
        allocated, stored = self.bits_allocated, self.bits_stored
        if not (0 < self.rows <= 0xFFFF and 0 < self.columns <= 0xFFFF):
            return f"{self.rows} rows of {self.columns} columns"
        if self.samples not in (1, 3, 4):
            return f"{self.samples} samples per pixel"
        if allocated not in KINDS[self.kind]:
            return f"Bits Allocated {allocated}, not one of {KINDS[self.kind]}"
        if not 0 < stored <= allocated:
            return f"Bits Stored {stored} of Bits Allocated {allocated}"
        if not stored <= self.high_bit + 1 <= allocated:
            return f"High Bit {self.high_bit} with Bits Allocated {allocated} and Bits Stored {stored}"
        if self.planar_configuration not in (0, 1):
            return f"Planar Configuration {self.planar_configuration}"
        if self.number_of_frames <= 0:
            return f"{self.number_of_frames} frames"
        if _SAMPLES.get(self.photometric_interpretation, self.samples) != self.samples:
            return f"{self.photometric_interpretation} with {self.samples} samples per pixel"
        return None

    @staticmethod
    def of(data_set: Dataset, kind: Kind | None = None, *, max_frame: int = MAX_FRAME) -> Description:
        """What `data_set` says of its pixel data, which are in `kind`; of Pixel Data where it has none at all.

        Raises `aiodicom.errors.PixelDataError` for what cannot be, what is missing, and frames that need more than
        `max_frame` bytes when they are decoded.
        """
        kind = kind or kind_of(data_set) or "PixelData"
        # Taken at once, and what came of the same before is known: this is done for each frame asked for by itself.
        values = tuple(data_set._first_values(_TAGS))
        described = _known(kind, values) if _is_short(values) else _described(kind, values)
        if described.decoded_size > max_frame:
            raise PixelDataError(
                f"a frame of {described.rows} x {described.columns} pixels takes {described.decoded_size} bytes, more "
                f"than the {max_frame} that are allowed"
            )
        return described

    def changed(self, **values: Any) -> Self:
        """The same with other values, checked again. Raises PixelDataError."""
        return replace(self, **values)

    @property
    def pixels(self) -> int:
        """Pixels of a frame."""
        return self.rows * self.columns

    @property
    def subsampled(self) -> bool:
        """Native frames have two pixels in four samples: Y Y Cb Cr (PS3.3 C.7.6.3.1.2)."""
        return self.photometric_interpretation in ("YBR_FULL_422", "YBR_PARTIAL_422")

    @property
    def native_bits(self) -> int:
        """Bits of a native frame; the frames follow each other without a gap (PS3.5 8.1.1, annex D)."""
        if self.subsampled:
            return (self.pixels + 1) // 2 * 4 * self.bits_allocated
        return self.pixels * self.samples * self.bits_allocated

    @property
    def native_size(self) -> int:
        """Bytes of a native frame that stands alone."""
        return (self.native_bits + 7) // 8


def _described(kind: Kind, values: tuple[Any, ...]) -> Description:
    """What the elements of `_TAGS` say together. Raises PixelDataError."""
    is_float = kind != "PixelData"
    samples, interpretation, planar, frames, rows, columns, allocated, stored, high_bit, representation = values
    samples = _number("SamplesPerPixel", samples, 1)
    allocated = _number("BitsAllocated", allocated, KINDS[kind][0] if is_float else None)
    stored = allocated if is_float else _number("BitsStored", stored, allocated)
    return Description(
        _number("Rows", rows),
        _number("Columns", columns),
        samples,
        allocated,
        stored,
        allocated - 1 if is_float else _number("HighBit", high_bit, stored - 1),
        not is_float and _number("PixelRepresentation", representation, 0) == 1,
        str(interpretation or ("RGB" if samples == 3 else "MONOCHROME2")).strip(),
        _number("PlanarConfiguration", planar, 0) if samples > 1 else 0,
        # 0 is what some write where there is one.
        _number("NumberOfFrames", frames, 1) or 1,
        kind,
    )


#: All slices of a series have one description.
_known = lru_cache(maxsize=64)(_described)


def _is_short(values: tuple[Any, ...]) -> bool:
    """Whether values may be kept: what is longer than the CS among them can be could be of any length."""
    for value in values:
        type_ = type(value)
        if type_ is not int and value is not None and (type_ is not str or len(value) > 16):
            return False
    return True


def kind_of(data_set: Dataset) -> Kind | None:
    """Which element has the frames; None where none has."""
    for kind in KINDS:
        if kind in data_set:
            return kind
    return None


def _number(keyword: str, value: Any, default: int | None = None) -> int:
    """The number that an element has, or `default` where it has none. Raises PixelDataError."""
    if value is None:
        if default is None:
            raise PixelDataError(f"the data set has no {keyword}")
        return default
    try:
        return int(value)
    except (TypeError, ValueError, OverflowError):
        raise PixelDataError(f"{keyword} is {value!r}, which is no number") from None
