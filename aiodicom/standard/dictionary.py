"""The data dictionary: attributes of PS3.6 (and PS3.7 E, PS3.10 7.1) by tag, keyword and name; private ones by creator.

Tags are integers, ``0xGGGGEEEE``. Nothing is read until the first look-up, and an `Entry` is made when it is asked for.
"""

from __future__ import annotations

from array import array
from collections.abc import Collection
from functools import cache, lru_cache
from typing import NamedTuple

__all__ = [
    "AMBIGUOUS_VRS",
    "Entry",
    "entry_for_keyword",
    "entry_for_tag",
    "keyword_for_tag",
    "keywords",
    "name_for_tag",
    "private_entry",
    "similar_keyword",
    "tag_for_keyword",
    "tag_for_name",
    "vr_table",
]

#: Codes in the tables for what PS3.6 leaves to the data set (PS3.5 A.1).
AMBIGUOUS_VRS = {"ob": "OB or OW", "us": "US or SS", "uo": "US or OW", "uz": "US or SS or OW", "--": "NONE"}


class Entry(NamedTuple):
    """An attribute.

    ``vr`` is as PS3.6 has it: two letters, or a choice such as ``"US or SS"``; ``"NONE"`` for items and delimiters.
    ``keyword`` is empty for private attributes and for some retired ones that lost theirs.
    """

    tag: int
    vr: str
    vm: str
    name: str
    keyword: str
    retired: bool


def _entry(tag: int, line: str) -> Entry:
    vm, _, rest = line[11:].partition(" ")
    keyword, _, name = rest.partition(" ")
    vr = line[8:10]
    return Entry(tag, AMBIGUOUS_VRS.get(vr, vr), vm, name, "" if keyword == "-" else keyword, line[10] == "r")


@cache
def _lines() -> dict[int, str]:
    from ._dictionary import ATTRIBUTES

    return {int(line[:8], 16): line for line in ATTRIBUTES.splitlines()}


@cache
def _repeating() -> list[tuple[int, dict[int, str]]]:
    """Masks with what each leaves of a tag; the mask with most digits first, for a tag may fit two."""
    from ._dictionary import REPEATING

    masks: dict[int, dict[int, str]] = {}
    for line in REPEATING.splitlines():
        mask = int("".join("0" if digit == "x" else "F" for digit in line[:8]), 16)
        masks.setdefault(mask, {})[int(line[:8].replace("x", "0"), 16)] = line
    return sorted(masks.items(), key=lambda item: -item[0].bit_count())


@cache
def _tags_by_keyword() -> dict[str, int]:
    tags = {line.split(" ", 2)[1]: base for _, lines in _repeating() for base, line in lines.items()}
    tags.update({line.split(" ", 2)[1]: tag for tag, line in _lines().items()})
    del tags["-"]
    return tags


@cache
def _tags_by_name() -> dict[str, int]:
    tags = {line.partition(" ")[2].partition(" ")[2]: base for _, lines in _repeating() for base, line in lines.items()}
    # A retired attribute sometimes shares its name with the one that took its place, which wins.
    for tag, line in sorted(_lines().items(), key=lambda item: item[1][10] == "-"):
        tags[line.partition(" ")[2].partition(" ")[2]] = tag
    tags.pop("", None)
    return tags


@lru_cache(maxsize=4096)
def entry_for_tag(tag: int) -> Entry | None:
    """The attribute of `tag`, or None.

    Repeating groups (PS3.5 7.6), group lengths (PS3.5 7.2) and private creators (PS3.5 7.8.1) have entries too; for the
    attributes of a private block ask `private_entry`.
    """
    line = _lines().get(tag)
    if line is not None:
        return _entry(tag, line)
    if not tag & 0xFFFF:
        return Entry(tag, "UL", "1", "Generic Group Length", "GenericGroupLength", True)
    if tag & 0x10000:
        if 0x10 <= tag & 0xFFFF <= 0xFF:
            return Entry(tag, "LO", "1", "Private Creator", "PrivateCreator", False)
        return None
    for mask, lines in _repeating():
        line = lines.get(tag & mask)
        if line is not None:
            return _entry(tag, line)
    return None


def entry_for_keyword(keyword: str) -> Entry | None:
    """The attribute of `keyword`, or None."""
    tag = _tags_by_keyword().get(keyword)
    return None if tag is None else entry_for_tag(tag)


def tag_for_keyword(keyword: str) -> int | None:
    """The tag of `keyword`, or None; of a repeating group its first tag (``OverlayRows`` is 0x60000010)."""
    return _tags_by_keyword().get(keyword)


def tag_for_name(name: str) -> int | None:
    """The tag of the attribute with that name in PS3.6 (``"Patient's Name"``), or None."""
    return _tags_by_name().get(name)


def keywords() -> Collection[str]:
    """Every keyword."""
    return _tags_by_keyword().keys()


@cache
def _folded_keywords() -> dict[str, str]:
    return {keyword.lower(): keyword for keyword in keywords()}


def similar_keyword(text: str) -> str | None:
    """The keyword that whoever wrote `text` most likely meant, or None."""
    folded = _folded_keywords()
    known = folded.get(text.lower())
    if known is None:
        from difflib import get_close_matches

        close = get_close_matches(text.lower(), folded, 1, 0.8)
        known = folded[close[0]] if close else None
    return known


def keyword_for_tag(tag: int) -> str:
    """The keyword of `tag`, or an empty string."""
    entry = entry_for_tag(tag)
    return "" if entry is None else entry.keyword


def name_for_tag(tag: int) -> str:
    """The name of `tag` in PS3.6, or an empty string."""
    entry = entry_for_tag(tag)
    return "" if entry is None else entry.name


@cache
def _private_lines(creator: str) -> dict[str, str]:
    from ._private import CREATORS

    return {line[:8]: line for line in CREATORS[creator].splitlines()}


def private_entry(tag: int, creator: str) -> Entry | None:
    """The attribute that the implementor called `creator` has at `tag`, or None where the dictionary lacks it.

    Blocks move (PS3.5 7.8.1): the block number of `tag` matters only where the implementor has two blocks that differ.
    """
    from ._private import CREATORS

    if creator not in CREATORS or not tag & 0x10000:
        return None
    lines = _private_lines(creator)
    digits = f"{tag:08X}"
    group, block, element = digits[:4], digits[4:6], digits[6:]
    for key in (
        digits,
        f"{group}xx{element}",
        f"{digits[:2]}xxxx{element}",
        f"{group}10{element}",
        f"{group}00{element}",
        f"{group}{block}xx",
    ):
        line = lines.get(key)
        if line is not None:
            vm, _, name = line[11:].partition(" ")
            vr = line[8:10]
            return Entry(tag, AMBIGUOUS_VRS.get(vr, vr), vm, name, "", False)
    return None


def vr_table() -> tuple[array[int], bytes]:
    """Every tag of the dictionary (but repeating groups) in ascending order, and the VRs in that order.

    The VRs are two letters each, end to end; small letters are the codes of `AMBIGUOUS_VRS`. This is the form that
    compiled code searches; the array is of unsigned 32-bit integers.
    """
    lines = _lines()
    return array("I", lines), "".join([line[8:10] for line in lines.values()]).encode("ascii")
