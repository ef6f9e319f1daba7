"""`aiodicom transcode`: DICOM files in another transfer syntax."""

from __future__ import annotations

import asyncio
import os
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from time import perf_counter
from typing import Annotated, NamedTuple

import typer

from aiodicom.cli import options, output
from aiodicom.cli.runner import run
from aiodicom.errors import AiodicomError
from aiodicom.net.sources import KnownFile
from aiodicom.services.scan import scan
from aiodicom.standard.transfer_syntaxes import TRANSFER_SYNTAXES, named_transfer_syntax

__all__ = ["transcode"]

_COMMAND = "transcode"

_QUALITIES = "JPEG 1 to 100 (90); JPEG-LS NEAR (2); JPEG 2000 dB (60); HTJ2K step (0.002); JPEG XL distance (1)"


def _to(name: str) -> str:
    try:
        return named_transfer_syntax(name).uid
    except ValueError:
        raise typer.BadParameter(f"{name!r} is no transfer syntax: a UID, or a name that --help lists") from None


def transcode(
    source: Annotated[
        Path, typer.Argument(metavar="IN", exists=True, show_default=False, help="A DICOM file, or a folder.")
    ],
    target: Annotated[
        Path, typer.Argument(metavar="OUT", show_default=False, help="Where it goes: a file or a folder.")
    ],
    to: Annotated[
        str,
        typer.Option(
            "--to",
            metavar="NAME|UID",
            show_default=False,
            callback=_to,
            help="The transfer syntax: see the list above.",
        ),
    ],
    quality: Annotated[
        float | None, typer.Option("--quality", metavar="Q", show_default=False, help=f"Of lossy ones: {_QUALITIES}.")
    ] = None,
    recursive: Annotated[bool, typer.Option("--recursive", "-r", help="IN is a folder: all files below it.")] = False,
    jobs: Annotated[
        int | None, typer.Option("--jobs", metavar="N", min=1, show_default=False, help="Threads; default: the cores.")
    ] = None,
    as_json: options.Json = False,
) -> None:
    """Bring DICOM files into another transfer syntax: explicit-le, implicit-le, deflated-le, explicit-be, encapsulated,
    deflated-frames, rle-lossless, jpeg-baseline, jpeg-extended, jpeg-lossless, jpeg-lossless-p14, jpeg-ls-lossless,
    jpeg-ls-lossy, jpeg-2000-lossless, jpeg-2000-lossy, htj2k-lossless, htj2k-rpcl-lossless, htj2k-lossy,
    jpeg-xl-lossless, jpeg-xl-recompression, jpeg-xl-lossy. At the end, -lossless may be left out.

    What is lossless stays bit-exact. Lossy compression makes another instance, with its own UID and a note of where it
    comes from. A file is written whole or not at all; those that cannot be brought into it are named, and not copied.

    Example: aiodicom transcode ct.dcm ct-j2k.dcm --to htj2k

    Example: aiodicom transcode study/ compressed/ --recursive --to jpeg-ls-lossless
    """
    if source.is_dir() and not recursive:
        raise typer.BadParameter(f"{source} is a folder: say --recursive for the files in it", param_hint="'IN'")
    run(_COMMAND, lambda stop: _Job(source, target, to, quality, jobs or os.cpu_count() or 1).run(stop, as_json))


class _Work(NamedTuple):
    source: str
    target: Path


class _Job:
    """Brings files into another transfer syntax, some at a time, each in a thread. Names what fails, and counts."""

    def __init__(self, source: Path, target: Path, to: str, quality: float | None, jobs: int) -> None:
        #: for the bar: files found so far, whether those are all, and what has become of them
        self.found = 0
        self.is_scanned = False
        self.stored = 0
        self.not_stored = 0
        self.bytes = 0
        self._written = 0
        self._no_dicom = 0
        self._source = source
        self._target = target
        self._to = to
        self._quality = quality
        self._jobs = jobs
        self._files = scan([str(source)])
        self._is_folder = source.is_dir()

    async def run(self, stop: asyncio.Event, as_json: bool) -> int:
        """Returns the exit code. After `stop`, what has begun is finished."""
        begun = perf_counter()
        if sys.stderr.isatty():
            from aiodicom.cli.progress import Progress

            with Progress(self, self):
                await self._perform(stop)
        else:
            await self._perform(stop)
        return self._report(perf_counter() - begun, as_json, is_complete=self.is_scanned)

    async def _perform(self, stop: asyncio.Event) -> None:
        loop = asyncio.get_running_loop()
        running: set[asyncio.Future[None]] = set()
        with ThreadPoolExecutor(self._jobs, "aiodicom-transcode") as threads:
            try:
                while not stop.is_set():
                    work = await loop.run_in_executor(None, self._next)
                    if work is None:
                        self.is_scanned = True
                        break
                    self.found += 1
                    running.add(asyncio.ensure_future(self._one(threads, work)))
                    # One more than there are threads: it is there when one is free.
                    if len(running) > self._jobs:
                        _, running = await asyncio.wait(running, return_when=asyncio.FIRST_COMPLETED)
            finally:
                while running:
                    _, running = await asyncio.wait(running)

    def _next(self) -> _Work | None:
        for entry in self._files:
            if isinstance(entry, KnownFile):
                return _Work(entry.path, self._place(entry.path))
            self._no_dicom += not entry.broken
            self.not_stored += entry.broken
            self.found += entry.broken
            output.note(_COMMAND, f"{entry.path}: {'' if entry.broken else 'skipped: '}{entry.reason}")
        return None

    def _place(self, path: str) -> Path:
        if self._is_folder:
            return self._target / os.path.relpath(path, self._source)
        return self._target / os.path.basename(path) if self._target.is_dir() else self._target

    async def _one(self, threads: ThreadPoolExecutor, work: _Work) -> None:
        try:
            size = await asyncio.get_running_loop().run_in_executor(threads, self._transcode, work)
        except (AiodicomError, OSError) as error:
            self.not_stored += 1
            output.note(_COMMAND, f"{work.source}: {output.explain(error)}")
        else:
            self.stored += 1
            self.bytes += os.stat(work.source).st_size
            self._written += size

    def _transcode(self, work: _Work) -> int:
        from aiodicom.pixels.transcode import transcode_file

        if self._is_folder:
            work.target.parent.mkdir(parents=True, exist_ok=True)
        threads = 1 if self._is_folder else self._jobs
        transcode_file(work.source, work.target, self._to, quality=self._quality, threads=threads)
        return work.target.stat().st_size

    def _report(self, seconds: float, as_json: bool, *, is_complete: bool) -> int:
        if as_json:
            output.result_json(
                {
                    "transcoded": self.stored,
                    "failed": self.not_stored,
                    "skipped": self._no_dicom,
                    "bytes": self.bytes,
                    "bytes_written": self._written,
                    "seconds": round(seconds, 6),
                }
            )
        else:
            output.result(
                f"{output.count(self.stored, 'file')} transcoded to {TRANSFER_SYNTAXES[self._to].name}, "
                f"{self.not_stored:,} failed, {self._no_dicom:,} skipped: {self.bytes / 1e6:,.1f} MB to "
                f"{self._written / 1e6:,.1f} MB in {seconds:.2f} s"
            )
        return 1 if self.not_stored or not self.stored or not is_complete else 0
