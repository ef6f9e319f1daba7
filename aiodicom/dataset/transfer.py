"""What a transfer syntax asks of the encoding of a data set (PS3.5 10, annex A), and the inflating of deflated ones."""

from __future__ import annotations

import zlib
from functools import lru_cache

from aiodicom.errors import DecodeError
from aiodicom.standard.transfer_syntaxes import TransferSyntax, transfer_syntax

__all__ = ["encoding_of", "inflate"]

_STEP = 1 << 22


@lru_cache(maxsize=256)
def encoding_of(uid: str) -> TransferSyntax:
    """The properties of a transfer syntax; one that nobody knows is explicit VR little endian, as all new ones are."""
    return transfer_syntax(uid)


def inflate(data: bytes | bytearray | memoryview, limit: int, strict: bool) -> bytes:
    """The data set within a deflated one (PS3.5 A.5), of at most `limit` bytes.

    Where the deflated data end too early or are corrupt, what came before; with `strict` that raises.
    """
    inflater = zlib.decompressobj(-zlib.MAX_WBITS)
    parts: list[bytes] = []
    total = 0
    rest: bytes | bytearray | memoryview = data
    while not inflater.eof:
        try:
            part = inflater.decompress(rest, min(_STEP, limit - total + 1))
        except zlib.error as error:
            if strict or not parts:
                raise DecodeError(f"the deflated data are corrupt ({error})", 0) from error
            break
        total += len(part)
        if total > limit:
            raise DecodeError(f"the deflated data inflate to more than {limit} bytes", 0)
        parts.append(part)
        rest = inflater.unconsumed_tail
        if not rest and not part:
            break
    if strict and not inflater.eof:
        raise DecodeError("the deflated data end too early", len(data))
    return b"".join(parts)
