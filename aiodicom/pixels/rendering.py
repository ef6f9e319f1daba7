"""Frames as people see them: modality LUT, VOI LUT, presentation, palette, overlays (PS3.3 C.11, C.9; PS3.4 N.2)."""

from __future__ import annotations

import math
import sys
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import numpy

from aiodicom.errors import CodecMissing, DecodeError, PixelDataError

from .frames import OVERLAY_GROUPS
from .palette import table_words

if TYPE_CHECKING:
    from aiodicom.dataset import Dataset

    from .codecs.codec import Array
    from .frames import Frame

__all__ = ["Window", "encode_png", "render", "views_of"]

#: Pixels of an overlay, which a data set may promise any number of.
_MOST_OVERLAY: Final = 0xFFFF * 0xFFFF


class Window(NamedTuple):
    """Window Center, Window Width and VOI LUT Function (PS3.3 C.11.2.1.2): LINEAR, LINEAR_EXACT or SIGMOID."""

    center: float
    width: float
    function: str = "LINEAR"

    def refusal(self) -> str | None:
        """What cannot be, if anything: a width that the function does not have, or what is no finite number."""
        if not math.isfinite(self.center):
            return f"a window of center {self.center:g}"
        least = 1 if self.function == "LINEAR" else sys.float_info.min
        if not least <= self.width < math.inf:
            return f"a window of width {self.width:g} for {self.function} (PS3.3 C.11.2.1.2)"
        return None

    def apply(self, values: Array) -> Array:
        """Values from 0 to 1. Raises PixelDataError for a window that cannot be."""
        if (refusal := self.refusal()) is not None:
            raise PixelDataError(refusal)
        center, width = self.center, self.width
        if self.function == "SIGMOID":
            with numpy.errstate(over="ignore"):
                made: Array = 1 / (1 + numpy.exp(-4 * (values - center) / width))
            return made
        if self.function == "LINEAR":
            center, width = center - 0.5, width - 1
        if width == 0:
            return (values > center).astype(values.dtype)
        return numpy.clip((values - center) / width + 0.5, 0, 1)


class _Table(NamedTuple):
    """A modality or VOI LUT (PS3.3 C.11.1.1, C.11.2.1.1): entries for values from ``first`` on."""

    first: int
    bits: int
    entries: Array

    def look_up(self, values: Array) -> Array:
        indexes = numpy.clip(values - self.first, 0, self.entries.size - 1).astype("i4")
        found: Array = self.entries[indexes].astype("f4")
        return found

    def apply(self, values: Array) -> Array:
        """Values from 0 to 1. Entries of more bits than the descriptor says are white."""
        return numpy.minimum(self.look_up(values) / ((1 << self.bits) - 1), 1)


def render(
    frame: Frame,
    data_set: Dataset,
    *,
    window: Window | tuple[float, float] | None = None,
    voi: int = 0,
    overlays: bool = True,
) -> Array:
    """A frame of `data_set` as a picture: (rows, columns) of grey levels, or (rows, columns, 3) of RGB; 8 bits.

    Of monochrome frames values go through the modality LUT or rescale, and through `window`, or the `voi`th of the
    views that the data set has (`views_of`); where it has none, all values are in the picture, but for padding. What
    enhanced multi-frame objects say of single frames is heeded. `overlays` are drawn in white.

    Raises `aiodicom.errors.PixelDataError` for what cannot be rendered, IndexError where there is no such view.
    """
    described = frame.description
    if described.samples > 1 or described.photometric_interpretation == "PALETTE COLOR":
        picture = _coloured(frame)
    else:
        values = frame.to_numpy()
        shown = _presented(values, data_set, frame.number, window, voi, described.signed)
        if described.photometric_interpretation == "MONOCHROME1":
            shown = 1 - shown
        picture = (shown * 255 + 0.5).astype("u1")
    if overlays:
        for plane, row, column in _overlay_planes(frame, data_set):
            _draw(picture, plane, row, column)
    return picture


def encode_png(picture: Array) -> bytes:
    """A picture as PNG. Raises `aiodicom.errors.CodecMissing` without imagecodecs."""
    try:
        from imagecodecs import png_encode
    except ImportError as error:
        raise CodecMissing("", "PNG needs imagecodecs: pip install 'aiodicom[pixels]'", "pixels") from error
    return bytes(png_encode(picture))


def views_of(data_set: Dataset, frame: int = 0) -> list[Window | _Table]:
    """The views that the data set has of a frame (PS3.3 C.11.2): its windows, and behind them its VOI LUTs.

    Windows that cannot be are passed over: of constant images, some write a width of 0.
    """
    places = [data_set, *_functional_groups(data_set, "FrameVOILUTSequence", frame)]
    views: list[Window | _Table] = []
    for place in places:
        function = str(_value(place, "VOILUTFunction") or "LINEAR")
        centers, widths = _numbers(place, "WindowCenter"), _numbers(place, "WindowWidth")
        windows = (Window(center, width, function) for center, width in zip(centers, widths, strict=False))
        views += (window for window in windows if window.refusal() is None)
    for place in places:
        views += (_table(item) for item in _items(place, "VOILUTSequence"))
    return views


# --- grey -------------------------------------------------------------------------------------------------------------


def _presented(
    stored: Array, data_set: Dataset, frame: int, window: Window | tuple[float, float] | None, voi: int, signed: bool
) -> Array:
    """Values from 0 to 1."""
    values = _modality(stored, data_set, frame)
    if window is not None:
        return Window(*window).apply(values)
    views = views_of(data_set, frame)
    if views or voi:
        return views[voi].apply(values)
    shown = values[~_padding(stored, data_set, signed)]
    shown = shown[numpy.isfinite(shown)]
    if not shown.size:
        return numpy.zeros(values.shape, "f4")
    least, most = float(shown.min()), float(shown.max())
    if least == most:
        return numpy.full(values.shape, 0.5, "f4")
    return numpy.clip(numpy.nan_to_num((values - least) / (most - least)), 0, 1)


def _modality(stored: Array, data_set: Dataset, frame: int) -> Array:
    tables = _items(data_set, "ModalityLUTSequence")
    if tables:
        return _table(tables[0]).look_up(stored.astype("i8"))
    for place in (*_functional_groups(data_set, "PixelValueTransformationSequence", frame), data_set):
        slope, intercept = _numbers(place, "RescaleSlope"), _numbers(place, "RescaleIntercept")
        if slope or intercept:
            scaled: Array = stored * (slope or [1.0])[0] + (intercept or [0.0])[0]
            return scaled
    return stored.astype("f8")


def _padding(stored: Array, data_set: Dataset, signed: bool) -> Array:
    """Which pixels are padding (PS3.3 C.7.5.1.1.2)."""
    value = _value(data_set, "PixelPaddingValue")
    limit = _value(data_set, "PixelPaddingRangeLimit")
    if not isinstance(value, int):
        return numpy.zeros(stored.shape, bool)
    ends = sorted((value, limit if isinstance(limit, int) else value))
    found: Array = (stored >= ends[0]) & (stored <= ends[1])
    return found


def _table(item: Dataset) -> _Table:
    try:
        count, first, bits = (int(each) for each in item.get("LUTDescriptor"))
        data = table_words(item.get("LUTData"))
    except (DecodeError, TypeError, ValueError):
        raise PixelDataError("a LUT without a descriptor of three numbers (PS3.3 C.11.1.1)") from None
    count = count % 0x10000 or 0x10000
    if not 8 <= bits <= 16 or len(data) < count:
        raise PixelDataError(f"a LUT of {count} entries with {bits} bits in {len(data)} bytes")
    kind = "<u2" if len(data) >= 2 * count else "u1"
    return _Table(first, bits, numpy.frombuffer(data, kind, count))


# --- colour -----------------------------------------------------------------------------------------------------------


def _coloured(frame: Frame) -> Array:
    values = frame.to_numpy(rgb=True, clamp=True)
    if values.ndim != 3 or values.shape[2] != 3:
        raise PixelDataError(f"{frame.description.photometric_interpretation} is not rendered", frame.number)
    bits = frame.description.bits_stored
    if frame.description.photometric_interpretation == "PALETTE COLOR":
        # Entries of 16 bits are scaled to all of them (PS3.3 C.7.6.3.1.6); some that say so have 8 all the same.
        entries = numpy.frombuffer(frame.frames.palette().entries, values.dtype)
        bits = 8 if entries.max(initial=0) < 256 else 16
    if bits > 8:
        values = values >> (bits - 8)
    elif bits < 8:
        values = (values.astype("u2") * 255 // ((1 << bits) - 1)).astype("u1")
    return values.astype("u1")


# --- overlays ---------------------------------------------------------------------------------------------------------


def _overlay_planes(frame: Frame, data_set: Dataset) -> Iterator[tuple[Array, int, int]]:
    """The overlays of a frame (PS3.3 C.9.2), each with the row and column where it begins, from 0."""
    within = frame.overlays()
    for group in OVERLAY_GROUPS:
        row, column = _origin(data_set, group)
        if group in within:
            yield within[group], row, column
            continue
        rows, columns = _number(data_set, group, 0x0010), _number(data_set, group, 0x0011)
        element = data_set.get((group, 0x3000))
        if element is None or not rows or not columns or rows * columns > _MOST_OVERLAY:
            continue
        number = frame.number + 1 - (_number(data_set, group, 0x0051) or 1)
        if not 0 <= number < (_number(data_set, group, 0x0015) or 1):
            continue
        data = table_words(element.value)
        first = number * rows * columns
        start, end = first // 8, (first + rows * columns + 7) // 8
        if end > len(data):
            continue  # it is not there as a whole: the picture is, without it
        bits = numpy.unpackbits(numpy.frombuffer(data, "u1", end - start, start), bitorder="little")
        plane = bits[first % 8 : first % 8 + rows * columns]
        yield plane.reshape(rows, columns), row, column


def _draw(picture: Array, plane: Array, row: int, column: int) -> None:
    top, left = max(-row, 0), max(-column, 0)
    target = picture[max(row, 0) :, max(column, 0) :]
    rows, columns = min(target.shape[0], plane.shape[0] - top), min(target.shape[1], plane.shape[1] - left)
    if rows > 0 and columns > 0:
        target[:rows, :columns][plane[top : top + rows, left : left + columns] != 0] = 255


def _origin(data_set: Dataset, group: int) -> tuple[int, int]:
    element = data_set.get((group, 0x0050))
    try:
        row, column = (int(each) for each in element.value) if element is not None else (1, 1)
    except (DecodeError, TypeError, ValueError):
        return 0, 0
    return row - 1, column - 1


def _number(data_set: Dataset, group: int, element: int) -> int:
    found = data_set.get((group, element))
    try:
        return int(found.value) if found is not None else 0
    except (DecodeError, TypeError, ValueError):
        return 0


# --- attributes -------------------------------------------------------------------------------------------------------


def _functional_groups(data_set: Dataset, keyword: str, frame: int) -> list[Dataset]:
    """The items of a functional group macro that are for a frame, its own before the shared one (PS3.3 C.7.6.16)."""
    own = _items(data_set, "PerFrameFunctionalGroupsSequence")[frame : frame + 1]
    return [
        item for group in (*own, *_items(data_set, "SharedFunctionalGroupsSequence")) for item in _items(group, keyword)
    ]


def _items(data_set: Dataset, keyword: str) -> Sequence[Dataset]:
    value = _value(data_set, keyword)
    return value if value is not None and not isinstance(value, (str, bytes)) else ()


def _value(data_set: Dataset, keyword: str) -> Any:
    try:
        return data_set.get(keyword)
    except (DecodeError, ValueError):
        return None


def _numbers(data_set: Dataset, keyword: str) -> list[float]:
    value = _value(data_set, keyword)
    values = value if isinstance(value, list) else [value]
    try:
        return [float(each) for each in values if each is not None and each != ""]
    except (TypeError, ValueError):
        return []
