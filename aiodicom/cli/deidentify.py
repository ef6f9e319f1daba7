"""`aiodicom deidentify`: DICOM files without what identifies the patient."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable, Collection
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from aiodicom.cli import options, output
from aiodicom.cli.conversion import Conversion
from aiodicom.cli.runner import run
from aiodicom.deidentify.options import CLEANED, RETAINED, Options
from aiodicom.errors import LocalError
from aiodicom.values import Value, frozen

if TYPE_CHECKING:
    from aiodicom.dataset import Dataset
    from aiodicom.deidentify import DeviceRules

__all__ = ["deidentify"]

_COMMAND = "deidentify"
_PLACES = "{StudyInstanceUID}/{SeriesInstanceUID}/{SOPInstanceUID}.dcm"


def _names(given: list[str] | None, known: Collection[str]) -> list[str]:
    names = [name for text in given or () for name in text.split(",") if name]
    for name in names:
        if name not in known:
            raise typer.BadParameter(f"{name!r} is none of {', '.join(known)}")
    return names


def _retained(given: list[str] | None) -> list[str]:
    return _names(given, RETAINED)


def _cleaned(given: list[str] | None) -> list[str]:
    return _names(given, CLEANED)


@frozen
class _Profile(Value):
    """The options of the profile."""

    retain: Annotated[
        list[str] | None,
        typer.Option(
            "--retain",
            metavar="NAME,...",
            show_default=False,
            callback=_retained,
            help=f"What is retained: {', '.join(RETAINED)}.",
        ),
    ] = None
    clean: Annotated[
        list[str] | None,
        typer.Option(
            "--clean",
            metavar="NAME,...",
            show_default=False,
            callback=_cleaned,
            help=f"What is cleaned and kept: {', '.join(CLEANED)}.",
        ),
    ] = None
    devices: Annotated[
        Path | None,
        typer.Option(
            "--devices",
            metavar="TOML",
            show_default=False,
            exists=True,
            dir_okay=False,
            help="Rules that say which pixels are blanked, by device.",
        ),
    ] = None
    keep_burned_in: Annotated[
        bool, typer.Option("--keep-burned-in", help="Take images that say they identify; so does what is written.")
    ] = False
    no_pseudonyms: Annotated[
        bool, typer.Option("--no-pseudonyms", help="Leave names and numbers of patients empty, or all the same.")
    ] = False
    max_shift_days: Annotated[
        int, typer.Option("--max-shift-days", metavar="DAYS", min=1, max=36525, help="Of --retain modified-dates.")
    ] = 3652

    def options(self) -> Options:
        """Raises LocalError."""
        return Options.named(
            self.retain or (),
            self.clean or (),
            pseudonyms=not self.no_pseudonyms,
            max_shift_days=self.max_shift_days,
            burned_in="keep" if self.keep_burned_in else "refuse",
        )


@options.grouped
def deidentify(
    paths: Annotated[
        list[Path],
        typer.Argument(
            metavar="IN... OUT", show_default=False, help="Files and folders, and where they go: a file or a folder."
        ),
    ],
    profile: _Profile,
    key_file: Annotated[
        Path | None,
        typer.Option("--key-file", metavar="FILE", show_default=False, help="The key that replacements follow from."),
    ] = None,
    new_key: Annotated[bool, typer.Option("--new-key", help="Make the key file, which must not be there.")] = False,
    jobs: Annotated[
        int | None, typer.Option("--jobs", metavar="N", min=1, show_default=False, help="Threads; default: the cores.")
    ] = None,
    as_json: options.Json = False,
) -> None:
    """Take out of DICOM files what identifies the patient (PS3.15 annex E).

    UIDs, pseudonyms and moved dates follow from a key: with the same one, studies stay together in all runs and on all
    machines. Without --key-file each run has a key of its own, which is gone at its end.

    In the folder OUT, files are called by their new UIDs. OUT may also be a template of paths, as for storescp.

    Example: aiodicom deidentify ct.dcm clean.dcm --key-file site.key --new-key

    Example: aiodicom deidentify study/ clean/ --key-file site.key --retain modified-dates,patient --clean descriptors
    """
    if len(paths) < 2:
        raise typer.BadParameter("say what is read, and last where it goes", param_hint="'IN... OUT'")
    if new_key and key_file is None:
        raise typer.BadParameter("say where the key goes with --key-file", param_hint="'--new-key'")
    *sources, target = paths
    for source in sources:
        if not source.exists():
            raise typer.BadParameter(f"{source} does not exist", param_hint="'IN... OUT'")
    run(_COMMAND, lambda stop: _perform(stop, sources, target, profile, key_file, new_key, jobs, as_json))


async def _perform(
    stop: asyncio.Event,
    sources: list[Path],
    target: Path,
    profile: _Profile,
    key_file: Path | None,
    is_new: bool,
    jobs: int | None,
    as_json: bool,
) -> int:
    """Returns the exit code."""
    from aiodicom.deidentify import Deidentifier, deidentify_file

    place = _place(sources, target)
    chosen = profile.options()
    devices = None if profile.devices is None else _devices(profile.devices)
    deidentifier = Deidentifier(chosen, key=_key(key_file, is_new), devices=devices)

    def work(path: str) -> int:
        written: list[str] = []

        def named(result: Dataset) -> str:
            written.append(place(result))
            return written[0]

        deidentify_file(deidentifier, path, named)
        return os.stat(written[0]).st_size

    job = Conversion(_COMMAND, "deidentified", map(str, sources), work, jobs=jobs or os.cpu_count() or 1)
    code = await job.run(stop)
    if as_json:
        output.result_json({**job.counts(), "methods": [code for code, _ in deidentifier.options.methods()]})
    else:
        output.result(
            f"{output.count(job.stored, 'file')} de-identified, {job.not_stored:,} failed, {job.skipped:,} skipped: "
            f"{output.size(job.bytes)} in {job.seconds:.2f} s"
        )
    return code


def _place(sources: list[Path], target: Path) -> Callable[[Dataset], str]:
    """Where a de-identified data set goes. Raises LocalError."""
    from aiodicom.services.naming import FileTemplate, InvalidUID, values_of

    if len(sources) == 1 and sources[0].is_file() and not target.is_dir() and "{" not in str(target):
        return lambda _: str(target)
    if target.is_file():
        raise LocalError(f"{target} is a file: give a folder for what is de-identified")
    outside = Path(str(target).partition("{")[0]).resolve()
    for source in sources:
        if source.is_dir() and outside.is_relative_to(source.resolve()):
            raise LocalError(f"{target} is within {source}: give a folder outside of what is read")
    try:
        template = FileTemplate(str(target) if "{" in str(target) else f"{target}/{_PLACES}")
    except ValueError as error:
        raise LocalError(f"{target}: {error}") from error

    def place(result: Dataset) -> str:
        if not result.get("SOPInstanceUID"):
            raise LocalError("the object has no SOP Instance UID to call its file by")
        try:
            return os.path.join(template.root, *template.path(values_of(result, template.keywords)))
        except InvalidUID as error:
            raise LocalError(str(error)) from error

    return place


def _key(path: Path | None, is_new: bool) -> bytes:
    """Raises OSError, LocalError."""
    from aiodicom.deidentify import keys

    if path is None:
        output.note(_COMMAND, "no --key-file: replacements are consistent within this run, and with no other")
        return keys.new_key()
    if not is_new:
        try:
            return keys.read_key(path)
        except FileNotFoundError as error:
            raise LocalError(f"{path}: no such key file; --new-key makes one") from error
    try:
        return keys.write_new_key(path)
    except FileExistsError as error:
        raise LocalError(f"{path} is there already: leave --new-key out to use it") from error


def _devices(path: Path) -> DeviceRules:
    from aiodicom.deidentify import DeviceRules

    try:
        return DeviceRules.from_toml(path.read_text(encoding="utf-8"))
    except (LocalError, UnicodeDecodeError) as error:
        raise LocalError(f"{path}: {error}") from error
