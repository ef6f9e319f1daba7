"""Messages are values: equal by their fields, hashable, frozen, and shown with them."""

from __future__ import annotations

import dataclasses

import pytest

from aiodicom.dimse.messages import MESSAGES, CEchoRQ, CEchoRSP, CStoreRQ, Message
from aiodicom.standard.status import Status


def test_equal_by_class_and_fields() -> None:
    echo = CEchoRQ(1, "1.2")
    assert echo == CEchoRQ(1, "1.2")
    assert len({echo, CEchoRQ(1, "1.2"), CEchoRQ(2, "1.2")}) == 2
    assert echo != CEchoRQ(1, "1.3")
    assert echo != (1, "1.2", False)
    assert CEchoRSP(1, Status.SUCCESS) != CEchoRQ(1, "1.2")


def test_shown_with_their_fields() -> None:
    assert repr(CStoreRQ(7, "1.2", "1.3")) == (
        "CStoreRQ(message_id=7, affected_sop_class_uid='1.2', affected_sop_instance_uid='1.3', priority=0, "
        "has_data_set=True, move_originator_ae_title=None, move_originator_message_id=None)"
    )


@pytest.mark.parametrize("kind", MESSAGES, ids=lambda kind: kind.__name__)
def test_frozen_and_without_a_dictionary(kind: type[Message]) -> None:
    message = kind.__new__(kind)
    assert not hasattr(message, "__dict__")
    with pytest.raises(dataclasses.FrozenInstanceError):
        message.has_data_set = True
