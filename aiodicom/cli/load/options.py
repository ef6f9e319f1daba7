"""The options of a run that say its scenario, as a group: see `options.grouped`."""

from __future__ import annotations

from dataclasses import fields
from typing import Annotated, Any

import typer

from aiodicom.cli.data import Data
from aiodicom.cli.load.judging import THRESHOLD_HELP
from aiodicom.cli.security import ClientTLS
from aiodicom.values import Value, frozen

__all__ = ["ScenarioOptions", "data_values", "option_error", "tls_values"]

_LOAD = "What is done"
_PACE = "When it is done"
_ASSOCIATIONS = "Associations"

#: What a modality does for a study besides sending its images: the keys of the table ``study``.
_PARTS = ("worklist", "query", "mpps", "commitment")


def _option(name: str, metavar: str, panel: str, text: str, shown: str | bool = False) -> Any:
    return typer.Option(name, metavar=metavar, rich_help_panel=panel, help=text, show_default=shown)


@frozen
class ScenarioOptions(Value):
    """What may be given instead of, or beside, a scenario file: each is the key of the same name there."""

    title: Annotated[str | None, _option("--title", "TEXT", _LOAD, "What the report is called.")] = None
    mix: Annotated[
        str | None,
        _option(
            "--mix",
            "NAME=N,...",
            _LOAD,
            "Operations in proportion: echo, store, find, move, get, commitment, worklist, mpps, associate-only, "
            "study.",
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
    speed: Annotated[
        str | None,
        _option(
            "--speed", "FACTOR", _PACE, "Replay a trace so many times as fast as it was recorded, such as 2x.", "1x"
        ),
    ] = None
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
    thresholds: Annotated[list[str] | None, _option("--threshold", "WHAT", _LOAD, THRESHOLD_HELP)] = None
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
    workers: Annotated[
        int | None,
        _option("--workers", "N", _ASSOCIATIONS, "Processes that share the load, one for each core as a rule.", "1"),
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
    targets: Annotated[
        list[str] | None,
        _option(
            "--target",
            "HOST:PORT",
            _ASSOCIATIONS,
            "Another peer, or with a file another than it names; again for further ones, which are loaded in turn.",
        ),
    ] = None
    called_aets: Annotated[
        list[str] | None,
        _option(
            "-aec", "TITLE", _ASSOCIATIONS, "AE title that we call the peer; several are called in turn.", "ANY-SCP"
        ),
    ] = None
    connect_timeout: Annotated[
        str | None, _option("--connect-timeout", "TIME", _ASSOCIATIONS, "For the connection; 0: none.", "15s")
    ] = None
    acse_timeout: Annotated[
        str | None,
        _option("--acse-timeout", "TIME", _ASSOCIATIONS, "For an answer on association level; 0: none.", "30s"),
    ] = None
    dimse_timeout: Annotated[
        str | None, _option("--dimse-timeout", "TIME", _ASSOCIATIONS, "For the response to a request; 0: none.", "60s")
    ] = None
    keys: Annotated[
        list[str] | None,
        _option(
            "-k",
            "KEYWORD=VALUE",
            _LOAD,
            "What find asks for and get and move retrieve, such as PatientID=4711; repeatable.",
            "studies of today",
        ),
    ] = None
    level: Annotated[
        str | None, _option("--level", "LEVEL", _LOAD, "Of find: PATIENT, STUDY, SERIES or IMAGE.", "STUDY")
    ] = None
    destination: Annotated[
        str | None,
        _option("--destination", "TITLE", _LOAD, "Where move sends to.", "our receiver's"),
    ] = None
    receiver: Annotated[
        int | None,
        _option(
            "--receiver-port",
            "PORT",
            _LOAD,
            "Listen there, as AIODICOM, for what move sends and for reports of storage commitment.",
        ),
    ] = None
    procedure: Annotated[
        list[str] | None,
        _option(
            "--study-with",
            "PART",
            _LOAD,
            f"What study does besides sending images: {', '.join(_PARTS)}; repeatable.",
        ),
    ] = None

    def values(self) -> dict[str, object]:
        """The keys of a scenario that have been said. Raises `typer.BadParameter`."""
        options = {each.name: getattr(self, each.name) for each in fields(self)}
        # What is repeatable and was not given is an empty list.
        said = {name: value for name, value in options.items() if value is not None and value != []}
        if "mix" in said:
            said["mix"] = _mix(said["mix"])
        if "stages" in said:
            said["stages"] = [_stage(text) for text in said["stages"]]
        if str(said.get("association_per", "")).isdigit():
            said["association_per"] = int(said["association_per"])
        if "targets" in said:
            said["targets"] = [_target(text) for text in said["targets"]]
        timeouts = {name: said.pop(f"{name}_timeout", None) for name in ("connect", "acse", "dimse")}
        keys = dict(_key(text) for text in said.pop("keys", ()))
        query = {"keys": keys, "level": said.pop("level", None), "destination": said.pop("destination", None)}
        receiver = {"port": said.pop("receiver", None)}
        procedure = {_part(text): True for text in said.pop("procedure", ())}
        tables = {"timeouts": timeouts, "query": query, "receiver": receiver, "study": procedure}
        for name, table in tables.items():
            if given := {key: value for key, value in table.items() if value is not None and value != {}}:
                said[name] = given
        return said


def data_values(data: Data, context: typer.Context) -> dict[str, object]:
    """The keys of a scenario that options of data have said: those that were given, also as they are by default."""
    names = [each.name for each in fields(data)]
    given = [name for name in names if (how := context.get_parameter_source(name)) and how.name == "COMMANDLINE"]
    said: dict[str, Any] = {name: getattr(data, name) for name in given}
    if "source" in said:
        said["input"] = str(said.pop("source"))
    if said.pop("modalities", None):
        said["modality"] = list(data.modality)
    values: dict[str, object] = {}
    if (seed := said.pop("seed", None)) is not None:
        values["seed"] = seed
    return {**values, "data": said} if said else values


def tls_values(security: ClientTLS) -> dict[str, object]:
    """The keys of a scenario that its options of TLS have said."""
    if not security.tls:
        security.refuse_without_tls()
        return {}
    files = ("ca", "cert", "key", "key_password_file")
    said: dict[str, object] = {name: str(value) for name in files if (value := getattr(security, name)) is not None}
    if security.server_name is not None:
        said["server_name"] = security.server_name
    if security.insecure:
        said["insecure"] = True
    said["profile"] = security.tls_profile.value
    return {"tls": said}


#: The options of keys, or of all keys below them, that are called otherwise.
_OPTIONS = {
    "calling_aets": "-aet",
    "data.dates": "--date",
    "query": "-k",
    "query.destination": "--destination",
    "query.level": "--level",
    "receiver": "--receiver-port",
    "stages": "--stage",
    "targets": "--target",
    "thresholds": "--threshold",
    "timeouts.acse": "--acse-timeout",
    "timeouts.connect": "--connect-timeout",
    "timeouts.dimse": "--dimse-timeout",
}
#: Tables whose keys are options by themselves.
_TABLES = ("data", "tls")


def option_error(key: str, reason: str) -> str:
    """What is wrong with the option that has said a key."""
    path = key.split("[")[0].split(".")
    option = _OPTIONS.get(".".join(path[:2])) or _OPTIONS.get(path[0])
    if option is None:
        option = f"--{path[1 if path[0] in _TABLES else 0].replace('_', '-')}"
    # What was typed, where it is a keyword: the option is the same for all.
    what = f"{path[2]}: " if path[:2] == ["query", "keys"] and len(path) > 2 else ""
    return f"{option}: {what}{reason}"


def _target(text: str) -> dict[str, object]:
    host, colon, port = text.rpartition(":")
    if not colon or not host or not port.isdigit():
        raise typer.BadParameter(f"{text!r}: wanted a host and a port, such as pacs:11112", param_hint="'--target'")
    return {"host": host.removeprefix("[").removesuffix("]"), "port": int(port)}


def _key(text: str) -> tuple[str, str]:
    keyword, equals, value = text.partition("=")
    if not equals or not keyword:
        raise typer.BadParameter(f"{text!r}: wanted such as PatientID=4711", param_hint="'-k'")
    return keyword, value


def _part(text: str) -> str:
    if text not in _PARTS:
        raise typer.BadParameter(f"{text!r}: wanted one of {', '.join(_PARTS)}", param_hint="'--study-with'")
    return text


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
