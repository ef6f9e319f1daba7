"""Our own client of the rows that a server answers: a run of `aiodicom.load`, and what the server spent on it."""

from __future__ import annotations

import asyncio
from typing import NamedTuple

import aiodicom
from aiodicom.load import Run, User, scenario_from
from benchmarks.comparison import Metrics
from benchmarks.loads import LEAST_CPU, PER_CPU, PER_SECOND
from benchmarks.processes import usage
from tests.interop.processes import Running


class Spent(NamedTuple):
    """Seconds from when all associations were open to the end of the last operation, and the server's CPU-seconds."""

    seconds: float
    cpu_seconds: float


def loaded(
    server: Running,
    operation: str,
    number: int,
    *,
    matches: int | None = None,
    user: type[User] | None = None,
    **keys: object,
) -> Spent:
    """Performs an operation so many times on an SCP of the AE title ARCHIVE; `keys` are those of a scenario.

    `user` is who has it as a task. RuntimeError when one fails, and when each is to have so many `matches` and they
    are not found.
    """
    targets = [{"host": "127.0.0.1", "port": server.port, "called_aets": ["ARCHIVE"]}]
    values = {"targets": targets, "operations": number, "mix": {operation: 1}, **keys}
    scenario = scenario_from(values, "benchmarks", () if user is None else (operation,))
    before = usage(server.pid)

    async def note() -> None:
        nonlocal before
        before = usage(server.pid)

    result = aiodicom.run(Run(scenario, user=user, before_load=note).run(asyncio.Event()))
    after = usage(server.pid)
    done = result.operations[operation]
    if done.errors:
        raise RuntimeError(result.examples[0])
    if matches is not None and done.matches != matches * number:
        raise RuntimeError(f"{done.matches:,} matches, not {matches * number:,}")
    return Spent(result.seconds, after.cpu_seconds - before.cpu_seconds)


def per_second(spent: Spent, done: int) -> Metrics:
    """What was done in a second, and for a CPU-second of the server where it took enough of them to say."""
    metrics = {PER_SECOND: done / spent.seconds}
    if spent.cpu_seconds > LEAST_CPU:
        metrics[PER_CPU] = done / spent.cpu_seconds
    return metrics
