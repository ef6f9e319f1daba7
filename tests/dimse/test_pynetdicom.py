"""Our command sets read by pynetdicom and pydicom, and pydicom's by us."""

from __future__ import annotations

import warnings
from dataclasses import replace
from io import BytesIO
from typing import Any

import pytest
from hypothesis import given
from pydicom.datadict import keyword_for_tag
from pydicom.dataset import Dataset
from pynetdicom.dimse_messages import DIMSEMessage
from pynetdicom.dsutils import decode, encode
from pynetdicom.pdu_primitives import P_DATA

from aiodicom.dimse.command import decode_command, encode_command
from aiodicom.dimse.messages import ELEMENTS, MESSAGES, Message
from tests.dimse.wire import least, messages_of
from tests.ul.wire import checked

#: The VRs of PS3.7 table E.1-1 as pydicom's dictionary has them.
KEYWORDS = {name: keyword_for_tag(number) for name, (number, _) in ELEMENTS.items()}


def fields_of(message: Message) -> dict[str, Any]:
    """What the message has, by field name."""
    values = {name: getattr(message, name, None) for name in ELEMENTS}
    return {name: value for name, value in values.items() if value is not None and value != ()}


def as_dataset(message: Message) -> Dataset:
    """The command set as pydicom has it."""
    command = Dataset()
    command.CommandField = message.COMMAND_FIELD
    for name, value in fields_of(message).items():
        if name == "has_data_set":
            value = 0x0001 if value else 0x0101
        elif isinstance(value, tuple):
            value = list(value)
        setattr(command, KEYWORDS[name], value)
    return command


def test_our_names_are_the_keywords_of_the_standard() -> None:
    def plain(name: str) -> str:
        return name.replace("_", "").lower()

    # Where ours is not the keyword: a flag in place of a type, plurals, and an abbreviation that everybody uses.
    differing = {
        "has_data_set": "CommandDataSetType",
        "offending_elements": "OffendingElement",
        "move_originator_ae_title": "MoveOriginatorApplicationEntityTitle",
    }
    for name, keyword in KEYWORDS.items():
        assert keyword == differing.get(name, keyword)
        assert name in differing or plain(keyword) == plain(name)


@pytest.mark.parametrize("kind", MESSAGES)
def test_pydicom_reads_what_we_write(kind: type[Message]) -> None:
    @checked(30)
    @given(messages_of(kind))
    def read(message: Message) -> None:
        data = encode_command(message)
        received = decode(BytesIO(data), True, True)
        assert received[0x00000000].value == len(data) - 12
        del received[0x00000000]
        assert received == as_dataset(message)

    read()


@pytest.mark.parametrize("kind", MESSAGES)
def test_we_read_what_pydicom_writes(kind: type[Message]) -> None:
    @checked(30)
    @given(messages_of(kind))
    def written(message: Message) -> None:
        data = encode(as_dataset(message), True, True)
        assert data is not None
        assert decode_command(data) == message
        assert data == encode_command(message)[12:]

    written()


@pytest.mark.parametrize("kind", MESSAGES)
def test_pynetdicom_knows_each_message(kind: type[Message]) -> None:
    primitive = P_DATA()
    message = replace(least(kind), has_data_set=False)  # type: ignore[type-var]
    primitive.presentation_data_value_list = [[1, b"\3" + encode_command(message)]]
    received = DIMSEMessage()
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert received.decode_msg(primitive)
    assert type(received).__name__.replace("_", "") == kind.__name__.upper().replace("_", "")
