"""Data sets of pydicom and ours, one into the other without loss; pydicom is imported when it is needed.

Both keep encoded values as they are until somebody looks at them, so each side writes what it has in the encoding that
the data set was read in, and the other reads that.
"""

from __future__ import annotations

from io import BytesIO
from struct import pack
from typing import TYPE_CHECKING, Any

from aiodicom.standard.uids import EXPLICIT_VR_BIG_ENDIAN, EXPLICIT_VR_LITTLE_ENDIAN, IMPLICIT_VR_LITTLE_ENDIAN

from .dataset import Dataset

if TYPE_CHECKING:
    from pydicom.dataset import Dataset as PydicomDataset

__all__ = ["from_pydicom", "is_pydicom", "ours", "to_pydicom"]


def is_pydicom(value: Any) -> bool:
    """Whether `value` is a data set of pydicom's; does not import it."""
    import sys

    module = sys.modules.get("pydicom.dataset")
    return module is not None and isinstance(value, module.Dataset)


def ours(data_set: Any) -> Dataset:
    """`data_set` itself, or our form of one of pydicom's. Raises TypeError for anything else."""
    if isinstance(data_set, Dataset):
        return data_set
    if not is_pydicom(data_set):
        raise TypeError(f"a data set is wanted, ours or pydicom's, not {type(data_set).__name__}")
    return from_pydicom(data_set)


def from_pydicom(data_set: PydicomDataset) -> Dataset:
    """Our form of a data set of pydicom's, file meta information and preamble included.

    Raises TypeError for anything else; what pydicom raises for values that it cannot encode.
    """
    if not is_pydicom(data_set):
        raise TypeError(f"a data set of pydicom's is wanted, not {type(data_set).__name__}")
    implicit, little = _encoding(data_set)
    made = Dataset.from_bytes(_encoded(data_set, implicit, little), _syntax(implicit, little))
    made.transfer_syntax = None
    meta = getattr(data_set, "file_meta", None)
    if meta is not None:
        made.file_meta = file_meta = Dataset.from_bytes(_encoded(meta, False, True), EXPLICIT_VR_LITTLE_ENDIAN)
        made.transfer_syntax = file_meta.get("TransferSyntaxUID")
    preamble = getattr(data_set, "preamble", None)
    if preamble:
        made.preamble = preamble
    return made


def to_pydicom(data_set: Dataset) -> PydicomDataset:
    """Pydicom's form of a data set; a `pydicom.dataset.FileDataset` where it has file meta information."""
    from pydicom.dataset import FileDataset, FileMetaDataset
    from pydicom.filereader import read_dataset

    implicit, little = data_set._implicit, not data_set._big
    theirs = read_dataset(BytesIO(_native_bytes(data_set)), implicit, little)
    if data_set.file_meta is None:
        return theirs
    meta = read_dataset(BytesIO(data_set.file_meta.to_bytes(EXPLICIT_VR_LITTLE_ENDIAN)), False, True)
    file_data_set = FileDataset(
        BytesIO(),
        theirs,
        preamble=data_set.preamble or None,
        file_meta=FileMetaDataset(meta),
        is_implicit_VR=implicit,
        is_little_endian=little,
    )
    file_data_set.set_original_encoding(implicit, little, theirs._character_set)
    return file_data_set


def _native_bytes(data_set: Dataset) -> bytes:
    """The data set in the encoding it has, Pixel Data in fragments or not."""
    from ._dataset import encode

    return encode(data_set, data_set._implicit, data_set._big, False, False, "kept")


def _syntax(implicit: bool, little: bool) -> str:
    if implicit:
        return IMPLICIT_VR_LITTLE_ENDIAN
    return EXPLICIT_VR_LITTLE_ENDIAN if little else EXPLICIT_VR_BIG_ENDIAN


def _encoding(data_set: PydicomDataset) -> tuple[bool, bool]:
    """Implicit VR and little endian as the data set was read, for its bulk values are still in that byte order."""
    implicit, little = data_set.original_encoding
    if implicit is None or little is None:
        return False, True
    return bool(implicit), bool(little)


def _encoded(data_set: PydicomDataset, implicit: bool, little: bool, charset: Any = "iso8859") -> bytes:
    """The data set as pydicom's own writer encodes its elements, but with every element: that leaves group lengths out.

    `charset` is the Specific Character Set of the enclosing data set.
    """
    from pydicom.dataelem import DataElement
    from pydicom.filebase import DicomBytesIO
    from pydicom.filewriter import correct_ambiguous_vr, correct_ambiguous_vr_element, write_data_element

    if not data_set.is_original_encoding:
        data_set = correct_ambiguous_vr(data_set, little)
    charset = data_set.get("SpecificCharacterSet", charset)
    target = DicomBytesIO()
    target.is_implicit_VR, target.is_little_endian = implicit, little
    for tag in sorted(data_set.keys()):
        element: Any = data_set.get_item(tag)
        if not implicit and (element.VR is None or len(element.VR) != 2):
            element = correct_ambiguous_vr_element(data_set[tag], data_set, little)
            if len(element.VR) != 2:
                # Nothing in the data set settles it.
                settled = DataElement(tag, element.VR[-2:], element.value)
                settled.is_undefined_length = element.is_undefined_length
                element = settled
        if element.is_raw or element.VR != "SQ":
            write_data_element(target, element, charset)
            continue
        items = [_item(item, _encoded(item, implicit, little, charset), little) for item in element.value]
        target.write(_sequence(int(tag), b"".join(items), implicit, little, element.is_undefined_length))
    return bytes(target.getvalue())


_UNDEFINED = 0xFFFFFFFF


def _mark(tag: int, length: int, little: bool) -> bytes:
    return pack("<HHI" if little else ">HHI", tag >> 16, tag & 0xFFFF, length)


def _item(item: PydicomDataset, encoded: bytes, little: bool) -> bytes:
    if getattr(item, "is_undefined_length_sequence_item", False):
        return _mark(0xFFFEE000, _UNDEFINED, little) + encoded + _mark(0xFFFEE00D, 0, little)
    return _mark(0xFFFEE000, len(encoded), little) + encoded


def _sequence(tag: int, items: bytes, implicit: bool, little: bool, undefined: bool) -> bytes:
    length = _UNDEFINED if undefined else len(items)
    order = "<" if little else ">"
    if implicit:
        head = pack(f"{order}HHI", tag >> 16, tag & 0xFFFF, length)
    else:
        head = pack(f"{order}HH2sHI", tag >> 16, tag & 0xFFFF, b"SQ", 0, length)
    return head + items + (_mark(0xFFFEE0DD, 0, little) if undefined else b"")
