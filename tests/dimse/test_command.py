"""Command sets: every message there and back, what is malformed refused, and nothing else ever raised."""

from __future__ import annotations

import contextlib
import struct
from dataclasses import fields, replace
from itertools import accumulate
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aiodicom.dimse._command import MAXIMUM_COMMAND_LENGTH
from aiodicom.dimse.command import decode_command, encode_command, make_message
from aiodicom.dimse.messages import (
    ELEMENTS,
    MESSAGES,
    CCancelRQ,
    CEchoRQ,
    CEchoRSP,
    CMoveRQ,
    CStoreRQ,
    CStoreRSP,
    Message,
    NGetRQ,
    Response,
    UnrecognizedRequest,
    UnrecognizedResponse,
)
from aiodicom.errors import DecodeError, LocalError
from aiodicom.standard.status import Status
from tests.dimse.wire import element, elements_of, joined, least, messages, messages_of, us
from tests.ul.wire import checked

ECHO = {0x0002: b"1.2.840.10008.1.1\0", 0x0100: us(0x30), 0x0110: us(1), 0x0800: us(0x0101)}


def test_there_are_all_23_messages_of_the_standard() -> None:
    assert len(MESSAGES) == len({kind.COMMAND_FIELD for kind in MESSAGES}) == 23


@pytest.mark.parametrize("kind", MESSAGES)
def test_round_trip(kind: type[Message]) -> None:
    @checked(80)
    @given(messages_of(kind))
    def there_and_back(message: Message) -> None:
        assert decode_command(encode_command(message)) == message

    there_and_back()


@pytest.mark.parametrize("kind", MESSAGES)
def test_the_least_message_has_only_what_is_mandatory(kind: type[Message]) -> None:
    message = least(kind)
    encoded = encode_command(message)
    assert decode_command(encoded) == message
    mandatory = {0x0000, 0x0100, 0x0800}
    mandatory |= {ELEMENTS[field.name][0] for field in fields(kind) if getattr(message, field.name) not in (None, ())}  # type: ignore[arg-type]
    assert set(elements_of(encoded)) == mandatory


@checked(200)
@given(messages)
def test_elements_ascend_have_even_lengths_and_a_right_group_length(message: Message) -> None:
    encoded = encode_command(message)
    elements = elements_of(encoded)
    assert list(elements) == sorted(elements)
    assert all(len(value) % 2 == 0 for value in elements.values())
    assert struct.unpack("<I", elements[0x0000]) == (len(encoded) - 12,)
    assert elements[0x0100] == us(message.COMMAND_FIELD or 0)
    assert elements[0x0800] == us(0x0001 if message.has_data_set else 0x0101)


@given(messages)
def test_a_message_is_made_of_its_fields_in_their_order(message: Message) -> None:
    values = tuple(getattr(message, field.name) for field in fields(message))  # type: ignore[arg-type]
    assert make_message(type(message), values[1:], values[0]) == message
    with pytest.raises(TypeError, match="fields"):
        make_message(type(message), values[1:-1], values[0])


def test_what_pads_an_odd_value() -> None:
    elements = elements_of(encode_command(CMoveRQ(1, "1.2.3", "AET")))
    assert elements[0x0002] == b"1.2.3\0"
    assert elements[0x0600] == b"AET "


def test_padding_is_no_part_of_a_value() -> None:
    encoded = joined(ECHO | {0x0002: b"1.2.3 \0 ", 0x0100: us(0x21), 0x0600: b"  AET   "})
    assert decode_command(encoded) == CMoveRQ(1, "1.2.3", "AET", has_data_set=False)


def test_order_of_elements_and_group_length_do_not_matter() -> None:
    backwards = dict(reversed(ECHO.items()))
    assert decode_command(joined(backwards)) == CEchoRQ(1, "1.2.840.10008.1.1")
    assert decode_command(joined({0x0000: b"\xff\xff\xff\xff"} | backwards)) == CEchoRQ(1, "1.2.840.10008.1.1")


def test_elements_that_the_message_does_not_have_are_ignored() -> None:
    more = {0x0001: b"retired!", 0x0700: us(0), 0x1000: b"1.2", 0x5110: b"any", 0xFFFF: b""}
    assert decode_command(joined(ECHO | more)) == CEchoRQ(1, "1.2.840.10008.1.1")


@pytest.mark.parametrize("flag", [0x0000, 0x0001, 0x0102, 0xFFFF])
def test_any_data_set_type_but_0101_announces_a_data_set(flag: int) -> None:
    assert decode_command(joined(ECHO | {0x0800: us(flag)})).has_data_set


def test_an_unknown_status_is_a_status() -> None:
    sent = CEchoRSP(1, Status(0xC123))
    received = decode_command(encode_command(sent))
    assert isinstance(received, CEchoRSP)
    assert received.status == 0xC123
    assert isinstance(received.status, Status)


def test_every_status_comes_through() -> None:
    # More values than the codec remembers.
    for code in range(0, 0x10000, 97):
        received = decode_command(encode_command(CEchoRSP(1, Status(code))))
        assert isinstance(received, CEchoRSP)
        assert received.status == code


def test_missing_uids_read_as_empty() -> None:
    bare = joined({0x0100: us(0x01), 0x0110: us(9), 0x0800: us(1)})
    assert decode_command(bare) == CStoreRQ(9, "", "")


# What is malformed ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", MESSAGES)
def test_cut_short_inside_an_element(kind: type[Message]) -> None:
    encoded = encode_command(least(kind))
    boundaries = set(accumulate((8 + len(value) for value in elements_of(encoded).values()), initial=0))
    for size in set(range(len(encoded))) - boundaries:
        with pytest.raises(DecodeError):
            decode_command(encoded[:size])


@pytest.mark.parametrize("kind", MESSAGES)
def test_each_number_of_a_wrong_length(kind: type[Message]) -> None:
    elements = elements_of(encode_command(least(kind)))
    numbers = {number for number, vr in ELEMENTS.values() if vr in ("US", "STATUS", "DATA_SET")} & set(elements)
    assert numbers >= {0x0100, 0x0800}
    for number in numbers:
        for wrong in (b"", b"\1", b"\1\0\0", b"\1\0\0\0"):
            with pytest.raises(DecodeError, match=f"0000,{number:04X}"):
                decode_command(joined(elements | {number: wrong}))


@pytest.mark.parametrize("kind", MESSAGES)
def test_each_length_that_overruns(kind: type[Message]) -> None:
    elements = elements_of(encode_command(least(kind)))
    for number in elements:
        for length in (0xFFFFFFFF, 0x80000000, 0x7FFFFFFF, len(joined(elements))):
            lying = b"".join(
                struct.pack("<HHI", 0, each, length if each == number else len(value)) + value
                for each, value in elements.items()
            )
            with pytest.raises(DecodeError, match="overruns"):
                decode_command(lying)


@pytest.mark.parametrize("kind", MESSAGES)
def test_an_element_twice(kind: type[Message]) -> None:
    encoded = encode_command(least(kind))
    for number, value in elements_of(encoded).items():
        if number:
            with pytest.raises(DecodeError, match=f"twice.*0000,{number:04X}"):
                decode_command(encoded + element(number, value))


@pytest.mark.parametrize("group", [0x0001, 0x0002, 0x0008, 0x0100, 0xFFFF])
def test_an_element_of_another_group(group: int) -> None:
    for encoded in (joined(ECHO) + element(0x0010, b"", group), element(0x0010, b"", group) + joined(ECHO)):
        with pytest.raises(DecodeError, match="another group"):
            decode_command(encoded)


@pytest.mark.parametrize("kind", MESSAGES)
def test_a_number_that_is_missing(kind: type[Message]) -> None:
    elements = elements_of(encode_command(least(kind)))
    for name, (number, vr) in ELEMENTS.items():
        if number in elements and vr in ("US", "STATUS", "DATA_SET") and name != "priority":
            with pytest.raises(DecodeError):
                decode_command(joined({each: value for each, value in elements.items() if each != number}))


def test_attribute_tags_of_a_wrong_length() -> None:
    elements = elements_of(encode_command(NGetRQ(1, "1.2", "1.3", (0x00100010,))))
    assert elements[0x1005] == b"\x10\x00\x10\x00"
    with pytest.raises(DecodeError, match="0000,1005"):
        decode_command(joined(elements | {0x1005: b"\x10\x00\x10"}))


def test_a_response_whose_command_field_is_unknown() -> None:
    with pytest.raises(DecodeError, match="8031H"):
        decode_command(joined({0x0100: us(0x8031), 0x0120: us(1), 0x0800: us(0x0101), 0x0900: us(0)}))


def test_a_request_whose_command_field_is_unknown_is_a_message() -> None:
    assert decode_command(joined(ECHO | {0x0100: us(0x31)})) == UnrecognizedRequest(1, 0x31, "1.2.840.10008.1.1")
    assert decode_command(joined({0x0100: us(0x7FFF), 0x0800: us(0)})) == UnrecognizedRequest(
        0, 0x7FFF, has_data_set=True
    )


def test_its_answer_has_its_command_field() -> None:
    encoded = encode_command(UnrecognizedResponse(1, Status.UNRECOGNIZED_OPERATION, command_field=0x8031))
    assert elements_of(encoded)[0x0100] == us(0x8031)
    assert list(elements_of(encoded)) == sorted(elements_of(encoded))


def test_nothing_is_no_command_set() -> None:
    with pytest.raises(DecodeError, match="Command Field"):
        decode_command(b"")


def test_what_is_over_64_kib() -> None:
    filled = joined(ECHO) + element(0x7000, bytes(MAXIMUM_COMMAND_LENGTH - len(joined(ECHO)) - 8))
    assert len(filled) == MAXIMUM_COMMAND_LENGTH == 65536
    assert decode_command(filled) == CEchoRQ(1, "1.2.840.10008.1.1")
    with pytest.raises(DecodeError, match="65537"):
        decode_command(filled + b"\0")


@checked(60)
@given(messages, st.data())
def test_mutated_bytes_raise_decode_errors_alone(message: Message, data: st.DataObject) -> None:
    encoded = bytearray(encode_command(message))
    places = st.integers(0, len(encoded) - 1)
    for _ in range(20):
        mutated = encoded.copy()
        for place, value in data.draw(st.lists(st.tuples(places, st.integers(0, 255)), min_size=1, max_size=4)):
            mutated[place] = value
        try:
            decoded = decode_command(mutated)
        except DecodeError:
            continue
        assert isinstance(decoded, (*MESSAGES, UnrecognizedRequest))


@checked(300)
@given(st.binary(max_size=64) | st.lists(st.tuples(st.sampled_from([0, 0x100, 0x800, 0x110]), st.binary(max_size=4))))
def test_noise_raises_decode_errors_alone(noise: bytes | list[tuple[int, bytes]]) -> None:
    data = noise if isinstance(noise, bytes) else b"".join(element(*each) for each in noise)
    with contextlib.suppress(DecodeError):
        decode_command(data)


# What can't be sent --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "message",
    [
        CEchoRQ(65536, "1.2"),
        CEchoRQ(-1, "1.2"),
        CEchoRQ(1, "1" * 65537),
        CStoreRQ(1, "1.2", "1.3", priority=1 << 40),
        NGetRQ(1, "1.2", "1.3", tuple(range(20000))),
        CStoreRQ(1, 5, "1.3"),  # type: ignore[arg-type]
        CStoreRQ(1, "1.2", b"1.3"),  # type: ignore[arg-type]
        CStoreRQ(1, "1.2", None),  # type: ignore[arg-type]
        CStoreRQ("1", "1.2", "1.3"),  # type: ignore[arg-type]
        CStoreRQ(1, "1.2", "1.3", priority=1.5),  # type: ignore[arg-type]
        CEchoRQ(1, "1.2", has_data_set=None),  # type: ignore[arg-type]
        NGetRQ(1, "1.2", "1.3", (-1,)),
        NGetRQ(1, "1.2", "1.3", (1 << 32,)),
        NGetRQ(1, "1.2", "1.3", ("00100010",)),  # type: ignore[arg-type]
        NGetRQ(1, "1.2", "1.3", 5),  # type: ignore[arg-type]
        None,
        "C-ECHO-RQ",
        Message(),
    ],
)
def test_what_cannot_be_encoded(message: Any) -> None:
    with pytest.raises(LocalError):
        encode_command(message)


def test_characters_outside_of_the_default_repertoire_are_replaced() -> None:
    comment = elements_of(encode_command(CStoreRSP(1, Status(0xA700), error_comment="full: Größe")))[0x0902]
    assert comment == b"full: Gr??e "


def test_a_cancel_has_no_message_id_of_its_own() -> None:
    elements = elements_of(encode_command(CCancelRQ(5)))
    assert set(elements) == {0, 0x0100, 0x0120, 0x0800}
    assert elements[0x0100] == us(0x0FFF)


@checked(40)
@given(messages.filter(lambda message: isinstance(message, Response)))
def test_messages_are_values(message: Message) -> None:
    assert replace(message, has_data_set=message.has_data_set) == message  # type: ignore[type-var]
    with pytest.raises(AttributeError):
        message.has_data_set = True  # type: ignore[misc]
