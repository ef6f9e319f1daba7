"""``[[routes]]``, and what they refer to: ``[tables.NAME]`` and ``[deidentify.NAME]``."""

from __future__ import annotations

from typing import Annotated, Literal

import msgspec

from aiodicom.router.config.transformations import Transformation
from aiodicom.router.config.values import Expression, InputFile, Seconds, Section

__all__ = ["Completion", "DeidentifyProfile", "Route", "Table"]


class Completion(Section, frozen=True, kw_only=True):
    """Objects of a series or study that go together, when it is complete: by any of these signs."""

    level: Literal["series", "study"] = "study"
    #: No further object has come for so long.
    quiet: Seconds = Seconds(120)
    #: The modality has said by MPPS that it is done, and everything that it named is there.
    mpps: bool = False
    #: As many objects as the header says that there are (Number of Study or Series Related Instances, or in MPPS).
    counts: bool = False
    #: Complete or not, it goes after this time.
    most: Seconds = Seconds(6 * 3600)

    def __post_init__(self) -> None:
        if self.quiet <= 0:
            raise ValueError("quiet is more than 0 seconds")
        if self.most < self.quiet:
            raise ValueError("most is at least quiet")


class Route(Section, frozen=True, kw_only=True):
    """Objects that are meant, what is made of them, and where they go."""

    #: Names of destinations.
    to: tuple[str, ...]
    #: By default "route N".
    name: str | None = None
    #: Every object without.
    when: Expression | None = None
    #: Those of them that are not meant.
    unless: Expression | None = None
    transformations: tuple[Transformation, ...] = ()
    #: Larger ones go first.
    priority: Annotated[int, msgspec.Meta(ge=-100, le=100)] = 0
    completion: Completion | None = None
    #: An object that goes this way is not held against the routes behind this one.
    final: bool = False

    def __post_init__(self) -> None:
        if not self.to and not any(type(step).__name__ == "Drop" for step in self.transformations):
            raise ValueError('to names destinations, such as to = ["pacs"]')


class Table(Section, frozen=True, kw_only=True):
    """Values by values: written here, or two columns of a CSV file."""

    values: dict[str, str] = {}
    file: InputFile | None = None
    #: The columns of the file, by the names in its first line; by default the first two.
    key: str | None = None
    value: str | None = None

    def __post_init__(self) -> None:
        if bool(self.values) == (self.file is not None):
            raise ValueError("a table has values or a file")
        if self.file is None and (self.key is not None or self.value is not None):
            raise ValueError("key and value name columns of a file")


class DeidentifyProfile(Section, frozen=True, kw_only=True):
    """The basic profile of PS3.15 E.2, with options of E.3."""

    #: As `aiodicom.deidentify.write_new_key` makes it; nodes with the same key replace alike.
    key_file: InputFile
    retain: tuple[
        Literal["safe-private", "uids", "device", "institution", "patient", "dates", "modified-dates"], ...
    ] = ()
    clean: tuple[Literal["descriptors", "structured-content", "graphics", "pixels", "visual-features"], ...] = ()
    #: Whether Patient's Name, Patient ID and Accession Number get values that follow from the key, or none.
    pseudonyms: bool = True
    #: Dates are modified by so many days at the most.
    max_shift_days: Annotated[int, msgspec.Meta(ge=1, le=36525)] = 3652
    #: What becomes of images that say that there is text in their pixels, and are not cleaned.
    burned_in: Literal["refuse", "keep"] = "refuse"
    #: Regions of pixels to blank, by device.
    device_rules: InputFile | None = None
