"""Which pixels a device writes text into: rules of a TOML file."""

from __future__ import annotations

import tomllib
from collections.abc import Iterable
from dataclasses import dataclass
from fnmatch import fnmatchcase
from itertools import pairwise
from typing import TYPE_CHECKING, Any, Final

from aiodicom.errors import LocalError
from aiodicom.pixels.rectangle import Rectangle

if TYPE_CHECKING:
    from aiodicom.dataset import Dataset

__all__ = ["DeviceRule", "DeviceRules"]

#: Keys of a rule that texts of a data set must match, with their keywords.
_TEXTS: Final = {"manufacturer": "Manufacturer", "model": "ManufacturerModelName", "modality": "Modality"}
_NUMBERS: Final = {"rows": "Rows", "columns": "Columns"}


@dataclass(frozen=True, slots=True)
class DeviceRule:
    """What is blanked in the images of a device: `rectangles`, and what is outside of all Ultrasound Regions.

    A rule without either says that its images have nothing to be blanked. `visual_features`: it is for recognizable
    visual features, not for text.
    """

    texts: tuple[tuple[str, str], ...] = ()
    numbers: tuple[tuple[str, int], ...] = ()
    rectangles: tuple[Rectangle, ...] = ()
    outside_ultrasound_regions: bool = False
    visual_features: bool = False

    def matches(self, data_set: Dataset) -> bool:
        """Whether a data set is of the device: texts match as patterns of file names do, whatever their case."""
        return all(
            fnmatchcase(str(data_set.get(keyword) or "").strip().casefold(), pattern.casefold())
            for keyword, pattern in self.texts
        ) and all(data_set.get(keyword) == number for keyword, number in self.numbers)

    def blanked(self, data_set: Dataset) -> list[Rectangle]:
        """What is blanked in the frames of a data set. Raises LocalError where its Ultrasound Regions do not say."""
        if not self.outside_ultrasound_regions:
            return list(self.rectangles)
        return [*self.rectangles, *_outside(data_set)]


class DeviceRules:
    """The rules of a file. All that match an image apply."""

    def __init__(self, rules: Iterable[DeviceRule] = ()) -> None:
        self.rules = tuple(rules)

    @classmethod
    def from_toml(cls, text: str) -> DeviceRules:
        """The rules of a TOML text: an array of tables, ``[[device]]``. Raises LocalError, which says where.

        Keys, each of which can be left out: ``manufacturer``, ``model``, ``modality`` (patterns), ``rows``,
        ``columns``; ``blank``, a list of ``[column, row, width, height]`` in pixels; ``outside_ultrasound_regions`` and
        ``visual_features``, true or false.
        """
        try:
            content = tomllib.loads(text)
        except tomllib.TOMLDecodeError as error:
            raise LocalError(f"not TOML: {error}") from error
        devices = content.pop("device", [])
        if content or not isinstance(devices, list):
            raise LocalError("device rules are tables called [[device]], and nothing else")
        return cls(_rule(device, f"device[{number}]") for number, device in enumerate(devices))

    def matching(self, data_set: Dataset, *, visual_features: bool) -> list[DeviceRule]:
        """The rules for a data set that are for text, or for visual features."""
        return [rule for rule in self.rules if rule.visual_features == visual_features and rule.matches(data_set)]


def _rule(table: Any, place: str) -> DeviceRule:
    if not isinstance(table, dict):
        raise LocalError(f"{place} is no table")
    kinds: dict[str, type] = {**dict.fromkeys(_TEXTS, str), **dict.fromkeys(_NUMBERS, int), "blank": list}
    kinds |= dict.fromkeys(("outside_ultrasound_regions", "visual_features"), bool)
    for key, value in table.items():
        if key not in kinds:
            raise LocalError(f"{place}.{key} is not known: {', '.join(kinds)}")
        if not isinstance(value, kinds[key]) or (kinds[key] is int and isinstance(value, bool)):
            raise LocalError(f"{place}.{key} is a {kinds[key].__name__}, not {value!r}")
    if not {*_TEXTS, *_NUMBERS} & table.keys():
        raise LocalError(f"{place} is for every image: say of which manufacturer, model, modality, rows or columns")
    return DeviceRule(
        tuple((keyword, table[key]) for key, keyword in _TEXTS.items() if key in table),
        tuple((keyword, table[key]) for key, keyword in _NUMBERS.items() if key in table),
        tuple(_rectangle(each, f"{place}.blank[{number}]") for number, each in enumerate(table.get("blank", ()))),
        table.get("outside_ultrasound_regions", False),
        table.get("visual_features", False),
    )


def _rectangle(value: Any, place: str) -> Rectangle:
    if (
        not isinstance(value, list)
        or len(value) != 4
        or not all(isinstance(each, int) and not isinstance(each, bool) and each >= 0 for each in value)
        or not (value[2] and value[3])
    ):
        raise LocalError(f"{place} is [column, row, width, height] in pixels, not {value!r}")
    return Rectangle(*value)


def _outside(data_set: Dataset) -> list[Rectangle]:
    """What is outside of all Ultrasound Regions (PS3.3 C.8.5.5.1.1 to .4)."""
    rows, columns = data_set.get("Rows"), data_set.get("Columns")
    regions: list[tuple[int, int, int, int]] = []
    for item in data_set.get("SequenceOfUltrasoundRegions") or ():
        edges = [item.get(f"RegionLocation{edge}") for edge in ("MinX0", "MinY0", "MaxX1", "MaxY1")]
        if not all(isinstance(edge, int) for edge in edges):
            raise LocalError("an Ultrasound Region without its location: give the rectangles to blank")
        regions.append((edges[0], edges[1], edges[2] + 1, edges[3] + 1))
    if not regions or not isinstance(rows, int) or not isinstance(columns, int):
        raise LocalError("the image has no Ultrasound Regions: give the rectangles to blank")
    # In bands between the edges of regions, each band has the same gaps.
    edges_down = sorted({0, rows, *(min(max(edge, 0), rows) for region in regions for edge in (region[1], region[3]))})
    found = []
    for top, bottom in pairwise(edges_down):
        across = sorted((left, right) for left, upper, right, lower in regions if upper <= top and lower >= bottom)
        start = 0
        for left, right in [*across, (columns, columns)]:
            if left > start:
                found.append(Rectangle(start, top, min(left, columns) - start, bottom - top))
            start = max(start, right)
    return found
