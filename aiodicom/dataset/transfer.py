"""What a transfer syntax asks of the encoding of a data set (PS3.5 10, annex A), and the inflating of deflated ones."""

from __future__ import annotations

import zlib
from functools import lru_cache

from aiodicom.errors import DecodeError
from aiodicom.standard.transfer_syntaxes import TransferSyntax, transfer_syntax

__all__ = ["TransferSyntax", "deflate", "encoding_of", "inflate"]

_STEP = 1 << 22


@lru_cache(maxsize=256)
def encoding_of(uid: str) -> TransferSyntax:
    """The properties of a transfer syntax; one that nobody knows is explicit VR little endian, as all new ones are."""
    return transfer_syntax(uid)


def inflate(data: bytes | bytearray | memoryview, limit: int, strict: bool) -> tuple[bytes, DecodeError | None]:
    """The data set within a deflated one (PS3.5 A.5), of at most `limit` bytes, and what was wrong with its end.

    Where the deflated data end too early or are corrupt, what came before; with `strict` that raises.
    """
    trouble: DecodeError | None = None
    inflater = zlib.decompressobj(-zlib.MAX_WBITS)
    parts: list[bytes] = []
    total = 0
    rest: bytes | bytearray | memoryview = data
    while not inflater.eof:
        try:
            part = inflater.decompress(rest, min(_STEP, limit - total + 1))
        except zlib.error as error:
            trouble = DecodeError(f"the deflated data are corrupt ({error})", len(data) - len(rest))
            if strict or not parts:
                raise trouble from error
            break
        total += len(part)
        if total > limit:
            raise DecodeError(f"the deflated data inflate to more than {limit} bytes", 0)
        parts.append(part)
        rest = inflater.unconsumed_tail
        if not rest and not part:
            break
    if not inflater.eof and trouble is None:
        trouble = DecodeError("the deflated data end too early", len(data))
        if strict:
            raise trouble
    return b"".join(parts), trouble


def deflate(data: bytes) -> bytes:
    """A data set deflated, of even length (PS3.5 A.5)."""
    compressor = zlib.compressobj(wbits=-zlib.MAX_WBITS)
    deflated = compressor.compress(data) + compressor.flush()
    return deflated + b"\0" * (len(deflated) & 1)
