"""Which transfer syntaxes an object may be brought into on its way to a peer: `Transcoding`."""

from __future__ import annotations

from enum import StrEnum
from functools import cache
from importlib.util import find_spec
from typing import Final

from aiodicom.errors import LocalError
from aiodicom.pixels.codecs import transfer_syntaxes
from aiodicom.standard.transfer_syntaxes import CARRIED, transfer_syntax
from aiodicom.standard.uids import (
    DEFLATED_EXPLICIT_VR_LITTLE_ENDIAN,
    EXPLICIT_VR_BIG_ENDIAN,
    EXPLICIT_VR_LITTLE_ENDIAN,
    IMPLICIT_VR_LITTLE_ENDIAN,
)

__all__ = ["NATIVE", "Transcoding", "alternatives", "policy_of", "sendable"]

#: Without compressed pixel data; those first that cost either side the least.
NATIVE: Final = (
    EXPLICIT_VR_LITTLE_ENDIAN,
    IMPLICIT_VR_LITTLE_ENDIAN,
    DEFLATED_EXPLICIT_VR_LITTLE_ENDIAN,
    EXPLICIT_VR_BIG_ENDIAN,
)

_JPEG: Final = "1.2.840.10008.1.2.4."
_RLE: Final = "1.2.840.10008.1.2.5"
_UNCOMPRESSED: Final = "1.2.840.10008.1.2.1.98"
_DEFLATED: Final = "1.2.840.10008.1.2.8.1"

#: Those that compress best for their work first. JPEG 2000 and its like take what JPEG-LS takes; RLE everything.
_LOSSLESS: Final = (
    f"{_JPEG}80",
    f"{_JPEG}201",
    f"{_JPEG}202",
    f"{_JPEG}90",
    f"{_JPEG}70",
    f"{_JPEG}57",
    f"{_JPEG}110",
    _RLE,
    _DEFLATED,
    _UNCOMPRESSED,
)
_LOSSY: Final = (f"{_JPEG}203", f"{_JPEG}91", f"{_JPEG}81", f"{_JPEG}51", f"{_JPEG}50", f"{_JPEG}112")

#: What is decoded.
_DECODED: Final = frozenset(transfer_syntaxes())

#: What needs nothing beside this package.
_OWN: Final = frozenset((_RLE, _UNCOMPRESSED, _DEFLATED))

#: JPEG streams that JPEG XL has in fewer bytes, to be had back bit by bit (PS3.5 A.4.12).
_RECOMPRESSED: Final = {
    f"{_JPEG}50": (f"{_JPEG}111",),
    f"{_JPEG}51": (f"{_JPEG}111",),
    f"{_JPEG}111": (f"{_JPEG}50", f"{_JPEG}51"),
}


class Transcoding(StrEnum):
    """What may be done to an object whose transfer syntax the peer has not accepted.

    What it has accepted is sent as it stands, whatever this says.
    """

    #: Nothing: it is not sent.
    NEVER = "never"
    #: Compressed pixel data are decompressed, and native data sets encoded in another native transfer syntax.
    DECOMPRESS_ONLY = "decompress-only"
    #: Also compressed without loss.
    LOSSLESS = "lossless"
    #: Also compressed with loss, where the peer accepts nothing else: as another instance (PS3.3 C.7.6.1.1.5).
    LOSSY = "lossy"


def policy_of(value: Transcoding | str) -> Transcoding:
    """The policy of that name. Raises LocalError for one that there is not."""
    if type(value) is Transcoding:
        return value
    try:
        return Transcoding(value)
    except ValueError:
        raise LocalError(f"{value!r} is no policy of transcoding: one of {', '.join(Transcoding)}") from None


def _same_stream(own: str) -> tuple[str, ...]:
    """Those in which the streams of `own` are as they stand, or as good as that."""
    return CARRIED.get(own, ()) + _RECOMPRESSED.get(own, ())


@cache
def alternatives(own: str, policy: Transcoding) -> tuple[tuple[str, ...], ...]:
    """The transfer syntaxes that an object in `own` may be brought into, in groups of which each is rather taken than
    the next; an association proposes a presentation context for each.
    """
    syntax = transfer_syntax(own)
    if policy is Transcoding.NEVER or syntax.private or (own not in _DECODED and own not in NATIVE):
        return ()
    has_library = find_spec("imagecodecs") is not None
    if own in _DECODED and own not in _OWN and not has_library:
        return ()
    native = tuple(each for each in NATIVE if each != own)
    if policy is Transcoding.DECOMPRESS_ONLY:
        return (native,)
    usable = [each for each in _LOSSLESS if each != own and (has_library or each in _OWN)]
    same = _same_stream(own)
    groups = [native, (*same, *(each for each in usable if each not in same))]
    if policy is Transcoding.LOSSY and has_library:
        groups.append(tuple(each for each in _LOSSY if each != own and each not in same))
    return tuple(groups)


@cache
def sendable(own: str, policy: Transcoding) -> tuple[str, ...]:
    """`own`, and the `alternatives` in the order in which they are taken: the same stream goes before others."""
    groups = alternatives(own, policy)
    if policy in (Transcoding.NEVER, Transcoding.DECOMPRESS_ONLY):
        same: tuple[str, ...] = ()
    else:
        same = _same_stream(own) if groups else ()
    return tuple(dict.fromkeys((own, *same, *(each for group in groups for each in group))))
