"""The options of a run that say its scenario, as a group: see `options.grouped`."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Annotated, Any

import typer

__all__ = ["ScenarioOptions"]

_LOAD = "What is done"
_PACE = "When it is done"
_ASSOCIATIONS = "Associations"
_DATA = "What is stored"


def _option(name: str, metavar: str, panel: str, text: str, shown: str | bool = False) -> Any:
    return typer.Option(name, metavar=metavar, rich_help_panel=panel, help=text, show_default=shown)


@dataclass(frozen=True)
class ScenarioOptions:
    """What may be given instead of, or beside, a scenario file: each is the key of the same name there."""

    title: Annotated[str | None, _option("--title", "TEXT", _LOAD, "What the report is called.")] = None
    mix: Annotated[
        str | None,
        _option(
            "--mix",
            "NAME=N,...",
            _LOAD,
            "Operations in proportion: echo, store, find, move, get, commitment, worklist, mpps, associate, study.",
            "echo=1",
        ),
    ] = None
    rate: Annotated[
        str | None,
        _option(
            "--rate",
            "RATE",
            _PACE,
            "Begin so many operations, such as 500/s, whatever becomes of them (open model). Without, each association "
            "begins its next when one has ended (closed model).",
        ),
    ] = None
    poisson: Annotated[
        bool | None,
        typer.Option(
            "--poisson",
            rich_help_panel=_PACE,
            help="Begin them at random at that rate instead of evenly.",
            show_default=False,
        ),
    ] = None
    duration: Annotated[
        str | None, _option("--duration", "TIME", _PACE, "How long, warm-up included, such as 60s or 1h.", "10s")
    ] = None
    stages: Annotated[
        list[str] | None,
        _option(
            "--stage",
            "VALUE:TIME",
            _PACE,
            "Reach a rate (500/s:1m) or a number of associations (200:1m) in that time; again for further stages.",
        ),
    ] = None
    operations: Annotated[int | None, _option("--operations", "N", _PACE, "Do so many operations, then end.")] = None
    warm_up: Annotated[
        str | None, _option("--warm-up", "TIME", _PACE, "At the beginning, not in the figures.", "0s")
    ] = None
    think_time: Annotated[
        str | None,
        _option("--think-time", "TIME", _PACE, "Pause between operations of an association (closed model).", "0s"),
    ] = None
    max_wait: Annotated[
        str | None,
        _option(
            "--max-wait",
            "TIME",
            _PACE,
            "How long an operation whose time has come waits for a free association before it is dropped.",
            "1s",
        ),
    ] = None
    grace: Annotated[
        str | None, _option("--grace", "TIME", _PACE, "For what has begun to end, after the end.", "30s")
    ] = None
    seed: Annotated[
        int | None, _option("--seed", "N", _PACE, "For what is chosen at random; the same seed chooses the same.", "0")
    ] = None
    thresholds: Annotated[
        list[str] | None,
        _option(
            "--threshold",
            "WHAT",
            _LOAD,
            'What has to hold, such as "store.p99<200ms", "errors<0.1%" or "rate>400/s" (repeatable); exit code 99 '
            "where it does not.",
        ),
    ] = None
    abort_on_fail: Annotated[
        bool | None,
        typer.Option(
            "--abort-on-fail",
            rich_help_panel=_LOAD,
            help="End the run when a threshold is crossed for good: see docs/load.md.",
            show_default=False,
        ),
    ] = None
    associations: Annotated[
        int | None, _option("--associations", "N", _ASSOCIATIONS, "How many are used side by side.", "1")
    ] = None
    association_per: Annotated[
        str | None,
        _option(
            "--association-per",
            "WHAT",
            _ASSOCIATIONS,
            "How long each lasts: run, operation, series or study (of study in the mix), or a number of operations.",
            "run",
        ),
    ] = None
    window: Annotated[
        int | None,
        _option(
            "--window",
            "N",
            _ASSOCIATIONS,
            "Operations outstanding on each, if the peer agrees (asynchronous operations).",
            "1",
        ),
    ] = None
    max_pdu: Annotated[
        int | None, _option("--max-pdu", "BYTES", _ASSOCIATIONS, "Largest P-DATA-TF PDU that we take.", "131072")
    ] = None
    calling_aets: Annotated[
        list[str] | None,
        _option(
            "-aet", "TITLE", _ASSOCIATIONS, "AE title that we call ourselves; several are used in turn.", "AIODICOM"
        ),
    ] = None
    input: Annotated[
        str | None,
        _option("--input", "PATH", _DATA, "A DICOM file or folder to store, instead of synthetic objects."),
    ] = None

    def values(self) -> dict[str, object]:
        """The keys of a scenario that have been said. Raises `typer.BadParameter`."""
        said = {each.name: getattr(self, each.name) for each in fields(self) if getattr(self, each.name)}
        if "mix" in said:
            said["mix"] = _mix(said["mix"])
        if "stages" in said:
            said["stages"] = [_stage(text) for text in said["stages"]]
        if str(said.get("association_per", "")).isdigit():
            said["association_per"] = int(said["association_per"])
        if "input" in said:
            said["data"] = {"input": said.pop("input")}
        return said


def _mix(text: str) -> dict[str, float]:
    mix: dict[str, float] = {}
    for part in text.split(","):
        name, _, weight = part.strip().partition("=")
        try:
            mix[name] = float(weight or 1)
        except ValueError:
            raise typer.BadParameter(
                f"{part!r}: wanted operations with weights, such as store=8,find=1,echo=1", param_hint="'--mix'"
            ) from None
    return mix


def _stage(text: str) -> dict[str, object]:
    value, colon, duration = text.rpartition(":")
    if not colon or not value:
        raise typer.BadParameter(
            f"{text!r}: wanted a rate or a number of associations, and a time, such as 500/s:1m or 200:1m",
            param_hint="'--stage'",
        )
    if value.isdigit():
        return {"associations": int(value), "duration": duration}
    return {"rate": value, "duration": duration}
