"""Codecs: what goes in comes out, within what each promises, and what a stream says is checked before it is decoded."""

from __future__ import annotations

import builtins
import sys
from typing import Any

import numpy
import pytest

from aiodicom.errors import CodecMissing, PixelDataError
from aiodicom.pixels.codecs import codec_for, transfer_syntaxes
from aiodicom.pixels.codecs.codec import Array, Encoded, library, stored_range
from aiodicom.pixels.description import Description
from aiodicom.standard.transfer_syntaxes import transfer_syntax

from .images import KINDS, data_set, describe, image

JPEG = "1.2.840.10008.1.2.4."
RECOMPRESSION = f"{JPEG}111"
DECODED_ONLY = {f"{JPEG}{number}" for number in ("53", "55", "92", "93", "111")}
LOSSLESS = [uid for uid in transfer_syntaxes() if transfer_syntax(uid).lossless and uid not in DECODED_ONLY]
LOSSY = [uid for uid in transfer_syntaxes() if not transfer_syntax(uid).lossless and uid not in DECODED_ONLY]

#: Kinds that some codec has not, by the bits allocated or more.
REFUSED = {"bit", "32"}
NATIVE = {"1.2.840.10008.1.2.1.98", "1.2.840.10008.1.2.5", "1.2.840.10008.1.2.8.1"}


def described_anew(described: Description, encoded: Encoded) -> Description:
    changes: dict[str, Any] = {"photometric_interpretation": encoded.photometric_interpretation}
    if encoded.bits_stored is not None:
        changes |= {"bits_stored": encoded.bits_stored, "high_bit": encoded.bits_stored - 1}
    return described.changed(**changes)


def there_and_back(uid: str, cells: Array, described: Description, quality: float | None = None) -> Array:
    """By way of a data set, whose frames have the stored values."""
    encoded = codec_for(uid).encode(cells, described, quality)
    return data_set(described_anew(described, encoded), [encoded.data], uid).frames[0].to_numpy(rgb=True)


def test_every_transfer_syntax_has_its_codec_once() -> None:
    assert len({id(codec_for(uid)) for uid in transfer_syntaxes()}) == len(transfer_syntaxes())
    native = {id(codec_for(uid)) for uid in ("1.2.840.10008.1.2", "1.2.840.10008.1.2.1", "1.2.840.10008.1.2.2")}
    assert len(native) == 3


@pytest.mark.parametrize("uid", LOSSLESS)
def test_lossless(uid: str) -> None:
    for kind in KINDS:
        described, cells = describe(kind), image(kind)
        if kind in REFUSED and uid not in NATIVE:
            with pytest.raises(ValueError, match=r"no samples of .* bits allocated"):
                codec_for(uid).encode(cells, described)
            continue
        encoded = codec_for(uid).encode(cells, described)
        decoded = codec_for(uid).decode(encoded.data, described_anew(described, encoded))
        assert decoded.cells.dtype == cells.dtype, kind
        assert numpy.array_equal(decoded.cells, cells), kind
        assert decoded.photometric_interpretation == described.photometric_interpretation, kind
        assert encoded.bits_stored is None


@pytest.mark.parametrize("uid", LOSSLESS)
def test_what_cannot_be_compressed(uid: str) -> None:
    random = numpy.random.default_rng(1)
    for bits in (8, 16):
        cells = random.integers(0, 1 << bits, (512, 300)).astype(f"u{bits // 8}")
        described = Description(512, 300, bits_allocated=bits, bits_stored=bits, high_bit=bits - 1)
        encoded = codec_for(uid).encode(cells, described)
        assert numpy.array_equal(codec_for(uid).decode(encoded.data, described).cells, cells)


@pytest.mark.parametrize("uid", LOSSLESS)
def test_lossless_keeps_bits_that_are_not_stored(uid: str) -> None:
    for described, cells in (
        (describe("12 of 16"), image("12 of 16") | 0x8000),
        (describe("12 of 16", high_bit=15), image("12 of 16") << 4 | 5),
        (describe("signed 12 of 16"), image("signed 12 of 16") ^ 0x4000),
    ):
        encoded = codec_for(uid).encode(cells, described)
        assert numpy.array_equal(codec_for(uid).decode(encoded.data, described).cells, cells)


#: How far a sample may be from what it was at the default quality, as a part of the range of stored values.
BOUNDS = {
    f"{JPEG}50": 0.03,
    f"{JPEG}51": 0.03,
    f"{JPEG}91": 0.02,
    f"{JPEG}112": 0.12,
    f"{JPEG}203": 0.01,
}


@pytest.mark.parametrize("uid", LOSSY)
def test_lossy(uid: str) -> None:
    tried = 0
    for kind in set(KINDS) - REFUSED:
        described, cells = describe(kind), image(kind)
        try:
            found = there_and_back(uid, cells, described)
        except ValueError:
            continue
        tried += 1
        least, most = stored_range(described)
        bound = 2 if uid == f"{JPEG}81" else BOUNDS[uid] * (most - least) + 1
        expected = cells
        if described.photometric_interpretation == "YBR_FULL":
            expected = data_set(described, cells.tobytes(), "").frames[0].to_numpy(rgb=True)
            bound *= 3  # a colour is made of luminance and twice of chrominance
        if uid in (f"{JPEG}50", f"{JPEG}51") and described.samples == 3:
            bound *= 3  # chrominance of two columns in one
        assert numpy.abs(found.astype("i8") - expected).max() <= bound, kind
    assert tried >= 3


@pytest.mark.parametrize("uid", LOSSY)
def test_loss_takes_no_sample_out_of_its_range(uid: str) -> None:
    """Black beside white: what comes back beyond the range must not turn to the other end of it."""
    for kind in ("8", "6 of 16", "12 of 16", "16", "signed 16", "signed 12 of 16", "signed 8"):
        described = describe(kind)
        least, most = stored_range(described)
        cells = numpy.full((described.rows, described.columns), least, image(kind).dtype)
        cells[:, ::5] = cells[::3] = most
        try:
            found = there_and_back(uid, cells, described, 5 if uid == f"{JPEG}81" else None)
        except ValueError:
            continue
        assert numpy.abs(found.astype("i8") - cells).max() < (most - least) / 2, kind


@pytest.mark.parametrize("uid", LOSSY)
def test_loss_is_for_stored_bits_alone(uid: str) -> None:
    described = describe("12 of 16", high_bit=15)
    plain = image("12 of 16")
    if uid == f"{JPEG}50":
        with pytest.raises(ValueError, match="12 bits stored of 16 allocated do not fit"):
            there_and_back(uid, plain << 4 | 5, described)
        return
    found = there_and_back(uid, plain << 4 | 5, described)
    assert numpy.abs(found.astype("i8") - plain).max() <= 0.12 * 4095
    with pytest.raises(ValueError, match="palette"):
        codec_for(uid).encode(image("palette"), describe("palette"))


@pytest.mark.parametrize("uid", [uid for uid in LOSSY if uid != f"{JPEG}81"])
def test_quality_counts(uid: str) -> None:
    better, worse = {f"{JPEG}91": (80, 30), f"{JPEG}112": (0.3, 6), f"{JPEG}203": (0.0005, 0.05)}.get(uid, (98, 20))
    kind = "8"
    sizes = [len(codec_for(uid).encode(image(kind), describe(kind), each).data) for each in (better, worse)]
    assert sizes[0] > 1.3 * sizes[1]
    for wrong in (-1, 1000, 0):
        with pytest.raises(ValueError, match="is "):
            codec_for(uid).encode(image(kind), describe(kind), wrong)


@pytest.mark.parametrize("near", [0, 1, 3])
def test_near(near: int) -> None:
    found = there_and_back(f"{JPEG}81", image("signed 12 of 16"), describe("signed 12 of 16"), near)
    assert numpy.abs(found.astype("i8") - image("signed 12 of 16")).max() == near


@pytest.mark.parametrize("uid", [f"{JPEG}{number}" for number in ("50", "51", "81")])
def test_qualities_that_are_whole_numbers(uid: str) -> None:
    """What stands in Derivation Description and makes the SOP Instance UID is what was encoded."""
    for wrong in (2.7, float("nan"), float("inf"), -1):
        with pytest.raises(ValueError, match=f"is a whole number from . to ..., .*not {wrong:g}"):
            codec_for(uid).encode(image("8"), describe("8"), wrong)


#: 8 x 8 pixels, 4 more each; by DCMTK.
PROGRESSIVE = {
    f"{JPEG}53": (
        "ffc40014000100000000000000000000000000000005ffda00080101000000003fffc4001610000300000000000000000000"
        "0000000000070affda00080101000105005b4dc1ffc4001a100000070000000000000000000000000000042645526371ffda"
        "0008010100063f002e828b6e543fffd9"
    ),
    f"{JPEG}55": (
        "ffc40014000100000000000000000000000000000004ffda00080101000000013fffc4001610000300000000000000000000"
        "00000000000508ffda00080101000105025b371fffc400181000020300000000000000000000000000000224a3e1ffda0008"
        "010100063f025815e1ffc40015100101000000000000000000000000000000a1ffda0008010100013f2188bfffda00080101"
        "000000107fffc4001610000300000000000000000000000000000051f0ffda0008010100013f10b447ffffd9"
    ),
}


@pytest.mark.parametrize("uid", PROGRESSIVE)
def test_retired_processes_are_decoded_only(uid: str) -> None:
    """Spectral selection, and full progression."""
    head = "ffd8ffdb004300" + "01" * 64 + "ffc2000b080008000801011100"
    found = codec_for(uid).decode(bytes.fromhex(head + PROGRESSIVE[uid]), describe("8", 8, 8)).cells
    assert numpy.array_equal(found, numpy.arange(0, 256, 4).reshape(8, 8))
    with pytest.raises(ValueError, match="decoded only"):
        codec_for(uid).encode(image("8"), describe("8"))


def test_jpeg_streams_come_back_bit_by_bit() -> None:
    codec = codec_for(RECOMPRESSION)
    for kind in ("8", "RGB"):
        encoded = codec_for(f"{JPEG}50").encode(image(kind), describe(kind))
        described = describe(kind, photometric_interpretation=encoded.photometric_interpretation)
        smaller = codec.recompress(encoded.data)  # type: ignore[attr-defined]
        assert codec.reconstruct(smaller, described) == encoded.data  # type: ignore[attr-defined]
        decoded = data_set(described, [smaller], RECOMPRESSION).frames[0].to_numpy(rgb=True)
        direct = data_set(described, [encoded.data], f"{JPEG}50").frames[0].to_numpy(rgb=True)
        # libjxl smoothes chrominance otherwise than libjpeg.
        assert numpy.abs(decoded.astype("i8") - direct).mean() < 3
        padded = codec.recompress(encoded.data.ljust(len(encoded.data) + 1, b"\0"))  # type: ignore[attr-defined]
        assert codec.reconstruct(padded, described) == encoded.data  # type: ignore[attr-defined]
    with pytest.raises(ValueError, match="made of JPEG frames"):
        codec.encode(image("8"), describe("8"))
    lossless = codec_for(f"{JPEG}70").encode(image("8"), describe("8")).data
    with pytest.raises(ValueError, match="the process of SOF3 with 8 bits"):
        codec.recompress(lossless)  # type: ignore[attr-defined]
    with pytest.raises(PixelDataError, match="ends before EOI"):
        codec.recompress(encoded.data[:-100])  # type: ignore[attr-defined]
    with pytest.raises(PixelDataError, match="the data set 9 x 47"):
        codec.reconstruct(smaller, describe("RGB", rows=9))  # type: ignore[attr-defined]


@pytest.mark.parametrize("uid", [f"{JPEG}92", f"{JPEG}93"])
def test_part_2_is_decoded_only(uid: str) -> None:
    stream = codec_for(f"{JPEG}90").encode(image("12 of 16"), describe("12 of 16")).data
    assert numpy.array_equal(codec_for(uid).decode(stream, describe("12 of 16")).cells, image("12 of 16"))
    with pytest.raises(ValueError, match="decoded only"):
        codec_for(uid).encode(image("8"), describe("8"))


@pytest.mark.parametrize("uid", [uid for uid in LOSSLESS + LOSSY if uid not in NATIVE])
def test_a_stream_of_another_image(uid: str) -> None:
    """Rows, columns, samples and bits are those of the data set, or nothing is decoded."""
    kind = "8" if uid == f"{JPEG}50" else "12 of 16"
    described = describe(kind)
    stream = codec_for(uid).encode(image(kind), described).data
    decode = codec_for(uid).decode
    with pytest.raises(PixelDataError, match="has 33 x 47 pixels, the data set 32 x 47"):
        decode(stream, described.changed(rows=32))
    with pytest.raises(PixelDataError, match="has 33 x 47 pixels, the data set 33 x 65535"):
        decode(stream, described.changed(columns=65535))
    with pytest.raises(PixelDataError, match="has 1 components, the data set 3"):
        decode(stream, described.changed(samples=3, photometric_interpretation="RGB"))
    if kind != "8":
        with pytest.raises(PixelDataError, match="bits a sample, the data set allocates 8"):
            decode(stream, describe("8"))


@pytest.mark.parametrize("uid", LOSSLESS + LOSSY)
def test_a_stream_that_ends_too_early_or_is_none(uid: str) -> None:
    described, cells = describe("8"), numpy.random.default_rng(1).integers(0, 255, (33, 47), "u1")
    stream = codec_for(uid).encode(cells, described).data
    for cut in (0, 1, 2, 3, 11, 20, 60, len(stream) // 2, len(stream) * 9 // 10):
        with pytest.raises(PixelDataError):
            codec_for(uid).decode(stream[:cut], described)
    for wrong in (bytes(1000), b"\xff" * 1000, b"\xff\xd8" * 500, b"\xff\x4f\xff\x51" * 200, b"\xff\x0a" * 300):
        if uid != "1.2.840.10008.1.2.1.98":
            with pytest.raises(PixelDataError):
                codec_for(uid).decode(wrong, described)


def test_nothing_is_inflated_beyond_the_frame() -> None:
    import zlib

    deflater = zlib.compressobj(9, zlib.DEFLATED, -15)
    bomb = deflater.compress(bytes(50_000_000)) + deflater.flush()
    decoded = codec_for("1.2.840.10008.1.2.8.1").decode(bomb, describe("8"))
    assert decoded.cells.base is not None
    assert not decoded.cells.any()


def test_floating_point_is_not_compressed() -> None:
    described = Description(2, 2, 1, 32, 32, 31, kind="FloatPixelData")
    made = data_set(describe("8", 2, 2), [b"ab"], f"{JPEG}90")
    value = made.pop("PixelData").value
    made.add_new("FloatPixelData", "OF", value)
    made["FloatPixelData"].is_undefined_length = True
    for keyword, number in (("BitsAllocated", 32), ("BitsStored", 32), ("HighBit", 31)):
        setattr(made, keyword, number)
    assert made.frames.description == described
    with pytest.raises(PixelDataError, match="FloatPixelData is not compressed"):
        made.frames[0].to_numpy()


def test_what_is_not_decoded_at_all() -> None:
    for uid in ("1.2.840.10008.1.2.4.52", "1.2.3", "1.2.840.10008.1.2.4.94", "1.2.840.10008.1.2.4.107"):
        with pytest.raises(CodecMissing) as caught:
            codec_for(uid)
        assert (caught.value.transfer_syntax, caught.value.extra) == (uid, None)


def test_without_the_library(monkeypatch: pytest.MonkeyPatch) -> None:
    """The extra is named; native pixel data and RLE do without."""
    real = builtins.__import__

    def absent(name: str, *rest: Any) -> Any:
        if name == "imagecodecs":
            raise ImportError(name)
        return real(name, *rest)

    streams = {uid: codec_for(uid).encode(image("8"), describe("8")).data for uid in LOSSLESS}
    monkeypatch.delitem(sys.modules, "imagecodecs", raising=False)
    library.cache_clear()
    monkeypatch.setattr(builtins, "__import__", absent)
    for uid, stream in streams.items():
        if uid in NATIVE:
            assert codec_for(uid).decode(stream, describe("8")).cells.shape == (33, 47)
            continue
        with pytest.raises(CodecMissing, match=r"pip install 'aiodicom\[pixels\]'") as caught:
            codec_for(uid).decode(stream, describe("8"))
        assert caught.value.extra == "pixels"
        with pytest.raises(CodecMissing, match=r"pip install 'aiodicom\[pixels\]'"):
            codec_for(uid).encode(image("8"), describe("8"))
