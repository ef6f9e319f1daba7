"""`aiodicom dicomdir`: makes the DICOMDIR of a folder (PS3.10 8.6)."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from aiodicom.cli import options, output
from aiodicom.part10.dicomdir import is_file_id, make_file_set

__all__ = ["dicomdir"]

_COMMAND = "dicomdir"


def dicomdir(
    folder: Annotated[
        Path, typer.Argument(metavar="DIR", show_default=False, help="Folder with the files, in it and below it.")
    ],
    file_set_id: Annotated[
        str, typer.Option("--id", metavar="ID", show_default=False, help="File-set ID: up to 16 of A-Z, 0-9, _.")
    ] = "",
    strict: Annotated[
        bool, typer.Option("--strict", help="Refuse names that PS3.10 8.2 forbids, as slice.dcm is.")
    ] = False,
    as_json: options.Json = False,
) -> None:
    """Make the DICOMDIR of a folder: a directory of the DICOM files that are in it and below it.

    Example: aiodicom dicomdir /media/cdrom --id STUDY_1
    """
    if len(file_set_id) > 16 or not all(c.isascii() and (c.isupper() or c.isdigit() or c in "_ ") for c in file_set_id):
        raise typer.BadParameter(f"{file_set_id!r} is no File-set ID: up to 16 of A-Z, 0-9, space and _")
    try:
        file_set, refused = make_file_set(folder, file_set_id)
    except OSError as error:
        output.note(_COMMAND, f"{folder}: {error.strerror or error}")
        raise typer.Exit(1) from None
    foreign = [record for record in file_set.walk() if record.file_id and not is_file_id(record.file_id)]
    count = sum(1 for record in file_set.walk() if record.file_id)
    others = [path for path, reason in refused if reason.startswith("not a DICOM file")]
    failed = [(path, reason) for path, reason in refused if path not in set(others)]
    for path, reason in failed:
        output.note(_COMMAND, f"{path}: {reason}")
    if others:
        output.note(_COMMAND, f"left out {output.count(len(others), 'file')} not DICOM, such as {others[0]}")
    if foreign:
        example = "/".join(foreign[0].file_id)
        names = output.count(len(foreign), "name")
        output.note(_COMMAND, f"{names} not fit for a File ID (up to 8 of A-Z, 0-9, _ each), such as {example}: rename")
    if not count:
        output.note(_COMMAND, f"{folder}: no DICOM files (check the path)")
    if not count or (strict and foreign):
        raise typer.Exit(1)
    try:
        file_set.write()
    except (OSError, ValueError) as error:
        output.note(_COMMAND, f"{folder}: {error}")
        raise typer.Exit(1) from None
    records = sum(1 for _ in file_set.walk())
    if as_json:
        result = {"files": count, "records": records, "left_out": len(others), "failed": len(failed)}
        output.result_json(result)
    else:
        written = f"{output.count(count, 'file')}, {output.count(records, 'record')}"
        output.result(output.printable(f"{folder / 'DICOMDIR'}: {written}"))
    if failed:
        raise typer.Exit(1)
