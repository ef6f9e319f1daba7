"""Objects from one transfer syntax into another: `transcode` and `transcode_file`."""

from __future__ import annotations

import os
from collections.abc import Iterator
from copy import deepcopy
from io import BytesIO
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from aiodicom.dataset import Dataset, Sequence
from aiodicom.dataset.interop import ours
from aiodicom.errors import LocalError
from aiodicom.part10.pieces import LongValue, deflated, encode_pieces, long_values
from aiodicom.part10.reader import DEFER_SIZE, dcmread
from aiodicom.part10.writer import encode_head, replacing
from aiodicom.standard.transfer_syntaxes import GE_PRIVATE, named_transfer_syntax
from aiodicom.standard.transfer_syntaxes import transfer_syntax as transfer_syntax_of
from aiodicom.standard.uids import EXPLICIT_VR_LITTLE_ENDIAN

from .derivation import keep_history, tell_of_loss
from .description import KINDS
from .frames import Frames
from .recoding import EncodedFrames, Recoding, carries, has_quality

if TYPE_CHECKING:
    from pydicom.dataset import Dataset as PydicomDataset

    from aiodicom.standard.transfer_syntaxes import TransferSyntax

    from .encapsulation import Buffer

__all__ = ["Transcoded", "describe", "transcode", "transcode_data_set", "transcode_file"]

#: Of which there is no pixel data in the data set, or no data set.
_ELSEWHERE: Final = ("jpip", "smpte-2110")

_PIXEL_DATA: Final = 0x7FE00010

#: Bytes up to which a file is read at once.
_IN_MEMORY: Final = 8 << 20


class Transcoded(NamedTuple):
    """A data set that is being brought into another transfer syntax.

    ``header`` is what it says now, its long values apart; ``pieces`` is all of it, encoded, to be taken once. What is
    wrong with frames, and only then turns out, is raised while they are taken.
    """

    header: Dataset
    transfer_syntax: str
    pieces: Iterator[Buffer]

    @property
    def head(self) -> bytes:
        """The beginning of a file with it: preamble and file meta information (PS3.10 7.1)."""
        return encode_head(self.header, self.transfer_syntax)


def transcode(
    source: Dataset | PydicomDataset | str | os.PathLike[str] | bytes | bytearray | memoryview,
    to: str,
    *,
    quality: float | None = None,
    threads: int = 1,
) -> Dataset:
    """An object in the transfer syntax `to`: its pixel data, and everything that must follow them.

    `source` is a data set, ours or pydicom's, which stays as it is; the path of a file; or a file's bytes. `to` is a
    UID, or a name such as ``"htj2k-lossless"`` (`aiodicom.standard.transfer_syntaxes.SHORT_NAMES`). `quality` is the
    measure of the codec: 1 to 100 for JPEG, NEAR for JPEG-LS, dB for JPEG 2000, the quantization step for HTJ2K, the
    distance for JPEG XL. Frames are worked on `threads` at a time.

    Between lossless transfer syntaxes samples stay what they are to the last bit, and so does every element that need
    not change. Between JPEG and JPEG XL recompression (PS3.5 A.4.12) the JPEG stream does. What is in `to` already, or
    in a transfer syntax whose streams `to` has too, is not encoded anew, unless a `quality` is given for the latter.

    With loss, the result is another image (PS3.3 C.7.6.1.1.5): Lossy Image Compression, its ratio and method,
    Derivation Description and Code, Source Image Sequence, Image Type DERIVED, and a new SOP Instance UID, which
    is the same each time for the same image, transfer syntax and quality.

    Icons stay as they are, unless they are compressed and `to` does not have their codec: they become native.

    Raises `aiodicom.errors.LocalError` for what cannot be, also a `quality` of what loses nothing, and says why;
    `aiodicom.errors.CodecMissing`, which is one, for what nothing here decodes or encodes, as video;
    `aiodicom.errors.PixelDataError` for frames that are corrupt, and `aiodicom.errors.DecodeError` for data that are;
    OSError; ValueError for a `to` that is no transfer syntax.
    """
    data_set = _opened(source)
    transcoded = transcode_data_set(data_set, to, quality=quality, threads=threads)
    made = Dataset.from_bytes(b"".join(transcoded.pieces), transcoded.transfer_syntax)
    made.file_meta, made.preamble = transcoded.header.file_meta, transcoded.header.preamble
    return made


def transcode_file(
    source: str | os.PathLike[str],
    target: str | os.PathLike[str],
    to: str,
    *,
    quality: float | None = None,
    threads: int = 1,
    overwrite: bool = True,
    fsync: bool = False,
) -> str:
    """Writes the object of a file in another transfer syntax: `transcode`, frame by frame, in bounded memory.

    The target is written whole or not at all, and may be the source; without `overwrite`, a file that exists raises
    FileExistsError; with `fsync`, it is on the disk on return. Returns its SOP Instance UID.

    Encoded frames beyond 8 MiB wait in a temporary file. Raises as `transcode` does.
    """
    transcoded = transcode_data_set(_opened(source), to, quality=quality, threads=threads)
    with replacing(target, fsync=fsync, overwrite=overwrite) as file:
        file.write(transcoded.head)
        for piece in transcoded.pieces:
            file.write(piece)
    return str(transcoded.header.get("SOPInstanceUID") or "")


def _opened(source: Any) -> Dataset:
    if isinstance(source, (str, os.PathLike)):
        # Opening a file for each of its frames has threads wait for each other.
        return dcmread(source, defer_size=None if os.stat(source).st_size <= _IN_MEMORY else DEFER_SIZE)
    if isinstance(source, (bytes, bytearray, memoryview)):
        return dcmread(BytesIO(source))
    return ours(source)


def transcode_data_set(
    data_set: Dataset, to: str, *, quality: float | None = None, threads: int = 1, own: str | None = None
) -> Transcoded:
    """What `transcode` makes of a data set, in pieces. `own` is the transfer syntax of its pixel data, where the data
    set does not say it itself.
    """
    if data_set.truncated is not None:
        raise data_set.truncated
    meta = data_set.file_meta
    own = str(
        own
        or (meta is not None and meta.get("TransferSyntaxUID"))
        or data_set.transfer_syntax
        or EXPLICIT_VR_LITTLE_ENDIAN
    )
    target = transfer_syntax_of(own) if to == own else named_transfer_syntax(to)
    header = data_set.copy()
    if meta is not None:
        header.file_meta = meta.copy()
        header.file_meta.TransferSyntaxUID = target.uid
    pixels = None
    if quality is not None and not has_quality(target.uid):
        raise LocalError(f"{target.name} has no quality to choose: it loses nothing")
    if target.uid != own:
        _refuse(target)
        _refuse(transfer_syntax_of(own))
        if any(kind in data_set for kind in KINDS):
            pixels = _recoded(data_set, header, own, target, quality, threads)
    return Transcoded(header, target.uid, _pieces(header, target, pixels))


def _refuse(syntax: TransferSyntax) -> None:
    if syntax.codec in _ELSEWHERE:
        raise LocalError(f"the pixel data of {syntax.name} are not in the data set (PS3.5 A.6, PS3.22)")


def _recoded(
    data_set: Dataset, header: Dataset, own: str, target: TransferSyntax, quality: float | None, threads: int
) -> LongValue | None:
    """The pixel data in another transfer syntax, and has `header` say so; None where they stay as they are."""
    known = transfer_syntax_of(own)
    if target.native and known.native and own != GE_PRIVATE and not _is_turned(data_set, known, target):
        return None
    if quality is None and carries(target.uid, own):
        return None
    frames = Frames(data_set, transfer_syntax=own)
    described = frames.description
    if described.kind != "PixelData":
        raise LocalError(f"not encoded in {target.name}: {described.kind} is never compressed (PS3.5 8.2)")
    recoding = Recoding(frames, target.uid, quality, threads)
    _decode_icons(header, own)
    made: Any
    vr = "OB"
    if target.encapsulated:
        made = recoding.encoded("extended" if data_set.get("ExtendedOffsetTable") else "basic")
    else:
        vr = "OW" if described.bits_allocated > 8 else "OB"
        made = recoding.native(max(described.width, 2) if vr == "OW" and not target.little_endian else 1)
    describe(header, described, made.described)
    for keyword, table in (("ExtendedOffsetTable", "offsets"), ("ExtendedOffsetTableLengths", "lengths")):
        value = getattr(made, table, None)
        if value is not None:
            setattr(header, keyword, value)
        elif keyword in header:
            delattr(header, keyword)
    keep_history(header, own, frames)
    if recoding.is_lossy:
        assert isinstance(made, EncodedFrames)
        tell_of_loss(header, target, quality, made.ratio)
    return LongValue(_PIXEL_DATA, vr, made.length, made.pieces)


def _is_turned(data_set: Dataset, own: TransferSyntax, target: TransferSyntax) -> bool:
    """Whether not the words of OW change the order of their bytes, but cells with more than those."""
    if own.little_endian == target.little_endian or "PixelData" not in data_set:
        return False
    allocated = data_set.get("BitsAllocated")
    return isinstance(allocated, int) and allocated > 16


def describe(header: Dataset, before: Any, now: Any) -> None:
    """Has the data set say what has changed of its frames (PS3.3 C.7.6.3), and nothing else."""
    for keyword, name in (
        ("PhotometricInterpretation", "photometric_interpretation"),
        ("PlanarConfiguration", "planar_configuration"),
        ("BitsAllocated", "bits_allocated"),
        ("BitsStored", "bits_stored"),
        ("HighBit", "high_bit"),
    ):
        value = getattr(now, name)
        if value != getattr(before, name):
            setattr(header, keyword, value)


def _decode_icons(header: Dataset, own: str) -> None:
    """Makes compressed icons native (PS3.3 F.7): no other transfer syntax than their own has their codec."""
    icons = header.get("IconImageSequence")
    if not isinstance(icons, Sequence) or not any(map(_is_compressed, icons)):
        return
    icons = deepcopy(header["IconImageSequence"].value)
    for icon in icons:
        if _is_compressed(icon):
            made = Recoding(Frames(icon, transfer_syntax=own), EXPLICIT_VR_LITTLE_ENDIAN).native(1)
            described = Frames(icon, transfer_syntax=own).description
            describe(icon, described, made.described)
            icon.add_new("PixelData", "OW" if described.bits_allocated > 8 else "OB", b"".join(made.pieces))
    header.IconImageSequence = icons


def _is_compressed(icon: Dataset) -> bool:
    pixels = icon.data_element("PixelData")
    return pixels is not None and pixels.undefined_length


def _pieces(header: Dataset, target: TransferSyntax, pixels: LongValue | None) -> Iterator[Buffer]:
    values = [] if pixels is None else [pixels]
    if target.little_endian and header.is_little_endian:
        # In big endian, values are read as a whole to change the order of their bytes.
        values += [value for value in long_values(header) if pixels is None or value.tag != pixels.tag]
    syntax = EXPLICIT_VR_LITTLE_ENDIAN if target.deflated else target.uid
    try:
        if values:
            pieces = encode_pieces(header, syntax, values)
            yield from deflated(pieces) if target.deflated else pieces
        else:
            yield from header.to_parts(target.uid)
    except (TypeError, ValueError) as error:
        raise LocalError(f"not encoded in {target.name}: {error}") from error
