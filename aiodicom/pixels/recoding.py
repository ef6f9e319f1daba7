"""Frames from one transfer syntax into another: `Recoding`. What the data set must say of that is `derivation`'s."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack
from tempfile import SpooledTemporaryFile
from typing import TYPE_CHECKING, Final, NamedTuple, TypeVar, cast

import numpy

from aiodicom.errors import LocalError, PixelDataError
from aiodicom.standard.transfer_syntaxes import CARRIED
from aiodicom.standard.transfer_syntaxes import transfer_syntax as transfer_syntax_of

from ._markers import read_header
from ._pixels import pack_bits, swap
from .arrays import to_rgb
from .codecs import codec_for
from .codecs.codec import Decoded, Encoded
from .codecs.jpeg_xl import JPEGRecompression
from .encapsulation import Buffer, fragments_of, offset_tables

if TYPE_CHECKING:
    from typing import IO

    from .description import Description
    from .encapsulation import Table
    from .frames import Frames

__all__ = [
    "LOSSY",
    "RECOMPRESSION",
    "EncodedFrames",
    "NativeFrames",
    "Recoding",
    "carries",
    "has_quality",
    "is_lossy_jpeg",
]

Result = TypeVar("Result")

_JPEG: Final = "1.2.840.10008.1.2.4."
RECOMPRESSION: Final = f"{_JPEG}111"
_BASELINE: Final = f"{_JPEG}50"
_LOSSY_JPEG_XL: Final = f"{_JPEG}112"

#: What is encoded with loss.
LOSSY: Final = frozenset(f"{_JPEG}{number}" for number in ("50", "51", "81", "91", "112", "203"))

#: The processes of JPEG streams that a transfer syntax is for: baseline, and extended.
_PROCESSES: Final = {f"{_JPEG}50": (0,), f"{_JPEG}51": (0, 1)}

#: Encoded frames of a data set up to this size wait in memory, larger ones in a file without a name.
_IN_MEMORY: Final = 8 << 20

_LONGEST_VALUE: Final = 0xFFFFFFFE


def carries(transfer_syntax: str, own: str) -> bool:
    """Whether frames in `own` are in `transfer_syntax` as they stand."""
    return transfer_syntax == own or transfer_syntax in CARRIED.get(own, ())


def has_quality(transfer_syntax: str) -> bool:
    """Whether there is a quality to choose: how much is lost, or how hard it is deflated."""
    return transfer_syntax in LOSSY or transfer_syntax_of(transfer_syntax).codec == "deflate"


def is_lossy_jpeg(transfer_syntax: str) -> bool:
    """Whether its frames are JPEG that has lost something, which nothing but DCT-based JPEG surely has."""
    known = transfer_syntax_of(transfer_syntax)
    return transfer_syntax == RECOMPRESSION or (known.codec == "jpeg" and not known.lossless)


class EncodedFrames(NamedTuple):
    """Frames in their fragments, ready to be written; ``ratio`` is how many times larger native ones would be."""

    length: None
    described: Description
    pieces: Iterable[Buffer]
    offsets: bytes | None
    lengths: bytes | None
    ratio: float


class NativeFrames(NamedTuple):
    """Native frames, which are made while they are taken."""

    length: int
    described: Description
    pieces: Iterator[Buffer]


class Recoding:
    """Brings frames into another transfer syntax, one after the other, or up to `threads` at a time.

    What was JPEG becomes JPEG XL, and JPEG again, stream by stream (PS3.5 A.4.12); everything else is decoded and
    encoded.
    """

    def __init__(self, frames: Frames, transfer_syntax: str, quality: float | None = None, threads: int = 1) -> None:
        """Raises CodecMissing where the frames are not decoded, or not encoded in `transfer_syntax`."""
        self.frames = frames
        self.transfer_syntax = transfer_syntax
        self._name = transfer_syntax_of(transfer_syntax).name
        self._quality = quality
        self._threads = threads
        own = frames.transfer_syntax
        self._decoder = codec_for(own)
        self._encoder = codec_for(transfer_syntax)
        #: Streams that stay what they are.
        self.is_recompressed = transfer_syntax == RECOMPRESSION and own in _PROCESSES
        self.is_reconstructed = own == RECOMPRESSION and transfer_syntax in _PROCESSES and quality is None
        #: Whether the image is no longer the same.
        self.is_lossy = (
            transfer_syntax in LOSSY
            and not self.is_reconstructed
            and not (quality == 0 and transfer_syntax_of(transfer_syntax).codec == "jpeg-ls")
        )
        described = frames.description
        #: Words that have no more than bytes.
        self._is_narrowed = (
            transfer_syntax == _BASELINE
            and not (self.is_recompressed or self.is_reconstructed or described.signed)
            and described.bits_allocated == 16
            and described.bits_stored <= 8
        )
        if self.is_lossy and frames.overlays():
            raise LocalError(
                f"not encoded in {self._name}: overlays are in bits of the pixel data, which loss would destroy"
            )

    # --- one frame --------------------------------------------------------------------------------------------------

    def _encode(self, number: int) -> Encoded:
        """A frame in the other transfer syntax. Raises PixelDataError, and LocalError for what cannot be in that."""
        frame = self.frames[number]
        described = self.frames.description
        if self.is_recompressed:
            return self._refusing(number, lambda: self._recompress(frame.encoded))
        if self.is_reconstructed:
            return self._reconstruct(number)
        cells, interpretation = self._suited(frame.decode())
        described = described.changed(photometric_interpretation=interpretation)
        if self._is_narrowed:
            described = described.changed(bits_allocated=8, high_bit=described.bits_stored - 1)
        return self._refusing(number, lambda: self._encoder.encode(cells, described, self._quality))

    def _refusing(self, number: int, encode: Callable[[], Encoded]) -> Encoded:
        try:
            return encode()
        except PixelDataError as error:
            raise PixelDataError(error.reason, number) from error
        except ValueError as error:
            raise LocalError(f"not encoded in {self._name}: {error}") from error

    def _suited(self, decoded: Decoded) -> Decoded:
        """Cells as the codec has them: lossy JPEG XL makes its colours of RGB alone, and baseline JPEG has bytes."""
        described = self.frames.description
        interpretation = decoded.photometric_interpretation
        if self._is_narrowed:
            return Decoded(decoded.stored_values(described).astype("u1"), interpretation)
        if self.transfer_syntax == _LOSSY_JPEG_XL and interpretation.startswith("YBR_"):
            return Decoded(to_rgb(decoded.stored_values(described), described, interpretation, None), "RGB")
        return decoded

    def _recompress(self, stream: Buffer) -> Encoded:
        interpretation = self.frames.description.photometric_interpretation
        header = read_header(stream, "JPEG")
        says_so = header.components == (0x52, 0x47, 0x42) or (not header.jfif and header.adobe == 0)
        if interpretation == "RGB" and not header.jfif and header.adobe is None and not says_so:
            raise ValueError("the data set says RGB and the JPEG stream does not: in JPEG XL it would be YCbCr")
        return Encoded(cast(JPEGRecompression, self._encoder).recompress(stream), interpretation)

    def _reconstruct(self, number: int) -> Encoded:
        described = self.frames.description
        codec = cast(JPEGRecompression, self._decoder)
        encoded = self.frames[number].encoded
        try:
            stream = codec.reconstruct(encoded, described)
            process = read_header(stream, "JPEG").process
        except PixelDataError as error:
            raise PixelDataError(error.reason, number) from error
        if process not in _PROCESSES[self.transfer_syntax]:
            raise LocalError(f"the JPEG stream that was recompressed is of SOF{process}, which is not {self._name}")
        return Encoded(stream, _interpretation(described))

    def _each(self, work: Callable[[int], Result]) -> Iterator[Result]:
        """What `work` gives for each frame, in order; at most two for each thread are there at a time."""
        count = len(self.frames)
        if self._threads == 1 or count == 1:
            yield from map(work, range(count))
            return
        waiting: deque[Future[Result]] = deque()
        with ExitStack() as stack:
            pool = ThreadPoolExecutor(self._threads, "aiodicom-frames")
            stack.callback(pool.shutdown, cancel_futures=True)
            for number in range(count):
                if len(waiting) == 2 * self._threads:
                    yield waiting.popleft().result()
                waiting.append(pool.submit(work, number))
            while waiting:
                yield waiting.popleft().result()

    def _as_encoded(self, encoded: Encoded) -> Description:
        """What a data set says of frames like this one."""
        described = self.frames.description
        changes: dict[str, object] = {"photometric_interpretation": encoded.photometric_interpretation}
        if encoded.bits_stored is not None:
            changes |= {"bits_stored": encoded.bits_stored, "high_bit": encoded.bits_stored - 1}
        if self._is_narrowed:
            changes["bits_allocated"] = 8
        if described.samples > 1 and transfer_syntax_of(self.transfer_syntax).codec not in ("", "rle", "deflate"):
            # The tables of PS3.5 8.2 have the samples of a pixel together.
            changes["planar_configuration"] = 0
        return described.changed(**changes)

    # --- all of them ------------------------------------------------------------------------------------------------

    def encoded(self, table: Table) -> EncodedFrames:
        """All frames encapsulated, with this offset table, or an extended one where the basic one is too short.

        They have been encoded when this returns.
        """
        lengths: list[int] = []
        described: Description | None = None
        store: IO[bytes] = SpooledTemporaryFile(_IN_MEMORY)  # noqa: SIM115
        try:
            for number, encoded in enumerate(self._each(self._encode)):
                described = self._agreed(described, self._as_encoded(encoded), number)
                lengths.append(len(encoded.data))
                store.write(encoded.data)
            assert described is not None
            if table == "basic" and sum(lengths) + 16 * len(lengths) > _LONGEST_VALUE and len(lengths) > 1:
                table = "extended"
            basic, offsets, sizes = self._tables(lengths, table)
        except BaseException:
            store.close()
            raise
        ratio = self.frames.description.decoded_size * len(lengths) / sum(lengths)
        return EncodedFrames(None, described, _StoredFragments(store, basic, lengths), offsets, sizes, ratio)

    def _tables(self, lengths: list[int], table: Table) -> tuple[bytes, bytes | None, bytes | None]:
        try:
            return offset_tables(lengths, table=table)
        except ValueError as error:
            raise LocalError(f"not encoded in {self._name}: {error}") from error

    def native(self, swapped: int) -> NativeFrames:
        """All frames without compression, in little endian, or in big endian words of `swapped` bytes.

        The first one is decoded when this returns. Raises LocalError for more than 4 GiB.
        """
        frames = self._each(self._encode)
        first = next(frames)
        described = self._as_encoded(first)
        size = -(-described.native_bits * len(self.frames) // 8)
        if size > _LONGEST_VALUE:
            raise LocalError(f"not encoded in {self._name}: {size} bytes of pixel data, more than a length can say")

        def pieces() -> Iterator[Buffer]:
            yield first.data
            for number, encoded in enumerate(frames, 1):
                self._agreed(described, self._as_encoded(encoded), number)
                yield encoded.data

        made = pieces() if described.native_bits % 8 == 0 else _without_gaps(pieces(), described.native_bits)
        return NativeFrames(size, described, made if swapped == 1 else _turned(made, swapped))

    @staticmethod
    def _agreed(before: Description | None, described: Description, number: int) -> Description:
        """What all frames have in common. Bits stored are as many as one of them needs."""
        if before is None or before == described:
            return described
        if before.photometric_interpretation != described.photometric_interpretation:
            raise PixelDataError(
                f"{described.photometric_interpretation}, where frames before are {before.photometric_interpretation}",
                number,
            )
        return before if before.bits_stored > described.bits_stored else described


def _interpretation(described: Description) -> str:
    return described.photometric_interpretation


class _StoredFragments:
    """The fragments of frames that wait in a file, which is closed when they have been taken, or nobody wants them."""

    def __init__(self, store: IO[bytes], basic: bytes, lengths: list[int]) -> None:
        self._store = store
        self._basic = basic
        self._lengths = lengths

    def __iter__(self) -> Iterator[Buffer]:
        with self._store as store:
            store.seek(0)
            yield from fragments_of(self._basic)
            for length in self._lengths:
                yield from fragments_of(store.read(length))

    def __del__(self) -> None:
        self._store.close()


def _without_gaps(frames: Iterator[Buffer], bits: int) -> Iterator[Buffer]:
    """Frames of single bits, the last byte of each filled up with the beginning of the next (PS3.5 8.1.1)."""
    left = numpy.empty(0, "u1")
    for frame in frames:
        single = numpy.unpackbits(numpy.frombuffer(frame, "u1"), bitorder="little")[:bits]
        left = numpy.concatenate((left, single))
        whole = left.size // 8 * 8
        packed = bytearray(whole // 8)
        pack_bits(left[:whole], packed)
        left = left[whole:]
        yield packed
    if left.size:
        packed = bytearray(1)
        pack_bits(left, packed)
        yield packed


def _turned(pieces: Iterator[Buffer], width: int) -> Iterator[Buffer]:
    """The bytes of each word the other way round; a word may be in two pieces, and the last one is filled with 0."""
    left = b""
    for piece in pieces:
        data = left + bytes(piece)
        whole = len(data) // width * width
        turned = bytearray(whole)
        swap(data[:whole], turned, width)
        left = data[whole:]
        yield turned
    if left:
        turned = bytearray(width)
        swap(left + bytes(width - len(left)), turned, width)
        yield turned
