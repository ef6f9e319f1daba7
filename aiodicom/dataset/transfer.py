"""What a transfer syntax asks of the encoding of a data set (PS3.5 10, annex A), and the inflating of deflated ones."""

from __future__ import annotations

import warnings
import zlib
from functools import lru_cache
from typing import Final, TypeAlias

from aiodicom.dataset._dataset import is_native
from aiodicom.dataset.values import UID
from aiodicom.errors import DecodeError
from aiodicom.standard.transfer_syntaxes import TRANSFER_SYNTAXES, TransferSyntax, transfer_syntax

__all__ = ["BEGINNING", "TransferSyntax", "deflate", "encoding_of", "inflate", "named_encoding"]

#: Bytes of a data set by which it is told whether it is what its label says.
BEGINNING: Final = 512

_STEP: Final = 1 << 22

Buffer: TypeAlias = bytes | bytearray | memoryview


@lru_cache(maxsize=256)
def encoding_of(uid: str) -> TransferSyntax:
    """The properties of a transfer syntax; one that nobody knows is explicit VR little endian, as all new ones are."""
    return transfer_syntax(uid)


@lru_cache(maxsize=64)
def named_encoding(transfer_syntax: str) -> tuple[TransferSyntax, bool, bool]:
    """The encoding, implicit VR, and big endian, of what must be a UID. Raises ValueError for what is none."""
    if transfer_syntax not in TRANSFER_SYNTAXES and not UID(transfer_syntax).is_valid:
        raise ValueError(f"a transfer syntax is a UID (PS3.5 9.1), not {transfer_syntax!r}")
    encoding = encoding_of(transfer_syntax)
    return encoding, not encoding.explicit, not encoding.little_endian


def inflate(data: Buffer, limit: int, strict: bool) -> tuple[Buffer, DecodeError | None]:
    """The data set within a deflated one (PS3.5 A.5), of at most `limit` bytes, and what was wrong with its end.

    Where the deflated data end too early or are corrupt, what came before; with `strict` that raises. Data that were
    never deflated come back as they are, and what zlib's header (RFC 1950) begins is inflated as well, both with a
    warning; `strict` refuses them.
    """
    inflated, trouble = _inflate(data, -zlib.MAX_WBITS, limit)
    if inflated is None and not strict:
        if is_native(data):
            _warn("The transfer syntax says that the data set is deflated, which it is not - reading it as it is")
            return data, None
        if data[0] & 0x0F == zlib.DEFLATED and (data[0] << 8 | data[1]) % 31 == 0:
            _warn("The deflated data set has a header of zlib's, which PS3.5 A.5 forbids - inflating it")
            inflated, trouble = _inflate(data, zlib.MAX_WBITS, limit)
    if trouble is not None and (strict or inflated is None):
        raise trouble
    return inflated or b"", trouble


def _warn(message: str) -> None:
    warnings.warn(message, UserWarning, stacklevel=4)


def _inflate(data: Buffer, form: int, limit: int) -> tuple[bytes | None, DecodeError | None]:
    """What there is before the end, or before what is corrupt, and what was wrong there; `form` is zlib's `wbits`.

    None for what is corrupt from the beginning.
    """
    inflater = zlib.decompressobj(form)
    parts: list[bytes] = []
    total = 0
    rest = data
    while not inflater.eof:
        try:
            part = inflater.decompress(rest, min(_STEP, limit - total + 1))
        except zlib.error as error:
            reason = f"the deflated data are corrupt ({error})"
            return b"".join(parts) if parts else None, DecodeError(reason, len(data) - len(rest))
        total += len(part)
        if total > limit:
            raise DecodeError(f"the deflated data inflate to more than {limit} bytes", 0)
        parts.append(part)
        rest = inflater.unconsumed_tail
        if not rest and not part:
            break
    return b"".join(parts), None if inflater.eof else DecodeError("the deflated data end too early", len(data))


def deflate(data: bytes) -> bytes:
    """A data set deflated, of even length (PS3.5 A.5)."""
    compressor = zlib.compressobj(wbits=-zlib.MAX_WBITS)
    deflated = compressor.compress(data) + compressor.flush()
    return deflated + b"\0" * (len(deflated) & 1)
