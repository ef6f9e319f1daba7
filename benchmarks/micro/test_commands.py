"""Command sets of C-ECHO and C-STORE (PS3.7 9.3), both ways."""

from __future__ import annotations

from typing import Any

import pytest

from aiodicom.dimse.command import decode_command, encode_command
from aiodicom.dimse.messages import CEchoRQ, CEchoRSP, CStoreRQ, CStoreRSP, Message
from aiodicom.standard.status import Status
from aiodicom.standard.uids import VERIFICATION

CT, UID = "1.2.840.10008.5.1.4.1.1.2", "1.2.826.0.1.3680043.10.1234.2.1"
MESSAGES: dict[str, Message] = {
    "C-ECHO-RQ": CEchoRQ(7, VERIFICATION),
    "C-ECHO-RSP": CEchoRSP(7, Status.SUCCESS, affected_sop_class_uid=VERIFICATION),
    "C-STORE-RQ": CStoreRQ(7, CT, UID),
    "C-STORE-RSP": CStoreRSP(7, Status.SUCCESS, affected_sop_class_uid=CT, affected_sop_instance_uid=UID),
}


@pytest.mark.parametrize("name", MESSAGES)
def test_decoding(benchmark: Any, name: str) -> None:
    message = MESSAGES[name]
    assert benchmark(decode_command, encode_command(message)) == message


@pytest.mark.parametrize("name", MESSAGES)
def test_encoding(benchmark: Any, name: str) -> None:
    message = MESSAGES[name]
    assert decode_command(benchmark(encode_command, message)) == message
