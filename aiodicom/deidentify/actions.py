"""What is done with each attribute: PS3.15 table E.1-1, with the options, the IOD, and the place in the data set."""

from __future__ import annotations

from enum import IntEnum
from functools import cache
from typing import TYPE_CHECKING, Final, NamedTuple

from aiodicom.standard.dictionary import entry_for_tag

from .dummies import DATES, TEXTS

if TYPE_CHECKING:
    from .options import Options

__all__ = ["Action", "Actions", "Place", "Rules", "content_rules", "iod_of", "typed_sequences"]


class Action(IntEnum):
    """An action (PS3.15 table E.1-1a), one for each attribute when the alternatives have been decided.

    Sequences that are not removed or emptied are gone through item by item.
    """

    KEEP = 0
    REMOVE = 1
    EMPTY = 2
    DUMMY = 3
    UID = 4
    CLEAN = 5
    #: of what the table does not have: words that identify are taken out of texts
    TEXT = 6
    PSEUDONYM = 7
    PRIVATE = 8
    #: overlays and curves, of which a group is all or nothing
    GRAPHICS = 9


class Place(NamedTuple):
    """Where attributes stand: number of the IOD, None where unknown; the sequence, 0 for the data set itself."""

    iod: int | None
    sequence: int


#: Their values are pseudonyms where they would be empty or dummies.
_PSEUDONYMOUS: Final = frozenset((0x00080050, 0x00100010, 0x00100020))

#: Encrypted Attributes Sequence: what was de-identified before, for those who have another key than ours.
_ENCRYPTED_ATTRIBUTES: Final = 0x04000500

#: Coding Scheme Designator, without which a code is none.
_CODING_SCHEME_DESIGNATOR: Final = 0x00080102

#: Words in the keywords of UIDs that name kinds of things.
_KINDS: Final = ("SOPClass", "TransferSyntax", "CodingScheme", "Context", "MappingResource", "PrivateRecord", "Version")

#: Tags that are remembered in a place: more than objects have, fewer than somebody could make up.
_REMEMBERED: Final = 2048


@cache
def _profile() -> dict[str, tuple[str, dict[str, str]]]:
    """Codes of the profile by tag in hexadecimal digits: the Basic Profile's, and those of options."""
    from ._profile import OPTIONS, PROFILE

    found = {}
    for line in PROFILE.splitlines():
        tag, basic, options = line.split()
        found[tag] = basic, _optional(options, OPTIONS)
    return found


def _optional(letters: str, options: dict[str, str]) -> dict[str, str]:
    return {} if letters == "-" else {options[letters[at]]: letters[at + 1] for at in range(0, len(letters), 2)}


@cache
def _iods() -> dict[str, int]:
    from ._types import SOP_CLASSES

    return {uid: int(number) for uid, number in map(str.split, SOP_CLASSES.splitlines())}


@cache
def _outer_types() -> dict[int, list[tuple[str, int]]]:
    from ._types import OUTER

    found: dict[int, list[tuple[str, int]]] = {}
    for tag, kind, iods in map(str.split, OUTER.splitlines()):
        found.setdefault(int(tag, 16), []).append((kind, int(iods, 16)))
    return found


@cache
def _inner_types() -> dict[tuple[int, int], str]:
    from ._types import INNER

    return {(int(sequence, 16), int(tag, 16)): kind for sequence, tag, kind in map(str.split, INNER.splitlines())}


@cache
def typed_sequences() -> frozenset[int]:
    """Sequences within which types are known; places in all others are alike."""
    return frozenset(sequence for sequence, _ in _inner_types())


def iod_of(sop_class_uid: object) -> int | None:
    """The number of an IOD, or None for those that are not known."""
    return _iods().get(sop_class_uid) if isinstance(sop_class_uid, str) else None


def _type_of(tag: int, place: Place) -> str | None:
    """The type of an attribute (PS3.5 7.4), or None where that is not known."""
    if place.sequence:
        return _inner_types().get((place.sequence, tag))
    if place.iod is None:
        return None
    return next((kind for kind, iods in _outer_types().get(tag, ()) if iods >> place.iod & 1), "3")


def _chosen(basic: str, options: dict[str, str], on: Options) -> str:
    """The code that counts: cleaning goes before keeping, and both before the Basic Profile."""
    codes = {code for option, code in options.items() if on.is_on(option)}
    return "C" if "C" in codes else "K" if "K" in codes else basic


def _decided(code: str, kind: str | None) -> Action:
    """One of the alternatives of a code, by the attribute's type: what keeps the object valid says least."""
    codes = code.split("/")
    if codes[-1] == "U*":  # replaced UIDs are as safe as none, and references stay
        return Action.UID
    strictest = {"Z": Action.EMPTY, "D": Action.DUMMY, "X": Action.REMOVE}[codes[-1]]
    if kind is None:
        return strictest
    if codes == ["X"]:  # also where the IOD demands it
        return {"1": Action.DUMMY, "2": Action.EMPTY}.get(kind, Action.REMOVE)
    if kind.startswith("1"):
        return Action.DUMMY
    if kind.startswith("2"):
        return Action.EMPTY if "Z" in codes else Action.DUMMY
    return Action.REMOVE if "X" in codes else Action.EMPTY if "Z" in codes else Action.DUMMY


class Actions(dict[int, Action]):
    """The action for each tag in one place. Filled as tags are asked for."""

    def __init__(self, rules: Rules, place: Place) -> None:
        super().__init__()
        self._rules = rules
        self._place = place

    def __missing__(self, tag: int) -> Action:
        action = self._rules.action(tag, self._place)
        if len(self) < _REMEMBERED:
            self[tag] = action
        return action


class Rules:
    """The profile with the options that are on."""

    def __init__(self, options: Options) -> None:
        self.options = options
        #: the code that counts for each attribute of the table, but for groups 50xx and 60xx
        self._codes = {
            int(tag, 16): _chosen(basic, optional, options)
            for tag, (basic, optional) in _profile().items()
            if "x" not in tag
        }
        dates = {"retain_longitudinal_full_dates": "K", "retain_longitudinal_modified_dates": "C"}
        self._dates = _chosen("Z", dates, options)

    def code(self, tag: int) -> str | None:
        """The code of an attribute that the table has."""
        return self._codes.get(tag)

    def action(self, tag: int, place: Place) -> Action:
        """What is done with an attribute in a place. What nobody knows is removed."""
        group = tag >> 16
        if group & 1:
            return Action.PRIVATE
        if not tag & 0xFFFF or group in (0x0000, 0x0002) or tag == _ENCRYPTED_ATTRIBUTES:
            return Action.REMOVE  # group lengths too, which would be wrong, and are retired (PS3.5 7.2)
        if group >> 8 in (0x50, 0x60):
            return Action.GRAPHICS
        code = self._codes.get(tag)
        if code is None:
            return self._of_others(tag)
        if code in "KC":
            return Action.KEEP if code == "K" else Action.CLEAN
        if code == "U":
            return Action.UID
        action = _decided(code, _type_of(tag, place))
        if tag in _PSEUDONYMOUS and self.options.pseudonyms and action is not Action.REMOVE:
            return Action.PSEUDONYM
        return action

    def _of_others(self, tag: int) -> Action:
        """What is done with an attribute that the table does not have, as with those like it that it has."""
        entry = entry_for_tag(tag)
        if entry is None:
            return Action.REMOVE
        if entry.vr in TEXTS:
            return Action.KEEP if tag == _CODING_SCHEME_DESIGNATOR else Action.TEXT
        if entry.vr == "PN":
            return Action.EMPTY
        if entry.vr in DATES:
            return {"K": Action.KEEP, "C": Action.CLEAN}.get(self._dates, Action.EMPTY)
        if entry.vr == "UI" and not self.options.retain_uids and not any(kind in entry.keyword for kind in _KINDS):
            return Action.UID
        return Action.KEEP


def content_rules(options: Options) -> dict[tuple[str, str], Action]:
    """What is done with content items of a concept, by scheme and code (PS3.15 table E.3.4-1)."""
    from ._content_items import CONTENT_ITEMS
    from ._profile import OPTIONS

    actions = {"X": Action.REMOVE, "D": Action.DUMMY, "X/D": Action.DUMMY, "K": Action.KEEP, "C": Action.CLEAN}
    found = {}
    for line in CONTENT_ITEMS.splitlines():
        scheme, code, basic, letters, _ = line.split("\t")
        found[scheme, code] = actions[_chosen(basic, _optional(letters, OPTIONS), options)]
    return found
