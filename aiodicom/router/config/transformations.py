"""``[[routes.transformations]]``: what is made of objects on their way; ``type`` says which one it is."""

from __future__ import annotations

from typing import Annotated, Any, Literal, TypeAlias

import msgspec

from aiodicom.router.config.values import Attribute, Expression, InputFile, Section, SyntaxName

__all__ = [
    "Deidentify",
    "Drop",
    "Hash",
    "MapValues",
    "PlugIn",
    "Prefix",
    "Remove",
    "SetValues",
    "Split",
    "Transcode",
    "Transformation",
]


class _Transformation(Section, frozen=True, kw_only=True, tag_field="type"):
    #: What is not so is left as it is.
    when: Expression | None = None


class SetValues(_Transformation, frozen=True, kw_only=True, tag="set"):
    """Values that are given to attributes, there or not."""

    #: By attribute: a text, a number, a list of them; "" for an empty value.
    values: dict[Attribute, Any]
    #: Whether only attributes that are absent or empty get them.
    missing_only: bool = False

    def __post_init__(self) -> None:
        if not self.values:
            raise ValueError('values is empty: name an attribute, such as values = { InstitutionName = "General" }')


class Remove(_Transformation, frozen=True, kw_only=True, tag="remove"):
    """Attributes that are taken away."""

    tags: tuple[Attribute, ...] = ()
    #: All private attributes, also in items of sequences.
    private: bool = False
    #: The tags also in items of all sequences.
    everywhere: bool = False

    def __post_init__(self) -> None:
        if not self.tags and not self.private:
            raise ValueError("nothing is removed: name tags, or write private = true")


class Hash(_Transformation, frozen=True, kw_only=True, tag="hash"):
    """Values in whose place a keyed hash of them stands, the same for the same value and key."""

    tags: tuple[Attribute, ...]
    #: As `aiodicom.deidentify.write_new_key` makes it.
    key_file: InputFile
    #: Characters of what stands in place of a text; a UID becomes a UID.
    length: Annotated[int, msgspec.Meta(ge=8, le=52)] = 16
    everywhere: bool = False

    def __post_init__(self) -> None:
        if not self.tags:
            raise ValueError("nothing is hashed: name tags")


class MapValues(_Transformation, frozen=True, kw_only=True, tag="map"):
    """A value that is looked up in a table."""

    tag: Attribute
    table: str
    #: What is looked up, where that is not the attribute itself: another one, or calling_aet, called_aet, peer.
    source: str | None = None
    #: What becomes of a value that is not in the table: it is kept, emptied, or the object fails.
    otherwise: Literal["keep", "empty", "fail"] = "keep"


class Prefix(_Transformation, frozen=True, kw_only=True, tag="prefix"):
    """A text that values are to begin with; those that do stay as they are."""

    text: Annotated[str, msgspec.Meta(min_length=1, max_length=16)]
    tag: Attribute = Attribute("AccessionNumber")


class Deidentify(_Transformation, frozen=True, kw_only=True, tag="deidentify"):
    """De-identification (PS3.15 E) by a profile of ``[deidentify.NAME]``."""

    profile: str


class Transcode(_Transformation, frozen=True, kw_only=True, tag="transcode"):
    """Another transfer syntax; the last transformation of its route."""

    to: SyntaxName
    #: As of `aiodicom.transcode`: the measure of a codec with loss.
    quality: Annotated[float, msgspec.Meta(ge=0, le=1000)] | None = None
    #: What becomes of an object that cannot be in it, such as video: it goes as it is, or fails.
    otherwise: Literal["keep", "fail"] = "keep"


class Split(_Transformation, frozen=True, kw_only=True, tag="split"):
    """Another series, or study, for each value of attributes: objects that say the same stay together."""

    by: tuple[Attribute, ...]
    level: Literal["series", "study"] = "series"

    def __post_init__(self) -> None:
        if not self.by:
            raise ValueError('by names what objects are parted by, such as by = ["AcquisitionNumber"]')


class Drop(_Transformation, frozen=True, kw_only=True, tag="drop"):
    """The object does not go this way."""


class PlugIn(_Transformation, frozen=True, kw_only=True, tag="plugin"):
    """What a plug-in does (entry points of the group ``aiodicom.router.transformations``)."""

    name: str
    options: dict[str, Any] = {}


Transformation: TypeAlias = (
    SetValues | Remove | Hash | MapValues | Prefix | Deidentify | Transcode | Split | Drop | PlugIn
)
