"""What the options of `aiodicom load target` mean: the tables that a scenario file would have in their place."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import typer

from aiodicom.load.target.distributions import Distribution
from aiodicom.load.target.faults import Fault
from aiodicom.load.target.scenario import OPERATIONS, parse_share, status_code
from aiodicom.load.units import parse_seconds

__all__ = ["checked", "merged", "operation_rules", "stall_rules"]

_KINDS = ("all", *OPERATIONS)
_STALL = re.compile(r"(?P<duration>[^@/]+)(@(?P<at>[^@/]+))?(/(?P<every>[^@/]+))?")


def merged(tables: Mapping[str, Any], over: Mapping[str, Any]) -> dict[str, Any]:
    """Returns the tables with those of `over` laid over them, key by key; arrays are joined."""
    result = dict(tables)
    for key, value in over.items():
        below = result.get(key)
        if isinstance(value, Mapping) and isinstance(below, Mapping):
            result[key] = merged(below, value)
        elif isinstance(value, list) and isinstance(below, list):
            result[key] = below + value
        else:
            result[key] = value
    return result


def checked(parse: Callable[[str], object]) -> Callable[[str | None], str | None]:
    """Returns the callback of an option that is a string which `parse` understands."""

    def check(value: str | None) -> str | None:
        if value is not None:
            _understood(parse, value, None)
        return value

    return check


def operation_rules(
    latencies: Sequence[str], statuses: Sequence[str], faults: Sequence[str]
) -> dict[str, dict[str, Any]]:
    """Returns the table `operations` of options such as ``store=20ms``, ``store=A700:2%``, ``never:1%``."""
    rules: dict[str, dict[str, Any]] = {}
    for text in latencies:
        kind, distribution = _split(text)
        _understood(Distribution, distribution, "'--latency'")
        rules.setdefault(kind, {})["latency"] = distribution
    for text in statuses:
        kind, code, share = _with_share(text, "'--status'")
        _understood(status_code, code, "'--status'")
        rules.setdefault(kind, {}).setdefault("statuses", {})[code.removesuffix("H")] = share
    for text in faults:
        kind, fault, share = _with_share(text, "'--fault'")
        if fault not in list(Fault):
            raise typer.BadParameter(f"{fault!r} is no fault: wanted one of {', '.join(Fault)}", param_hint="'--fault'")
        rules.setdefault(kind, {}).setdefault("faults", {})[fault] = share
    return rules


def stall_rules(stalls: Sequence[str]) -> list[dict[str, str]]:
    """Returns the array `stalls` of options such as ``5s@10s`` and ``5s/1m``."""
    rules = []
    for text in stalls:
        match = _STALL.fullmatch(text)
        if match is None or not (match["at"] or match["every"]):
            raise typer.BadParameter(
                f"{text!r} is no stall: wanted such as 5s@10s (once) or 5s/1m (every minute)", param_hint="'--stall'"
            )
        rule = {"for": match["duration"], "at": match["at"], "every": match["every"]}
        rules.append({key: value for key, value in rule.items() if value is not None})
        for value in rules[-1].values():
            _understood(parse_seconds, value, "'--stall'")
    return rules


def _split(text: str) -> tuple[str, str]:
    """The kind of operations, and what is said of it."""
    kind, equals, rest = text.partition("=")
    return (kind, rest) if equals and kind in _KINDS else ("all", text)


def _with_share(text: str, option: str) -> tuple[str, str, str]:
    kind, rest = _split(text)
    what, colon, share = rest.rpartition(":")
    if not colon:
        what, share = rest, "100%"
    if "=" in what:
        raise typer.BadParameter(
            f"{what.partition('=')[0]!r} is no kind of operations: wanted one of {', '.join(_KINDS)}", param_hint=option
        )
    _understood(parse_share, share, option)
    return kind, what, share


def _understood(parse: Callable[[str], object], value: str, option: str | None) -> None:
    try:
        parse(value)
    except ValueError as error:
        raise typer.BadParameter(str(error), param_hint=option) from None
