"""What a bad PACS is to do, as a TOML file or the options of the command say it.

Durations and distributions are words (`distributions`); a share of operations or associations is "2%".
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Callable, Mapping
from enum import StrEnum
from pathlib import Path
from typing import Any

import msgspec

from aiodicom.load.target.distributions import Distribution
from aiodicom.load.target.faults import Fault
from aiodicom.load.target.stalls import Stall
from aiodicom.load.units import Seconds, parse_bytes, parse_seconds
from aiodicom.load.wording import in_words
from aiodicom.standard.ae_titles import ae_title
from aiodicom.standard.status import Status, StatusCategory

__all__ = [
    "OPERATIONS",
    "AssociationRules",
    "CommitmentRules",
    "ContextRule",
    "OperationRules",
    "Operations",
    "StallRule",
    "TargetScenario",
    "convert_scenario",
    "parse_byte_rate",
    "parse_share",
    "read_tables",
    "status_code",
]


class ContextRule(StrEnum):
    """Which presentation contexts are accepted."""

    PROPOSED = "proposed"
    NONE = "none"
    #: All that are proposed, with a transfer syntax that was not.
    UNPROPOSED_TRANSFER_SYNTAX = "unproposed-transfer-syntax"
    #: Others than those that are proposed.
    UNPROPOSED_CONTEXT = "unproposed-context"


class Share(float):
    """A share of all, from "0%" to "100%"."""


class ByteRate(float):
    """Bytes a second, from such as "500kB/s"."""


class Struct(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A table of the file."""


class AssociationRules(Struct, frozen=True):
    """What happens to those who ask for an association."""

    #: Associations at once; further ones are rejected. None for any number.
    most: int | None = None
    #: Of the others, the shares that are rejected, answered with A-ABORT, closed, and never answered.
    reject: Share = Share(0)
    abort: Share = Share(0)
    close: Share = Share(0)
    ignore: Share = Share(0)
    #: Result, source and reason of A-ASSOCIATE-RJ (PS3.8 table 9-21). Default: transient, local limit exceeded.
    rejection: tuple[int, int, int] = (2, 3, 2)
    #: Before the answer.
    delay: Distribution = Distribution("0s")
    #: An association is aborted in place of its answer to this operation.
    abort_after: int | None = None
    #: A `ContextRule`.
    contexts: str = ContextRule.PROPOSED
    #: The only abstract syntaxes, and transfer syntaxes, that are accepted, by their UIDs. Empty: any.
    abstract_syntaxes: tuple[str, ...] = ()
    transfer_syntaxes: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if self.reject + self.abort + self.close + self.ignore > 1:
            raise ValueError("reject, abort, close and ignore: more than 100% of the associations together")
        if not all(0 <= number <= 255 for number in self.rejection):
            raise ValueError(f"rejection {self.rejection}: wanted result, source and reason, each from 0 to 255")
        if self.contexts not in list(ContextRule):
            raise ValueError(f"contexts {self.contexts!r}: wanted one of {', '.join(ContextRule)}")
        for name in ("most", "abort_after"):
            value = getattr(self, name)
            if value is not None and value < 0:
                raise ValueError(f"{name} {value}: wanted a number from 0 on")


class OperationRules(Struct, frozen=True):
    """What happens to operations of one kind; what is not given is as `all` has it."""

    latency: Distribution | None = None
    #: Status in hexadecimal digits -> its share; the others are answered 0000H.
    statuses: dict[str, Share] | None = None
    faults: dict[str, Share] | None = None

    def __post_init__(self) -> None:
        for code in self.statuses or ():
            if Status(status_code(code)).category is StatusCategory.PENDING:
                raise ValueError(f"status {code} ends no operation: wanted another, or the fault wrong-status")
        for fault in self.faults or ():
            if fault not in list(Fault):
                raise ValueError(f"{fault!r} is no fault: wanted one of {', '.join(Fault)}")
        for name in ("statuses", "faults"):
            if sum((getattr(self, name) or {}).values()) > 1:
                raise ValueError(f"{name}: more than 100% of the operations together")


class Operations(Struct, frozen=True):
    """The kinds of operations: `commitment` is the N-ACTION that asks for it, `mpps` N-CREATE and N-SET, `other` what
    else there is of DIMSE-N."""

    all: OperationRules = OperationRules()
    echo: OperationRules = OperationRules()
    store: OperationRules = OperationRules()
    find: OperationRules = OperationRules()
    worklist: OperationRules = OperationRules()
    get: OperationRules = OperationRules()
    move: OperationRules = OperationRules()
    commitment: OperationRules = OperationRules()
    mpps: OperationRules = OperationRules()
    other: OperationRules = OperationRules()


#: The kinds of operations that rules can be about.
OPERATIONS = tuple(name for name in Operations.__struct_fields__ if name != "all")


class StallRule(Struct, frozen=True):
    """Nothing is read, and no answer leaves, for a time: `at` a time after the start, or `every` so often, or both."""

    duration: Seconds = msgspec.field(name="for")
    at: Seconds | None = None
    every: Seconds | None = None

    def __post_init__(self) -> None:
        if self.at is None and self.every is None:
            raise ValueError("a stall without a time: wanted at, every, or both")
        if self.every is not None and self.every <= self.duration:
            raise ValueError(f"a stall of {self.duration:g} s every {self.every:g} s has no end: wanted a shorter one")

    @property
    def stall(self) -> Stall:
        """The stall; without `at` it begins after `every` for the first time."""
        first = self.at if self.at is not None else self.every
        assert first is not None
        return Stall(first, self.duration, self.every)


class CommitmentRules(Struct, frozen=True):
    """What is reported of storage commitment (PS3.4 annex J)."""

    #: The share of instances that are not committed to, and why (PS3.3 C.14.1.1).
    fail: Share = Share(0)
    reason: int = 0x0110
    #: The share of transactions that nothing is ever reported of.
    never: Share = Share(0)
    #: Until the report.
    delay: Distribution = Distribution("0s")


class TargetScenario(Struct, frozen=True):
    """A bad PACS."""

    title: str = ""
    #: Makes everything that is left to chance come out alike.
    seed: int = 1
    #: Associations that call another are rejected; None accepts any.
    ae_title: str | None = None
    max_pdu: int = 131072
    #: Operations of one association at once.
    window: int = 32
    #: How fast data sets are read, and how fast everything is sent, on each association. None: as fast as it goes.
    read_rate: ByteRate | None = None
    write_rate: ByteRate | None = None
    associations: AssociationRules = AssociationRules()
    operations: Operations = Operations()
    stalls: tuple[StallRule, ...] = ()
    #: Matches of each query, or "endless", and the time between two.
    matches: int | str = 1
    match_interval: Distribution = Distribution("0s")
    #: Instances that a C-GET or C-MOVE sends, and where C-MOVE can send to: AE title -> "HOST:PORT".
    instances: int = 1
    destinations: dict[str, str] = {}
    commitment: CommitmentRules = CommitmentRules()

    def __post_init__(self) -> None:
        if self.matches != "endless" and (isinstance(self.matches, str) or self.matches < 0):
            raise ValueError(f'matches {self.matches!r}: wanted a number from 0 on, or "endless"')
        if self.instances < 0:
            raise ValueError(f"instances {self.instances}: wanted a number from 0 on")
        if self.ae_title is not None:
            ae_title(self.ae_title)
        if not (self.max_pdu == 0 or 128 <= self.max_pdu <= 0xFFFFFFFF):
            raise ValueError(f"max_pdu {self.max_pdu}: wanted 0 for any, or 128 to 4294967295")
        if not 0 <= self.window <= 0xFFFF:
            raise ValueError(f"window {self.window}: wanted 0 for any number, or up to 65535")
        for title, where in self.destinations.items():
            ae_title(title)
            host, _, port = where.rpartition(":")
            if not host or not port.isdigit() or not 0 < int(port) <= 0xFFFF:
                raise ValueError(f"destination {title} = {where!r}: wanted HOST:PORT")


def status_code(text: str) -> int:
    """Returns the number of a status such as "A700" or "A700H". Raises ValueError for what is none."""
    digits = text.removesuffix("H")
    try:
        if len(digits) != 4:
            raise ValueError
        return int(digits, 16)
    except ValueError:
        raise ValueError(f"{text!r} is no status: wanted four hexadecimal digits, such as A700") from None


def convert_scenario(tables: Mapping[str, Any]) -> TargetScenario:
    """Returns the scenario that tables as in the TOML file mean. Raises ValueError, with the path of the key."""
    try:
        return msgspec.convert(tables, TargetScenario, dec_hook=_convert)
    except msgspec.ValidationError as error:
        raise ValueError(in_words(str(error))) from None


def read_tables(path: Path) -> dict[str, Any]:
    """Reads the tables of a TOML file. Raises OSError, and ValueError for what is no TOML."""
    try:
        with path.open("rb") as file:
            return tomllib.load(file)
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ValueError(f"{path}: no TOML: {error}") from None


def parse_share(value: object) -> Share:
    """Returns a share such as "2%" or 0.02. Raises ValueError for what is none."""
    number = value
    if isinstance(value, str):
        digits = value.strip().removesuffix("%")
        number = float(digits) / (100 if value.strip().endswith("%") else 1) if _NUMBER.fullmatch(digits) else None
    if isinstance(number, (int, float)) and not isinstance(number, bool) and 0 <= number <= 1:
        return Share(number)
    raise ValueError(f'wanted a share such as "2%" or 0.02, got {value!r}')


def parse_byte_rate(value: object) -> ByteRate:
    """Returns a rate such as "500kB/s" or a number of bytes a second. Raises ValueError for what is none."""
    try:
        rate = ByteRate(parse_bytes(value.removesuffix("/s") if isinstance(value, str) else value))
    except ValueError:
        rate = ByteRate(0)
    if rate <= 0:
        raise ValueError(f'wanted a rate such as "500kB/s" or "10MB/s", got {value!r}')
    return rate


def _parse_distribution(value: object) -> Distribution:
    if isinstance(value, str):
        return Distribution(value)
    return Distribution(f"{parse_seconds(value)}s")


_NUMBER = re.compile(r"\d+(\.\d+)?")
_PARSERS: dict[type, Callable[[object], object]] = {
    Share: parse_share,
    Seconds: parse_seconds,
    ByteRate: parse_byte_rate,
    Distribution: _parse_distribution,
}


def _convert(kind: type, value: object) -> object:
    return _PARSERS[kind](value)
