"""What a C-STORE sends: an encoded data set in memory or in a file, and what its request has to say of it."""

from __future__ import annotations

import asyncio
import functools
import os
import sys
from collections.abc import AsyncIterator, Callable, Iterable, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol, TypeAlias

from aiodicom.errors import LocalError
from aiodicom.net import reencoding
from aiodicom.net._data_sets import CHUNK, EncodedDataSet
from aiodicom.net.codec_threads import codec_threads
from aiodicom.net.reencoding import Reencoded
from aiodicom.net.transcoding import NATIVE, Transcoding, sendable
from aiodicom.part10.meta import FileMeta, read_file_meta
from aiodicom.store._files import FilePart, ReadAhead, file_stamp, read_ahead, read_cached, read_known
from aiodicom.store.spool import SpoolFile

if TYPE_CHECKING:
    from pydicom.dataset import Dataset as PydicomDataset

    from aiodicom.dataset import Dataset

__all__ = [
    "CHUNK",
    "DataSource",
    "Encoded",
    "EncodedIdentifier",
    "FileStamp",
    "GatheredSource",
    "KnownFile",
    "MemorySource",
    "Piece",
    "Source",
    "Storable",
    "SubOperation",
    "open_source",
    "stamp_of",
]

Buffer: TypeAlias = bytes | memoryview
#: What is sent at once, or a part of a file that is read when somebody looks at it.
Piece: TypeAlias = Buffer | FilePart

#: A file of up to so many bytes is read when it is opened: until its turn it holds them, rather than a descriptor.
_READ_AT_ONCE = 32 << 10
#: Up to so many bytes it costs less to copy parts into one than to write them apart.
_SMALL = 8 << 10


class HasToBytes(Protocol):
    """Such as a `memoryview`, an `array.array` or an array of numpy."""

    def tobytes(self) -> bytes:
        """Returns all of it."""


#: A path of a Part 10 file, or what is known of one; Part 10 bytes, or an encoded data set, in memory; or a data set,
#: ours or pydicom's; or a source that is open already.
Storable: TypeAlias = (
    "str | os.PathLike[str] | KnownFile | bytes | bytearray | memoryview | HasToBytes | Dataset | PydicomDataset"
    " | DataSource"
)


class SubOperation(NamedTuple):
    """What is to be sent, where it does not say itself what it is: the arguments of `Association.c_store`.

    UIDs of a file are those that it has to have: it may have become another object since they were asked for.
    """

    source: Storable
    sop_class_uid: str | None = None
    sop_instance_uid: str | None = None
    transfer_syntax: str | None = None


class Source:
    """An encoded data set that goes with a request."""

    __slots__ = ()

    #: Bytes of the encoded data set.
    size: int

    def chunks(self, multiple: int) -> AsyncIterator[Buffer]:
        """Iterates over the data set in pieces of an even number of bytes but for the last, the sizes of those that are
        divided further a multiple of `multiple` bytes."""
        raise LocalError("this source has no data")

    def at_once(self) -> tuple[Piece, ...] | None:
        """Returns all of the data set, as one piece or several, if it is there without waiting and small enough to be
        written at once. All pieces but the last are of an even number of bytes, as fragments are (PS3.8 E.1).
        """
        return None


class EncodedIdentifier(EncodedDataSet, Source):
    """The data set of a request of any service but C-STORE, in memory."""

    __slots__ = ()

    def chunks(self, multiple: int) -> AsyncIterator[Buffer]:
        return _memory_chunks((self.data,), multiple)


class DataSource(Source):
    """An encoded data set with the UIDs that say what it is."""

    __slots__ = ("size", "sop_class_uid", "sop_instance_uid", "transfer_syntax")

    #: Whether there is anything yet that could be sent as it is.
    is_encoded = True

    def __init__(self, sop_class_uid: str, sop_instance_uid: str, transfer_syntax: str, size: int) -> None:
        self.sop_class_uid = sop_class_uid
        self.sop_instance_uid = sop_instance_uid
        self.transfer_syntax = transfer_syntax
        self.size = size

    def transfer_syntaxes(self, policy: Transcoding) -> tuple[str, ...]:
        """The transfer syntaxes that it can be sent in: its own, and those that it may be brought into."""
        return sendable(self.transfer_syntax, policy)

    def encoder(self, transfer_syntax: str) -> Callable[[], Reencoded]:
        """Returns what encodes the data set in another transfer syntax, in a thread, whatever becomes of the source."""
        raise LocalError("this source has no data")

    def close(self) -> None:
        """Gives back what the source holds."""


class MemorySource(DataSource):
    """A data set in memory; it must not change until the response is there."""

    __slots__ = ("_view",)

    def __init__(self, view: memoryview, sop_class_uid: str, sop_instance_uid: str, transfer_syntax: str) -> None:
        super().__init__(sop_class_uid, sop_instance_uid, transfer_syntax, len(view))
        self._view = view

    def encoder(self, transfer_syntax: str) -> Callable[[], Reencoded]:
        view, own = self._view, self.transfer_syntax
        return lambda: reencoding.encode_memory(view, own, transfer_syntax)

    def at_once(self) -> tuple[Buffer, ...] | None:
        return (self._view,) if self.size <= CHUNK else None

    def chunks(self, multiple: int) -> AsyncIterator[Buffer]:
        return _memory_chunks((self._view,), multiple)


class GatheredSource(DataSource):
    """A data set whose parts, of bytes, stand at several places in memory and are sent from there; they must not change
    until the response is there.
    """

    __slots__ = ("_parts",)

    def __init__(
        self, parts: Sequence[Buffer], sop_class_uid: str, sop_instance_uid: str, transfer_syntax: str
    ) -> None:
        """Raises LocalError for a part, not the last, of an odd number of bytes: an element has an even one."""
        super().__init__(sop_class_uid, sop_instance_uid, transfer_syntax, sum(map(len, parts)))
        self._parts = tuple(filter(len, parts)) or (b"",)
        if any(len(part) & 1 for part in self._parts[:-1]):
            raise LocalError("a data set is divided where an even number of bytes ends, as every element does")

    def encoder(self, transfer_syntax: str) -> Callable[[], Reencoded]:
        parts, own = self._parts, self.transfer_syntax
        return lambda: reencoding.encode_memory(memoryview(b"".join(parts)), own, transfer_syntax)

    def at_once(self) -> tuple[Buffer, ...] | None:
        if self.size <= _SMALL:
            return (b"".join(self._parts),)
        return self._parts if self.size <= CHUNK else None

    def chunks(self, multiple: int) -> AsyncIterator[Buffer]:
        return _memory_chunks(self._parts, multiple)


class KnownFile(NamedTuple):
    """A Part 10 file whose head has been read. It is read again if the stamp has changed when the file is opened."""

    path: str
    meta: FileMeta
    #: which file it was, and in what state, when its head was read
    stamp: FileStamp

    @property
    def size(self) -> int:
        """Bytes of the file."""
        return self.stamp.size

    @property
    def is_unchanged(self) -> bool:
        """Whether the file is still as it was. Raises OSError where it is not there."""
        return file_stamp(self.path) == self.stamp


class AheadFile(KnownFile):
    """A known file that is being read before it is its turn."""

    ahead: ReadAhead

    @property
    def is_unchanged(self) -> bool:
        """As of a known file, without looking again at one that has been read."""
        return self.ahead.is_read or super().is_unchanged

    @classmethod
    def reading(cls, known: KnownFile, *, may_stay: bool = False) -> KnownFile:
        """Has a file be read ahead, if it is not yet, is small enough to be sent at once and no small one.

        `may_stay`: it may be opened only, if that is faster, as it is to go where parts of files are sent unread.
        """
        if _READ_AT_ONCE < known.stamp.size <= CHUNK and not isinstance(known, AheadFile):
            ahead = read_ahead(known.path, known.stamp, known.meta.data_offset, may_stay)
            if ahead is not None:
                file = cls(*known)
                file.ahead = ahead
                return file
        return known


class FileStamp(NamedTuple):
    """Tells whether a file is still the one that it was. It is not, as far as can be told, when any of this differs."""

    device: int
    inode: int
    #: bytes
    size: int
    #: when it was changed last (not ``st_mtime``, which anybody may set), in nanoseconds
    changed: int


def stamp_of(descriptor: int) -> FileStamp:
    """Returns the stamp of an open file."""
    return FileStamp(*file_stamp(descriptor))


class AheadSource(DataSource):
    """A known file that has been read ahead; what was read is given out once."""

    __slots__ = ("_file",)

    def __init__(self, file: AheadFile) -> None:
        # Without a further call, as there is one of these for each object that is sent.
        meta = file.meta
        self.sop_class_uid = meta.sop_class_uid
        self.sop_instance_uid = meta.sop_instance_uid
        self.transfer_syntax = meta.transfer_syntax
        self.size = file.stamp.size - meta.data_offset
        self._file = file

    def encoder(self, transfer_syntax: str) -> Callable[[], Reencoded]:
        source = self._opened()
        try:
            return source.encoder(transfer_syntax)  # which has a descriptor of its own
        finally:
            source.close()

    def at_once(self) -> tuple[Piece, ...] | None:
        data = self._file.ahead.take()
        return None if data is None else (data,)

    async def chunks(self, multiple: int) -> AsyncIterator[Buffer]:
        source = self._opened()
        try:
            async for chunk in source.chunks(multiple):
                yield chunk
        finally:
            source.close()

    def _opened(self) -> FileSource:
        known = KnownFile(*self._file)
        source = FileSource(known.path, known)
        if source.known is not known:
            source.close()
            raise LocalError("the file was changed before it was sent")
        return source


class FileSource(DataSource):
    """The data set of a Part 10 file, read from the page cache, or in a thread what is not there."""

    __slots__ = ("_descriptor", "_offset", "known")

    def __init__(self, path: str | os.PathLike[str], known: KnownFile | None = None) -> None:
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        try:
            stamp = file_stamp(descriptor)
            if known is None or known.stamp != stamp:
                known = KnownFile(os.fspath(path), read_file_meta(descriptor), FileStamp(*stamp))
            meta = known.meta
            size = known.stamp.size - meta.data_offset
            super().__init__(meta.sop_class_uid, meta.sop_instance_uid, meta.transfer_syntax, size)
        except BaseException:
            os.close(descriptor)
            raise
        self._descriptor = descriptor
        self._offset = meta.data_offset
        #: what is known of the file, to open it again
        self.known = known

    def encoder(self, transfer_syntax: str) -> Callable[[], Reencoded]:
        # Of its own: the thread may still read when nobody waits for it and the source is closed.
        descriptor = os.dup(self._descriptor)
        offset, own = self._offset, self.transfer_syntax
        return lambda: reencoding.encode_file(descriptor, offset, own, transfer_syntax)

    def at_once(self) -> tuple[Buffer, ...] | None:
        data = read_cached(self._descriptor, self.size, self._offset) if self.size <= CHUNK else None
        return None if data is None else (data,)

    def chunks(self, multiple: int) -> AsyncIterator[Buffer]:
        return _file_chunks(self._descriptor, self._offset, self.size, multiple)

    def close(self) -> None:
        os.close(self._descriptor)


class SpooledSource(DataSource):
    """A data set in a file without a name, which is gone when the source is closed."""

    __slots__ = ("_spool",)

    def __init__(self, spool: SpoolFile, sop_class_uid: str, sop_instance_uid: str, transfer_syntax: str) -> None:
        super().__init__(sop_class_uid, sop_instance_uid, transfer_syntax, spool.size)
        self._spool = spool

    def encoder(self, transfer_syntax: str) -> Callable[[], Reencoded]:
        descriptor = os.dup(self._spool.file.fileno())
        return functools.partial(reencoding.encode_file, descriptor, 0, self.transfer_syntax, transfer_syntax)

    def chunks(self, multiple: int) -> AsyncIterator[Buffer]:
        return _file_chunks(self._spool.file.fileno(), 0, self.size, multiple)

    def close(self) -> None:
        self._spool.abandon()


class DataSetSource(DataSource):
    """A data set that is not encoded; it must not change until the response is there."""

    __slots__ = ("_data_set",)

    is_encoded = False

    def __init__(
        self, data_set: Any, sop_class_uid: str | None, sop_instance_uid: str | None, transfer_syntax: str | None
    ) -> None:
        meta = getattr(data_set, "file_meta", None)

        def uid(keyword: str, of_file: str) -> str:
            # What the data set says goes first: whoever gave it another UID may have left the meta information alone.
            found = data_set.get(keyword) or (meta.get(of_file) if meta is not None else None)
            if not found or not isinstance(found, str):
                raise LocalError(f"the data set has no {keyword}: set it, or say it with the call")
            return str(found)

        syntax = transfer_syntax or (meta.get("TransferSyntaxUID") if meta is not None else None)
        syntax = syntax or getattr(data_set, "transfer_syntax", None) or NATIVE[0]
        super().__init__(
            sop_class_uid or uid("SOPClassUID", "MediaStorageSOPClassUID"),
            sop_instance_uid or uid("SOPInstanceUID", "MediaStorageSOPInstanceUID"),
            str(syntax),
            0,
        )
        self._data_set = data_set

    def transfer_syntaxes(self, policy: Transcoding) -> tuple[str, ...]:
        if policy is Transcoding.NEVER and self.transfer_syntax in NATIVE:
            policy = Transcoding.DECOMPRESS_ONLY  # it has to be encoded in any case
        return sendable(self.transfer_syntax, policy)

    def encoder(self, transfer_syntax: str) -> Callable[[], Reencoded]:
        data_set, asked = self._data_set, self.transfer_syntax

        def encode() -> Reencoded:
            from aiodicom.dataset.interop import ours

            try:
                own = ours(data_set)
            except Exception as error:  # whatever pydicom comes across in its values
                raise LocalError(f"the data set cannot be encoded: {error}") from error
            return reencoding.encode_object(own, transfer_syntax, _own_syntax(own, asked))

        return encode


class Encoded(DataSource):
    """Another source in the transfer syntax that the peer has accepted. Owns the other one."""

    __slots__ = ("_inner", "_source")

    def __init__(self, source: DataSource, transfer_syntax: str) -> None:
        super().__init__(source.sop_class_uid, source.sop_instance_uid, transfer_syntax, 0)
        self._source = source
        self._inner: DataSource | None = None

    async def encode(self) -> None:
        """Encodes the data set, in the threads for codecs. Cancelled, nothing is left behind."""
        encoded = await codec_threads().run(self._source.encoder(self.transfer_syntax), Reencoded.drop)
        if encoded.sop_instance_uid is not None:
            self.sop_instance_uid = encoded.sop_instance_uid
        described = self.sop_class_uid, self.sop_instance_uid, self.transfer_syntax
        if isinstance(encoded.data, SpoolFile):
            self._inner = SpooledSource(encoded.data, *described)
        else:
            self._inner = MemorySource(memoryview(encoded.data), *described)
        self.size = self._inner.size

    def at_once(self) -> tuple[Piece, ...] | None:
        return None if self._inner is None else self._inner.at_once()

    def chunks(self, multiple: int) -> AsyncIterator[Buffer]:
        assert self._inner is not None
        return self._inner.chunks(multiple)

    def close(self) -> None:
        self._source.close()
        if self._inner is not None:
            self._inner.close()


def _own_syntax(data_set: Dataset, asked: str) -> str:
    """The transfer syntax that the pixel data of a data set are in, where `asked` is one to send it in."""
    meta = data_set.file_meta
    own = (meta.get("TransferSyntaxUID") if meta is not None else None) or data_set.transfer_syntax
    if own:
        return str(own)
    pixels = data_set.data_element("PixelData")
    is_encapsulated = pixels is not None and pixels.undefined_length
    return asked if is_encapsulated or asked in NATIVE else NATIVE[0]


async def _memory_chunks(parts: Iterable[Buffer], multiple: int) -> AsyncIterator[memoryview]:
    step = _chunk_size(multiple)
    for part in parts:
        view = memoryview(part)
        for offset in range(0, len(view), step):
            yield view[offset : offset + step]


async def _file_chunks(descriptor: int, start: int, total: int, multiple: int) -> AsyncIterator[Buffer]:
    step = _chunk_size(multiple)
    for offset in range(start, start + total, step):
        size = min(step, start + total - offset)
        data: bytes | memoryview | None = read_cached(descriptor, size, offset)
        if data is None:
            loop = asyncio.get_running_loop()
            data = await loop.run_in_executor(None, os.pread, descriptor, size, offset)
        if len(data) != size:
            raise LocalError(f"the file was cut short to {offset + len(data)} bytes while it was sent")
        yield data


def _chunk_size(multiple: int) -> int:
    return max(CHUNK // multiple, 1) * multiple


class Prepared(NamedTuple):
    """What is to be stored, before there is an association for it."""

    #: to be opened, as often as it is sent
    source: Storable
    sop_class_uid: str
    #: those that it can be sent in, its own first
    transfer_syntaxes: tuple[str, ...]
    #: whether it is encoded in its own
    is_encoded: bool
    #: about how many bytes are sent for it, as far as that is known
    size: int


def prepare(
    source: Storable,
    sop_class_uid: str | None = None,
    sop_instance_uid: str | None = None,
    transfer_syntax: str | None = None,
    policy: Transcoding = Transcoding.LOSSLESS,
) -> Prepared:
    """Looks at what is to be stored: reads the head of a file, unless that is known. Raises as `open_source` does."""
    if (
        isinstance(source, KnownFile)
        and _is_file_of(source.meta, sop_class_uid, sop_instance_uid)
        and not transfer_syntax
        and source.is_unchanged
    ):
        meta = source.meta
        syntaxes = sendable(meta.transfer_syntax, policy)
        return Prepared(source, meta.sop_class_uid, syntaxes, True, source.size - meta.data_offset)
    opened = open_source(source, sop_class_uid, sop_instance_uid, transfer_syntax)
    try:
        # What is in memory holds nothing that closing would give back, and can be sent again.
        again = opened.known if isinstance(opened, FileSource) else opened
        return Prepared(again, opened.sop_class_uid, opened.transfer_syntaxes(policy), opened.is_encoded, opened.size)
    finally:
        opened.close()


def _is_file_of(said: FileMeta | DataSource, sop_class_uid: str | None, sop_instance_uid: str | None) -> bool:
    """Whether a file is of the SOP class and instance that it has to be of, if any."""
    return (not sop_instance_uid or said.sop_instance_uid == sop_instance_uid) and (
        not sop_class_uid or said.sop_class_uid == sop_class_uid
    )


def _open_file(source: KnownFile | str | os.PathLike[str]) -> DataSource:
    if not isinstance(source, KnownFile):
        return FileSource(source)
    meta = source.meta
    if isinstance(source, AheadFile) and source.is_unchanged:
        return AheadSource(source)
    if source.stamp.size <= _READ_AT_ONCE:
        data = read_known(source.path, source.stamp, meta.data_offset)
        if data is not None:
            return MemorySource(memoryview(data), meta.sop_class_uid, meta.sop_instance_uid, meta.transfer_syntax)
    return FileSource(source.path, source)


def open_source(
    source: Storable,
    sop_class_uid: str | None = None,
    sop_instance_uid: str | None = None,
    transfer_syntax: str | None = None,
) -> DataSource:
    """Returns the source of what is to be stored.

    Memory that isn't Part 10 is an encoded data set, and all three UIDs have to be given. SOP class and instance of a
    file are those that it has to be of. Raises `DecodeError` for a file or bytes that are no DICOM, `OSError` for a
    file that can't be read, `LocalError` for one of another instance, for missing UIDs, and for what is none of all
    that.
    """
    if isinstance(source, DataSource):
        return source
    if isinstance(source, (KnownFile, str, os.PathLike)):
        if transfer_syntax:
            raise LocalError("a transfer syntax goes with encoded bytes; a file says its own")
        opened = _open_file(source)
        if not _is_file_of(opened, sop_class_uid, sop_instance_uid):
            opened.close()
            raise LocalError(
                "the file is of another SOP class or instance than it has to be of: of the class "
                f"{opened.sop_class_uid}, the instance {opened.sop_instance_uid}"
            )
        return opened
    if not isinstance(source, (bytes, bytearray)) and not (isinstance(source, memoryview) and source.c_contiguous):
        if _is_data_set(source):
            return DataSetSource(source, sop_class_uid, sop_instance_uid, transfer_syntax)
        if not hasattr(source, "tobytes"):
            raise LocalError(
                f"{type(source).__name__} cannot be stored: give a path, a data set, bytes, or what has tobytes()"
            )
        source = source.tobytes()
    view = memoryview(source).cast("B").toreadonly()
    if sop_class_uid and sop_instance_uid and transfer_syntax:
        return MemorySource(view, sop_class_uid, sop_instance_uid, transfer_syntax)
    if bytes(view[128:132]) != b"DICM":
        raise LocalError(
            "an encoded data set needs sop_class_uid, sop_instance_uid and transfer_syntax, "
            "or to begin with a preamble and file meta information"
        )
    meta = read_file_meta(view)
    return MemorySource(view[meta.data_offset :], meta.sop_class_uid, meta.sop_instance_uid, meta.transfer_syntax)


def _is_data_set(source: object) -> bool:
    """Whether it is a data set, ours or pydicom's; imports neither, for whoever has one has imported it."""
    modules = (sys.modules.get("aiodicom.dataset.dataset"), sys.modules.get("pydicom.dataset"))
    return any(module is not None and isinstance(source, module.Dataset) for module in modules)
