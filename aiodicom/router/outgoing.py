"""What goes out to a destination: a queued object, with what its route makes of it."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterable
from typing import TYPE_CHECKING, Final, NamedTuple

from aiodicom.dataset import Dataset
from aiodicom.errors import TransformationFailed
from aiodicom.net.codec_threads import codec_threads
from aiodicom.net.sources import GatheredSource, SpooledSource
from aiodicom.part10.meta import encode_file_meta
from aiodicom.router.origin import Origin
from aiodicom.store.spool import SpoolFile

if TYPE_CHECKING:
    from aiodicom.net.sources import Buffer, DataSource
    from aiodicom.router.queue.objects import Lease
    from aiodicom.router.transformations.pipeline import Pipeline, Transformed

__all__ = ["Outgoing", "file_pieces", "header_of", "prepare"]

#: Objects up to this size are changed in memory; larger ones go through a file without a name.
_IN_MEMORY: Final = 8 << 20
_STEP: Final = 2


class Outgoing(NamedTuple):
    """An object on its way to a destination; whoever has it closes its source."""

    lease: Lease
    source: DataSource
    #: What it says, where that was looked at already.
    header: Dataset | None = None


async def prepare(lease: Lease, source: DataSource, pipeline: Pipeline, origin: Origin) -> Outgoing | None:
    """Returns what a route makes of a delivery; None where it drops it. Closes `source` unless it goes out as it is.

    Raises `TransformationFailed`, and what reading the source raises.
    """
    is_kept = False
    try:
        data_set = await _read(source)
        if pipeline.is_heavy:
            made = await codec_threads().run(lambda: _applied(pipeline, data_set, origin))
        else:
            made = _applied(pipeline, data_set, origin)
        if made is None:
            return None
        transformed, parts = made
        if not transformed.is_changed:
            is_kept = True
            return Outgoing(lease, source, transformed.header)
        return Outgoing(lease, _source(transformed, parts), transformed.header)
    finally:
        if not is_kept:
            source.close()


def _applied(
    pipeline: Pipeline, data_set: Dataset, origin: Origin
) -> tuple[Transformed, list[Buffer] | SpoolFile] | None:
    transformed = pipeline.apply(data_set, origin)
    if transformed is None:
        return None
    return transformed, _gathered(transformed.pieces)


def _gathered(pieces: Iterable[Buffer | bytearray]) -> list[Buffer] | SpoolFile:
    """The pieces where they stand, as long as they are few bytes; else in a file."""
    parts: list[Buffer] = []
    size = 0
    iterator = iter(pieces)
    for piece in iterator:
        parts.append(piece if not isinstance(piece, bytearray) else memoryview(piece))
        size += len(piece)
        if size > _IN_MEMORY:
            break
    else:
        return parts
    spool = SpoolFile()
    try:
        for piece in parts:
            spool.write(piece)
        for piece in iterator:
            spool.write(piece)
        spool.finish()
    except BaseException:
        spool.abandon()
        raise
    return spool


def _source(transformed: Transformed, made: list[Buffer] | SpoolFile) -> DataSource:
    header, syntax = transformed.header, transformed.transfer_syntax
    uids = str(header.get("SOPClassUID") or ""), str(header.get("SOPInstanceUID") or "")
    if not all(uids):
        if isinstance(made, SpoolFile):
            made.abandon()
        raise TransformationFailed("the route", "leaves an object without SOP Class UID or SOP Instance UID")
    if isinstance(made, SpoolFile):
        return SpooledSource(made, *uids, syntax)
    parts = made
    if any(len(part) % _STEP for part in parts[:-1]):
        parts = [b"".join(parts)]
    return _MadeSource(parts, *uids, syntax)


class _MadeSource(GatheredSource):
    """What a route has made of an object in memory, which is given back when the source is closed."""

    __slots__ = ()

    def close(self) -> None:
        self._parts = ()


async def _read(source: DataSource) -> Dataset:
    """The whole data set, not a copy of what is in memory already."""
    parts = source.at_once()
    if parts is None:
        if source.size > _IN_MEMORY:
            return await _spooled(source)
        parts = tuple([bytes(chunk) async for chunk in source.chunks(_STEP)])
    data = memoryview(parts[0]) if len(parts) == 1 else b"".join(parts)
    return Dataset.from_bytes(data, source.transfer_syntax)


async def _spooled(source: DataSource) -> Dataset:
    spool = SpoolFile()
    try:
        async for chunk in source.chunks(_STEP):
            spool.write(chunk)
        spool.finish()
        data = spool.map()
    finally:
        spool.abandon()
    return Dataset.from_bytes(data, source.transfer_syntax)


async def header_of(outgoing: Outgoing) -> Dataset:
    """What an object says, to name it."""
    return outgoing.header if outgoing.header is not None else await _read(outgoing.source)


async def file_pieces(outgoing: Outgoing) -> AsyncIterator[Buffer]:
    """The object as a DICOM file (PS3.10): preamble, file meta information, data set."""
    source = outgoing.source
    yield file_head(outgoing)
    async for chunk in source.chunks(_STEP):
        yield chunk


def file_head(outgoing: Outgoing) -> bytes:
    """What stands before the data set in a DICOM file."""
    source = outgoing.source
    return encode_file_meta(
        source.sop_class_uid,
        source.sop_instance_uid,
        source.transfer_syntax,
        source_aet=outgoing.lease.calling_aet or None,
    )
