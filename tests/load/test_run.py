"""Runs against an archive of this process."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import aiodicom
from aiodicom.errors import LocalError
from aiodicom.load import driver, figures
from aiodicom.load.results import Result
from aiodicom.load.run import Run
from aiodicom.load.scenario import ScenarioError, scenario_from
from aiodicom.load.scripted import ScriptError, User, load_user, task, weights_of
from tests.certificates import Authority
from tests.load.archive import Archive
from tests.ports import free_port
from tests.rawpeer import Connection, RawPeer, response

SMALL = {"rows": 16, "columns": 16, "images": 2, "distinct": 1}


def made(port: int, user: type[User] | None = None, **values: Any) -> Run:
    """A run of small objects."""
    said = {"targets": [{"host": "127.0.0.1", "port": port}], "data": SMALL, "seed": "s", **values}
    own = () if user is None else tuple(weights_of(user))
    return Run(scenario_from(said, "", own), user=user)


async def done(run: Run, stop: asyncio.Event | None = None) -> Result:
    """What has to come soon."""
    async with asyncio.timeout(30):
        return await run.run(stop or asyncio.Event())


async def of(archive: Archive, **values: Any) -> Result:
    async with archive.listening():
        return await done(made(archive.port, **values))


async def test_a_constant_rate() -> None:
    archive = Archive()
    result = await of(archive, rate="500/s", duration="0.2s", associations=3, mix={"echo": 1, "store": 1})
    echo, store = result.operations["echo"], result.operations["store"]
    assert echo.count + store.count + result.dropped == 100
    assert (archive.echoes, len(archive.index)) == (echo.count, store.count)
    assert store.bytes_sent == sum(archive.sizes)
    assert (echo.errors, store.errors, result.examples) == (0, 0, [])
    assert echo.statuses == {"0000H": echo.count}
    assert 0 < echo.actual_latency_ms.p50 <= echo.planned_latency_ms.p99
    assert (result.associations.opened, result.associations.peak, result.associations.released) == (3, 3, 3)
    assert result.operations["associate"].count == result.operations["release"].count == 3
    assert result.operations["release"].actual_latency_ms.max > 0
    assert not result.interrupted
    assert 0.19 < result.seconds < 30
    assert result.scenario["seed"] == "s"


async def test_every_interval_says_what_was_planned() -> None:
    # That of the warm-up, which ends before its second does, and the last.
    result = await of(Archive(), rate="100/s", duration="0.2s", warm_up="0.1s", associations=2)
    assert [(each.is_warm_up, each.planned_per_s) for each in result.series] == [(True, 100.0), (False, 100.0)]


async def test_stages_of_rates() -> None:
    stages = [{"rate": "400/s", "duration": "0.1s"}, {"rate": "400/s", "duration": "0.1s"}]
    archive = Archive()
    result = await of(archive, stages=stages, associations=4, max_wait="10s")
    assert archive.echoes == result.operations["echo"].count == 20 + 40
    assert result.dropped == 0


@pytest.mark.parametrize("window", [1, 4])
async def test_so_many_operations(window: int) -> None:
    archive = Archive(window=8)
    result = await of(archive, operations=50, associations=4, window=window)
    assert archive.echoes == result.operations["echo"].count == 50
    assert result.operations["echo"].planned_latency_ms == result.operations["echo"].actual_latency_ms


async def test_associations_that_come_and_go() -> None:
    # Some time at the top, since a busy machine may sleep through the ramps: how these go is in test_models.
    stages = [{"associations": number, "duration": seconds} for number, seconds in ((4, 0.05), (4, 0.2), (0, 0.05))]
    result = await of(Archive(), stages=stages)
    assert 1 <= result.associations.peak <= 4
    assert result.associations.released == result.associations.opened >= result.associations.peak
    assert result.operations["echo"].count > 0


async def test_thinking() -> None:
    result = await of(Archive(), duration="0.1s", think_time="10s", associations=5)
    assert result.operations["echo"].count == 5
    result = await of(Archive(), operations=15, think_time="0.01s", associations=5)
    assert result.operations["echo"].count == 15
    assert result.seconds >= 0.02


@pytest.mark.parametrize(("per", "opened"), [("operation", 12), (4, 3), (5, 3), ("run", 1)])
async def test_how_long_associations_last(per: str | int, opened: int) -> None:
    archive = Archive()
    result = await of(archive, operations=12, association_per=per)
    assert archive.echoes == 12
    assert result.associations.opened == result.associations.released == opened
    assert result.associations.peak == 1


async def test_an_association_for_each_study() -> None:
    archive = Archive()
    values = {"operations": 3, "mix": {"study": 1}, "data": {**SMALL, "series": 2}}
    result = await of(archive, association_per="study", study={"query": True}, **values)
    counts = {name: operation.count for name, operation in result.operations.items()}
    assert counts == {"study": 3, "find": 3, "store": 3 * 2 * 2, "associate": 3, "release": 3}
    assert result.associations.peak == 1
    # Each association has carried the images of one study, and each study came on one.
    carried = list(archive.carried.values())
    assert [len(studies) for studies in carried] == [1, 1, 1]
    assert len(set.union(*carried)) == 3


async def test_an_association_of_so_many_operations_with_a_window() -> None:
    archive = Archive(window=8)
    result = await of(archive, rate="1000/s", duration="0.1s", association_per=10, window=4, max_wait="10s")
    assert archive.echoes == 100
    assert result.associations.opened == 10


async def test_targets_and_titles_in_turn() -> None:
    one, other = Archive(), Archive()
    async with one.listening(), other.listening():
        targets = [
            {"host": "127.0.0.1", "port": one.port, "called_aets": ["A", "B"]},
            {"host": "127.0.0.1", "port": other.port},
        ]
        await done(made(0, targets=targets, calling_aets=["X", "Y"], associations=4, operations=40))
    assert one.titles == {("X", "A"), ("X", "B")}
    assert other.titles == {("Y", "ANY-SCP")}


async def test_failures_are_counted_and_the_run_goes_on() -> None:
    result = await of(Archive(status=0xA700), operations=10, mix={"store": 1})
    store = result.operations["store"]
    assert (store.count, store.errors, store.statuses, store.causes) == (10, 10, {"A700H": 10}, {"status A700H": 10})
    assert "A700H" in result.examples[0]


async def test_warnings_are_no_errors() -> None:
    result = await of(Archive(status=0xB000), operations=3, mix={"store": 1})
    assert (result.operations["store"].errors, result.operations["store"].statuses) == (0, {"B000H": 3})


async def test_nobody_is_there() -> None:
    result = await done(made(free_port(), operations=2))
    assert result.operations["echo"].causes == {"refused": 2}
    assert result.associations.causes["refused"] == 3
    assert result.associations.opened == 0


async def test_more_associations_than_the_peer_takes() -> None:
    result = await of(Archive(max_associations=2), associations=5, rate="200/s", duration="0.2s", max_wait="5s")
    assert result.associations.peak == 2
    assert result.associations.rejected >= 3
    assert result.associations.causes["rejected: local limit exceeded"] == result.associations.rejected
    assert result.operations["echo"].count > result.operations["echo"].errors


def aborting(peer: Connection) -> None:
    """Takes the first request, then aborts."""
    peer.accept()
    peer.message()
    peer.send(b"\x07\0\0\0\0\4\0\0\0\0")


def resetting(peer: Connection) -> None:
    peer.accept()
    peer.message()
    peer.reset()


def silent(peer: Connection) -> None:
    peer.accept()
    peer.stay_silent()


def of_another(peer: Connection) -> None:
    """Answers a message that was never sent (PS3.7 9.3.5.2: Message ID Being Responded To)."""
    peer.accept()
    peer.send(response(peer.message(), message_id=4711))


@pytest.mark.parametrize(
    ("script", "cause"),
    [
        (aborting, "aborted by peer"),
        (resetting, "connection lost"),
        (silent, "timeout: dimse"),
        (of_another, "wrong message ID"),
    ],
)
async def test_a_peer_that_misbehaves(script: Callable[[Connection], None], cause: str) -> None:
    with RawPeer(script) as peer:
        result = await done(made(peer.port, operations=2, timeouts={"dimse": "0.1s"}))
    assert result.operations["echo"].causes == {cause: 2}
    assert result.associations.aborted == 2
    assert result.associations.opened == 2


async def test_what_is_not_finished_at_the_end() -> None:
    with RawPeer(silent) as peer:
        result = await done(made(peer.port, rate="100/s", duration="0.05s", grace=0, max_wait=0))
    assert result.operations["echo"].causes == {"unfinished at the end": 1}
    assert result.dropped == 4
    assert result.associations.causes == {"aborted by us": 1}


async def test_a_stall_shows_from_the_planned_start() -> None:
    archive = Archive()

    async def stall(request: aiodicom.EchoRequest) -> None:
        if not archive.echoes:
            end = asyncio.get_running_loop().time() + 0.1
            while asyncio.get_running_loop().time() < end:  # noqa: ASYNC110 (the load passes the time)
                await asyncio.sleep(0)
        archive.echoes += 1

    archive.server.on_c_echo(stall)
    result = await of(archive, rate="200/s", duration="0.15s", max_wait="30s")
    echo = result.operations["echo"]
    assert (echo.count, result.dropped) == (30, 0)
    # The first has taken so long; those that were to begin meanwhile have waited, and that is in their latency alone.
    assert echo.actual_latency_ms.max > 50
    assert echo.planned_latency_ms.mean - echo.actual_latency_ms.mean > 5
    archive = Archive()
    archive.server.on_c_echo(stall)
    closed = (await of(archive, operations=30)).operations["echo"]
    assert closed.planned_latency_ms == closed.actual_latency_ms


async def test_it_is_stopped() -> None:
    stop = asyncio.Event()
    archive = Archive()
    async with archive.listening():
        running = asyncio.create_task(done(made(archive.port, duration="1000s"), stop))
        while not archive.echoes:  # noqa: ASYNC110 (the load itself is what passes the time)
            await asyncio.sleep(0)
        stop.set()
        result = await running
    assert result.interrupted
    assert result.operations["echo"].count == archive.echoes
    assert result.associations.released == 1


async def test_stopped_while_it_connects() -> None:
    stop = asyncio.Event()
    with RawPeer(lambda peer: peer.stay_silent()) as peer:
        running = asyncio.create_task(done(made(peer.port, duration="1000s"), stop))
        await asyncio.sleep(0)
        stop.set()
        result = await running
    assert result.interrupted
    assert result.operations == {}


async def test_cancelled_it_leaves_nothing() -> None:
    archive = Archive()
    async with archive.listening():
        running = asyncio.create_task(made(archive.port, duration="1000s", mix={"find": 1}).run(asyncio.Event()))
        while not archive.server.counters.operations:  # noqa: ASYNC110
            await asyncio.sleep(0)
        running.cancel()
        with pytest.raises(asyncio.CancelledError):
            await running


async def test_an_association_that_the_peer_has_released_is_opened_anew() -> None:
    archive = Archive()
    async with archive.listening():
        run = made(archive.port, operations=40, think_time="0.005s")
        running = asyncio.create_task(done(run))
        while archive.echoes < 5:  # noqa: ASYNC110
            await asyncio.sleep(0)
        for association in list(archive.server.associations):
            association.finish()
        result = await running
    assert archive.echoes + result.operations["echo"].errors == 40
    assert result.associations.opened == 2


async def test_over_tls(tmp_path: Path) -> None:
    authority = Authority(tmp_path)
    authority.issue("server", "localhost")
    context = aiodicom.tls_server_context(cert=tmp_path / "server.pem", key=tmp_path / "server.key")
    archive = Archive()
    async with archive.server.listen("127.0.0.1", 0, ssl=context) as listening:
        targets = [{"host": "localhost", "port": listening.port}]
        good = await done(made(0, targets=targets, operations=5, tls={"ca": str(tmp_path / "ca.pem")}))
        bad = await done(made(0, targets=targets, operations=1, tls={}))
    assert good.operations["echo"].errors == 0
    assert list(bad.operations["echo"].causes) == ["TLS: handshake failed"]


async def test_thresholds_and_an_end_before_the_end(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(driver, "_INTERVAL", 0.05)  # thresholds are judged as often
    archive = Archive(status=0xA700)
    async with archive.listening():
        run = made(
            archive.port,
            rate="50/s",
            duration="100s",
            mix={"store": 1},
            thresholds=["store.errors<3"],
            abort_on_fail=True,
        )
        result = await done(run)
    assert result.interrupted
    assert [threshold.crossed for threshold in result.thresholds] == [True]


class TestOperations:
    async def test_queries_and_retrievals(self) -> None:
        port = free_port()
        archive = Archive(destinations={"AIODICOM": port})
        async with archive.listening():
            await done(made(archive.port, operations=2, mix={"study": 1}))
            result = await done(
                made(
                    archive.port,
                    operations=30,
                    mix={"find": 1, "get": 1, "move": 1},
                    query={"keys": {"PatientID": "*"}},
                    receiver={"port": port, "address": "127.0.0.1"},
                )
            )
        assert result.examples == []
        assert sum(result.operations[name].count for name in ("find", "get", "move")) == 30
        assert result.operations["get"].bytes_received > 0
        assert result.operations["move"].bytes_received > 0
        for name in ("find", "get"):
            assert result.operations[name].first_response_ms.p50 > 0
        find = result.operations["find"]
        # Two studies match, each with what was asked for; they have two images each.
        assert find.matches == find.count * 2
        for name in ("get", "move"):
            assert result.operations[name].matches == result.operations[name].count * 2
        assert find.bytes_received > find.count * 2 * 100

    async def test_nothing_to_retrieve(self) -> None:
        result = await of(Archive(), operations=2, mix={"get": 1})
        assert "the peer has found no study to retrieve" in result.examples[0]
        assert result.operations["get"].errors == 2

    async def test_a_modality_at_work(self) -> None:
        archive = Archive()
        procedure = {"worklist": True, "query": True, "mpps": True, "commitment": True}
        result = await of(
            archive,
            operations=3,
            mix={"study": 1},
            study=procedure,
            association_per="series",
            data={**SMALL, "series": 2},
        )
        assert result.examples == []
        counts = {name: operation.count for name, operation in result.operations.items()}
        assert counts == {
            "study": 3,
            "worklist": 3,
            "find": 3,
            "mpps-create": 3,
            "store": 3 * 2 * 2,
            "mpps-set": 3,
            "commitment": 3,
            "associate": counts["associate"],
            "release": counts["release"],
        }
        assert counts["associate"] == counts["release"] == 3 * (1 + 2 + 1)
        assert len(archive.index) == 12
        assert len(archive.asked) == 3
        assert result.operations["store"].bytes_sent == sum(archive.sizes)
        # What it comes to is counted once, though the parts are in the figures as well.
        total = figures.total(result)
        assert total.count == 3
        received = result.operations["find"].bytes_received
        assert total.bytes_per_s * result.seconds == pytest.approx(sum(archive.sizes) + received)

    async def test_commitment_steps_and_worklists_alone(self) -> None:
        archive = Archive()
        mix = {"commitment": 1, "store": 1, "mpps": 1, "worklist": 1, "associate-only": 1}
        result = await of(archive, operations=40, mix=mix, worklist={"Modality": "CT"})
        assert result.examples == []
        assert all(result.operations[name].count for name in mix)
        step = archive.asked[0].ScheduledProcedureStepSequence[0]
        assert step.Modality == "CT"

    async def test_associations_alone_leave_no_other_open(self) -> None:
        result = await of(Archive(), operations=6, associations=2, mix={"associate-only": 1})
        assert result.operations["associate-only"].count == result.associations.opened == 6
        assert result.associations.peak <= 2

    async def test_what_the_peer_does_not_commit_to(self) -> None:
        archive = Archive()
        archive.commits = False
        result = await of(archive, operations=1, mix={"commitment": 1})
        assert result.operations["commitment"].causes == {"not committed": 1}

    async def test_a_part_that_fails_is_what_the_study_fails_of(self) -> None:
        result = await of(Archive(status=0xA900), operations=2, mix={"study": 1})
        assert result.operations["study"].causes == result.operations["store"].causes == {"status A900H": 2}

    async def test_objects_of_a_folder(self, tmp_path: Path) -> None:
        first = Archive()
        async with first.listening():
            await done(made(first.port, operations=1, mix={"store": 1}))
        unusable = []
        (tmp_path / "x.dcm").write_bytes(b"nothing")
        values = {
            "targets": [{"host": "127.0.0.1"}],
            "operations": 1,
            "mix": {"store": 1},
            "data": {"input": str(tmp_path)},
        }
        run = Run(scenario_from(values, ""), on_unusable=unusable.append)
        with pytest.raises(LocalError, match="no DICOM files to send"):
            await done(run)
        assert len(unusable) == 1


class Scan(User):
    """Does a bit of everything."""

    operations = ("echo", "store", "find", "mpps")
    log: list[str] = []

    async def on_start(self) -> None:
        self.log.append("start")

    async def on_stop(self) -> None:
        self.log.append("stop")
        raise ValueError("nobody hears of it")

    @task(3)
    async def send(self) -> None:
        await self.store()
        await self.echo()
        await self.perform("mpps")
        await (await self.association()).c_echo()

    @task
    async def ask(self) -> None:
        await self.find()
        await self.find(level="STUDY", PatientID="1")

    @task
    async def fall(self) -> None:
        raise KeyError("x")

    @task(0.5)
    async def want(self) -> None:
        await self.perform("move")


class TestScripts:
    async def test_a_user_for_each_scu(self) -> None:
        Scan.log.clear()
        archive = Archive()
        async with archive.listening():
            mix = weights_of(Scan)
            result = await done(made(archive.port, Scan, operations=60, associations=2, mix=mix))
        assert mix == {"send": 3, "ask": 1, "fall": 1, "want": 0.5}
        assert sum(result.operations[name].count for name in mix) == 60
        sent = result.operations["send"].count
        assert result.operations["store"].count == result.operations["mpps"].count == sent
        assert archive.echoes == 2 * sent
        assert result.operations["find"].count == 2 * result.operations["ask"].count
        assert result.operations["fall"].causes == {"KeyError": result.operations["fall"].count}
        assert result.operations["want"].causes == {"local error": result.operations["want"].count}
        assert Scan.log == ["start"] * 2 + ["stop"] * 2

    def test_a_file(self, tmp_path: Path) -> None:
        path = tmp_path / "my_scan.py"
        head = "from aiodicom.load import User, task\n"
        path.write_text(
            f"{head}class A(User):\n    @task\n    async def a(self): ...\n"
            "class B(A):\n    @task(2)\n    async def b(self): ...\n"
        )
        assert weights_of(load_user(path, "B")) == {"a": 1, "b": 2}
        with pytest.raises(ScenarioError, match=r"my_scan.py: wanted one class that is a User: say which, as my_scan"):
            load_user(path)
        with pytest.raises(ScenarioError, match="no class C that is a User; there is A, B"):
            load_user(path, "C")
        path.write_text(f"{head}class A(User):\n    pass\n")
        with pytest.raises(ScenarioError, match="A has no @task"):
            load_user(path)
        path.write_text(f"{head}class A(User):\n    @task\n    def a(self): ...\n")
        with pytest.raises(ScenarioError, match=r"the task A\.a is to be an async method"):
            load_user(path)
        path.write_text("import nothing_of_that_name\n")
        with pytest.raises(ScenarioError, match="ModuleNotFoundError"):
            load_user(path)
        path.write_text("")
        with pytest.raises(ScenarioError, match="there is none"):
            load_user(path)
        with pytest.raises(OSError, match=r"none\.py"):
            load_user(tmp_path / "none.py")

    def test_its_error_is_a_local_one(self) -> None:
        assert issubclass(ScriptError, LocalError)
