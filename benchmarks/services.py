"""The services: C-FIND of 1,000 matches, C-MOVE and C-GET of 500 CTs, N-CREATE and N-SET beside C-ECHO."""

from __future__ import annotations

import contextlib
import os
import sys
import time
from collections.abc import Callable, Coroutine, Iterator, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import aiodicom
from aiodicom import Dataset
from aiodicom.load import User, task
from benchmarks import contenders as c
from benchmarks.bench import LARGE, SMALL, Bench, Image, Planned
from benchmarks.command import main
from benchmarks.comparison import Contender, Metric, Metrics, Row, Target
from benchmarks.load_client import Spent, loaded, per_second
from benchmarks.loads import PER_CPU, PER_SECOND
from benchmarks.processes import on_processor, usage
from tests.interop import objects, peers
from tests.interop.processes import Running, run_command, running
from tests.ports import free_port

OURS, DCMTK, PYNETDICOM = "aiodicom Server", "DCMTK dcmqrscp", "pynetdicom"
_SERVED = (Metric(PER_SECOND), Metric(PER_CPU))
_CT = [(objects.CT_IMAGE_STORAGE, objects.EXPLICIT_VR_LITTLE_ENDIAN)]
_MPPS = "1.2.840.10008.3.1.2.3.3"

#: Starts an archive of the files of a folder, that may write to the second and sends what is moved to the AE title SINK
#: on this port.
Archive = Callable[[Path, Path, int], AbstractContextManager[Running]]


# ---- contenders


def _aiodicom(files: Path, folder: Path, sink: int, *options: str) -> AbstractContextManager[Running]:
    port = free_port()
    arguments = [sys.executable, "-m", "benchmarks.archive_server", str(port), os.fspath(files), str(sink), *options]
    return running(arguments, port, log=folder / "server.log", environment=c.environment(), directory=c.ROOT)


@contextlib.contextmanager
def _dcmqrscp(files: Path, folder: Path, sink: int) -> Iterator[Running]:
    """DCMTK's archive, with the files in its index."""
    with peers.dcmqrscp(folder / "dcmqrscp", _CT, destinations={"SINK": sink}) as server:
        names = sorted(map(os.fspath, files.iterdir()))
        run_command([peers.dcmtk("dcmqridx"), folder / "dcmqrscp" / "ARCHIVE", *names], timeout=120)
        yield server


def _pynetdicom(files: Path, folder: Path, sink: int) -> AbstractContextManager[Running]:
    return peers.pynetdicom_archive(files, folder / "pynetdicom.log", sink)


ARCHIVES: dict[str, Archive] = {OURS: _aiodicom, DCMTK: _dcmqrscp, PYNETDICOM: _pynetdicom}


def _who(bench: Bench, names: tuple[str, ...], work: Callable[[Archive, Path], Metrics]) -> tuple[Contender, ...]:
    def contender(name: str) -> Contender:
        return Contender(name, bench.in_folder(lambda folder: work(ARCHIVES[name], folder)), ours=name == OURS)

    return tuple(map(contender, names))


# ---- C-FIND


@dataclass(frozen=True)
class Answers:
    """Files of which a query has `count` matches: `studies` with one instance each, or the instances of one series."""

    name: str
    count: int
    #: As a scenario has it.
    query: Mapping[str, object]

    def files(self, bench: Bench) -> Path:
        folder = bench.folder / f"{self.count} {self.name}"
        if not folder.exists():
            folder.mkdir()
            for number in range(self.count):
                study = number if self.name == "studies" else 0
                aiodicom.dcmwrite(folder / f"{number:06}.dcm", _instance(study, number))
        return folder


def _instance(study: int, number: int) -> Dataset:
    uid = f"{objects.ROOT}.5.{study}"
    return Dataset(
        SpecificCharacterSet="ISO_IR 100",
        SOPClassUID=objects.CT_IMAGE_STORAGE,
        SOPInstanceUID=f"{uid}.1.{number}",
        StudyDate=f"2024{study % 12 + 1:02}{study % 28 + 1:02}",
        StudyTime=f"{study % 24:02}3000",
        AccessionNumber=f"A{study:06}",
        Modality="CT",
        ReferringPhysicianName="Referring^Physician",
        StudyDescription="CT of the thorax",
        PatientName=f"Patient^Number {study}",
        PatientID=f"P{study:06}",
        PatientBirthDate="19700101",
        PatientSex="O",
        StudyInstanceUID=uid,
        SeriesInstanceUID=f"{uid}.1",
        StudyID=f"S{study}",
        SeriesNumber=1,
        InstanceNumber=number,
        Rows=512,
        Columns=512,
    )


def studies(count: int) -> Answers:
    return Answers("studies", count, {"keys": {"StudyInstanceUID": ""}})


def instances(count: int) -> Answers:
    uids = {"StudyInstanceUID": f"{objects.ROOT}.5.0", "SeriesInstanceUID": f"{objects.ROOT}.5.0.1"}
    return Answers("instances", count, {"level": "IMAGE", "keys": uids})


def found(answers: Answers, queries: int) -> Callable[[Archive, Path, Path], Metrics]:
    """So many queries one after another on one association, after one that nobody counts."""

    def work(start: Archive, files: Path, folder: Path) -> Metrics:
        with start(files, folder, 1) as server:
            load = partial(loaded, server, "find", matches=answers.count, query=answers.query)
            load(1)
            return per_second(load(queries), answers.count * queries)

    return work


def find(bench: Bench, queries: int, answers: Answers, names: tuple[str, ...], *targets: Target) -> Planned:
    few = "few: " if PYNETDICOM in names else ""
    title = f"{few}C-FIND, {queries} x {answers.count:,} {answers.name} on one association"

    def make() -> Row:
        files, work = answers.files(bench), found(answers, queries)
        who = _who(bench, names, lambda start, folder: work(start, files, folder))
        return Row(title, _SERVED, who, names[1], targets)

    return Planned(title, make)


# ---- C-MOVE, C-GET

_STUDY = {"keys": {"StudyInstanceUID": f"{objects.ROOT}.3"}, "destination": "SINK"}


def moved(sink: Path, count: int) -> Callable[[Archive, Path, Path], Metrics]:
    """One C-MOVE of all files to dimsesink, after one that nobody counts."""

    def work(start: Archive, files: Path, folder: Path) -> Metrics:
        with c.sink(sink)(folder) as receiver, start(files, folder, receiver.port) as server:
            metrics = _retrieved("move", server, count)
        counted = c.sink_count(folder)
        if counted["stores"] != 2 * count:
            raise RuntimeError(f"{counted['stores']} objects arrived, not {2 * count}")
        return metrics

    return work


def got(count: int) -> Callable[[Archive, Path, Path], Metrics]:
    """One C-GET of all files, after one that nobody counts."""

    def work(start: Archive, files: Path, folder: Path) -> Metrics:
        with start(files, folder, 1) as server:
            return _retrieved("get", server, count)

    return work


def _retrieved(operation: str, server: Running, count: int) -> Metrics:
    """With a window in which the peer's C-STOREs of a C-GET may be outstanding."""
    load = partial(loaded, server, operation, 1, matches=count, query=_STUDY, window=16)
    load()
    return per_second(load(), count)


def retrieval(
    bench: Bench, service: str, count: int, image: Image, names: tuple[str, ...], *targets: Target
) -> Planned:
    few = "few: " if PYNETDICOM in names else ""
    title = f"{few}{service} of {count} CTs of {image.name}"

    def make() -> Row:
        files = bench.files(count, image)
        work = moved(bench.tools["dimsesink"], count) if service == "C-MOVE" else got(count)
        who = _who(bench, names, lambda start, folder: work(start, files, folder))
        return Row(title, _SERVED, who, names[1], targets)

    return Planned(title, make, ("dimsesink",) if service == "C-MOVE" else ())


# ---- N services


class Where(NamedTuple):
    """Which processors the two sides of round trips run on, of those that there are; None: on any.

    Linux leaves two processes that wake each other on one processor at first, and may spread them over two after 0.1 to
    0.2 seconds. Where a halted processor is slow to wake, each round trip takes twice the time from then on, so that a
    short run of one operation says how much of it fell into that time, and nothing of the operation.
    """

    words: str
    server: int | None
    client: int | None


ANYWHERE = Where("", None, None)
APART = Where(" on a processor each", -1, -2)

#: An operation by its number.
Operation = Callable[[Any, int], Coroutine[Any, Any, Any]]

_STEP = Dataset(
    PerformedProcedureStepStatus="IN PROGRESS",
    PerformedProcedureStepID="S1",
    PerformedProcedureStepStartDate="20260101",
    PerformedProcedureStepStartTime="120000",
    PatientName="Doe^Jane",
    PatientID="P1",
    Modality="CT",
    PerformedStationAETitle="MODALITY",
)
_CHANGE = Dataset(PerformedProcedureStepStatus="COMPLETED", PerformedProcedureStepEndDate="20260101")


def _uid(association: Any, number: int) -> str:
    return f"{objects.ROOT}.6.{id(association) % 10**9}.{number}"


OPERATIONS: dict[str, Operation] = {
    "C-ECHO": lambda association, number: association.c_echo(),
    "N-CREATE": lambda association, number: association.n_create(_MPPS, _STEP, _uid(association, number)),
    "N-SET": lambda association, number: association.n_set(_MPPS, _uid(association, 0), _CHANGE),
}


def performing(operation: Operation) -> type[User]:
    """An SCU that does nothing else."""

    class Performing(User):
        contexts = (_MPPS, aiodicom.VERIFICATION)
        number = 0

        async def on_start(self) -> None:
            association = await self.association()
            await association.n_create(_MPPS, _STEP, _uid(association, 0))

        @task
        async def operate(self) -> None:
            self.number += 1
            await operation(await self.association(), self.number)

    return Performing


def performed(operation: Operation, associations: int, each: int) -> Callable[[Archive, Path, Path], Metrics]:
    """So many operations on each of the associations, one after another."""
    number = associations * each

    def work(start: Archive, files: Path, folder: Path) -> Metrics:
        with start(files, folder, 1) as server:
            user = performing(operation)
            return per_second(loaded(server, "operate", number, associations=associations, user=user), number)

    return work


async def _taken_in_turns(server: Running, each: int) -> dict[str, Metrics]:
    """So many of each operation on one association, by bursts of a tenth."""
    seconds, cpu_seconds = dict.fromkeys(OPERATIONS, 0.0), dict.fromkeys(OPERATIONS, 0.0)
    contexts = [_MPPS, aiodicom.VERIFICATION]
    async with aiodicom.connect("127.0.0.1", server.port, called_aet="ARCHIVE", contexts=contexts) as association:
        await association.n_create(_MPPS, _STEP, _uid(association, 0))
        number = 0
        for _ in range(10):
            for name, operation in OPERATIONS.items():
                before, began = usage(server.pid), time.perf_counter()
                for _ in range(each // 10):
                    number += 1
                    await operation(association, number)
                seconds[name] += time.perf_counter() - began
                cpu_seconds[name] += usage(server.pid).cpu_seconds - before.cpu_seconds
    return {name: per_second(Spent(seconds[name], cpu_seconds[name]), each) for name in OPERATIONS}


def in_turns(bench: Bench, each: int, where: Where = ANYWHERE) -> Planned:
    """Round trips whose operations take turns in one run."""
    title = f"round trips of ours in turns{where.words}, 1 association x {each:,}"

    def work(folder: Path) -> dict[str, Metrics]:
        empty = bench.folder / "empty"
        empty.mkdir(exist_ok=True)
        with contextlib.ExitStack() as stack:
            with on_processor(where.server):
                server = stack.enter_context(_aiodicom(empty, folder, 1))
            with on_processor(where.client):
                return aiodicom.run(_taken_in_turns(server, each))

    def make() -> Row:
        measured: dict[str, Metrics] = {}

        def contender(name: str) -> Contender:
            """The first one of a round has all measured."""

            def one() -> Metrics:
                if name not in measured:
                    measured.update(bench.in_folder(work)())
                return measured.pop(name)

            return Contender(name, one, ours=True)

        targets = [Target(PER_SECOND, round(1 / 1.5, 3), "C-ECHO", of=name) for name in ("N-CREATE", "N-SET")]
        return Row(title, _SERVED, tuple(map(contender, OPERATIONS)), "C-ECHO", tuple(targets))

    return Planned(title, make)


def normalized(bench: Bench, associations: int, each: int, *, is_judged: bool = True) -> Planned:
    """Round trips of one operation in a run, for each operation; shown alone where it is not to be judged."""
    title = f"round trips of ours, {associations} association{'s' if associations > 1 else ''} x {each:,}"

    def make() -> Row:
        empty = bench.folder / "empty"
        empty.mkdir(exist_ok=True)

        def contender(name: str, operation: Operation, *options: str) -> Contender:
            start: Archive = partial(_with_options, options)
            work = performed(operation, associations, each)
            return Contender(name, bench.in_folder(lambda folder: work(start, empty, folder)), ours=True)

        handled = "C-ECHO by a handler"
        who = (*(contender(*named) for named in OPERATIONS.items()), contender(handled, OPERATIONS["C-ECHO"], "--echo"))
        targets = [
            Target(PER_SECOND, round(1 / 1.5, 3), of, of=name)
            for of in ("C-ECHO", handled)
            for name in ("N-CREATE", "N-SET")
            if is_judged
        ]
        return Row(title, _SERVED, who, handled, tuple(targets))

    return Planned(title, make)


def _with_options(options: tuple[str, ...], files: Path, folder: Path, sink: int) -> AbstractContextManager[Running]:
    return _aiodicom(files, folder, sink, *options)


# ---- many associations


def many(bench: Bench, associations: int) -> Planned:
    title = f"C-FIND, {associations} associations at once x 1,000 studies, our client"
    answers = studies(1000)

    def work(files: Path, folder: Path) -> Metrics:
        with _aiodicom(files, folder, 1) as server:
            one_each = loaded(
                server, "find", associations, associations=associations, matches=answers.count, query=answers.query
            )
        return per_second(one_each, answers.count * associations)

    def make() -> Row:
        files = answers.files(bench)
        who = Contender(OURS, bench.in_folder(lambda folder: work(files, folder)), ours=True)
        return Row(title, _SERVED, (who,), OURS)

    return Planned(title, make)


def rows(bench: Bench) -> Iterator[Planned]:
    size = bench.size
    # dcmqrscp's index breaks at 500 studies.
    for answers in (instances(1000), studies(400)):
        yield find(bench, size(50, 5), answers, (OURS, DCMTK), Target(PER_SECOND, 2.0, DCMTK))
    yield find(bench, size(5, 1), studies(1000), (OURS, PYNETDICOM), Target(PER_SECOND, 10.0, PYNETDICOM))
    yield many(bench, size(500, 20))
    for service in ("C-MOVE", "C-GET"):
        for image in (LARGE, SMALL):
            yield retrieval(bench, service, size(500, 60), image, (OURS, DCMTK), Target(PER_SECOND, 3.0, DCMTK))
        yield retrieval(bench, service, size(60, 20), LARGE, (OURS, PYNETDICOM))
    yield in_turns(bench, size(3000, 300))
    if len(os.sched_getaffinity(0)) > 1:
        yield in_turns(bench, size(3000, 300), APART)
    yield normalized(bench, 1, size(3000, 300), is_judged=False)  # it says when the two were spread: see `Where`
    # So many that the first tenth of a second, in which client and server may share a processor, counts for little.
    yield normalized(bench, 1, size(20_000, 400))
    yield normalized(bench, 100, size(100, 10))


if __name__ == "__main__":
    sys.exit(main("python -m benchmarks.services", __doc__, (rows,)))
