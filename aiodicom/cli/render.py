"""`aiodicom render`: a frame of a DICOM file as a picture."""

from __future__ import annotations

import sys
import warnings
from pathlib import Path
from typing import Annotated

import typer

from aiodicom.cli import output
from aiodicom.errors import AiodicomError

__all__ = ["render"]

_COMMAND = "render"


def render(
    file: Annotated[
        Path,
        typer.Argument(
            metavar="FILE", exists=True, dir_okay=False, show_default=False, help="A DICOM file with pixel data."
        ),
    ],
    target: Annotated[
        str | None,
        typer.Option("-o", metavar="PNG", show_default=False, help="Where it goes; - is stdout. Default: FILE.png."),
    ] = None,
    frame: Annotated[int, typer.Option("--frame", metavar="N", min=1, help="Which frame; the first one is 1.")] = 1,
    window: Annotated[
        tuple[float, float] | None,
        typer.Option("--window", metavar="CENTER WIDTH", show_default=False, help="In place of those of the file."),
    ] = None,
    voi: Annotated[
        int | None,
        typer.Option(
            "--voi",
            metavar="N",
            min=1,
            show_default=False,
            help="Which of the file's windows, and then VOI LUTs; the first is 1, and the default.",
        ),
    ] = None,
    overlays: Annotated[bool, typer.Option("--overlays/--no-overlays", help="Draw overlays in white.")] = True,
) -> None:
    """Make a picture (PNG) of a frame as people see it: rescaled, windowed, in colour, with overlays.

    Example: aiodicom render slice.dcm -o slice.png --window 40 400
    """
    from aiodicom.part10.reader import dcmread
    from aiodicom.pixels.rendering import encode_png, views_of
    from aiodicom.pixels.rendering import render as rendered

    if window is not None and voi is not None:
        raise typer.BadParameter("a window of your own, or --voi for one of the file's", param_hint="'--window'")
    view = 0 if voi is None else voi - 1
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            data_set = dcmread(file)
            frames = data_set.frames
            if frame > len(frames):
                raise typer.BadParameter(f"the file has {output.count(len(frames), 'frame')}", param_hint="'--frame'")
            if view and view >= (count := len(views_of(data_set, frame - 1))):
                raise typer.BadParameter(
                    f"the file has {output.count(count, 'window or VOI LUT', 'windows and VOI LUTs')} for this frame",
                    param_hint="'--voi'",
                )
            picture = rendered(frames[frame - 1], data_set, window=window, voi=view, overlays=overlays)
        data = encode_png(picture)
        if target == "-":
            sys.stdout.buffer.write(data)
        else:
            Path(target or f"{file}.png").write_bytes(data)
    except (AiodicomError, OSError) as error:
        output.note(_COMMAND, f"{file}: {output.explain(error)}")
        raise typer.Exit(1) from None
