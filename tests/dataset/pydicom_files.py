"""pydicom's own test files, cut into transfer syntax and data set."""

from __future__ import annotations

import io
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import pydicom
from pydicom.filereader import _read_file_meta_info, read_preamble

from aiodicom.standard.transfer_syntaxes import (
    EXPLICIT_VR_BIG_ENDIAN,
    EXPLICIT_VR_LITTLE_ENDIAN,
    IMPLICIT_VR_LITTLE_ENDIAN,
)

_DATA = Path(pydicom.__file__).parent / "data"

#: No data set begins where the file does: reading it is for those who know files.
_NOT_HERE = {"no_meta.dcm"}


@dataclass(frozen=True)
class Sample:
    path: Path
    transfer_syntax: str
    data: bytes
    offset: int

    def oracle(self) -> pydicom.Dataset:
        return pydicom.dcmread(io.BytesIO(self.path.read_bytes()), force=True)


def names() -> list[str]:
    """Every DICOM file that pydicom's wheel brings."""
    found = [
        path
        for folder in ("test_files", "charset_files")
        for path in sorted((_DATA / folder).rglob("*"))
        if path.is_file() and (path.suffix == ".dcm" or path.name.startswith("DICOMDIR"))
    ]
    return [str(path.relative_to(_DATA)) for path in found if path.name not in _NOT_HERE]


@cache
def sample(name: str) -> Sample:
    path = _DATA / name
    content = path.read_bytes()
    file = io.BytesIO(content)
    read_preamble(file, force=True)
    syntax = _read_file_meta_info(file).get("TransferSyntaxUID")
    if syntax is None:
        read = pydicom.dcmread(io.BytesIO(content), force=True)
        syntax = (
            IMPLICIT_VR_LITTLE_ENDIAN
            if read.is_implicit_VR
            else EXPLICIT_VR_LITTLE_ENDIAN
            if read.is_little_endian
            else EXPLICIT_VR_BIG_ENDIAN
        )
    return Sample(path, str(syntax), content[file.tell() :], file.tell())
