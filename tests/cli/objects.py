"""DICOM files for the commands to send."""

from __future__ import annotations

import os
from pathlib import Path

from aiodicom.part10.meta import encode_file_meta

CT = "1.2.840.10008.5.1.4.1.1.2"
EXPLICIT = "1.2.840.10008.1.2.1"
IMPLICIT = "1.2.840.10008.1.2"
DEFLATED = "1.2.840.10008.1.2.1.99"
BIG = "1.2.840.10008.1.2.2"


def put(path: Path, uid: str, *, sop_class: str = CT, syntax: str = EXPLICIT, size: int = 1000) -> bytes:
    """Writes a file of one private element with `size` random bytes; returns its data set."""
    data_set = b"\x09\0\x10\0LO\x04\0TEST" + b"\x09\0\x01\x10OB\0\0" + size.to_bytes(4, "little") + os.urandom(size)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(encode_file_meta(sop_class, uid, syntax) + data_set)
    return data_set


def put_many(folder: Path, count: int, *, size: int = 1000) -> dict[str, bytes]:
    """Writes so many files; their data sets by SOP Instance UID."""
    return {
        f"1.2.3.{number}": put(folder / f"{number:05}.dcm", f"1.2.3.{number}", size=size) for number in range(count)
    }
