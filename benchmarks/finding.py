"""A C-FIND SCU that counts matches and does nothing else: what is measured with it is the SCP."""

from __future__ import annotations

import socket
import struct
from collections.abc import Mapping
from typing import Self

from tests.rawpeer import (
    A_ASSOCIATE_AC,
    A_ASSOCIATE_RQ,
    A_RELEASE_RP,
    A_RELEASE_RQ,
    IMPLICIT,
    P_DATA_TF,
    item,
    p_data,
    pdu,
    ui,
    us,
)

C_FIND_RQ = 0x0020
STUDY_ROOT_FIND = "1.2.840.10008.5.1.4.1.2.2.1"
_STATUS = struct.pack("<HHI", 0, 0x0900, 2)
_MAX_PDU = 131072


def identifier(keys: Mapping[int, bytes]) -> bytes:
    """Encodes keys by their tags, with values of even length, in implicit VR little endian."""
    return b"".join(
        struct.pack("<HHI", tag >> 16, tag & 0xFFFF, len(value)) + value for tag, value in sorted(keys.items())
    )


class FindClient:
    """One association to an SCP of the Study Root model, to be entered."""

    def __init__(self, port: int, called_aet: str = "ARCHIVE") -> None:
        self._called = called_aet
        self._message_id = 0
        self._socket = socket.create_connection(("127.0.0.1", port), timeout=60)
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._buffer = memoryview(bytearray(1 << 20))
        self._received = b""
        self._at = 0

    def __enter__(self) -> Self:
        context = b"\1\0\0\0" + item(0x30, STUDY_ROOT_FIND.encode()) + item(0x40, IMPLICIT.encode())
        user = item(0x51, struct.pack(">I", _MAX_PDU)) + item(0x52, b"1.2.3.4")
        items = item(0x10, b"1.2.840.10008.3.1.1.1") + item(0x20, context) + item(0x50, user)
        titles = struct.pack(">HH16s16s32x", 1, 0, self._called.encode().ljust(16), b"COUNTER".ljust(16))
        self._socket.sendall(pdu(A_ASSOCIATE_RQ, titles + items))
        self._expect(A_ASSOCIATE_AC)
        return self

    def __exit__(self, kind: object, *_: object) -> None:
        try:
            if kind is None:
                self._socket.sendall(pdu(A_RELEASE_RQ, bytes(4)))
                self._expect(A_RELEASE_RP)
        finally:
            self._socket.close()

    def find(self, query: bytes) -> int:
        """Asks with an encoded identifier, and returns how many matches came, each with a data set.

        RuntimeError unless it ends with success.
        """
        self._message_id += 1
        command = {
            0x0002: ui(STUDY_ROOT_FIND),
            0x0100: us(C_FIND_RQ),
            0x0110: us(self._message_id),
            0x0700: us(0),
            0x0800: us(1),
        }
        self._socket.sendall(p_data(1, command, query))
        matches, is_due = 0, False
        while True:
            pdu_type, body = self._pdu()
            if pdu_type != P_DATA_TF:
                raise RuntimeError(f"a PDU of type {pdu_type} after {matches} matches")
            at = 0
            while at < len(body):
                length, _, flags = struct.unpack_from(">IBB", body, at)
                if flags == 3:
                    (status,) = struct.unpack_from("<H", body, body.rindex(_STATUS, at, at + 4 + length) + 8)
                    if status not in (0xFF00, 0xFF01):
                        if status or is_due:
                            raise RuntimeError(f"status {status:04X}H after {matches} matches")
                        return matches
                    is_due = True
                elif flags == 2:
                    if not is_due:
                        raise RuntimeError("a data set without a response")
                    matches, is_due = matches + 1, False
                at += 4 + length

    def _expect(self, wanted: int) -> None:
        pdu_type, _ = self._pdu()
        if pdu_type != wanted:
            raise RuntimeError(f"a PDU of type {pdu_type}, not {wanted}")

    def _pdu(self) -> tuple[int, bytes]:
        while (end := self._end()) is None:
            size = self._socket.recv_into(self._buffer)
            if not size:
                raise RuntimeError("the peer closed the connection")
            self._received = self._received[self._at :] + self._buffer[:size]
            self._at = 0
        at, self._at = self._at, end
        return self._received[at], self._received[at + 6 : end]

    def _end(self) -> int | None:
        """Where the next PDU ends, None where it has not come yet."""
        body = self._at + 6
        end = body + int.from_bytes(self._received[self._at + 2 : body], "big")
        return end if body <= len(self._received) and end <= len(self._received) else None
