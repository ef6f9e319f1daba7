"""The User Information Item (PS3.8 9.3.2.3): one small function each way for each sub-item, behind tables by item type.

Sub-items: PS3.8 annex D.1 (51H) and PS3.7 D.3.3 (52H to 59H).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from struct import Struct
from typing import Any

from aiodicom.ul.pdu import (
    AbortReason,
    AsynchronousOperationsWindow,
    PduError,
    RoleSelection,
    SOPClassCommonExtendedNegotiation,
    SOPClassExtendedNegotiation,
    UserIdentity,
    UserIdentityResponse,
    UserInformation,
)

__all__ = [
    "SUB_ITEMS_OF_AC",
    "SUB_ITEMS_OF_RQ",
    "decode_uid",
    "decode_user_information",
    "encode_item",
    "encode_uid",
    "encode_user_information",
    "invalid",
    "items_in",
]

#: type, length of the value; the reserved byte between is not tested
_item_header = Struct(">BxH").unpack_from
_pack_item_header = Struct(">BxH").pack
#: bytes of what has its length, of two, before it
_MOST = 0xFFFF
#: items that may become too long, for who has made them so
_NAMES = {
    0x20: "a proposed presentation context",
    0x50: "the user information, with extended negotiation and the user identity,",
    0x56: "the extended negotiation of a SOP class",
    0x57: "the common extended negotiation of a SOP class",
    0x58: "the user identity",
    0x59: "the response to the user identity",
}
_two_bytes = Struct(">H")
_four_bytes = Struct(">I")
_window = Struct(">HH")


def invalid(message: str) -> PduError:
    """The error of a parameter whose value, length or absence breaks PS3.8 9.3."""
    return PduError(AbortReason.INVALID_PDU_PARAMETER_VALUE, message)


def decode_uid(data: bytes, start: int, end: int) -> str:
    """A UID field (PS3.8 annex F), the padding tolerated that its writer should not have added."""
    try:
        uid = data[start:end].decode("ascii")
    except UnicodeDecodeError:
        raise invalid("a UID with bytes outside of ISO 646") from None
    return uid.rstrip("\0 ")


def encode_uid(uid: str) -> bytes:
    """The bytes of ``uid``, unpadded as PS3.8 annex F has it."""
    return uid.encode("ascii")


def items_in(data: bytes, start: int, end: int, kind: str) -> Iterator[tuple[int, int, int]]:
    """The items in ``data[start:end]``: the type of each, and where its value starts and ends.

    Raises `PduError`, which calls them ``kind``, for one that is not all there.
    """
    while start < end:
        if end - start < 4:
            raise invalid(f"{kind} without a whole header")
        item_type, length = _item_header(data, start)
        value = start + 4
        start = value + length
        if start > end:
            raise invalid(f"{kind} {item_type:02X}H overruns what it is in")
        yield item_type, value, start


def encode_item(item_type: int, value: bytes) -> bytes:
    """``value`` behind the header of an item. Raises `ValueError` for one that is too long."""
    if len(value) > _MOST:
        raise _too_long(_NAMES.get(item_type, f"the item {item_type:02X}H"), value)
    return _pack_item_header(item_type, len(value)) + value


def decode_user_information(
    data: bytes, start: int, end: int, sub_items: dict[int, tuple[str, Decoder, bool]]
) -> UserInformation:
    """The user information in ``data[start:end]``; sub-items that are not in ``sub_items`` are ignored (PS3.8 9.3.1).

    Maximum length and implementation class UID are mandatory for who sends them (PS3.7 D.3.3.1, D.3.3.2); an
    association works without, and old equipment omits them, so their absence is no error here.
    """
    values: dict[str, Any] = {"implementation_class_uid": ""}
    lists: dict[str, list[Any]] = {}
    seen = 0
    for item_type, value_start, value_end in items_in(data, start, end, "a user information sub-item"):
        entry = sub_items.get(item_type)
        if entry is not None:
            name, decoder, repeats = entry
            value = decoder(data, value_start, value_end)
            if repeats:
                lists.setdefault(name, []).append(value)
            elif seen & 1 << item_type:
                raise PduError(
                    AbortReason.UNEXPECTED_PDU_PARAMETER, f"a second user information sub-item {item_type:02X}H"
                )
            else:
                seen |= 1 << item_type
                values[name] = value
    for name, several in lists.items():
        values[name] = tuple(several)
    return UserInformation(**values)


def encode_user_information(information: UserInformation) -> bytes:
    """The sub-items of ``information``, ascending by item type as PS3.7 annex D.3.3 orders them."""
    parts = [encode_item(0x51, _four_bytes.pack(information.maximum_length))]
    if information.implementation_class_uid:
        parts.append(encode_item(0x52, encode_uid(information.implementation_class_uid)))
    window = information.asynchronous_operations_window
    if window is not None:
        parts.append(encode_item(0x53, _window.pack(window.invoked, window.performed)))
    parts.extend(_encode_role(role) for role in information.roles)
    version_name = information.implementation_version_name
    if len(version_name) > 16:
        raise ValueError(f"implementation version name {version_name!r} has over 16 characters (PS3.7 D.3.3.2.3)")
    if version_name:
        parts.append(encode_item(0x55, version_name.encode("ascii")))
    parts.extend(_encode_extended(extended) for extended in information.extended)
    parts.extend(_encode_common_extended(common) for common in information.common_extended)
    if information.user_identity is not None:
        parts.append(_encode_user_identity(information.user_identity))
    if information.user_identity_response is not None:
        parts.append(
            encode_item(0x59, _with_length(information.user_identity_response.server_response, "the server response"))
        )
    return b"".join(parts)


# Every decoder is given the bounds of its sub-item's value, which lie within the data.

Decoder = Callable[[bytes, int, int], Any]


def _field(data: bytes, position: int, end: int) -> tuple[int, int]:
    """The bounds of a field that has its length, two bytes, before it."""
    if end - position < 2:
        raise invalid("a sub-item that ends within a length")
    start = position + 2
    stop = start + int(_two_bytes.unpack_from(data, position)[0])
    if stop > end:
        raise invalid("a field that overruns its sub-item")
    return start, stop


def _with_length(value: bytes, what: str = "a UID") -> bytes:
    if len(value) > _MOST:
        raise _too_long(what, value)
    return _two_bytes.pack(len(value)) + value


def _too_long(what: str, value: bytes) -> ValueError:
    return ValueError(
        f"{what} has {len(value):,} bytes, and its length two: at most {_MOST:,} (PS3.8 9.3.2, PS3.7 D.3.3)"
    )


def _decode_maximum_length(data: bytes, start: int, end: int) -> int:
    if end - start != 4:
        raise invalid("a maximum length sub-item that is not 4 bytes long")
    return int(_four_bytes.unpack_from(data, start)[0])


def _decode_version_name(data: bytes, start: int, end: int) -> str:
    # Latin-1 takes every byte: a name that breaks the rules is still only a name to show.
    return data[start:end].decode("latin-1").rstrip("\0 ")


def _decode_window(data: bytes, start: int, end: int) -> AsynchronousOperationsWindow:
    if end - start != 4:
        raise invalid("an asynchronous operations window sub-item that is not 4 bytes long")
    return AsynchronousOperationsWindow(*_window.unpack_from(data, start))


def _decode_role(data: bytes, start: int, end: int) -> RoleSelection:
    uid_start, uid_end = _field(data, start, end)
    if end - uid_end != 2:
        raise invalid("a role selection sub-item whose lengths disagree")
    return RoleSelection(decode_uid(data, uid_start, uid_end), data[uid_end] == 1, data[uid_end + 1] == 1)


def _encode_role(role: RoleSelection) -> bytes:
    return encode_item(0x54, _with_length(encode_uid(role.sop_class_uid)) + bytes((role.scu, role.scp)))


def _decode_extended(data: bytes, start: int, end: int) -> SOPClassExtendedNegotiation:
    uid_start, uid_end = _field(data, start, end)
    return SOPClassExtendedNegotiation(decode_uid(data, uid_start, uid_end), data[uid_end:end])


def _encode_extended(extended: SOPClassExtendedNegotiation) -> bytes:
    return encode_item(0x56, _with_length(encode_uid(extended.sop_class_uid)) + extended.application_information)


def _decode_common_extended(data: bytes, start: int, end: int) -> SOPClassCommonExtendedNegotiation:
    sop_class_start, sop_class_end = _field(data, start, end)
    service_class_start, service_class_end = _field(data, sop_class_end, end)
    # What follows the related general SOP classes is reserved for later versions of the sub-item.
    position, related_end = _field(data, service_class_end, end)
    related: list[str] = []
    while position < related_end:
        uid_start, position = _field(data, position, related_end)
        related.append(decode_uid(data, uid_start, position))
    return SOPClassCommonExtendedNegotiation(
        decode_uid(data, sop_class_start, sop_class_end),
        decode_uid(data, service_class_start, service_class_end),
        tuple(related),
    )


def _encode_common_extended(common: SOPClassCommonExtendedNegotiation) -> bytes:
    related = b"".join(_with_length(encode_uid(uid)) for uid in common.related_general_sop_class_uids)
    # The reserved byte of the header is the sub-item's version here, which is 0 too.
    return encode_item(
        0x57,
        _with_length(encode_uid(common.sop_class_uid))
        + _with_length(encode_uid(common.service_class_uid))
        + _with_length(related, "the list of related general SOP classes"),
    )


def _decode_user_identity(data: bytes, start: int, end: int) -> UserIdentity:
    if end - start < 2:
        raise invalid("a user identity sub-item without its type")
    primary_start, primary_end = _field(data, start + 2, end)
    secondary_start, secondary_end = _field(data, primary_end, end)
    if secondary_end != end:
        raise invalid("a user identity sub-item whose lengths disagree")
    return UserIdentity(
        data[start], data[start + 1] == 1, data[primary_start:primary_end], data[secondary_start:secondary_end]
    )


def _encode_user_identity(identity: UserIdentity) -> bytes:
    head = bytes((identity.identity_type, identity.positive_response_requested))
    primary = _with_length(identity.primary_field, "the primary field of the user identity")
    secondary = _with_length(identity.secondary_field, "the secondary field of the user identity")
    return encode_item(0x58, head + primary + secondary)


def _decode_user_identity_response(data: bytes, start: int, end: int) -> UserIdentityResponse:
    response_start, response_end = _field(data, start, end)
    if response_end != end:
        raise invalid("a user identity response sub-item whose lengths disagree")
    return UserIdentityResponse(data[response_start:response_end])


# item type -> field of UserInformation, decoder, whether it may occur more than once
_SUB_ITEMS: dict[int, tuple[str, Decoder, bool]] = {
    0x51: ("maximum_length", _decode_maximum_length, False),
    0x52: ("implementation_class_uid", decode_uid, False),
    0x53: ("asynchronous_operations_window", _decode_window, False),
    0x54: ("roles", _decode_role, True),
    0x55: ("implementation_version_name", _decode_version_name, False),
    0x56: ("extended", _decode_extended, True),
}
SUB_ITEMS_OF_RQ: dict[int, tuple[str, Decoder, bool]] = {
    **_SUB_ITEMS,
    0x57: ("common_extended", _decode_common_extended, True),
    0x58: ("user_identity", _decode_user_identity, False),
}
SUB_ITEMS_OF_AC: dict[int, tuple[str, Decoder, bool]] = {
    **_SUB_ITEMS,
    0x59: ("user_identity_response", _decode_user_identity_response, False),
}
