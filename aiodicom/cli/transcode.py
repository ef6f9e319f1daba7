"""`aiodicom transcode`: DICOM files in another transfer syntax."""

from __future__ import annotations

import asyncio
import os
from pathlib import Path
from typing import Annotated

import typer

from aiodicom.cli import options, output
from aiodicom.cli.conversion import Conversion
from aiodicom.cli.runner import run
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
    if quality is not None:
        from aiodicom.pixels.recoding import has_quality

        if not has_quality(to):
            raise typer.BadParameter(f"{TRANSFER_SYNTAXES[to].name} loses nothing", param_hint="'--quality'")
    threads = jobs or os.cpu_count() or 1
    is_folder = source.is_dir()
    if is_folder and target.exists() and not target.is_dir():
        raise typer.BadParameter(f"{target} is a file, and what is in {source} goes into a folder", param_hint="'OUT'")

    def work(path: str) -> int:
        from aiodicom.pixels.transcode import transcode_file

        made = target
        if is_folder:
            made = target / os.path.relpath(path, source)
            made.parent.mkdir(parents=True, exist_ok=True)
        elif target.is_dir():
            made = target / os.path.basename(path)
        transcode_file(path, made, to, quality=quality, threads=1 if is_folder else threads)
        return made.stat().st_size

    job = Conversion(_COMMAND, "transcoded", [str(source)], work, jobs=threads)
    run(_COMMAND, lambda stop: _transcode(stop, job, to, as_json))


async def _transcode(stop: asyncio.Event, job: Conversion, to: str, as_json: bool) -> int:
    """Returns the exit code."""
    code = await job.run(stop)
    if as_json:
        output.result_json(job.counts())
    else:
        output.result(
            f"{output.count(job.stored, 'file')} transcoded to {TRANSFER_SYNTAXES[to].name}, "
            f"{job.not_stored:,} failed, {job.skipped:,} skipped: {output.size(job.bytes)} to "
            f"{output.size(job.written)} in {job.seconds:.2f} s"
        )
    return code
