"""PDUs out of a stream of bytes, plainly: for tracing, and to hold the compiled receiver against."""

from __future__ import annotations

from struct import Struct

from aiodicom.ul.pdu import AbortReason, PduError, PduType

__all__ = ["MAXIMUM_ASSOCIATE_LENGTH", "MAXIMUM_P_DATA_LENGTH", "PduReader"]

#: what an A-ASSOCIATE-RQ or -AC may have after its header; 128 contexts of hundreds of transfer syntaxes fit
MAXIMUM_ASSOCIATE_LENGTH = 1 << 20
#: what a P-DATA-TF may have after its header when no maximum was announced
MAXIMUM_P_DATA_LENGTH = 1 << 28

_header = Struct(">BxI").unpack_from


class PduReader:
    """Splits what is fed to it into PDUs.

    A stated length is checked as soon as the header is there, before anything is gathered by it. Only one PDU at a
    time is kept beyond what has been fed.
    """

    __slots__ = ("_buffer", "_limits", "_position")

    def __init__(self, maximum_length: int = 0) -> None:
        """``maximum_length``: of a P-DATA-TF's variable field, as we announced it (PS3.8 D.1); 0 is no maximum."""
        self._buffer = bytearray()
        self._position = 0
        self._limits = {
            PduType.ASSOCIATE_RQ: (0, MAXIMUM_ASSOCIATE_LENGTH),
            PduType.ASSOCIATE_AC: (0, MAXIMUM_ASSOCIATE_LENGTH),
            PduType.ASSOCIATE_RJ: (4, 4),
            PduType.P_DATA_TF: (0, maximum_length or MAXIMUM_P_DATA_LENGTH),
            PduType.RELEASE_RQ: (4, 4),
            PduType.RELEASE_RP: (4, 4),
            PduType.ABORT: (4, 4),
        }

    def feed(self, data: bytes | bytearray | memoryview) -> None:
        """Take the bytes that follow those fed before."""
        self._buffer += data

    def next_pdu(self) -> tuple[int, bytes] | None:
        """Type and body of the next PDU, or None until more is fed.

        Raises `PduError` where the stream goes on with what is no PDU, or one over its limit; there it stays.
        """
        buffer = self._buffer
        position = self._position
        if len(buffer) - position < 6:
            return None
        pdu_type, length = _header(buffer, position)
        limits = self._limits.get(pdu_type)
        if limits is None:
            raise PduError(AbortReason.UNRECOGNIZED_PDU, f"PDU type {pdu_type:02X}H")
        if not limits[0] <= length <= limits[1]:
            raise PduError(AbortReason.INVALID_PDU_PARAMETER_VALUE, f"a PDU {pdu_type:02X}H of length {length}")
        end = position + 6 + length
        if end > len(buffer):
            return None
        with memoryview(buffer) as view:
            body = bytes(view[position + 6 : end])
        # What has been read goes when it is all there is or the greater part, so that no byte moves more than once.
        if end * 2 > len(buffer):
            del buffer[:end]
            end = 0
        self._position = end
        return pdu_type, body
