"""What a run is to do, as it is written in TOML or said by flags: typed, checked, with the path of what is wrong."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from enum import StrEnum
from pathlib import Path
from typing import Any, Literal

import msgspec

from aiodicom.load.checking import faults_of
from aiodicom.load.units import (
    Bytes,
    Factor,
    PerSecond,
    Seconds,
    parse_bytes,
    parse_factor,
    parse_rate,
    parse_seconds,
)
from aiodicom.load.wording import located

__all__ = [
    "Data",
    "Executor",
    "Procedure",
    "Query",
    "Receiver",
    "Scenario",
    "ScenarioError",
    "Stage",
    "TLS",
    "Target",
    "overridden",
    "read_scenario",
    "scenario_from",
]


class ScenarioError(ValueError):
    """A scenario that cannot be run, in one line with the path of the key.

    Attributes: ``key`` (the path, such as ``stages[1].rate``; empty where it is not about one), ``reason``.
    """

    def __init__(self, where: str, reason: str, key: str = "") -> None:
        super().__init__(f"{where}: key `{key}`: {reason}" if key else f"{where}: {reason}")
        self.key = key
        self.reason = reason


class Executor(StrEnum):
    """What begins the operations; which one it is follows from the keys that a scenario has."""

    CONSTANT_RATE = "constant-rate"
    RAMPING_RATE = "ramping-rate"
    CONSTANT_ASSOCIATIONS = "constant-associations"
    RAMPING_ASSOCIATIONS = "ramping-associations"
    COUNT = "count"
    REPLAY = "replay"

    @property
    def is_open(self) -> bool:
        """Whether operations begin when it is their time, however the others do."""
        return self in (Executor.CONSTANT_RATE, Executor.RAMPING_RATE, Executor.REPLAY)


class _Table(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A table of a scenario file."""


class Target(_Table, frozen=True):
    """An SCP to load; with several, the associations go to them in turn."""

    host: str
    port: int = 104
    #: Called in turn.
    called_aets: tuple[str, ...] = ("ANY-SCP",)


class Stage(_Table, frozen=True):
    """A part of a run at whose end a rate, or a number of associations, is reached in a line."""

    duration: Seconds
    rate: PerSecond | None = None
    associations: int | None = None


class TLS(_Table, frozen=True):
    """TLS of every association (PS3.15 B); paths are relative to where the command runs."""

    ca: str | None = None
    cert: str | None = None
    key: str | None = None
    key_password_file: str | None = None
    server_name: str | None = None
    #: Takes any certificate of the peer.
    insecure: bool = False
    #: As ``--tls-profile`` names them.
    profile: Literal["8996", "8996-mod", "bcp195-nd", "bcp195-ex", "bcp195"] = "8996"


class Timeouts(_Table, frozen=True):
    """How long each thing may take; 0 waits for ever."""

    connect: Seconds = Seconds(15)
    acse: Seconds = Seconds(30)
    dimse: Seconds = Seconds(60)


class Data(_Table, frozen=True):
    """What is stored: copies of what `input` has, or else synthetic studies. Each is new, by the run's seed."""

    #: A DICOM file, or a folder of them.
    input: str | None = None
    #: As `aiodicom.load.synthesis` names them: a study has series of each.
    modality: tuple[str, ...] = ("CT",)
    #: Series of each modality in a study, and objects of a series; what is left out is as is usual for the modality.
    series: int = 1
    images: int | None = None
    rows: int | None = None
    columns: int | None = None
    frames: int | None = None
    #: UID or short name.
    transfer_syntax: str = "explicit-le"
    #: Images of a modality, and frames of an image, whose pixels differ.
    distinct: int = 4
    patient_id: str | None = None
    patient_name: str | None = None
    #: When studies are of: a date, or the first and the last of several; as YYYYMMDD.
    dates: str | None = None


class Procedure(_Table, frozen=True):
    """What a modality does for a study besides sending its images."""

    #: Ask the worklist before.
    worklist: bool = False
    #: Ask for the patient's studies before.
    query: bool = False
    #: Create a performed procedure step before, and complete it after.
    mpps: bool = False
    #: Ask for storage commitment after.
    commitment: bool = False


class Query(_Table, frozen=True):
    """What is asked for by C-FIND, and retrieved by C-GET and C-MOVE."""

    level: Literal["PATIENT", "STUDY", "SERIES", "IMAGE"] = "STUDY"
    model: Literal["study", "patient"] = "study"
    #: Matching keys by keyword; by default, the studies of today.
    keys: dict[str, str] = {}
    #: Where C-MOVE sends to: an AE title that the peer knows. By default our receiver.
    destination: str | None = None


class Receiver(_Table, frozen=True):
    """An SCP of our own, for what C-MOVE sends, and for reports of storage commitment that come on their own."""

    port: int
    ae_title: str = "AIODICOM"
    address: str = "0.0.0.0"


class Scenario(_Table, frozen=True):
    """A run. Durations are in seconds, rates in events a second."""

    title: str = ""
    targets: tuple[Target, ...] = ()
    #: Our own AE titles, in turn.
    calling_aets: tuple[str, ...] = ("AIODICOM",)
    associations: int = 1
    #: Processes that share the load: associations, rates and numbers are of all together.
    workers: int = 1
    #: How long one lasts: the run, one operation, one series or study of a study, or so many operations.
    association_per: Literal["run", "operation", "series", "study"] | int = "run"
    #: Operations outstanding on an association, if the peer agrees (asynchronous operations).
    window: int = 1
    max_pdu: int = 131072

    #: Of a constant rate, or where the first stage begins.
    rate: PerSecond | None = None
    #: Begin at random, as a Poisson process of the rate, instead of evenly.
    poisson: bool = False
    duration: Seconds | None = None
    stages: tuple[Stage, ...] = ()
    #: How many operations to do.
    operations: int | None = None
    #: What `aiodicom load record` has recorded, to be done again; relative to the scenario's file.
    trace: str | None = None
    #: How many times as fast as it was recorded.
    speed: Factor = Factor(1)
    #: At the beginning of the run, not in its figures.
    warm_up: Seconds = Seconds(0)
    #: Between the end of an operation and the beginning of the next on the same association, in a closed model.
    think_time: Seconds = Seconds(0)
    #: How long what could not begin in time waits for an association before it is dropped, and how many may.
    max_wait: Seconds = Seconds(1)
    max_waiting: int = 10_000
    #: How long what has begun may take beyond the end.
    grace: Seconds = Seconds(30)

    #: How often each operation is done, in proportion.
    mix: dict[str, float] = msgspec.field(default_factory=lambda: {"echo": 1.0})
    #: Of all that is chosen at random, and of UIDs; without one, one is made up.
    seed: int | str | None = None
    thresholds: tuple[str, ...] = ()
    #: End the run when a threshold is crossed.
    abort_on_fail: bool = False

    tls: TLS | None = None
    timeouts: Timeouts = Timeouts()
    data: Data = Data()
    study: Procedure = Procedure()
    query: Query = Query()
    #: Matching keys of the worklist query, those of its one sequence item among them.
    worklist: dict[str, str] = {}
    receiver: Receiver | None = None
    #: How long the report of storage commitment may take.
    commitment_timeout: Seconds = Seconds(60)

    @property
    def executor(self) -> Executor:
        """What begins the operations."""
        if self.trace is not None:
            return Executor.REPLAY
        if self.operations is not None:
            return Executor.COUNT
        if self.stages:
            is_open = self.stages[0].rate is not None
            return Executor.RAMPING_RATE if is_open else Executor.RAMPING_ASSOCIATIONS
        return Executor.CONSTANT_ASSOCIATIONS if self.rate is None else Executor.CONSTANT_RATE

    @property
    def seconds(self) -> float | None:
        """How long it lasts, warm-up included; None until its operations are done."""
        if self.stages:
            return sum(stage.duration for stage in self.stages)
        return None if self.duration is None else float(self.duration)

    @property
    def most_associations(self) -> int:
        """How many associations are open at a time, at most."""
        return max((self.associations, *(stage.associations or 0 for stage in self.stages)))

    @property
    def move_destination(self) -> str:
        """Where C-MOVE sends to: the AE title that is given, or that of our receiver."""
        return self.query.destination or (self.receiver or Receiver(port=0)).ae_title

    def to_dict(self) -> dict[str, object]:
        """It as TOML would have it, without what is as by default."""
        plain = {
            name: msgspec.to_builtins(getattr(self, name), enc_hook=_plain)
            for name in self.__struct_fields__
            if getattr(self, name) != getattr(_DEFAULT, name)
        }
        return {name: value for name, value in plain.items() if value is not None}


_DEFAULT = Scenario()


def _plain(value: Any) -> object:
    return int(value) if isinstance(value, Bytes) else float(value)


_PARSERS = {Seconds: parse_seconds, PerSecond: parse_rate, Bytes: parse_bytes, Factor: parse_factor}


def _decode(kind: type, value: object) -> object:
    return _PARSERS[kind](value)


def scenario_from(values: Mapping[str, object], where: str, own_operations: tuple[str, ...] = ()) -> Scenario:
    """Returns the scenario of these keys; `where` they are from begins the line of an error, such as a file's name.

    `own_operations` may be in the mix too. Raises `ScenarioError`.
    """
    try:
        scenario = msgspec.convert(dict(values), Scenario, dec_hook=_decode)
    except msgspec.ValidationError as error:
        key, reason = located(str(error), Scenario)
        raise ScenarioError(where, reason, key) from None
    for key, wanted in faults_of(scenario, own_operations):
        raise ScenarioError(where, wanted, key)
    return scenario


def read_scenario(path: Path, overrides: Mapping[str, object] | None = None) -> Scenario:
    """Reads a scenario file; `overrides` are keys that are said elsewhere and go first.

    Raises `ScenarioError`, and OSError.
    """
    try:
        values = tomllib.loads(path.read_text(encoding="utf-8"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ScenarioError(str(path), f"no TOML: {error}") from None
    if isinstance(trace := values.get("trace"), str):
        values["trace"] = str(path.parent / trace)
    return scenario_from(overridden(values, overrides or {}), str(path))


def overridden(values: Mapping[str, object], overrides: Mapping[str, object]) -> dict[str, object]:
    """The keys of a scenario with others in their place; of a table, but for the mix, those alone that are there."""
    result = dict(values)
    for key, value in overrides.items():
        table = values.get(key)
        is_table = isinstance(table, Mapping) and isinstance(value, Mapping) and key != "mix"
        result[key] = {**table, **value} if is_table else value  # type: ignore[dict-item]
    return result
