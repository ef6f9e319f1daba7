"""Transcoding: CT slices by threads and by processes, beside DCMTK and pydicom, and what C-ECHO has of it."""

from __future__ import annotations

import asyncio
import json
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Executor, ProcessPoolExecutor, ThreadPoolExecutor
from contextlib import ExitStack
from functools import cache
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import numpy

import aiodicom
from aiodicom.net.codec_threads import codec_threads
from aiodicom.net.reencoding import encode_memory
from benchmarks import contenders as c
from benchmarks.bench import Bench, Planned
from benchmarks.comparison import Contender, Metric, Metrics, Row, Target
from tests.interop import peers

CT = "1.2.840.10008.5.1.4.1.1.2"
EXPLICIT, JPEG_LS, HTJ2K = "1.2.840.10008.1.2.1", "1.2.840.10008.1.2.4.80", "1.2.840.10008.1.2.4.201"


@cache
def body() -> Any:
    """A CT slice of 512 x 512 with 12 bits: soft shapes, and noise as scanners have it."""
    y, x = numpy.mgrid[0:512, 0:512]
    wave = (numpy.sin(x / 30) + numpy.cos(y / 25) + 2) * 900
    noise = numpy.random.default_rng(1).normal(0, 12, (512, 512))
    inside = (x - 256) ** 2 + (y - 256) ** 2 < 230**2
    return numpy.where(inside, wave + noise + 40, 0).astype("u2")


def slice_of(number: int) -> aiodicom.Dataset:
    """A slice, in JPEG-LS; each is another."""
    made = aiodicom.Dataset(
        SOPClassUID=CT,
        SOPInstanceUID=f"1.2.{number}",
        StudyInstanceUID="1.2.3",
        Rows=512,
        Columns=512,
        SamplesPerPixel=1,
        BitsAllocated=16,
        BitsStored=12,
        HighBit=11,
        PixelRepresentation=0,
        PhotometricInterpretation="MONOCHROME2",
    )
    made.add_new("PixelData", "OW", numpy.roll(body(), number, 0).tobytes())
    made.transfer_syntax = EXPLICIT
    return aiodicom.transcode(made, JPEG_LS)


def to_htj2k(path: Path, target: Path) -> None:
    aiodicom.transcode_file(path, target, HTJ2K)


def processes(count: int) -> Executor:
    return ProcessPoolExecutor(count, get_context("spawn"))


def slices(bench: Bench) -> Planned:
    title = "transcode CT slices, JPEG-LS to HTJ2K"

    def make() -> Row:
        count = int(bench.size(200, 4))
        folder = tempfile.TemporaryDirectory()
        source = Path(folder.name) / "in"
        source.mkdir()
        for number in range(count):
            aiodicom.dcmwrite(source / f"{number}.dcm", slice_of(number))

        def measured(
            each: Callable[[Path, Path], object], workers: int, executor: Callable[[int], Executor] = ThreadPoolExecutor
        ) -> Metrics:
            paths = sorted(source.iterdir())
            with ExitStack() as stack:
                target = Path(stack.enter_context(tempfile.TemporaryDirectory(dir=folder.name)))
                pool = stack.enter_context(executor(workers))
                targets = [target / path.name for path in paths]
                # What is imported and made at the beginning is not what is compared.
                first = 2 * workers
                for _ in pool.map(each, paths[:first], targets[:first]):
                    pass
                begun = time.perf_counter()
                for _ in pool.map(each, paths, targets):
                    pass
                return {"slices/s": len(paths) / (time.perf_counter() - begun)}

        def with_pydicom(path: Path, target: Path) -> None:
            import pydicom

            data_set = pydicom.dcmread(path)
            data_set.decompress(generate_instance_uid=False)
            data_set.compress(pydicom.uid.JPEG2000Lossless, generate_instance_uid=False)
            data_set.save_as(target)

        def with_dcmtk(path: Path, target: Path) -> None:
            peers.dcmtk_command("dcmdjpls", path, target.with_suffix(".plain"))
            peers.dcmtk_command("dcmcjpls", target.with_suffix(".plain"), target)

        contenders = (
            Contender("aiodicom, 2 threads", lambda: measured(to_htj2k, 2), ours=True),
            Contender("aiodicom, 1 thread", lambda: measured(to_htj2k, 1)),
            Contender("aiodicom, 2 processes", lambda: measured(to_htj2k, 2, processes)),
            Contender("pydicom, to JPEG 2000", lambda: measured(with_pydicom, 1)),
            Contender("DCMTK, to JPEG-LS again", lambda: measured(with_dcmtk, 2)),
        )
        targets = (
            Target("slices/s", 1.8, "aiodicom, 1 thread"),
            Target("slices/s", 3.0, "pydicom, to JPEG 2000"),
            Target("slices/s", 3.0, "DCMTK, to JPEG-LS again"),
        )
        return Row(title, (Metric("slices/s"),), contenders, "aiodicom, 1 thread", targets)

    return Planned(title, make)


def echo(bench: Bench) -> Planned:
    title = "C-ECHO p99 while transcoding at full load"

    def make() -> Row:
        count = int(bench.size(2000, 50))

        def work() -> Metrics:
            return aiodicom.run(_latency(count))

        metrics = (
            Metric("idle µs", higher=False),
            Metric("busy µs", higher=False),
            Metric("times", False, 1),
            Metric("slices/s"),
        )
        return Row(title, metrics, (Contender("aiodicom", work, ours=True),), "aiodicom", (Target("times", 5.0, None),))

    return Planned(title, make)


async def _latency(count: int) -> Metrics:
    server = aiodicom.Server()

    @server.on_c_echo
    def answer(request: aiodicom.EchoRequest) -> None:
        pass

    data = memoryview(slice_of(0).to_bytes())
    done, is_over = 0, False

    async def transcode() -> None:
        nonlocal done
        while not is_over:
            await codec_threads().run(lambda: encode_memory(data, JPEG_LS, HTJ2K))
            done += 1

    async with server.listen("127.0.0.1", 0) as listening:

        async def measure() -> float:
            """The 99th percentile for a process of its own, in microseconds."""
            one_a_ms = "--operations", str(count), "--think-time", "1ms", "--json", "-"
            arguments = c.command("load", "127.0.0.1", str(listening.port), *one_a_ms)
            process = await asyncio.create_subprocess_exec(
                *arguments, stdout=subprocess.PIPE, env=c.environment(), cwd=c.ROOT
            )
            printed, _ = await process.communicate()
            p99_ms: float = json.loads(printed)["operations"]["echo"]["actual_latency_ms"]["p99"]
            return 1000 * p99_ms

        idle = await measure()
        tasks = [asyncio.create_task(transcode()) for _ in range(16)]
        try:
            before, begun = done, time.perf_counter()
            busy = await measure()
            rate = (done - before) / (time.perf_counter() - begun)
        finally:
            is_over = True
            await asyncio.gather(*tasks)
    return {"idle µs": idle, "busy µs": busy, "times": busy / idle, "slices/s": rate}


def rows(bench: Bench) -> Iterator[Planned]:
    yield slices(bench)
    yield echo(bench)
