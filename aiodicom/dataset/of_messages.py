"""Data sets of messages, which are decoded and encoded as a whole: without the options of files, in less time."""

from __future__ import annotations

from typing import TYPE_CHECKING

from aiodicom.dataset._dataset import decode_whole, encode_whole
from aiodicom.dataset.dataset import Dataset
from aiodicom.dataset.transfer import encoding_of, named_encoding

if TYPE_CHECKING:
    from _typeshed import ReadableBuffer

__all__ = ["decoded", "encoded"]


def decoded(data: ReadableBuffer, transfer_syntax: str) -> Dataset:
    """What `Dataset.from_bytes` without options gives."""
    encoding = encoding_of(transfer_syntax)
    if encoding.deflated:
        return Dataset.from_bytes(memoryview(data), transfer_syntax)
    return decode_whole(data, transfer_syntax, not encoding.explicit, not encoding.little_endian)


def encoded(data_set: Dataset, transfer_syntax: str) -> bytes:
    """What `Dataset.to_bytes` gives. Raises `DecodeError` for one that was cut off."""
    encoding, implicit, big = named_encoding(transfer_syntax)
    if not encoding.deflated:
        return encode_whole(data_set, transfer_syntax, implicit, big, encoding.encapsulated)
    if data_set.truncated is not None:
        raise data_set.truncated
    return data_set.to_bytes(transfer_syntax)
