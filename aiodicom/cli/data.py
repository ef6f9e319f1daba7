"""The options that say what objects there are to be: synthetic ones, or copies of files."""

from __future__ import annotations

import re
import secrets
from dataclasses import dataclass
from datetime import date, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final

import typer

from aiodicom.cli import output
from aiodicom.errors import LocalError
from aiodicom.standard.transfer_syntaxes import named_transfer_syntax

if TYPE_CHECKING:
    from aiodicom.load.renewing import Identity, Renewed
    from aiodicom.load.synthesis import Shape

__all__ = ["Data"]

_DATES: Final = re.compile(r"(\d{8})(?:-(\d{8}))?").fullmatch


def _dates(text: str | None) -> str | None:
    if text is not None:
        _range(text)
    return text


def _range(text: str) -> tuple[date, date]:
    try:
        if (found := _DATES(text)) is None:
            raise ValueError
        first, last = (datetime.strptime(day, "%Y%m%d").date() for day in (found[1], found[2] or found[1]))
        if last < first:
            raise ValueError
    except ValueError:
        raise typer.BadParameter(f"{text!r} is no date, such as 20260131, nor a range of two in order") from None
    return first, last


def _text(value: str | None) -> str | None:
    if value is not None and not (value.isascii() and value.isprintable() and "\\" not in value and len(value) <= 64):
        raise typer.BadParameter(f"{value!r} is not up to 64 letters, digits and signs of ASCII without a backslash")
    return value


def _transfer_syntax(name: str) -> str:
    try:
        return named_transfer_syntax(name).uid
    except ValueError as error:
        raise typer.BadParameter(str(error)) from None


@dataclass(frozen=True)
class Data:
    """What objects there are to be."""

    modality: Annotated[
        list[str] | None,
        typer.Option(
            "--modality",
            metavar="NAME",
            show_default="CT",
            help="CT, MR, US, MG, CR, DX, SC, SR, enhanced-CT; several: a study has series of each, in this order.",
        ),
    ] = None
    series: Annotated[int, typer.Option("--series", metavar="N", min=1, help="Series of each modality in a study.")] = 1
    images: Annotated[
        int | None,
        typer.Option("--images", metavar="N", min=1, show_default="as usual", help="Objects of a series."),
    ] = None
    rows: Annotated[
        int | None, typer.Option("--rows", metavar="N", min=1, max=65535, show_default="as usual", help="Of an image.")
    ] = None
    columns: Annotated[
        int | None,
        typer.Option("--columns", metavar="N", min=1, max=65535, show_default="as usual", help="Of an image."),
    ] = None
    frames: Annotated[
        int | None,
        typer.Option("--frames", metavar="N", min=1, show_default="as usual", help="Of an image: US, enhanced-CT."),
    ] = None
    transfer_syntax: Annotated[
        str,
        typer.Option(
            "--transfer-syntax",
            metavar="NAME|UID",
            callback=_transfer_syntax,
            help="Of synthetic objects; the names are those of aiodicom transcode.",
        ),
    ] = "explicit-le"
    distinct: Annotated[
        int,
        typer.Option(
            "--distinct",
            metavar="N",
            min=1,
            help="Images of a modality, and frames of an image, whose pixels differ; more have the same in turn.",
        ),
    ] = 4
    source: Annotated[
        Path | None,
        typer.Option(
            "--input",
            metavar="PATH",
            exists=True,
            show_default=False,
            help="Copies of this DICOM file, or those of this folder, as new studies, instead of synthetic ones.",
        ),
    ] = None
    patient_id: Annotated[
        str | None,
        typer.Option(
            "--patient-id", metavar="ID", callback=_text, show_default="another for each", help="Of all studies."
        ),
    ] = None
    patient_name: Annotated[
        str | None,
        typer.Option(
            "--patient-name", metavar="NAME", callback=_text, show_default="another for each", help="Of all studies."
        ),
    ] = None
    dates: Annotated[
        str | None,
        typer.Option(
            "--date",
            metavar="DATE[-DATE]",
            callback=_dates,
            show_default=False,
            help="When studies are of, such as 20260131; of a range, each study is of the next day.",
        ),
    ] = None
    seed: Annotated[
        str | None,
        typer.Option(
            "--seed",
            metavar="TEXT",
            show_default="made up",
            help="The same seed, and the same other options, make the same objects.",
        ),
    ] = None

    def check(self) -> None:
        """Raises BadParameter for studies that cannot be."""
        if self.source is None:
            try:
                self._shape().profiles()
            except ValueError as error:
                raise typer.BadParameter(str(error)) from None

    def supply(self, command: str) -> tuple[Renewed, str]:
        """What gives the objects, and its seed; takes its time. Files that cannot be used are named on stderr.

        Raises LocalError for what cannot be made, and OSError.
        """
        from aiodicom.load.renewing import Renewed, read_objects
        from aiodicom.load.synthesis import synthetic

        seed = self.seed or secrets.token_hex(4)
        identity = self._identity()
        try:
            if self.source is None:
                return synthetic(self._shape(), seed=seed, identity=identity), seed
            objects = read_objects([self.source], identity)
            for unusable in objects.unusable:
                skipped = "" if unusable.broken else "skipped: "
                output.note(command, f"{unusable.path}: {skipped}{unusable.reason}")
            return Renewed(objects.templates, seed=seed, identity=identity), seed
        except ValueError as error:
            raise LocalError(str(error) if self.source is None else f"{self.source}: {error}") from None

    def _shape(self) -> Shape:
        from aiodicom.load.synthesis import KINDS, Shape

        names = {name.lower(): name for name in KINDS}
        asked = [name.strip() for names_ in self.modality or ["CT"] for name in names_.split(",")]
        return Shape(
            kinds=tuple(names.get(name.lower(), name) for name in asked),
            series=self.series,
            images=self.images,
            rows=self.rows,
            columns=self.columns,
            frames=self.frames,
            transfer_syntax=self.transfer_syntax,
            distinct=self.distinct,
        )

    def _identity(self) -> Identity:
        from aiodicom.load.renewing import Identity

        return Identity(self.patient_id, self.patient_name, None if self.dates is None else _range(self.dates))
