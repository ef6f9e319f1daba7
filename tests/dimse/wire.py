"""What the tests of this folder share: every message as a hypothesis strategy, and command sets by hand."""

from __future__ import annotations

import struct
from dataclasses import MISSING, fields
from typing import Any

from hypothesis import strategies as st

from aiodicom.dimse.messages import ELEMENTS, MESSAGES, Message
from aiodicom.standard.status import Status
from tests.ul.wire import ae_titles, bytes_16, uids

_printable = st.characters(min_codepoint=0x20, max_codepoint=0x7E)
_comments = st.text(_printable, max_size=64).map(lambda text: text.replace("\\", "/").strip())
_tags = st.lists(st.integers(0, 0xFFFFFFFF), max_size=6).map(tuple)

_KINDS: dict[str, st.SearchStrategy[Any]] = {
    "UI": uids,
    "US": bytes_16,
    "STATUS": bytes_16.map(Status),
    "DATA_SET": st.booleans(),
    "AE": ae_titles,
    "LO": _comments,
    "AT": _tags,
}


def messages_of(kind: type[Message]) -> st.SearchStrategy[Message]:
    """Messages of one class, every field drawn; those that may be missing are missing sometimes."""
    values = {}
    for field in fields(kind):  # type: ignore[arg-type]
        strategy = _KINDS[ELEMENTS[field.name][1]]
        values[field.name] = st.none() | strategy if field.default is None else strategy
    return st.builds(kind, **values)


def least(kind: type[Message]) -> Message:
    """A message of this class with nothing that may be missing."""
    plain: dict[str, Any] = {
        "UI": "1.2.3",
        "US": 7,
        "STATUS": Status.SUCCESS,
        "DATA_SET": False,
        "AE": "AE",
        "LO": "x",
        "AT": (),
    }
    return kind(
        **{
            field.name: plain[ELEMENTS[field.name][1]]
            for field in fields(kind)  # type: ignore[arg-type]
            if field.default is MISSING
        }
    )


messages: st.SearchStrategy[Message] = st.one_of([messages_of(kind) for kind in MESSAGES])


def element(number: int, value: bytes, group: int = 0) -> bytes:
    """An element in implicit VR little endian."""
    return struct.pack("<HHI", group, number, len(value)) + value


def us(number: int) -> bytes:
    """A value of VR US."""
    return struct.pack("<H", number)


def elements_of(command: bytes) -> dict[int, bytes]:
    """The elements of a well-formed command set, in their order, by number."""
    found = {}
    while command:
        group, number, length = struct.unpack_from("<HHI", command)
        assert group == 0
        assert number not in found
        found[number] = command[8 : 8 + length]
        command = command[8 + length :]
    return found


def joined(elements: dict[int, bytes]) -> bytes:
    """A command set of these elements, without a group length."""
    return b"".join(element(number, value) for number, value in elements.items())
