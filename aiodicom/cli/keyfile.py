"""Files of keys: of a query, of what it has found, or of a worklist item."""

from __future__ import annotations

import re
import sys
from typing import TYPE_CHECKING, Any, Final

from aiodicom.errors import DecodeError, LocalError

if TYPE_CHECKING:
    from aiodicom.dataset import Dataset

__all__ = ["read_data_sets"]

#: Bytes of a file of keys.
_MOST: Final = 16 << 20
_VISIBLE: Final = re.compile(r"\S")


def read_data_sets(file: str) -> list[Dataset]:
    """The data set of a DICOM file, or those of a file of DICOM JSON objects, one behind the other or in an array; at
    least one. `-` is stdin. Raises `LocalError`.
    """
    from io import BytesIO

    from aiodicom.part10.reader import dcmread

    try:
        if file == "-":
            content = sys.stdin.buffer.read(_MOST + 1)
        else:
            with open(file, "rb") as opened:
                content = opened.read(_MOST + 1)
    except OSError as error:
        raise LocalError(f"{file}: {error.strerror}") from error
    if len(content) > _MOST:
        raise LocalError(f"{file}: too large for keys, more than {_MOST >> 20} MiB")
    if file == "-" and not content.strip():
        raise LocalError("nothing came on stdin: what was to find it has found nothing, or failed")
    try:
        if content.lstrip()[:1] in (b"{", b"[", b""):
            return _from_json(content.decode())
        return [dcmread(BytesIO(content))]
    except (DecodeError, UnicodeDecodeError) as error:
        raise LocalError(f"{file}: neither a DICOM file nor DICOM JSON: {error}") from error


def _from_json(text: str) -> list[Dataset]:
    import json

    from aiodicom.dataset.json import from_json

    decoder = json.JSONDecoder()
    models: list[Any] = []
    offset = 0
    try:
        while (found := _VISIBLE.search(text, offset)) is not None:
            model, offset = decoder.raw_decode(text, found.start())
            models += model if isinstance(model, list) else [model]
    except (ValueError, RecursionError) as error:
        raise DecodeError(f"no JSON: {error}") from error
    if not models:
        raise DecodeError("there is no data set")
    return [from_json(model) for model in models]
