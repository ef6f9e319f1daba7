"""What pydicom reads, in a form in which data sets of different transfer syntaxes are equal."""

from __future__ import annotations

import io
from typing import Any

import pydicom


def meaning(data_set: pydicom.Dataset) -> list[tuple[int, Any]]:
    """The elements by tag, without group lengths, with values that are the same whatever they are encoded in."""
    little = data_set.original_encoding[1] is not False

    def value(element: pydicom.DataElement) -> Any:
        if element.VR == "SQ":
            return [meaning(item) for item in element.value]
        if element.VR == "OW" and not little:
            swapped = bytearray(element.value)
            swapped[0::2], swapped[1::2] = element.value[1::2], element.value[0::2]
            return bytes(swapped)
        return None if element.is_empty else element.value

    return [(int(element.tag), value(element)) for element in data_set if element.tag.element]


def read_data_set(data: bytes, transfer_syntax: str) -> pydicom.Dataset:
    """The data set that `data` encodes, without file meta information."""
    meta = pydicom.dataset.FileMetaDataset()
    meta.MediaStorageSOPClassUID, meta.MediaStorageSOPInstanceUID = "1.2.840.10008.5.1.4.1.1.2", "1.2"
    meta.TransferSyntaxUID = pydicom.uid.UID(transfer_syntax)
    file = io.BytesIO(bytes(128) + b"DICM")
    file.seek(132)
    pydicom.filewriter.write_file_meta_info(pydicom.filebase.DicomFileLike(file), meta, enforce_standard=False)
    file.write(data)
    file.seek(0)
    return pydicom.dcmread(file)
