"""`Deidentifier`: data sets without what identifies the patient (PS3.15 annex E)."""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING, Any, Final

from aiodicom.dataset import Dataset, Sequence
from aiodicom.dataset.interop import ours
from aiodicom.errors import LocalError
from aiodicom.standard.uids import EXPLICIT_VR_LITTLE_ENDIAN

from .actions import Place, Rules, content_rules, iod_of
from .cleaning import Cleaning, Tables
from .identity import Identity, identifiers_of
from .mapping import Mapping
from .options import Options
from .pixels import Pixels

if TYPE_CHECKING:
    from pydicom.dataset import Dataset as PydicomDataset

    from .regions import DeviceRules

__all__ = ["Deidentifier"]

_SOP_CLASS_UID: Final = 0x00080016
_DIRECTORY_RECORD_SEQUENCE: Final = 0x00041220

#: What file meta information says of the object, and not of who sent it (PS3.10 table 7.1-1).
_KEPT_OF_META: Final = frozenset((0x00020000, 0x00020001, 0x00020002, 0x00020010, 0x00020012, 0x00020013))
_MEDIA_STORAGE_SOP_INSTANCE_UID: Final = 0x00020003

#: Patients that are remembered.
_REMEMBERED: Final = 256


class Deidentifier:
    """Applies the Basic Application Level Confidentiality Profile, with options (PS3.15 E.2, E.3), to data sets.

    UIDs, pseudonyms and dates follow from `key` alone: with the same key, at any time and on any node, the same
    original gets the same replacement, so that studies stay together and references lead where they led. Without the
    key nobody repeats or undoes them; who has it and a list of identifiers can. Does no input or output and has no
    clock; may be shared by threads.
    """

    def __init__(self, options: Options | None = None, *, key: bytes, devices: DeviceRules | None = None) -> None:
        """`key` has at least 16 random bytes (`aiodicom.deidentify.new_key`); `devices` are the rules that the Clean
        Pixel Data and Clean Recognizable Visual Features Options blank pixels by.

        Raises `aiodicom.errors.LocalError`.
        """
        self.options = options or Options()
        mapping = Mapping(key)
        self._mapping = mapping
        self._tables = Tables(Rules(self.options), mapping, content_rules(self.options))
        self._pixels = Pixels(self.options, devices)
        self._identities = lru_cache(_REMEMBERED)(lambda *identifiers: Identity(identifiers[0], identifiers[1:]))

    def apply(self, data_set: Dataset | PydicomDataset | Any) -> Dataset:
        """The data set without what identifies the patient, with a record of how that was done (PS3.15 E.1.1).

        `data_set`, ours or pydicom's, stays as it is. What need not change is neither decoded nor encoded anew; pixel
        data are where a rule blanks some of them.

        Raises `aiodicom.errors.LocalError` for what cannot be de-identified, such as burned in annotation that no rule
        blanks, and says why; `aiodicom.errors.DecodeError` for what is broken, `aiodicom.errors.PixelDataError` where
        that is a frame, `aiodicom.errors.CodecMissing` for frames that have to be blanked and nothing decodes.
        """
        source = ours(data_set)
        if source.truncated is not None:
            raise source.truncated
        if _DIRECTORY_RECORD_SEQUENCE in source:
            raise LocalError("a DICOMDIR names files and patients: make one of the de-identified files in its place")
        cleaned = self._pixels.clean(source)
        identity = self._identities(*identifiers_of(source))
        place = Place(iod_of(source._value(_SOP_CLASS_UID, None)), 0)
        changes = Cleaning(self._tables, identity).changes(cleaned.data_set, place)
        result = cleaned.data_set.copy()
        result._apply(changes)
        self._record(result, cleaned.claims, cleaned.is_removed)
        result.file_meta = self._meta(source)
        result.preamble = bytes(128) if source.preamble else source.preamble
        return result

    def uid(self, uid: str) -> str:
        """The UID that stands for another one in what is de-identified: for messages about instances."""
        return uid if self.options.retain_uids else self._mapping.uid(uid)

    def _record(self, result: Dataset, claims: frozenset[str], is_removed: bool) -> None:
        """Has the data set say what was done to it (PS3.3 C.7.1.1, PS3.16 CID 7050)."""
        for element in _recorded(self.options, claims, is_removed):
            result._put(element.__copy__())

    def _meta(self, source: Dataset) -> Dataset | None:
        """File meta information without senders, receivers and private information."""
        given = source.file_meta
        if given is None:
            return None
        meta = given.copy()
        for element in given:
            if element.tag == _MEDIA_STORAGE_SOP_INSTANCE_UID:
                meta.MediaStorageSOPInstanceUID = self.uid(str(element.value or ""))
            elif element.tag not in _KEPT_OF_META:
                del meta[element.tag]
        return meta


@lru_cache(64)
def _encoded_record(options: Options, claims: frozenset[str], is_removed: bool) -> bytes:
    """What is recorded, encoded."""
    unclaimed = {"clean_pixel_data", "clean_recognizable_visual_features"} - claims
    methods = options.methods(without=unclaimed)
    codes = [Dataset(CodeValue=code, CodingSchemeDesignator="DCM", CodeMeaning=name) for code, name in methods]
    modified = "REMOVED"
    if options.retain_longitudinal_full_dates:
        modified = "UNMODIFIED"
    elif options.retain_longitudinal_modified_dates:
        modified = "MODIFIED"
    return Dataset(
        PatientIdentityRemoved="YES" if is_removed else "NO",
        DeidentificationMethod=[name for _, name in methods],
        DeidentificationMethodCodeSequence=Sequence(codes),
        LongitudinalTemporalInformationModified=modified,
    ).to_bytes(EXPLICIT_VR_LITTLE_ENDIAN)


def _recorded(options: Options, claims: frozenset[str], is_removed: bool) -> Dataset:
    return Dataset.from_bytes(_encoded_record(options, claims, is_removed))
