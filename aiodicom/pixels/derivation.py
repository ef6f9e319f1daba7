"""What a data set says of compression with loss (PS3.3 C.7.6.1.1.5, C.12.4)."""

from __future__ import annotations

import uuid
from typing import TYPE_CHECKING, Any, Final

from aiodicom.dataset import Dataset, Sequence

from .recoding import is_lossy_jpeg

if TYPE_CHECKING:
    from aiodicom.standard.transfer_syntaxes import TransferSyntax

    from .frames import Frames

__all__ = ["derived_uid", "keep_history", "tell_of_loss"]

#: Lossy Image Compression Method by codec (PS3.3 C.7.6.1.1.5.1).
_METHODS: Final = {
    "jpeg": "ISO_10918_1",
    "jpeg-ls": "ISO_14495_1",
    "jpeg-2000": "ISO_15444_1",
    "htj2k": "ISO_15444_15",
    "jpeg-xl": "ISO_18181_1",
}

#: Characters of an ST (PS3.5 6.2).
_LONGEST_TEXT: Final = 1024


def derived_uid(sop_instance_uid: str, transfer_syntax: str, quality: float | None) -> str:
    """The SOP Instance UID of an image compressed with loss: the same for the same image, codec and quality, so that
    who does it again does not make another object.
    """
    name = f"{sop_instance_uid} {transfer_syntax} {'' if quality is None else format(quality, 'g')}"
    return f"2.25.{uuid.uuid5(uuid.NAMESPACE_OID, name).int}"


def keep_history(header: Dataset, own: str, frames: Frames) -> None:
    """What the transfer syntax had said of loss is in the data set from now on: Lossy Image Compression."""
    if is_lossy_jpeg(own) and header.get("LossyImageCompression") != "01":
        header.LossyImageCompression = "01"
        if not header.get("LossyImageCompressionMethod"):
            sizes = sum(sum(length for _, length in frame.locate()) for frame in frames)
            header.LossyImageCompressionRatio = _ratio(frames.description.decoded_size * len(frames) / sizes)
            header.LossyImageCompressionMethod = _METHODS["jpeg"]


def tell_of_loss(header: Dataset, target: TransferSyntax, quality: float | None, ratio: float) -> None:
    """Makes it a derived image with its own UID, and adds this compression to those that have been."""
    header.LossyImageCompression = "01"
    header.LossyImageCompressionRatio = [*_list(header.get("LossyImageCompressionRatio")), _ratio(ratio)]
    header.LossyImageCompressionMethod = [
        *_list(header.get("LossyImageCompressionMethod")),
        _METHODS[target.codec],
    ]
    measure = "" if quality is None else f", quality {quality:g}"
    text = f"Lossy compression: {target.name}{measure}, ratio {_ratio(ratio)}"
    before = header.get("DerivationDescription")
    described = f"{before}; {text}" if before else text
    header.DerivationDescription = described if len(described) <= _LONGEST_TEXT else text
    header.DerivationCodeSequence = _with(header, "DerivationCodeSequence", _code("113040", "Lossy Compression"))
    uid = header.get("SOPInstanceUID")
    if uid:
        source = Dataset(
            ReferencedSOPClassUID=header.get("SOPClassUID") or "",
            ReferencedSOPInstanceUID=uid,
            PurposeOfReferenceCodeSequence=Sequence([_code("121320", "Uncompressed predecessor")]),
        )
        header.SourceImageSequence = _with(header, "SourceImageSequence", source)
        header.SOPInstanceUID = derived_uid(str(uid), target.uid, quality)
        if header.file_meta is not None:
            header.file_meta.MediaStorageSOPInstanceUID = header.SOPInstanceUID
    image_type = _list(header.get("ImageType"))
    if image_type and image_type[0] != "DERIVED":
        header.ImageType = ["DERIVED", *image_type[1:]]


def _ratio(ratio: float) -> str:
    return f"{ratio:.4g}"


def _list(value: Any) -> list[Any]:
    if value is None or value == "":
        return []
    return list(value) if isinstance(value, list) else [value]


def _code(value: str, meaning: str) -> Dataset:
    return Dataset(CodeValue=value, CodingSchemeDesignator="DCM", CodeMeaning=meaning)


def _with(header: Dataset, keyword: str, item: Dataset) -> Sequence:
    before = header.get(keyword)
    return Sequence([*(before if isinstance(before, Sequence) else ()), item])
