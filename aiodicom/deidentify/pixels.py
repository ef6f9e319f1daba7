"""What pixels show: burned in annotation, recognizable features, and overlays in their bits (PS3.15 E.3.1, E.3.2)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

from aiodicom.errors import LocalError
from aiodicom.standard.sop_classes import sop_class

if TYPE_CHECKING:
    from aiodicom.dataset import Dataset
    from aiodicom.pixels.rectangle import Rectangle

    from .options import Options
    from .regions import DeviceRules

__all__ = ["CleanedPixels", "Pixels"]

_PIXELS: Final = (0x7FE00008, 0x7FE00009, 0x7FE00010)
_BURNED_IN_ANNOTATION: Final = 0x00280301
_RECOGNIZABLE_VISUAL_FEATURES: Final = 0x00280302
_MODALITY: Final = 0x00080060
_SOP_CLASS_UID: Final = 0x00080016

#: Overlays' Bit Position and Data by group, and what kind they are.
_OVERLAYS: Final = range(0x60000000, 0x60200000, 0x20000)

#: Images of which have text in their pixels as a rule, and seldom say so.
_SUSPECT_MODALITIES: Final = frozenset(("US", "IVUS", "ES", "XC", "GM", "OT", "DOC", "SC"))


class CleanedPixels(NamedTuple):
    """A data set whose pixels are clean as far as is known.

    ``claims`` are the options for pixels that have been carried out; ``is_removed`` is false where the user wanted to
    keep what identifies.
    """

    data_set: Dataset
    claims: frozenset[str]
    is_removed: bool


class Pixels:
    """Looks at what a data set says of its pixels, and blanks those that the rules of devices name."""

    def __init__(self, options: Options, devices: DeviceRules | None) -> None:
        self._options = options
        self._devices = devices

    def clean(self, source: Dataset) -> CleanedPixels:
        """Raises `LocalError` where pixels identify, and no rule blanks them."""
        if not any(tag in source for tag in _PIXELS):
            return CleanedPixels(source, frozenset(("clean_pixel_data", "clean_recognizable_visual_features")), True)
        blanked: list[Rectangle] = []
        claims: set[str] = set()
        answers: dict[int, str] = {}
        is_removed = True
        for option, flag, is_features in (
            ("clean_pixel_data", _BURNED_IN_ANNOTATION, False),
            ("clean_recognizable_visual_features", _RECOGNIZABLE_VISUAL_FEATURES, True),
        ):
            rules = []
            if self._options.is_on(option) and self._devices is not None:
                rules = self._devices.matching(source, visual_features=is_features)
            said = str(source._value(flag, None) or "")
            if rules:
                blanked += [rectangle for rule in rules for rectangle in rule.blanked(source)]
                answers[flag] = "NO"
                claims.add(option)
            elif said == "NO":
                claims.add(option)
            elif said == "YES" or (option == "clean_pixel_data" and self._options.is_on(option) and _suspect(source)):
                if self._options.burned_in == "refuse":
                    raise LocalError(_refusal(said, is_features))
                is_removed = is_removed and said != "YES"
        bits = self._overlay_bits(source)
        result = source
        if blanked or bits:
            from aiodicom.pixels.blanking import blank

            result = blank(source, blanked, bits=bits)
        if answers:
            result = result.copy() if result is source else result
            for flag, answer in answers.items():
                result._set(flag, answer)
        return CleanedPixels(result, frozenset(claims), is_removed)

    def _overlay_bits(self, source: Dataset) -> list[int]:
        """The bits of the pixel data that have overlays which do not stay (PS3.3 C.9.2, retired there)."""
        bits = []
        for group in _OVERLAYS:
            if group | 0x0102 not in source or group | 0x3000 in source:
                continue
            position = source._value(group | 0x0102, None)
            if isinstance(position, int) and position:
                is_kept = self._options.clean_graphics and source._value(group | 0x0040, None) == "R"
                if not is_kept:
                    bits.append(position)
        return bits


def _suspect(source: Dataset) -> bool:
    known = sop_class(str(source._value(_SOP_CLASS_UID, None) or ""))
    is_capture = known is not None and "Secondary Capture" in known.name
    return is_capture or source._value(_MODALITY, None) in _SUSPECT_MODALITIES


def _refusal(said: str, is_features: bool) -> str:
    if is_features:
        return (
            "its pixels have recognizable visual features: blank them by device rules and the Clean Recognizable "
            "Visual Features Option, or allow what is burned in"
        )
    has = "have" if said else "may have"
    return (
        f"its pixels {has} burned in annotation: blank it by device rules and the Clean Pixel Data Option, or allow "
        "what is burned in"
    )
