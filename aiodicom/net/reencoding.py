"""Data sets in the transfer syntax that a peer has accepted. What is large blocks: it is for the threads for codecs."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Final, NamedTuple

from aiodicom.net._data_sets import encode_data_set
from aiodicom.standard.uids import (
    DEFLATED_EXPLICIT_VR_LITTLE_ENDIAN,
    EXPLICIT_VR_LITTLE_ENDIAN,
    IMPLICIT_VR_LITTLE_ENDIAN,
)
from aiodicom.store.spool import SpoolFile

if TYPE_CHECKING:
    from aiodicom.dataset import Dataset

__all__ = ["Reencoded", "encode_file", "encode_memory", "encode_object"]

#: Files with larger data sets are not read into memory, and what they become goes to a file without a name.
IN_MEMORY: Final = 8 << 20

#: Between which pixel data are the same.
_SAME_BYTES: Final = (EXPLICIT_VR_LITTLE_ENDIAN, IMPLICIT_VR_LITTLE_ENDIAN, DEFLATED_EXPLICIT_VR_LITTLE_ENDIAN)


class Reencoded(NamedTuple):
    """An encoded data set, and the SOP Instance UID that loss has given it; None where it is the same instance."""

    data: bytes | SpoolFile
    sop_instance_uid: str | None = None

    def drop(self) -> None:
        """Nobody wants it."""
        if isinstance(self.data, SpoolFile):
            self.data.abandon()


def encode_object(data_set: Dataset, target: str, own: str) -> Reencoded:
    """The data set in the `target` transfer syntax; its pixel data are in `own`.

    Raises `DecodeError` for one that was cut off, `PixelDataError` for corrupt frames, `LocalError` for what cannot be.
    """
    if own == target or (own in _SAME_BYTES and target in _SAME_BYTES):
        return Reencoded(encode_data_set(data_set, target))
    from aiodicom.pixels.transcode import transcode_data_set

    before = data_set.get("SOPInstanceUID")
    transcoded = transcode_data_set(data_set, target, own=own)
    return Reencoded(b"".join(transcoded.pieces), _changed(before, transcoded.header))


def encode_memory(data: memoryview, transfer_syntax: str, target: str) -> Reencoded:
    """What `data` encode in `transfer_syntax`, in the `target` one. Raises as `encode_object` does."""
    from aiodicom.dataset import Dataset

    return encode_object(Dataset.from_bytes(data, transfer_syntax), target, transfer_syntax)


def encode_file(descriptor: int, offset: int, transfer_syntax: str, target: str) -> Reencoded:
    """The data set that stands in a file from `offset` on, in the `target` transfer syntax. Closes the descriptor.

    A large one is never in memory as a whole, unless its byte order changes or it was deflated: long values go from
    file to file in pieces, and pixel data frame by frame. Raises as `encode_object` does, and OSError.
    """
    from aiodicom.dataset import Dataset
    from aiodicom.pixels.transcode import transcode_data_set

    with os.fdopen(descriptor, "rb", buffering=0) as file:
        deflated = transfer_syntax == DEFLATED_EXPLICIT_VR_LITTLE_ENDIAN
        if deflated or os.fstat(descriptor).st_size - offset <= IN_MEMORY:
            file.seek(offset)
            data_set = Dataset.from_bytes(file.readall(), transfer_syntax, offset=offset)
            return encode_object(data_set, target, transfer_syntax)
        data_set = Dataset.from_file(file, transfer_syntax, offset=offset)
        before = data_set.get("SOPInstanceUID")
        transcoded = transcode_data_set(data_set, target)
        spool = SpoolFile()
        try:
            for piece in transcoded.pieces:
                spool.write(piece)
            spool.finish()
        except BaseException:
            spool.abandon()
            raise
        return Reencoded(spool, _changed(before, transcoded.header))


def _changed(before: object, header: Dataset) -> str | None:
    uid = header.get("SOPInstanceUID")
    return str(uid) if uid and uid != before else None
