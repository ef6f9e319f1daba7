"""One data set, cleaned: `Cleaning` goes through its elements, and items of sequences to any depth."""

from __future__ import annotations

from collections.abc import Callable
from enum import Enum, auto
from typing import TYPE_CHECKING, Any, Final

from aiodicom.dataset import DataElement, Dataset, Sequence
from aiodicom.standard.dictionary import entry_for_tag, private_entry

from .actions import Action, Actions, Place, Rules, typed_sequences
from .dates import earlier
from .dummies import DATES, TEXTS, dummy
from .private import declared_safe, is_safe

if TYPE_CHECKING:
    from .identity import Identity
    from .mapping import Mapping

__all__ = ["Cleaning", "Manner", "Tables"]

_ACCESSION_NUMBER: Final = 0x00080050
_PATIENT_ID: Final = 0x00100020
_CODE_VALUES: Final = (0x00080100, 0x00080119, 0x00080120)
_CODING_SCHEME_DESIGNATOR: Final = 0x00080102
_TIMEZONE: Final = 0x00080201
_CONCEPT_NAME_CODE_SEQUENCE: Final = 0x0040A043
_GRAPHIC_DATA: Final = 0x00700022
#: of each group of overlays
_OVERLAY_TYPE: Final = 0x0040

#: Sequences of content items (PS3.15 E.3.4).
_OF_CONTENT_ITEMS: Final = frozenset((0x00400555, 0x00400612, 0x0040A730, 0x0040B020))

#: Bytes of which nobody knows what they say.
_BINARY: Final = frozenset(("OB", "OD", "OF", "OL", "OV", "OW", "UN"))

#: Elements of a curve that are sound (PS3.3 C.10.3, retired).
_AUDIO: Final = range(0x2000, 0x2600)

#: VRs of what may hold anything, also where it is kept.
_LOOKED_INTO: Final = frozenset((*TEXTS, "PN", "SQ", "UN"))

#: VRs of which no value names anybody, if it is one. Terms of CS may well be the name of a patient.
_CODES: Final = frozenset(("AE", "AS", "DS", "IS"))

_LONGEST_AE: Final = 16


#: In any sequence within which no types are known.
_ELSEWHERE: Final = Place(None, 0)


class Manner(Enum):
    """How what the table does not have is gone through."""

    #: words that identify are taken out of texts
    NORMAL = auto()
    #: so is what looks as if it could (PS3.15 E.3.5)
    CLEAN = auto()
    #: values become dummy values, the structure stays
    DUMMY = auto()


class Tables:
    """What the cleaning of all data sets shares: the rules, and the actions in each place."""

    def __init__(self, rules: Rules, mapping: Mapping, content: dict[tuple[str, str], Action]) -> None:
        self.rules = rules
        self.options = rules.options
        self.mapping = mapping
        self.content = content
        self._typed = typed_sequences()
        self._actions: dict[Place, Actions] = {}

    def actions(self, place: Place) -> Actions:
        """The actions in a place."""
        if place.sequence and place.sequence not in self._typed:
            place = _ELSEWHERE
        found = self._actions.get(place)
        if found is None:
            found = self._actions.setdefault(place, Actions(self.rules, place))
        return found


class Cleaning:
    """Cleans one data set, which itself stays as it is."""

    def __init__(self, tables: Tables, identity: Identity) -> None:
        self._tables = tables
        self._options = tables.options
        self._identity = identity
        self._days = tables.mapping.days(identity.patient, tables.options.max_shift_days)
        #: by action; None where it depends on what else the data set has
        self._perform: tuple[Callable[[DataElement, Manner], DataElement | None], ...] = (
            self._keep,
            self._remove,
            self._empty,
            self._dummy,
            self._uid,
            self._clean,
            self._text,
            self._pseudonym,
            self._remove,
            self._remove,
        )

    def changes(self, source: Dataset, place: Place, manner: Manner = Manner.NORMAL) -> dict[int, DataElement | None]:
        """What is to be changed in a data set or an item: elements by tag, None for those that go."""
        # Local names and identity: this loop is most of what a data set costs.
        keep, others, is_private, is_graphic = Action.KEEP, Action.TEXT, Action.PRIVATE, Action.GRAPHICS
        is_dummy = manner is Manner.DUMMY
        actions = self._tables.actions(place)
        changes: dict[int, DataElement | None] = {}
        private: list[DataElement] = []
        graphics: list[DataElement] = []
        texts: list[DataElement] = []
        codes: list[DataElement] = []
        looks_through = manner is Manner.NORMAL
        retains_private = self._options.retain_safe_private
        for element in source:
            tag = element.tag
            action = actions[tag]
            if action is is_private:
                changes[tag] = None
                if retains_private:
                    private.append(element)
            elif action is is_graphic:
                changes[tag] = None
                graphics.append(element)
            elif action is others and looks_through and element.vr in TEXTS:
                texts.append(element)
            elif is_dummy and (action is keep or action is others):
                self._note(changes, element, self._instead(element))
            elif action is not keep or (vr := element.vr) in _LOOKED_INTO:
                self._note(changes, element, self._perform[action](element, manner))
            elif vr in _CODES:
                codes.append(element)
        # Mostly no text has any of the words: all are looked through at once.
        if texts and self._identity.occurs_in("\n".join([element.text or "" for element in texts])):
            for element in texts:
                self._note(changes, element, self._text(element, manner))
        if codes and self._identity.is_named_in(str(b"\n".join([element.raw for element in codes]), "latin-1")):
            for element in codes:
                if self._identity.is_named_in(str(element.raw, "latin-1")):
                    changes[element.tag] = DataElement(element.tag, element.vr, dummy(element.vr))
        if private:
            self._retain_private(source, private, changes)
        if graphics and self._options.clean_graphics:
            self._retain_graphics(source, graphics, changes)
        return changes

    @staticmethod
    def _note(changes: dict[int, DataElement | None], element: DataElement, made: DataElement | None) -> None:
        """Has an element be what was made of it."""
        if made is not element:
            changes[element.tag] = made
        else:
            changes.pop(element.tag, None)

    # --- sequences --------------------------------------------------------------------------------------------------

    def _items(self, element: DataElement, manner_of: Callable[[Dataset], Manner | None]) -> DataElement | None:
        """The sequence with its items gone through; those of which the manner is None are left out."""
        if element.vr != "SQ":  # bytes where items should be: nobody knows what is in them
            return None if not element.is_empty else element
        items = element.value
        made: list[Dataset] = []
        is_same = True
        place = Place(None, element.tag)
        for item in items:
            manner = manner_of(item)
            if manner is Manner.CLEAN and _is_code(item):  # whose numbers say nothing about anybody
                manner = Manner.NORMAL
            if manner is None:
                is_same = False
                continue
            changes = self.changes(item, place, manner)
            if changes:
                is_same = False
                item = item.copy()
                item._apply(changes)
            made.append(item)
        if is_same:
            return element
        sequence = Sequence(made)
        sequence.is_undefined_length = items.is_undefined_length
        return DataElement(element.tag, "SQ", sequence)

    def _content_items(self, element: DataElement) -> DataElement | None:
        """Content items by their concepts: PS3.15 table E.3.4-1."""

        def manner_of(item: Dataset) -> Manner | None:
            action = self._tables.content.get(_concept_of(item), Action.CLEAN)
            if action is Action.REMOVE:
                return None
            return {Action.DUMMY: Manner.DUMMY, Action.KEEP: Manner.NORMAL}.get(action, Manner.CLEAN)

        return self._items(element, manner_of)

    # --- the actions ------------------------------------------------------------------------------------------------

    def _keep(self, element: DataElement, manner: Manner) -> DataElement | None:
        if element.vr == "SQ" or _is_sequence(element.tag):
            return self._items(element, lambda _: manner)
        # A text where the dictionary has none.
        return self._text(element, manner) if self._tables.rules.code(element.tag) is None else element

    def _remove(self, _element: DataElement, _manner: Manner) -> DataElement | None:
        return None

    def _empty(self, element: DataElement, _manner: Manner) -> DataElement | None:
        return element if element.is_empty else DataElement(element.tag, _vr_of(element), None)

    def _dummy(self, element: DataElement, _manner: Manner) -> DataElement | None:
        vr = _vr_of(element)
        if vr == "SQ":
            return self._items(element, lambda _: Manner.DUMMY)
        if vr == "UI":
            return self._uid(element, Manner.DUMMY)
        return DataElement(element.tag, vr, dummy(vr))

    def _uid(self, element: DataElement, manner: Manner) -> DataElement | None:
        if element.vr == "SQ":
            return self._items(element, lambda _: manner)
        if _vr_of(element) != "UI":
            return None
        return self._with_values(element, "UI", self._tables.mapping.uid)

    def _pseudonym(self, element: DataElement, _manner: Manner) -> DataElement | None:
        value = element.text if element.vr != "PN" else str(element.value or "")
        if not value or not value.strip(" \0"):
            return self._empty(element, Manner.NORMAL)
        tag, vr = element.tag, _vr_of(element)
        pseudonym = self._tables.mapping.pseudonym
        if tag == _ACCESSION_NUMBER:
            return DataElement(tag, vr, pseudonym("accession", value.strip(), 16))
        patient = value.strip() if tag == _PATIENT_ID else self._identity.patient
        return DataElement(tag, vr, f"ANON-{pseudonym('patient', patient, 12)}")

    def _text(self, element: DataElement, manner: Manner) -> DataElement | None:
        vr = element.vr
        if vr == "SQ":
            return self._items(element, lambda _: manner)
        if vr == "UN" or vr not in TEXTS:
            return self._bytes(element)
        if manner is Manner.CLEAN:
            return self._with_values(element, vr, self._identity.cleaned)
        text = element.text
        if not text or not self._identity.occurs_in(text):
            return element
        return self._with_values(element, vr, self._identity.without)

    def _clean(self, element: DataElement, _manner: Manner) -> DataElement | None:
        """What action C means for a VR: similar, and known to say nothing."""
        tag, vr = element.tag, _vr_of(element)
        if vr == "SQ":
            if tag in _OF_CONTENT_ITEMS:
                return self._content_items(element)
            return self._items(element, lambda _: Manner.CLEAN)
        if tag == _TIMEZONE or vr == "TM":  # days are moved by, not times of day
            return element
        if vr in ("DA", "DT"):
            return self._with_values(element, vr, lambda value: earlier(value, vr, self._days))
        if vr == "AE":
            name = self._tables.mapping.pseudonym
            return self._with_values(element, vr, lambda value: f"AE{name('ae', value.strip(), _LONGEST_AE - 2)}")
        if vr in TEXTS and element.vr == vr:
            return self._with_values(element, vr, self._identity.cleaned)
        return self._dummy(element, Manner.NORMAL)

    def _with_values(self, element: DataElement, vr: str, change: Callable[[str], str]) -> DataElement | None:
        """The element with each of its values changed, or itself where none is."""
        value = element.value
        if value is None or value == "":
            return element
        if isinstance(value, bytes):  # of an element whose VR was unknown to whoever wrote it
            value = value.decode("ascii", "replace").rstrip(" \0")
        if isinstance(value, list):
            made: Any = [change(str(each)) if each else each for each in value]
            return element if made == value else DataElement(element.tag, vr, made)
        text = str(value)
        made = change(text)
        return element if made == text else DataElement(element.tag, vr, made)

    def _bytes(self, element: DataElement) -> DataElement | None:
        """A value that nobody can read, unless what identifies is in it."""
        return None if self._identity.occurs_in_bytes(bytes(element.raw)) else element

    def _instead(self, element: DataElement) -> DataElement | None:
        """A dummy for what the table does not have, where the whole sequence is to say nothing."""
        tag, vr = element.tag, element.vr
        if vr == "SQ" or _is_sequence(tag):
            return self._items(element, lambda item: Manner.NORMAL if _is_code(item) else Manner.DUMMY)
        if self._tables.rules.code(tag) == "K" or element.is_empty:
            return element
        if tag == _GRAPHIC_DATA:
            return DataElement(tag, vr, [0.0] * len(element.values))
        if vr in TEXTS or vr in _BINARY or vr in ("AE", "AS"):
            return DataElement(tag, _vr_of(element), dummy(_vr_of(element)))
        return element

    # --- private attributes, overlays and curves --------------------------------------------------------------------

    def _retain_private(
        self, source: Dataset, elements: list[DataElement], changes: dict[int, DataElement | None]
    ) -> None:
        """Takes safe private elements out of what is removed, with the creators of their blocks (PS3.15 E.3.10)."""
        is_declared = declared_safe(source)
        creators: dict[int, object] = {}
        for element in elements:
            tag = element.tag
            if tag & 0xFFFF < 0x1000:
                continue
            creator_tag = (tag & 0xFFFF0000) | (tag >> 8 & 0xFF)
            if creator_tag not in creators:
                creators[creator_tag] = source._value(creator_tag, None)
            creator = creators[creator_tag]
            if not isinstance(creator, str) or not (is_safe(creator, tag) or is_declared(creator, tag)):
                continue
            made = self._safe(element, creator)
            if made is not None:
                self._note(changes, element, made)
                changes.pop(creator_tag, None)

    def _safe(self, element: DataElement, creator: str) -> DataElement | None:
        vr = element.vr
        if vr == "UN":
            entry = private_entry(element.tag, creator)
            if entry is not None and entry.vr == "SQ":
                return None
        if vr == "SQ":
            return self._items(element, lambda _: Manner.NORMAL)
        if vr == "UI":
            return element if self._options.retain_uids else self._uid(element, Manner.NORMAL)
        if vr == "PN":
            return self._empty(element, Manner.NORMAL)
        if vr in DATES:
            if self._options.retain_longitudinal_full_dates:
                return element
            is_modified = self._options.retain_longitudinal_modified_dates
            return self._clean(element, Manner.NORMAL) if is_modified else None
        if vr in TEXTS:
            return self._text(element, Manner.NORMAL)
        return self._bytes(element) if vr in _BINARY and not element.deferred else element

    def _retain_graphics(
        self, source: Dataset, elements: list[DataElement], changes: dict[int, DataElement | None]
    ) -> None:
        """Takes out of what is removed, of overlays and curves: regions of interest and numbers (PS3.15 E.3.3).

        What an overlay of graphics draws nobody can tell, so that it goes, and so does sound.
        """
        for element in elements:
            tag, vr = element.tag, element.vr
            if tag >> 24 == 0x60 and source._value((tag & 0xFFFF0000) | _OVERLAY_TYPE, None) != "R":
                continue
            if tag >> 24 == 0x50 and tag & 0xFFFF in _AUDIO:
                continue
            made: DataElement | None = element
            if vr == "SQ" or vr == "UN" or vr in TEXTS:
                made = self._text(element, Manner.CLEAN)
            if made is not None:
                self._note(changes, element, made)


def _vr_of(element: DataElement) -> str:
    """The VR of an element; the dictionary's where whoever wrote it did not know."""
    vr = element.vr
    if vr == "UN":
        entry = entry_for_tag(element.tag)
        if entry is not None and len(entry.vr) == 2:
            return entry.vr
    return vr


def _is_sequence(tag: int) -> bool:
    entry = entry_for_tag(tag)
    return entry is not None and entry.vr == "SQ"


def _is_code(item: Dataset) -> bool:
    """Whether an item is a code (PS3.3 table 8.8-1)."""
    return any(tag in item for tag in _CODE_VALUES)


def _concept_of(item: Dataset) -> tuple[str, str]:
    """Scheme and code of a content item's concept name."""
    names = item._value(_CONCEPT_NAME_CODE_SEQUENCE, None)
    if not isinstance(names, Sequence) or not len(names):
        return "", ""
    name = names[0]
    code = next((name._value(tag, None) for tag in _CODE_VALUES if tag in name), None)
    return str(name._value(_CODING_SCHEME_DESIGNATOR, None) or ""), str(code or "")
