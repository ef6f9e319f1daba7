"""Codecs of frames, by transfer syntax: `codec_for`. Each is imported when it is first asked for."""

from __future__ import annotations

from functools import cache
from importlib import import_module
from typing import TYPE_CHECKING, Any, Final

from aiodicom.errors import CodecMissing
from aiodicom.standard.transfer_syntaxes import transfer_syntax as transfer_syntax_of

if TYPE_CHECKING:
    from .codec import Codec

__all__ = ["codec_for", "transfer_syntaxes"]

_JPEG: Final = "1.2.840.10008.1.2.4."
_UNCOMPRESSED: Final = "1.2.840.10008.1.2.1.98"

#: Module, class and arguments of the codec for a transfer syntax that has frames in fragments.
_CODECS: Final[dict[str, tuple[str, str, dict[str, Any]]]] = {
    _UNCOMPRESSED: ("native", "Native", {}),
    "1.2.840.10008.1.2.5": ("rle", "RLE", {}),
    "1.2.840.10008.1.2.8.1": ("native", "Deflated", {}),
    f"{_JPEG}50": ("jpeg", "Baseline", {}),
    f"{_JPEG}51": ("jpeg", "Extended", {}),
    f"{_JPEG}53": ("jpeg", "Progressive", {}),
    f"{_JPEG}55": ("jpeg", "Progressive", {}),
    f"{_JPEG}57": ("jpeg", "Lossless", {"predictor": 6}),
    f"{_JPEG}70": ("jpeg", "Lossless", {"predictor": 1}),
    f"{_JPEG}80": ("jpeg_ls", "JPEGLS", {"lossless": True}),
    f"{_JPEG}81": ("jpeg_ls", "JPEGLS", {"lossless": False}),
    f"{_JPEG}90": ("jpeg_2000", "JPEG2000", {"lossless": True}),
    f"{_JPEG}91": ("jpeg_2000", "JPEG2000", {"lossless": False}),
    f"{_JPEG}92": ("jpeg_2000", "JPEG2000Part2", {"lossless": True}),
    f"{_JPEG}93": ("jpeg_2000", "JPEG2000Part2", {"lossless": False}),
    f"{_JPEG}110": ("jpeg_xl", "JPEGXL", {"lossless": True}),
    f"{_JPEG}111": ("jpeg_xl", "JPEGRecompression", {}),
    f"{_JPEG}112": ("jpeg_xl", "JPEGXL", {"lossless": False}),
    f"{_JPEG}201": ("jpeg_2000", "HTJ2K", {"lossless": True}),
    f"{_JPEG}202": ("jpeg_2000", "HTJ2K", {"lossless": True, "rpcl": True}),
    f"{_JPEG}203": ("jpeg_2000", "HTJ2K", {"lossless": False}),
}

_WITHOUT_UID: Final = ("native", "rle")


@cache
def codec_for(transfer_syntax: str) -> Codec:
    """The codec of a transfer syntax, by UID; frames that are not compressed have one too.

    Raises `aiodicom.errors.CodecMissing` where there is none. What a codec needs besides is only found missing when it
    decodes or encodes.
    """
    known = transfer_syntax_of(transfer_syntax)
    if known.native and not known.codec:
        transfer_syntax = _UNCOMPRESSED
    if transfer_syntax not in _CODECS:
        what = "video, which has no frames to be told apart" if known.video else "not decoded"
        raise CodecMissing(transfer_syntax, f"pixel data in {known.name} are {what}")
    module, name, arguments = _CODECS[transfer_syntax]
    made = getattr(import_module(f"{__name__}.{module}"), name)
    codec: Codec = made(**arguments) if module in _WITHOUT_UID else made(transfer_syntax, **arguments)
    return codec


def transfer_syntaxes() -> list[str]:
    """The transfer syntaxes in fragments that `codec_for` has codecs for, by UID."""
    return list(_CODECS)
