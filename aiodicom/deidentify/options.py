"""What is asked of de-identification: the options of PS3.15 E.3, and the codes that record them."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, fields
from typing import Final, Literal

from aiodicom.errors import LocalError

__all__ = ["CLEANED", "RETAINED", "Options"]

#: Short names, as on the command line, with the field of `Options` that each sets.
RETAINED: Final = {
    "safe-private": "retain_safe_private",
    "uids": "retain_uids",
    "device": "retain_device_identity",
    "institution": "retain_institution_identity",
    "patient": "retain_patient_characteristics",
    "dates": "retain_longitudinal_full_dates",
    "modified-dates": "retain_longitudinal_modified_dates",
}
CLEANED: Final = {
    "descriptors": "clean_descriptors",
    "structured-content": "clean_structured_content",
    "graphics": "clean_graphics",
    "pixels": "clean_pixel_data",
    "visual-features": "clean_recognizable_visual_features",
}

#: Codes of CID 7050 (PS3.16) by option; the Basic Profile is 113100.
_METHODS: Final = {
    "clean_pixel_data": ("113101", "Clean Pixel Data Option"),
    "clean_recognizable_visual_features": ("113102", "Clean Recognizable Visual Features Option"),
    "clean_graphics": ("113103", "Clean Graphics Option"),
    "clean_structured_content": ("113104", "Clean Structured Content Option"),
    "clean_descriptors": ("113105", "Clean Descriptors Option"),
    "retain_longitudinal_full_dates": ("113106", "Retain Longitudinal Temporal Information Full Dates Option"),
    "retain_longitudinal_modified_dates": ("113107", "Retain Longitudinal Temporal Information Modified Dates Option"),
    "retain_patient_characteristics": ("113108", "Retain Patient Characteristics Option"),
    "retain_device_identity": ("113109", "Retain Device Identity Option"),
    "retain_uids": ("113110", "Retain UIDs Option"),
    "retain_safe_private": ("113111", "Retain Safe Private Option"),
    "retain_institution_identity": ("113112", "Retain Institution Identity Option"),
}
_BASIC_PROFILE: Final = ("113100", "Basic Application Confidentiality Profile")


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """The options of the Basic Application Level Confidentiality Profile (PS3.15 E.3) that are on, and its variants.

    `pseudonyms` gives Patient's Name, Patient ID and Accession Number values that follow from the key, so that
    patients stay apart and together; without it they are empty, or dummy values that all patients share. Dates are
    modified by whole days, up to `max_shift_days` back, the same for all of a patient. What has burned in annotation is
    refused, unless Clean Pixel Data cleans it or `burned_in` is "keep", which is recorded as identity not removed.

    Raises `aiodicom.errors.LocalError` for options that exclude each other.
    """

    retain_safe_private: bool = False
    retain_uids: bool = False
    retain_device_identity: bool = False
    retain_institution_identity: bool = False
    retain_patient_characteristics: bool = False
    retain_longitudinal_full_dates: bool = False
    retain_longitudinal_modified_dates: bool = False
    clean_descriptors: bool = False
    clean_structured_content: bool = False
    clean_graphics: bool = False
    clean_pixel_data: bool = False
    clean_recognizable_visual_features: bool = False
    pseudonyms: bool = True
    max_shift_days: int = 3652
    burned_in: Literal["refuse", "keep"] = "refuse"

    def __post_init__(self) -> None:
        if self.retain_longitudinal_full_dates and self.retain_longitudinal_modified_dates:
            raise LocalError("dates are retained as they are or modified, not both (PS3.15 E.3.6): leave one out")
        if not 1 <= self.max_shift_days <= 36525:
            raise LocalError(f"max_shift_days is from 1 to 36525, not {self.max_shift_days}")

    @classmethod
    def named(cls, retain: Iterable[str] = (), clean: Iterable[str] = (), **others: object) -> Options:
        """The options of those short names (`RETAINED`, `CLEANED`). Raises LocalError for what is none."""
        chosen: dict[str, object] = dict(others)
        for names, known, verb in ((retain, RETAINED, "retain"), (clean, CLEANED, "clean")):
            for name in names:
                if name not in known:
                    raise LocalError(f"nothing to {verb} is called {name!r}: {', '.join(known)}")
                chosen[known[name]] = True
        return cls(**chosen)  # type: ignore[arg-type]

    def is_on(self, option: str) -> bool:
        """Whether the option of that field's name is on."""
        return bool(getattr(self, option))

    def methods(self, *, without: Iterable[str] = ()) -> list[tuple[str, str]]:
        """Code and meaning (CID 7050) of the profile and each option that is on, but for those in `without`."""
        skipped = set(without)
        on = [field.name for field in fields(self) if field.name in _METHODS and self.is_on(field.name)]
        return [_BASIC_PROFILE, *(_METHODS[name] for name in on if name not in skipped)]
