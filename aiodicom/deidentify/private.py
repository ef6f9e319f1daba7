"""Private attributes that are known to be safe (PS3.15 E.3.10)."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from aiodicom.dataset import Dataset

__all__ = ["declared_safe", "is_safe"]

#: PS3.15 table E.3.10-1: creator, group, and elements of the block: two digits each, or the first and last of several.
_SAFE: Final = """\
ELSCINT1|00E1|21 50
ELSCINT1|01E1|26
ELSCINT1|01F1|01 07 26-27
GEIIS PACS|0903|10-12
GEMS_ACQU_01|0019|23-24 27 9E
GEMS_HELIOS_01|0045|01-02
GEMS_PARM_01|0043|27 39 6F
GEMS_SERS_01|0025|07
HOLOGIC, Inc.|7E01|01-02 10-12
NQHeader|0099|01-02 04-05 10 20-21
NQLeft|0199|01-16
NQRight|0299|01-16
Philips Imaging DD 001|2001|01-0C 0E-1F 21-51 53-5A 5D-6B 6D-6F 71-77 79-8C
Philips Imaging DD 001|2001|90-94 9A-9B 9D 9F A1-A5 C0-C3 C5-C7 CA-CB D0-DF E9 F1-F7 F9 FB-FD FF
Philips Imaging DD 002|2001|01-40 50 52-53 57-58 5A 5C-5F 63-68 6B 71-75
Philips Imaging DD 097|2001|01-08 0A-0B 0D-0F 12 17-1F 21-28 2A-32 36-3E 40-42 44-47 49-4C A1-A6 A8-AB
Philips Imaging DD 129|2001|00-09
Philips MR Imaging DD 001|2005|0D-0E
Philips PET Private Group|7053|00 09
Philips ST80i|0025|01
SIEMENS MR HEADER|0019|0C-0E 27
SIEMENS SYNGO ULTRA-SOUND TOYON DATA STREAMING|7FD1|01 09 10-11
SIEMENS Ultrasound SC2000|0119|00-09 10-13 21
SIEMENS Ultrasound SC2000|0129|00 02-09 10-12 20-22 29 30
SIEMENS Ultrasound SC2000|0139|01
SIEMENS Ultrasound SC2000|0149|01-03
SIEMENS Ultrasound SC2000|7FD1|01 09 10-11
"""


@cache
def _safe() -> dict[tuple[str, int], frozenset[int]]:
    found: dict[tuple[str, int], frozenset[int]] = {}
    for line in _SAFE.splitlines():
        creator, group, elements = line.split("|")
        offsets: set[int] = set()
        for part in elements.split():
            first, _, last = part.partition("-")
            offsets.update(range(int(first, 16), int(last or first, 16) + 1))
        block = creator, int(group, 16)
        found[block] = found.get(block, frozenset()) | offsets
    return found


def is_safe(creator: str, tag: int) -> bool:
    """Whether the private attribute `tag`, in a block of `creator`, is in the table."""
    return tag & 0xFF in _safe().get((creator.strip(), tag >> 16), ())


def declared_safe(data_set: Dataset) -> Callable[[str, int], bool]:
    """Whether the data set itself says that a private attribute of a creator does not identify (PS3.3 C.12.1.1.7)."""
    found: dict[tuple[str, int], list[int] | None] = {}
    for item in data_set.get("PrivateDataElementCharacteristicsSequence") or ():
        group, creator = item.get("PrivateGroupReference"), item.get("PrivateCreatorReference")
        status = item.get("BlockIdentifyingInformationStatus")
        if isinstance(group, int) and isinstance(creator, str):
            elements = item.get("NonidentifyingPrivateElements")
            listed = elements if isinstance(elements, list) else [elements]
            found[creator.strip(), group] = None if status == "SAFE" else [each for each in listed if each is not None]

    def is_declared(creator: str, tag: int) -> bool:
        elements = found.get((creator.strip(), tag >> 16), ())
        return elements is None or tag & 0xFF in elements

    return is_declared
