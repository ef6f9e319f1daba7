"""Received objects brought into another transfer syntax before they are stored: `Ingest`."""

from __future__ import annotations

import logging
import os
from typing import TYPE_CHECKING, Final, Literal, NamedTuple

from aiodicom.errors import DecodeError, LocalError
from aiodicom.net.codec_threads import codec_threads
from aiodicom.part10.meta import encode_file_meta, read_file_meta
from aiodicom.standard.transfer_syntaxes import named_transfer_syntax

if TYPE_CHECKING:
    from aiodicom.dataset import Dataset
    from aiodicom.net.association import Association
    from aiodicom.store.files import PartialFile

__all__ = ["Corrupt", "Ingest"]

#: What becomes of an object that cannot be decoded: it is refused, or stored as it came.
Corrupt = Literal["fail", "forward"]

#: Encoded objects up to this size are in memory until they are written.
_HELD: Final = 1 << 20

#: Preamble and prefix (PS3.10 7.1), which the file meta information follows.
_PREAMBLE: Final = 132

_PIXELS: Final = ("PixelData", "FloatPixelData", "DoubleFloatPixelData")


class _Outcome(NamedTuple):
    """Whether the object is in the other file, and if not, why: what is wrong with it, or with the idea."""

    is_transcoded: bool
    reason: Exception | None = None


class Ingest:
    """Brings objects into the transfer syntax `to` (a UID or a name, as for `aiodicom.transcode`), without loss.

    What cannot be in it is stored as it came: video, samples of 32 bits in JPEG, objects without pixel data in a
    compressed one. What cannot be decoded is refused (C000H), or with `corrupt` "forward" stored as it came.

    Raises ValueError for what is no transfer syntax, or one that loses something: the stored object would be another
    instance than the one that the requestor was told is stored.
    """

    def __init__(self, to: str, corrupt: Corrupt = "fail") -> None:
        from aiodicom.pixels.recoding import LOSSY

        self.target = named_transfer_syntax(to)
        if self.target.uid in LOSSY:
            raise ValueError(f"{self.target.name}: what is received is not compressed with loss")
        if corrupt not in ("fail", "forward"):
            raise ValueError(f"{corrupt!r} is nothing to be done about corrupt objects: fail, or forward")
        self._corrupt = corrupt

    async def transcode(self, file: PartialFile, other: PartialFile, association: Association) -> PartialFile:
        """Returns the file to be stored: `other`, with the object of `file` in the transfer syntax, or `file` itself.

        The one that is not is discarded; both are where this raises: `DecodeError` for what is refused, OSError.
        Cancelled, both are discarded when the thread is done with them.
        """

        def discard() -> None:
            file.discard()
            other.discard()

        def work() -> _Outcome:
            try:
                return self._work(file, other)
            except BaseException:
                discard()
                raise

        outcome = await codec_threads().run(work, lambda _: discard())
        if outcome.is_transcoded:
            file.discard()
            return other
        other.discard()
        if outcome.reason is not None:
            level = logging.WARNING if isinstance(outcome.reason, DecodeError) else logging.INFO
            association.log(level, "an object of %d bytes is stored as it came: %s", file.size, outcome.reason)
        return file

    def _work(self, file: PartialFile, other: PartialFile) -> _Outcome:
        from aiodicom.dataset import Dataset

        try:
            if (held := file.held) is not None:
                meta = read_file_meta(held)
                if meta.transfer_syntax == self.target.uid:
                    return _Outcome(False)
                data_set = Dataset.from_bytes(held[meta.data_offset :], meta.transfer_syntax, offset=meta.data_offset)
                return self._write(data_set, held[: meta.data_offset], other)
            with os.fdopen(file.open_reader(), "rb", buffering=0) as reader:
                meta = read_file_meta(reader.fileno())
                if meta.transfer_syntax == self.target.uid:
                    return _Outcome(False)
                data_set = Dataset.from_file(reader, meta.transfer_syntax, offset=meta.data_offset)
                return self._write(data_set, memoryview(os.pread(reader.fileno(), meta.data_offset, 0)), other)
        except DecodeError as error:
            if self._corrupt == "fail":
                raise
            return _Outcome(False, error)
        except LocalError as error:
            return _Outcome(False, error)

    def _write(self, data_set: Dataset, head: memoryview, other: PartialFile) -> _Outcome:
        from aiodicom.dataset import Dataset
        from aiodicom.pixels.transcode import transcode_data_set

        if self.target.encapsulated and not any(keyword in data_set for keyword in _PIXELS):
            return _Outcome(False)
        before = read_file_meta(head)
        # Where it came from stays in the file meta information.
        source = Dataset.from_bytes(head[_PREAMBLE:]).get("SourceApplicationEntityTitle")
        transcoded = transcode_data_set(data_set, self.target.uid, own=before.transfer_syntax)
        waiting = [
            encode_file_meta(before.sop_class_uid, before.sop_instance_uid, self.target.uid, source_aet=source or None)
        ]
        size = 0
        for piece in transcoded.pieces:
            if size > _HELD:
                other.write(piece)
                continue
            waiting.append(bytes(piece))
            size += len(piece)
            if size > _HELD:
                other.write(b"".join(waiting))
        if size <= _HELD:
            other.hold(memoryview(b"".join(waiting)))
        other.finish()
        return _Outcome(True)
