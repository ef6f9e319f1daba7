"""What SOP class extended negotiation says (PS3.7 D.3.3.5): the Service-class-application-information of PS3.4.

Both sides use the same bytes: the requestor says what it asks for, the acceptor what it gives.
"""

from __future__ import annotations

from dataclasses import fields
from typing import Self

from aiodicom.errors import LocalError
from aiodicom.values import Value, frozen

__all__ = [
    "ApplicationInformation",
    "QueryRetrieveExtended",
    "RetrieveExtended",
    "StorageExtended",
    "answer_to",
    "encoded",
]

#: An item has a length of two bytes, and a SOP class UID with its length before this.
_MOST_BYTES = 0xFFFF - 66


@frozen
class StorageExtended(Value):
    """Of a storage SOP class: what the sender does as its SCP (PS3.4 B.3.1).

    The defaults are those of who is an SCU only, which hold for a requestor that says nothing. Of an acceptor that says
    nothing nothing is known.
    """

    #: 0 a subset of the attributes is kept, 1 those of type 1 and 2, 2 all of them (PS3.4 B.4.1), 3 SCU only
    level_of_support: int = 3
    #: of a level 2 SCP: 1 to 3 (PS3.4 B.4.1), or 0 for unspecified
    level_of_digital_signature: int = 0
    #: 0 no element is coerced, 1 elements may be, 2 SCU only
    element_coercion: int = 2

    def encode(self) -> bytes:
        """The six bytes of tables B.3-1 and B.3-2. Raises `ValueError` for a number that is no byte."""
        return bytes((self.level_of_support, 0, self.level_of_digital_signature, 0, self.element_coercion, 0))

    @classmethod
    def decode(cls, information: bytes) -> Self:
        """What these bytes say; one that is missing says what a default says."""
        return cls(*(information[at] for at in (0, 2, 4) if at < len(information)))


class _Flags(Value):
    """Fields of one byte each, 0 or 1, in their order; those that are missing are 0."""

    __slots__ = ()

    def encode(self) -> bytes:
        """One byte for each field."""
        return bytes(bool(getattr(self, field.name)) for field in fields(self))

    @classmethod
    def decode(cls, information: bytes) -> Self:
        """What these bytes say; a field that is missing is off."""
        return cls(*(byte == 1 for byte in information[: len(fields(cls))]))


@frozen
class QueryRetrieveExtended(_Flags):
    """Of a SOP class with C-FIND: what is asked of the SCP, or done by it (PS3.4 C.5.1.1, tables C.5-1 and C.5-2).

    Worklist SOP classes have the same field; there the first two are reserved, and always on (PS3.4 K.5.1).
    """

    relational_queries: bool = False
    #: combined date and time matching
    date_time_matching: bool = False
    #: fuzzy semantic matching of person names
    fuzzy_semantic_matching: bool = False
    timezone_query_adjustment: bool = False
    #: the Query/Retrieve View of enhanced multi-frame image conversion
    enhanced_multiframe_image_conversion: bool = False
    empty_value_matching: bool = False
    multiple_value_matching: bool = False


@frozen
class RetrieveExtended(_Flags):
    """Of a SOP class with C-MOVE or C-GET: what is asked of the SCP, or done by it (PS3.4 C.5.2.1, C.5.3.1)."""

    relational_retrieval: bool = False
    #: the Query/Retrieve View of enhanced multi-frame image conversion
    enhanced_multiframe_image_conversion: bool = False


#: One of the known kinds, or the bytes of any service class.
ApplicationInformation = StorageExtended | QueryRetrieveExtended | RetrieveExtended | bytes


def encoded(information: ApplicationInformation) -> bytes:
    """The bytes of ``information``. Raises `LocalError` for what has none, or too many."""
    if not isinstance(information, (bytes, StorageExtended, _Flags)):
        raise LocalError(f"{information!r} is no service class application information")
    try:
        data = information if isinstance(information, bytes) else information.encode()
    except (TypeError, ValueError) as error:
        raise LocalError(f"{information!r} can't be encoded: {error}") from None
    if len(data) > _MOST_BYTES:
        raise LocalError(f"service class application information of {len(data)} bytes: at most {_MOST_BYTES}")
    return data


def answer_to(proposed: bytes, supported: ApplicationInformation) -> bytes:
    """What an acceptor that supports this answers to ``proposed``.

    To what a query or retrieval asks for, the same number of bytes at the most, with 1 only where 1 was asked for
    (PS3.4 C.5.1.1, C.5.2.1, C.5.3.1); to anything else what is supported, as it is. Raises `LocalError` as `encoded`
    does.
    """
    ours = encoded(supported)
    if isinstance(supported, _Flags):
        return bytes(asked == have == 1 for asked, have in zip(proposed, ours, strict=False))
    return ours
