"""A run in several processes, against an archive of this one."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Callable, Coroutine
from functools import wraps
from io import StringIO
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from rich.console import Console

import aiodicom
from aiodicom.cli.load.observing import Address, observed
from aiodicom.cli.load.watch import picture
from aiodicom.errors import LocalError
from aiodicom.load.results import Result
from aiodicom.load.run import Run
from aiodicom.load.scenario import ScenarioError, scenario_from
from aiodicom.load.thresholds import parse
from aiodicom.load.worker import Script
from aiodicom.load.workers import Workers
from aiodicom.standard.uids import STORAGE_COMMITMENT_PUSH_MODEL, STORAGE_COMMITMENT_PUSH_MODEL_INSTANCE
from tests.load.archive import Archive
from tests.loops import loop_factories, run_on
from tests.ports import free_port

SMALL = {"rows": 16, "columns": 16, "images": 2, "distinct": 1}
FATAL = """
import asyncio, multiprocessing, os, signal
from aiodicom.load import User, task

class Scan(User):
    @task
    async def look(self):
        await self.echo()
        if multiprocessing.current_process().name.endswith("1"):
            os.kill(os.getpid(), signal.SIGKILL)
"""


def on_one_loop(test: Callable[..., Coroutine[Any, Any, None]]) -> Callable[..., None]:
    """The processes have loops of their own, whichever this one has."""

    @wraps(test)
    def run(**arguments: Any) -> None:
        run_on(list(loop_factories().values())[-1], test(**arguments))

    return run


def made(port: int, own: tuple[str, ...] = (), **values: Any) -> dict[str, Any]:
    said = {"targets": [{"host": "127.0.0.1", "port": port}], "data": SMALL, "seed": "s", "workers": 2, **values}
    return {"scenario": scenario_from(said, "", own)}


async def done(workers: Workers, stop: asyncio.Event | None = None) -> Result:
    """What has to come soon."""
    async with asyncio.timeout(50):
        return await workers.run(stop or asyncio.Event())


@on_one_loop
async def test_together_they_are_the_whole() -> None:
    archive = Archive()
    async with archive.listening():
        workers = Workers(
            **made(
                archive.port, rate="301/s", duration="1s", associations=3, mix={"store": 1}, max_wait="20s",
                calling_aets=["A", "B", "C"], thresholds=["store.count>300", "errors<1"], title="T",
            )
        )  # fmt: skip
        result = await done(workers)
    store = result.operations["store"]
    assert (store.count, store.errors, result.dropped) == (301, 0, 0)
    assert len(archive.index) == 301  # no instance twice
    assert archive.titles == {("A", "ANY-SCP"), ("B", "ANY-SCP"), ("C", "ANY-SCP")}
    assert (result.associations.opened, result.associations.released) == (3, 3)
    assert store.bytes_sent == sum(archive.sizes)
    assert [(each.value, each.crossed) for each in result.thresholds] == [(301, False), (0, False)]
    assert (result.generator.workers, result.generator.workers_lost) == (2, 0)
    assert (result.title, result.scenario["seed"], result.scenario["workers"]) == ("T", "s", 2)
    assert result.scenario["thresholds"] == ("store.count>300", "errors<1")
    assert not result.interrupted
    assert sum(each.operations["store"].count for each in result.series if each.operations) == 301
    assert workers.so_far().operations["store"].count == 301


@on_one_loop
async def test_one_that_dies_is_counted_and_said_and_the_others_go_on(tmp_path: Path) -> None:
    path = tmp_path / "fatal.py"
    path.write_text(FATAL)
    archive = Archive()
    lost: list[str] = []
    async with archive.listening():
        scenario = made(archive.port, ("look",), operations=10, associations=2, mix={"look": 1})
        workers = Workers(**scenario, script=Script(path, "Scan"), on_lost=lost.append)
        result = await done(workers)
    assert lost == ["worker 2 of 2 killed by signal 9"]
    assert result.operations["look"].count == 5
    assert (result.generator.workers, result.generator.workers_lost, result.generator.limited) == (2, 1, True)
    assert result.generator.reason.startswith("worker 2 of 2 killed by signal 9")


@on_one_loop
async def test_a_threshold_ends_it() -> None:
    archive = Archive(status=0xA700)
    async with archive.listening():
        scenario = made(
            archive.port, duration="1h", think_time="0.01s", associations=2, mix={"store": 1}, abort_on_fail=True,
            thresholds=["errors<1", "count<1000000"],
        )  # fmt: skip
        result = await done(Workers(**scenario))
    assert result.interrupted
    assert [each.crossed for each in result.thresholds] == [True, False]


class Elsewhere:
    """An archive that commits to all that it is asked to, and reports on an association of its own, to our receiver."""

    def __init__(self, receiver: int) -> None:
        self._receiver = receiver
        self.server = aiodicom.Server()
        self.server.on_c_store(lambda _: aiodicom.Status.SUCCESS)
        self.server.on_n_action(self._action)
        #: Of the requests, the associations that they came on.
        self.asked: set[object] = set()
        self._reports: set[asyncio.Task[None]] = set()

    async def _action(self, request: aiodicom.NActionRequest) -> None:
        self.asked.add(request.association)
        assert request.dataset is not None
        report = asyncio.create_task(self._report(request.dataset))
        self._reports.add(report)
        report.add_done_callback(self._reports.discard)

    async def _report(self, information: aiodicom.Dataset) -> None:
        uid = STORAGE_COMMITMENT_PUSH_MODEL
        async with aiodicom.connect(
            "127.0.0.1", self._receiver, called_aet="AIODICOM", contexts=[uid], roles={uid: (False, True)}
        ) as association:
            await association.n_event_report(uid, STORAGE_COMMITMENT_PUSH_MODEL_INSTANCE, 1, information)


@on_one_loop
async def test_the_receiver_of_one_is_that_of_all() -> None:
    port = free_port()
    elsewhere = Elsewhere(port)
    async with elsewhere.server.listen("127.0.0.1", 0) as listening:
        scenario = made(
            listening.port, operations=6, associations=2, mix={"commitment": 1}, commitment_timeout="20s",
            receiver={"port": port, "address": "127.0.0.1"},
        )  # fmt: skip
        result = await done(Workers(**scenario))
    assert result.examples == []
    assert len(elsewhere.asked) == 2
    assert (result.operations["commitment"].count, result.operations["store"].count) == (6, 6)


@on_one_loop
async def test_the_receiver_stays_until_all_have_ended() -> None:
    port = free_port()
    archive = Archive(destinations={"AIODICOM": port})
    async with archive.listening():
        await Run(**made(archive.port, operations=2, mix={"study": 1}, workers=1)).run(asyncio.Event())
        scenario = made(
            archive.port, operations=5, associations=2, mix={"move": 1}, query={"keys": {"PatientID": "*"}},
            receiver={"port": port, "address": "127.0.0.1"},
        )  # fmt: skip
        result = await done(Workers(**scenario))
    assert result.examples == []
    assert result.operations["move"].matches == 5 * 2
    assert result.operations["move"].bytes_received == 5 * sum(archive.sizes) / 2


@on_one_loop
async def test_what_is_seen_meanwhile_and_the_result_when_it_is_stopped() -> None:
    archive = Archive()
    stop = asyncio.Event()
    port = free_port()
    async with archive.listening():
        scenario = made(archive.port, duration="1h", associations=2, think_time="0.01s")
        workers = Workers(**scenario)
        running = asyncio.create_task(done(workers, stop))
        seen = observed("load", workers.scenario, workers.so_far, Address("127.0.0.1", port), is_watched=False)
        async with seen, aiohttp.ClientSession() as session:
            while not (so_far := workers.so_far()).series:  # noqa: ASYNC110 (the load itself passes the time)
                await asyncio.sleep(0.01)
            async with session.get(f"http://127.0.0.1:{port}/metrics") as response:
                metrics = (await response.text()).splitlines()
        stop.set()
        result = await running
    (echoes,) = (each for each in metrics if each.startswith('aiodicom_load_operations_total{operation="echo"} '))
    assert float(echoes.split()[1]) >= so_far.operations["echo"].count > 0
    console = Console(width=100, file=StringIO(), record=True)
    console.print(picture(so_far, [parse("errors<1")], 3600.0))
    view = console.export_text()
    assert re.search(r"measuring, \d+ s of 3,600 s", view)
    assert "\n2 associations · generator: lag p99 " in view  # of both, though each says in its own time what it does
    assert "errors<1: holds, 0" in view
    assert result.interrupted
    assert result.operations["echo"].count == archive.echoes > 0
    assert result.associations.released == 2


@on_one_loop
async def test_stop_before_they_are_there() -> None:
    stop = asyncio.Event()
    stop.set()
    result = await done(Workers(**made(1, duration="1h", associations=2)), stop)
    assert (result.interrupted, result.associations.opened, result.generator.workers_lost) == (True, 0, 0)


@on_one_loop
async def test_what_keeps_one_from_beginning(tmp_path: Path) -> None:
    scenario = made(1, operations=2, associations=2, mix={"store": 1}, data={"input": str(tmp_path)})
    with pytest.raises(LocalError, match="no DICOM files to send"):
        await done(Workers(**scenario))


@on_one_loop
async def test_cancelled_they_are_killed() -> None:
    archive = Archive()
    async with archive.listening():
        workers = Workers(**made(archive.port, duration="1h", associations=2, think_time="0.01s"))
        running = asyncio.create_task(workers.run(asyncio.Event()))
        while not archive.echoes:  # noqa: ASYNC110
            await asyncio.sleep(0.01)
        running.cancel()
        with pytest.raises(asyncio.CancelledError):
            await running


@pytest.mark.parametrize(
    ("values", "line"),
    [
        ({"workers": 0}, "key `workers`: wanted 1 or more, got 0"),
        ({"workers": 3}, "key `workers`: wanted at most one for each of 2 associations, or more of these"),
    ],
)
def test_what_cannot_be_shared(values: dict[str, Any], line: str) -> None:
    with pytest.raises(ScenarioError) as raised:
        made(1, operations=2, associations=2, **values)
    assert str(raised.value) == f": {line}"
