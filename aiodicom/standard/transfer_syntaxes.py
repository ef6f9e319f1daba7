"""The transfer syntaxes of PS3.5 section 10 and annex A, with what a program must know of each."""

from __future__ import annotations

from typing import Final, NamedTuple

from aiodicom.standard.uids import (
    DEFLATED_EXPLICIT_VR_LITTLE_ENDIAN,
    EXPLICIT_VR_BIG_ENDIAN,
    EXPLICIT_VR_LITTLE_ENDIAN,
    IMPLICIT_VR_LITTLE_ENDIAN,
)

__all__ = [
    "CARRIED",
    "GE_PRIVATE",
    "SHORT_NAMES",
    "TRANSFER_SYNTAXES",
    "TransferSyntax",
    "named_transfer_syntax",
    "transfer_syntax",
]


#: Implicit VR little endian but for Pixel Data, which is in big endian.
GE_PRIVATE: Final = "1.2.840.113619.5.2"


class TransferSyntax(NamedTuple):
    """A transfer syntax.

    ``explicit`` (VR) and ``little_endian`` say how elements are encoded, ``deflated`` that the whole data set is (PS3.5
    A.5), ``encapsulated`` that Pixel Data comes in fragments (PS3.5 A.4). ``codec`` is what compresses them
    (``"jpeg"``, ``"jpeg-ls"``, ``"jpeg-2000"``, ``"htj2k"``, ``"jpeg-xl"``, ``"rle"``, ``"deflate"``, ``"mpeg-2"``,
    ``"mpeg-4"``, ``"hevc"``, ``"smpte-2110"``) or an empty string. ``lossless`` says that what comes out is what went
    in, whatever the encoder did; a codec that may be used either way, or for what was lossy before, says False.
    ``video`` streams span frames, so fragments cannot be told apart by frame. ``private`` is not of the standard.
    """

    uid: str
    name: str
    explicit: bool = True
    little_endian: bool = True
    deflated: bool = False
    encapsulated: bool = False
    codec: str = ""
    lossless: bool = True
    video: bool = False
    retired: bool = False
    private: bool = False

    @property
    def native(self) -> bool:
        """Pixel Data is not compressed."""
        return not self.encapsulated


def _jpeg(number: int, process: str, lossless: bool = False, retired: bool = True) -> TransferSyntax:
    name = f"JPEG {process}"
    return _compressed(f"4.{number}", name, "jpeg", lossless=lossless, retired=retired)


def _compressed(
    suffix: str, name: str, codec: str, lossless: bool = False, video: bool = False, retired: bool = False
) -> TransferSyntax:
    uid = f"1.2.840.10008.1.2.{suffix}"
    return TransferSyntax(uid, name, encapsulated=True, codec=codec, lossless=lossless, video=video, retired=retired)


def _video(suffix: str, name: str, codec: str) -> tuple[TransferSyntax, TransferSyntax]:
    return (
        _compressed(f"4.{suffix}", name, codec, video=True),
        _compressed(f"4.{suffix}.1", f"Fragmentable {name}", codec, video=True),
    )


def _smpte(number: int, name: str) -> TransferSyntax:
    # A real-time flow beside the data set (PS3.22), not Pixel Data in fragments.
    return TransferSyntax(f"1.2.840.10008.1.2.7.{number}", name, codec="smpte-2110", video=True)


_ALL = (
    TransferSyntax(IMPLICIT_VR_LITTLE_ENDIAN, "Implicit VR Little Endian", explicit=False),
    TransferSyntax(EXPLICIT_VR_LITTLE_ENDIAN, "Explicit VR Little Endian"),
    _compressed("1.98", "Encapsulated Uncompressed Explicit VR Little Endian", "", lossless=True),
    TransferSyntax(DEFLATED_EXPLICIT_VR_LITTLE_ENDIAN, "Deflated Explicit VR Little Endian", deflated=True),
    TransferSyntax(EXPLICIT_VR_BIG_ENDIAN, "Explicit VR Big Endian", little_endian=False, retired=True),
    _jpeg(50, "Baseline (Process 1)", retired=False),
    _jpeg(51, "Extended (Process 2 and 4)", retired=False),
    _jpeg(52, "Extended (Process 3 and 5)"),
    _jpeg(53, "Spectral Selection, Non-Hierarchical (Process 6 and 8)"),
    _jpeg(54, "Spectral Selection, Non-Hierarchical (Process 7 and 9)"),
    _jpeg(55, "Full Progression, Non-Hierarchical (Process 10 and 12)"),
    _jpeg(56, "Full Progression, Non-Hierarchical (Process 11 and 13)"),
    _jpeg(57, "Lossless, Non-Hierarchical (Process 14)", lossless=True, retired=False),
    _jpeg(58, "Lossless, Non-Hierarchical (Process 15)", lossless=True),
    _jpeg(59, "Extended, Hierarchical (Process 16 and 18)"),
    _jpeg(60, "Extended, Hierarchical (Process 17 and 19)"),
    _jpeg(61, "Spectral Selection, Hierarchical (Process 20 and 22)"),
    _jpeg(62, "Spectral Selection, Hierarchical (Process 21 and 23)"),
    _jpeg(63, "Full Progression, Hierarchical (Process 24 and 26)"),
    _jpeg(64, "Full Progression, Hierarchical (Process 25 and 27)"),
    _jpeg(65, "Lossless, Hierarchical (Process 28)", lossless=True),
    _jpeg(66, "Lossless, Hierarchical (Process 29)", lossless=True),
    _jpeg(70, "Lossless, Non-Hierarchical, First-Order Prediction (Process 14 [Selection Value 1])", True, False),
    _compressed("4.80", "JPEG-LS Lossless Image Compression", "jpeg-ls", lossless=True),
    _compressed("4.81", "JPEG-LS Lossy (Near-Lossless) Image Compression", "jpeg-ls"),
    _compressed("4.90", "JPEG 2000 Image Compression (Lossless Only)", "jpeg-2000", lossless=True),
    _compressed("4.91", "JPEG 2000 Image Compression", "jpeg-2000"),
    _compressed(
        "4.92", "JPEG 2000 Part 2 Multi-component Image Compression (Lossless Only)", "jpeg-2000", lossless=True
    ),
    _compressed("4.93", "JPEG 2000 Part 2 Multi-component Image Compression", "jpeg-2000"),
    # JPIP: Pixel Data Provider URL stands in place of Pixel Data (PS3.5 A.6, A.7), so nothing is in fragments.
    TransferSyntax("1.2.840.10008.1.2.4.94", "JPIP Referenced", codec="jpip", lossless=False),
    TransferSyntax("1.2.840.10008.1.2.4.95", "JPIP Referenced Deflate", deflated=True, codec="jpip", lossless=False),
    *_video("100", "MPEG2 Main Profile / Main Level", "mpeg-2"),
    *_video("101", "MPEG2 Main Profile / High Level", "mpeg-2"),
    *_video("102", "MPEG-4 AVC/H.264 High Profile / Level 4.1", "mpeg-4"),
    *_video("103", "MPEG-4 AVC/H.264 BD-compatible High Profile / Level 4.1", "mpeg-4"),
    *_video("104", "MPEG-4 AVC/H.264 High Profile / Level 4.2 For 2D Video", "mpeg-4"),
    *_video("105", "MPEG-4 AVC/H.264 High Profile / Level 4.2 For 3D Video", "mpeg-4"),
    *_video("106", "MPEG-4 AVC/H.264 Stereo High Profile / Level 4.2", "mpeg-4"),
    _compressed("4.107", "HEVC/H.265 Main Profile / Level 5.1", "hevc", video=True),
    _compressed("4.108", "HEVC/H.265 Main 10 Profile / Level 5.1", "hevc", video=True),
    _compressed("4.110", "JPEG XL Lossless", "jpeg-xl", lossless=True),
    # Without loss from the JPEG stream that it recompresses, which had loss of its own.
    _compressed("4.111", "JPEG XL JPEG Recompression", "jpeg-xl"),
    _compressed("4.112", "JPEG XL", "jpeg-xl"),
    _compressed("4.201", "High-Throughput JPEG 2000 Image Compression (Lossless Only)", "htj2k", lossless=True),
    _compressed(
        "4.202", "High-Throughput JPEG 2000 with RPCL Options Image Compression (Lossless Only)", "htj2k", lossless=True
    ),
    _compressed("4.203", "High-Throughput JPEG 2000 Image Compression", "htj2k"),
    TransferSyntax("1.2.840.10008.1.2.4.204", "JPIP HTJ2K Referenced", codec="jpip", lossless=False),
    TransferSyntax(
        "1.2.840.10008.1.2.4.205", "JPIP HTJ2K Referenced Deflate", deflated=True, codec="jpip", lossless=False
    ),
    _compressed("5", "RLE Lossless", "rle", lossless=True),
    TransferSyntax("1.2.840.10008.1.2.6.1", "RFC 2557 MIME encapsulation", retired=True),
    TransferSyntax("1.2.840.10008.1.2.6.2", "XML Encoding", retired=True),
    _smpte(1, "SMPTE ST 2110-20 Uncompressed Progressive Active Video"),
    _smpte(2, "SMPTE ST 2110-20 Uncompressed Interlaced Active Video"),
    _smpte(3, "SMPTE ST 2110-30 PCM Digital Audio"),
    _compressed("8.1", "Deflated Image Frame Compression", "deflate", lossless=True),
    TransferSyntax("1.2.840.10008.1.20", "Papyrus 3 Implicit VR Little Endian", explicit=False, retired=True),
    TransferSyntax(
        GE_PRIVATE,
        "GE private: implicit VR, little endian, Pixel Data big endian",
        explicit=False,
        private=True,
    ),
)

#: By UID.
TRANSFER_SYNTAXES: dict[str, TransferSyntax] = {syntax.uid: syntax for syntax in _ALL}


def transfer_syntax(uid: str) -> TransferSyntax:
    """What is known of `uid`.

    A transfer syntax that is not in the table is taken for a private one with compressed pixels: PS3.5 10.1 demands
    explicit VR little endian of all that came after the first three, and vendors keep to it.
    """
    known = TRANSFER_SYNTAXES.get(uid)
    return known or TransferSyntax(uid, uid, encapsulated=True, lossless=False, private=True)


_JPEG: Final = "1.2.840.10008.1.2.4."

#: The streams of the first are streams of the others too (PS3.5 A.4): lossless ones where loss is allowed, a special
#: case where the general one is.
CARRIED: Final[dict[str, tuple[str, ...]]] = {
    f"{_JPEG}50": (f"{_JPEG}51",),
    f"{_JPEG}70": (f"{_JPEG}57",),
    f"{_JPEG}80": (f"{_JPEG}81",),
    f"{_JPEG}90": (f"{_JPEG}91",),
    f"{_JPEG}201": (f"{_JPEG}203",),
    f"{_JPEG}202": (f"{_JPEG}201", f"{_JPEG}203"),
}

#: What those are called that pixel data can be brought into: names for command lines and programs, each of one UID.
SHORT_NAMES: Final[dict[str, str]] = {
    "explicit-le": EXPLICIT_VR_LITTLE_ENDIAN,
    "implicit-le": IMPLICIT_VR_LITTLE_ENDIAN,
    "explicit-be": EXPLICIT_VR_BIG_ENDIAN,
    "deflated-le": DEFLATED_EXPLICIT_VR_LITTLE_ENDIAN,
    "encapsulated": "1.2.840.10008.1.2.1.98",
    "deflated-frames": "1.2.840.10008.1.2.8.1",
    "rle-lossless": "1.2.840.10008.1.2.5",
    "jpeg-baseline": f"{_JPEG}50",
    "jpeg-extended": f"{_JPEG}51",
    "jpeg-lossless": f"{_JPEG}70",
    "jpeg-lossless-p14": f"{_JPEG}57",
    "jpeg-ls-lossless": f"{_JPEG}80",
    "jpeg-ls-lossy": f"{_JPEG}81",
    "jpeg-2000-lossless": f"{_JPEG}90",
    "jpeg-2000-lossy": f"{_JPEG}91",
    "htj2k-lossless": f"{_JPEG}201",
    "htj2k-rpcl-lossless": f"{_JPEG}202",
    "htj2k-lossy": f"{_JPEG}203",
    "jpeg-xl-lossless": f"{_JPEG}110",
    "jpeg-xl-recompression": f"{_JPEG}111",
    "jpeg-xl-lossy": f"{_JPEG}112",
}


def named_transfer_syntax(name: str) -> TransferSyntax:
    """The transfer syntax of a UID, or of a name of `SHORT_NAMES`, where ``-lossless`` at the end may be left out.

    Raises ValueError for what is neither.
    """
    uid = SHORT_NAMES.get(name) or SHORT_NAMES.get(f"{name}-lossless") or name
    known = TRANSFER_SYNTAXES.get(uid)
    if known is None:
        raise ValueError(f"{name!r} is no transfer syntax: a UID, or one of {', '.join(SHORT_NAMES)}")
    return known
