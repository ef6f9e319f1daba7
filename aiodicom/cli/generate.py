"""`aiodicom generate`: studies as files, to fill an archive or to test with."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Iterator
from pathlib import Path
from time import perf_counter
from typing import TYPE_CHECKING, Annotated

import typer

from aiodicom.cli import options, output
from aiodicom.cli.data import Data
from aiodicom.cli.runner import run
from aiodicom.part10.meta import encode_file_meta
from aiodicom.part10.writer import replacing

if TYPE_CHECKING:
    from aiodicom.load.renewing import Renewed
    from aiodicom.load.supply import Instance, Study

__all__ = ["generate"]

_COMMAND = "generate"


@options.grouped
def generate(
    target: Annotated[
        Path, typer.Argument(metavar="OUT", file_okay=False, show_default=False, help="The folder for the files.")
    ],
    data: Data,
    studies: Annotated[int, typer.Option("--studies", metavar="N", min=1, help="How many studies.")] = 1,
    dicomdir: Annotated[
        bool, typer.Option("--dicomdir", help="Names as on a medium, and a DICOMDIR, in a folder that is new or empty.")
    ] = False,
    as_json: options.Json = False,
) -> None:
    """Make studies as DICOM files: synthetic ones, valid, with noise that compresses like the real thing; or copies of
    your own files as new studies, each of another patient.

    Files are OUT/ACCESSION/SERIES-MODALITY/NUMBER.dcm. The same --seed makes the same files.

    Example: aiodicom generate studies --modality CT --studies 10 --series 2 --images 100

    Example: aiodicom generate studies --modality CT,SR --transfer-syntax jpeg-2000 --seed 7

    Example: aiodicom generate copies --input mine --studies 1000 --date 20260101-20261231
    """
    data.check()
    run(_COMMAND, lambda stop: _Job(target, data, studies, dicomdir).run(stop, as_json))


class _Job:
    """Writes studies, in a thread, and counts."""

    def __init__(self, target: Path, data: Data, studies: int, dicomdir: bool) -> None:
        #: for the bar: files to be written, whether those are all, and what has become of them
        self.found = 0
        self.is_scanned = False
        self.stored = 0
        self.not_stored = 0
        self.bytes = 0
        self._studies_made = 0
        self._series_made = 0
        self._target = target
        self._data = data
        self._studies = studies
        self._dicomdir = dicomdir

    async def run(self, stop: asyncio.Event, as_json: bool) -> int:
        """Returns the exit code. After `stop`, the file that has begun is finished."""
        begun = perf_counter()
        if self._dicomdir and self._target.exists() and any(self._target.iterdir()):
            output.note(_COMMAND, f"{self._target}: not empty (a medium with a DICOMDIR begins in a new folder)")
            return 1
        supply, seed = await asyncio.to_thread(self._data.supply, _COMMAND)
        if sys.stderr.isatty():
            from aiodicom.cli.progress import progress_bar

            with progress_bar(self, self):
                await asyncio.to_thread(self._write, supply, stop)
        else:
            await asyncio.to_thread(self._write, supply, stop)
        return self._report(perf_counter() - begun, seed, as_json)

    def _write(self, supply: Renewed, stop: asyncio.Event) -> None:
        sizes = [sum(len(series.instances) for series in supply.study(number).series) for number in range(supply.round)]
        rounds, rest = divmod(self._studies, supply.round)
        self.found = rounds * sum(sizes) + sum(sizes[:rest])
        self.is_scanned = True
        for number, study in zip(range(1, self._studies + 1), supply.studies(), strict=False):
            for path, instance in self._files(number, study):
                if stop.is_set():
                    return
                path.parent.mkdir(parents=True, exist_ok=True)
                head = encode_file_meta(instance.sop_class_uid, instance.sop_instance_uid, instance.transfer_syntax)
                with replacing(path) as file:
                    file.writelines((head, *instance.buffers))
                self.stored += 1
                self.bytes += len(head) + instance.size
            self._series_made += len(study.series)
            self._studies_made += 1
        if self._dicomdir:
            from aiodicom.part10.dicomdir import make_file_set

            make_file_set(self._target)[0].write()

    def _files(self, number: int, study: Study) -> Iterator[tuple[Path, Instance]]:
        """Where the objects of a study go: what File IDs may be (PS3.10 8.2) where there is a DICOMDIR."""
        folder = self._target / (f"ST{number:06}" if self._dicomdir else study.accession_number)
        for place, series in enumerate(study.series, 1):
            below = folder / (f"SE{place:06}" if self._dicomdir else f"{place}-{series.modality}")
            for image, instance in enumerate(series.instances, 1):
                yield below / (f"IM{image:06}" if self._dicomdir else f"{image:04}.dcm"), instance

    def _report(self, seconds: float, seed: str, as_json: bool) -> int:
        is_complete = self._studies_made == self._studies
        if as_json:
            output.result_json(
                {
                    "studies": self._studies_made,
                    "series": self._series_made,
                    "instances": self.stored,
                    "bytes": self.bytes,
                    "seconds": round(seconds, 6),
                    "seed": seed,
                }
            )
        else:
            output.result(
                f"{self._target}: {output.count(self._studies_made, 'study', 'studies')}, "
                f"{output.count(self._series_made, 'series', 'series')}, {output.count(self.stored, 'file')}, "
                f"{output.size(self.bytes)} in {seconds:.2f} s (--seed {seed})"
            )
        return 0 if is_complete else 1
