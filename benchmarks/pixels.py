"""Pixel data: RLE against pylibjpeg-rle and imagecodecs, frames beside their codec, kernels, transcoding."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator
from functools import cache
from typing import Any

import numpy
from pydicom.data import get_testdata_file

from aiodicom import dcmread
from aiodicom.dataset import Dataset
from aiodicom.pixels import _pixels
from aiodicom.pixels.codecs import codec_for
from aiodicom.pixels.description import Description
from aiodicom.pixels.encapsulation import encapsulate
from benchmarks import transcoding
from benchmarks.bench import Bench, Planned
from benchmarks.command import main
from benchmarks.comparison import Contender, Metric, Metrics, Row, Target
from tests.interop.processes import PeerMissing

RLE = "1.2.840.10008.1.2.5"
OURS, PYLIBJPEG, IMAGECODECS = "aiodicom", "pylibjpeg-rle", "imagecodecs"

#: pydicom's: a CT of 512 x 512 with 14 bits, and an ultrasound of 640 x 480.
IMAGES = {"CT 512x512": "693_UNCR.dcm", "RGB 640x480": "US1_UNCR.dcm"}

MB_PER_SECOND = Metric("MB/s")


class Image:
    """An image of pydicom's, decoded and as an RLE frame of pylibjpeg-rle's."""

    def __init__(self, name: str) -> None:
        path = get_testdata_file(IMAGES[name])
        if path is None:
            raise PeerMissing("pydicom-data is not installed")
        frames = dcmread(str(path)).frames
        self.description: Description = frames.description
        self.cells = frames[0].to_numpy()
        self.raw = self.cells.tobytes()

    @property
    def shape(self) -> tuple[int, int, int, int]:
        described = self.description
        return described.rows, described.columns, described.samples, described.bits_allocated


@cache
def image(name: str) -> Image:
    return Image(name)


def library(name: str) -> Any:
    from importlib import import_module

    try:
        return import_module(name)
    except ImportError as error:
        raise PeerMissing(f"{name} is not installed") from error


def best(seconds: float, *works: Callable[[], object]) -> list[float]:
    """Seconds of the fastest run of each, all in turns for so long."""
    fastest = [float("inf")] * len(works)
    until = time.perf_counter() + seconds
    while time.perf_counter() < until:
        for place, work in enumerate(works):
            start = time.perf_counter()
            work()
            fastest[place] = min(fastest[place], time.perf_counter() - start)
    return fastest


def rate(seconds: float, size: int, work: Callable[[], object]) -> float:
    """MB/s of raw pixels."""
    return size / best(seconds, work)[0] / 1e6


def rle_decode(bench: Bench, name: str) -> Planned:
    title = f"RLE decode, {name}"

    def make() -> Row:
        seconds = bench.size(0.5, 0.02)
        one = image(name)
        rows, columns, _, bits = one.shape
        frame = codec_for(RLE).encode(one.cells, one.description).data

        def ours() -> Metrics:
            return {"MB/s": rate(seconds, len(one.raw), lambda: codec_for(RLE).decode(frame, one.description))}

        def pylibjpeg() -> Metrics:
            decode = library("rle.rle").decode_frame
            return {"MB/s": rate(seconds, len(one.raw), lambda: decode(frame, rows * columns, bits, "<"))}

        def imagecodecs() -> Metrics:
            decode = library("imagecodecs").dicomrle_decode
            return {"MB/s": rate(seconds, len(one.raw), lambda: decode(frame, f"<u{bits // 8}"))}

        contenders = (
            Contender(OURS, ours, ours=True),
            Contender(PYLIBJPEG, pylibjpeg),
            Contender(IMAGECODECS, imagecodecs),
        )
        targets = tuple(Target("MB/s", 1.0, peer) for peer in (PYLIBJPEG, IMAGECODECS))
        return Row(title, (MB_PER_SECOND,), contenders, PYLIBJPEG, targets)

    return Planned(title, make)


def rle_encode(bench: Bench, name: str) -> Planned:
    title = f"RLE encode, {name}"

    def make() -> Row:
        seconds = bench.size(0.5, 0.02)
        one = image(name)

        def ours() -> Metrics:
            encode = codec_for(RLE).encode
            size = len(encode(one.cells, one.description).data)
            return {
                "MB/s": rate(seconds, len(one.raw), lambda: encode(one.cells, one.description)),
                "compressed bytes": float(size),
            }

        def pylibjpeg() -> Metrics:
            encode = library("rle.rle").encode_frame
            return {
                "MB/s": rate(seconds, len(one.raw), lambda: encode(one.raw, *one.shape, "<")),
                "compressed bytes": float(len(encode(one.raw, *one.shape, "<"))),
            }

        metrics = MB_PER_SECOND, Metric("compressed bytes", higher=False)
        targets = Target("MB/s", 4.0, PYLIBJPEG), Target("compressed bytes", 1.0, PYLIBJPEG)
        contenders = Contender(OURS, ours, ours=True), Contender(PYLIBJPEG, pylibjpeg)
        return Row(title, metrics, contenders, PYLIBJPEG, targets)

    return Planned(title, make)


def overhead(bench: Bench, codec: str, transfer_syntax: str, decode: Callable[[Any, Any], object]) -> Planned:
    """`Frame.to_numpy()` beside the library's function alone, in turns."""
    title = f"{codec} decode 512x512, beside the library alone"

    def make() -> Row:
        one = image("CT 512x512")
        encoded = codec_for(transfer_syntax).encode(one.cells, one.description)
        made = Dataset(
            Rows=512,
            Columns=512,
            SamplesPerPixel=1,
            BitsAllocated=16,
            BitsStored=one.description.bits_stored,
            HighBit=one.description.high_bit,
            PixelRepresentation=int(one.description.signed),
            PhotometricInterpretation=encoded.photometric_interpretation,
        )
        encapsulate([encoded.data]).put_into(made)
        made.transfer_syntax = transfer_syntax

        def work() -> Metrics:
            peer = library("imagecodecs")
            ours, theirs = best(
                bench.size(3.0, 0.1), lambda: made.frames[0].to_numpy(), lambda: decode(peer, encoded.data)
            )
            return {"ms": 1e3 * ours, "library ms": 1e3 * theirs, "overhead %": 100 * (ours / theirs - 1)}

        metrics = (
            Metric("ms", higher=False, digits=2),
            Metric("library ms", higher=False, digits=2),
            Metric("overhead %", higher=False, digits=2),
        )
        return Row(title, metrics, (Contender(OURS, work, ours=True),), OURS, (Target("overhead %", 3.0, None),))

    return Planned(title, make)


#: Kernels by what they do, given source and target of the same size.
KERNELS: dict[str, Callable[[Any, Any], None]] = {
    "big endian, 16 bits": lambda source, target: _pixels.swap(source, target, 2),
    "big endian, 32 bits": lambda source, target: _pixels.swap(source, target, 4),
    "planes to RGB": lambda source, target: _pixels.interleave(source, target, 3, 1),
    "RGB to planes": lambda source, target: _pixels.deinterleave(source, target, 3, 1),
    "planes to RGB, 16 bits": lambda source, target: _pixels.interleave(source, target, 3, 2),
    "RGB to planes, 16 bits": lambda source, target: _pixels.deinterleave(source, target, 3, 2),
}


def kernel(bench: Bench, name: str) -> Planned:
    title = f"{name}, beside memcpy"

    def make() -> Row:
        # Larger than caches are, and whole pixels.
        size = bench.size(384 << 20, 12 << 20) // 48 * 48
        source = numpy.resize(numpy.arange(251, dtype="u1"), size)
        target = numpy.zeros_like(source)

        def work() -> Metrics:
            ours, copied = best(
                bench.size(4.0, 0.1),
                lambda: KERNELS[name](source, target),
                lambda: numpy.copyto(target, source),
            )
            return {"MB/s": size / ours / 1e6, "memcpy MB/s": size / copied / 1e6, "of memcpy": copied / ours}

        metrics = MB_PER_SECOND, Metric("memcpy MB/s"), Metric("of memcpy", digits=2)
        return Row(title, metrics, (Contender(OURS, work, ours=True),), OURS, (Target("of memcpy", 0.25, None),))

    return Planned(title, make)


def rows(bench: Bench) -> Iterator[Planned]:
    for name in IMAGES:
        yield rle_decode(bench, name)
        yield rle_encode(bench, name)
    yield overhead(bench, "JPEG-LS", "1.2.840.10008.1.2.4.80", lambda peer, data: peer.jpegls_decode(data))
    yield overhead(
        bench, "JPEG 2000", "1.2.840.10008.1.2.4.90", lambda peer, data: peer.jpeg2k_decode(data, numthreads=1)
    )
    for name in KERNELS:
        yield kernel(bench, name)


if __name__ == "__main__":
    sys.exit(main("python -m benchmarks.pixels", __doc__ or "", (rows, transcoding.rows)))
