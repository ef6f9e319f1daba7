"""`aiodicom load record`: a proxy that writes down what a modality and a PACS do."""

from __future__ import annotations

import asyncio
import logging
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from aiodicom.cli import options, output
from aiodicom.cli.listening import advice_on_binding, announce
from aiodicom.cli.runner import run
from aiodicom.errors import LocalError
from aiodicom.load.recording.objects import ObjectFolder
from aiodicom.load.recording.proxy import Counts
from aiodicom.load.recording.recording import Files, Recording
from aiodicom.net.descriptors import allow_most_descriptors

__all__ = ["record"]

_COMMAND = "load record"


def record(
    host: options.Host,
    port: options.Port,
    listening_port: Annotated[
        int,
        typer.Option(
            "--listen",
            metavar="PORT",
            min=0,
            max=65535,
            show_default=False,
            help="TCP port that the modalities connect to in place of the PACS; 0: a free one.",
        ),
    ],
    out: Annotated[
        Path,
        typer.Option(
            "-o", "--output", metavar="FILE", show_default=False, help="Writes FILE.jsonl, and FILE.toml to replay it."
        ),
    ],
    address: Annotated[
        str, typer.Option("--bind", metavar="ADDRESS", help="Address to listen on; 0.0.0.0 or :: for every one.")
    ] = "127.0.0.1",
    with_titles: Annotated[
        bool, typer.Option("--with-titles", help="Record AE titles as they are, not as AE1, AE2 and so on.")
    ] = False,
    objects: Annotated[
        Path | None,
        typer.Option(
            "--with-objects",
            metavar="DIR",
            show_default=False,
            help="Keep the objects that are stored, too, as DICOM files: they tell of patients.",
        ),
    ] = None,
    as_json: options.Json = False,
    verbose: options.Verbose = False,
    debug: options.Debug = False,
) -> None:
    """Record what passes between modalities and a PACS, until SIGINT or SIGTERM: a proxy that changes nothing.

    What is written are associations and operations, with their times, sizes and statuses: no patient data, no pixels,
    no UIDs of instances, no AE titles unless asked for. TLS passes through and cannot be recorded.

    Example: aiodicom load record --listen 11112 pacs.example.org 104 -o monday

    Then: aiodicom load monday.toml --speed 2x
    """
    output.configure_logging(verbose, debug, logging.ERROR)
    allow_most_descriptors()

    async def work(stop: asyncio.Event) -> int:
        folder = None if objects is None else ObjectFolder(objects)
        try:
            recording = Recording(
                host,
                port,
                files := Files.of(out),
                with_titles=with_titles,
                keep=None if folder is None else folder.open,
            )
            try:
                with advice_on_binding():
                    announce(await recording.listen(address, listening_port))
                await stop.wait()
                await recording.drain()
            finally:
                await recording.close()
        finally:
            if folder is not None:
                folder.close()
        _report(recording.counts, files, folder, as_json)
        return 0

    run(_COMMAND, work)


def _report(counts: Counts, files: Files, folder: ObjectFolder | None, as_json: bool) -> None:
    """Says what has been recorded."""
    kept = 0 if folder is None else folder.written
    if as_json:
        output.result_json({**asdict(counts), "objects": kept, "trace": str(files.trace)})
    else:
        output.result(
            f"{output.count(counts.connections, 'connection')}, {output.count(counts.associations, 'association')}, "
            f"{output.count(counts.operations, 'operation')}, {counts.bytes / 1e6:,.1f} MB"
            + (f", {output.count(kept, 'object')} kept" if folder is not None else "")
        )
        output.result(f"written: {files.trace}, {files.scenario}")
    if counts.encrypted:
        output.note(
            _COMMAND,
            f"{output.count(counts.encrypted, 'connection')} came with TLS: passed on, and not recorded (record on the "
            "side of a TLS proxy that is not encrypted)",
        )
    if counts.not_understood:
        output.note(
            _COMMAND,
            f"{output.count(counts.not_understood, 'connection')} could not be understood: passed on, and recorded up "
            "to there",
        )
    if counts.unreachable:
        output.note(
            _COMMAND,
            f"{output.count(counts.unreachable, 'connection')} found no PACS (check host and port, and that it is "
            "running)",
        )
    if folder is not None and folder.failed:
        raise LocalError(
            f"{output.count(folder.failed, 'object')} could not be kept, the last for: {folder.error} "
            "(check --with-objects)"
        )
