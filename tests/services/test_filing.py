"""The storage SCP with a template for its files, and what is run at the end of a study."""

from __future__ import annotations

import asyncio
import logging
import os
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path

import pytest

import aiodicom
from aiodicom.errors import StatusError
from aiodicom.services.naming import FileTemplate
from aiodicom.services.storage import FolderStorage, StorageServer
from aiodicom.services.studies import StudyCommand, StudyEnds
from aiodicom.services.study_reports import StudyReports, collected
from aiodicom.store.files import Durability, Folder

CT = "1.2.840.10008.5.1.4.1.1.2"
TEMPLATE = "{StudyInstanceUID}/{SeriesInstanceUID}/{SOPInstanceUID}.dcm"
NATIVE = ["1.2.840.10008.1.2.1", "1.2.840.10008.1.2", "1.2.840.10008.1.2.1.99", "1.2.840.10008.1.2.2"]


def an_object(uid: str, study: str = "1.2.3", series: str = "1.2.3.4", size: int = 100) -> aiodicom.Dataset:
    return aiodicom.Dataset(
        SOPClassUID=CT,
        SOPInstanceUID=uid,
        StudyInstanceUID=study,
        SeriesInstanceUID=series,
        PatientID="P 1",
        PixelData=bytes(size),
    )


def tree(folder: Path) -> list[str]:
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if not path.is_dir())


@asynccontextmanager
async def storing(store: FolderStorage, *syntaxes: str, window: int = 8) -> AsyncIterator[aiodicom.Association]:
    server = StorageServer(store)
    contexts = [(CT, [syntax]) for syntax in syntaxes or NATIVE[:1]]
    async with (
        server.listen("127.0.0.1", 0) as listening,
        aiodicom.connect("127.0.0.1", listening.port, contexts=contexts, window=window) as association,
    ):
        yield association


@pytest.mark.parametrize("durability", list(Durability))
@pytest.mark.parametrize("size", [10, 9 << 20])
async def test_files_get_the_path_of_the_template(tmp_path: Path, durability: Durability, size: int) -> None:
    store = FolderStorage(tmp_path, durability=durability, template=FileTemplate(TEMPLATE))
    objects = [an_object(f"1.5.{number}", series=f"1.2.{number % 2}", size=size) for number in range(4)]
    async with storing(store) as association:
        await asyncio.gather(*map(association.c_store, objects))
    assert tree(tmp_path) == sorted(f"1.2.3/1.2.{number % 2}/1.5.{number}.dcm" for number in range(4))
    assert store.stored == 4
    for each in objects:
        assert aiodicom.dcmread(tmp_path / "1.2.3" / each.SeriesInstanceUID / f"{each.SOPInstanceUID}.dcm") == each


@pytest.mark.parametrize("syntax", NATIVE)
async def test_in_every_transfer_syntax(tmp_path: Path, syntax: str) -> None:
    store = FolderStorage(tmp_path, template=FileTemplate("{PatientID}/{StudyDate}/{SOPInstanceUID}"))
    async with storing(store, syntax) as association:
        await association.c_store(an_object("1.5"))
        await association.c_store(an_object("1.5", size=200))
    assert tree(tmp_path) == ["P 1/UNKNOWN/1.5"]
    assert aiodicom.dcmread(tmp_path / "P 1" / "UNKNOWN" / "1.5") == an_object("1.5", size=200)


async def test_what_cannot_be_filed_leaves_nothing(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    store = FolderStorage(tmp_path, template=FileTemplate(TEMPLATE))
    hostile = an_object("1.5")
    hostile.StudyInstanceUID = "../../1.2"
    cut = an_object("1.6").to_bytes()[:60]
    uids = {"sop_class_uid": CT, "sop_instance_uid": "1.6", "transfer_syntax": NATIVE[0]}
    with caplog.at_level(logging.WARNING, "aiodicom"):
        async with storing(store) as association:
            for attempt in (association.c_store(hostile), association.c_store(cut, **uids)):
                with pytest.raises(StatusError) as refused:
                    await attempt
                assert refused.value.status == 0xC000
            await association.c_store(an_object("1.7"))
    assert tree(tmp_path) == ["1.2.3/1.2.3.4/1.7.dcm"]
    assert "StudyInstanceUID is no UID" in caplog.text
    assert store.stored == 1


async def test_a_link_in_the_place_of_a_folder_is_not_followed(tmp_path: Path) -> None:
    root, elsewhere = tmp_path / "root", tmp_path / "elsewhere"
    store = FolderStorage(root, template=FileTemplate(TEMPLATE))
    elsewhere.mkdir()
    (root / "1.2.3").symlink_to(elsewhere)
    (root / "1.2.4").mkdir()
    (root / "1.2.4" / "1.2.3.4").symlink_to(elsewhere)
    (root / "1.2.5").write_text("a file")
    async with storing(store) as association:
        for study in ("1.2.3", "1.2.4", "1.2.5"):
            with pytest.raises(StatusError) as refused:
                await association.c_store(an_object("1.5", study=study))
            assert refused.value.status == 0x0110
    assert tree(elsewhere) == []
    assert sorted(os.listdir(root)) == ["1.2.3", "1.2.4", "1.2.5"]


@pytest.mark.parametrize(
    "path", [("..", "x"), ("a/b", "x"), ("", "x"), ("a", ".."), (".aiodicom-a", "x"), ("a\0", "x")]
)
def test_a_path_that_leads_elsewhere(tmp_path: Path, path: tuple[str, ...]) -> None:
    with Folder(tmp_path / "in") as folder:
        partial = folder.create("name")
        partial.write(b"x" * 10)
        with pytest.raises(ValueError, match="not the name of a file"):
            partial.commit(path)
    assert tree(tmp_path) == []


# --- the end of a study

#: Writes its arguments as a line of a file, in one write.
SCRIPT = "import sys; open(sys.argv[1], 'ab', 0).write(' '.join([*sys.argv[2:], chr(10)]).encode())"


def command(out: Path, *arguments: str) -> StudyCommand:
    return StudyCommand(" ".join([sys.executable, "-c", f'"{SCRIPT}"', str(out), *arguments]))


@pytest.mark.parametrize("template", [None, TEMPLATE, "{PatientID}/{StudyInstanceUID}_x/{SOPInstanceUID}"])
async def test_a_command_for_each_study(tmp_path: Path, template: str | None) -> None:
    """At the drain: no study has waited long enough."""
    root = tmp_path / "root"
    studies = StudyEnds(command(tmp_path / "out", "{StudyInstanceUID}", "{PatientID}", "{path}"), after=3600)
    store = FolderStorage(root, template=FileTemplate(template) if template else None, studies=studies)
    async with storing(store) as association:
        for number in range(6):
            await association.c_store(an_object(f"1.5.{number}", study=f"1.2.{number % 2}"))
        nameless = an_object("1.6")
        del nameless.StudyInstanceUID
        await association.c_store(nameless)
        assert not (tmp_path / "out").exists()
    folders = {None: [root, root], TEMPLATE: [root / "1.2.0", root / "1.2.1"]}.get(
        template, [root / "P 1" / "1.2.0_x", root / "P 1" / "1.2.1_x"]
    )
    lines = sorted((tmp_path / "out").read_text().splitlines())
    assert lines == [f"1.2.{number} P 1 {folder} " for number, folder in enumerate(folders)]
    assert len(tree(root)) == 7


async def test_after_a_time_without_objects(tmp_path: Path) -> None:
    has_ended = asyncio.Event()

    class Watched(StudyEnds):
        def _ended(self, task: asyncio.Task[None]) -> None:
            super()._ended(task)
            has_ended.set()

    studies = Watched(command(tmp_path / "out", "{StudyInstanceUID}"), after=0.05)
    for _ in range(2):
        has_ended.clear()
        studies.stored("1.2", {"StudyInstanceUID": "1.2"}, "x")
        await has_ended.wait()
    await studies.drain()
    assert (tmp_path / "out").read_text().split() == ["1.2"] * 2


async def test_an_object_puts_the_end_off(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """With a clock that stands still unless it is set."""
    loop, now = asyncio.get_running_loop(), 1000.0
    timers: list[float] = []

    class Clock:
        time = staticmethod(lambda: now)
        create_task = loop.create_task

        @staticmethod
        def call_at(when: float, _look: object) -> asyncio.TimerHandle:
            timers.append(when)
            return loop.call_later(3600, lambda: None)

    studies = StudyEnds(command(tmp_path / "out", "{StudyInstanceUID}"), after=30)
    with monkeypatch.context() as patched:
        patched.setattr("aiodicom.services.studies.asyncio.get_running_loop", Clock)
        for study in ("1.1", "1.2", "1.3"):
            studies.stored(study, {"StudyInstanceUID": study}, "x")
            now += 10
        studies.stored("1.1", {"StudyInstanceUID": "1.1"}, "x")  # at 1030
        now = 1039.0
        assert studies._timer is not None
        studies._timer.cancel()
        studies._look()
        assert [list(studies._waiting), len(studies._due), timers] == [["1.2", "1.3", "1.1"], 0, [1030.0, 1040.0]]
        now = 1055.0
        assert studies._timer is not None
        studies._timer.cancel()
        studies._look()
        assert [list(studies._waiting), timers] == [["1.1"], [1030.0, 1040.0, 1060.0]]
    await asyncio.wait(studies._running)
    assert sorted((tmp_path / "out").read_text().split()) == ["1.2", "1.3"]
    await studies.drain()
    assert sorted((tmp_path / "out").read_text().split()) == ["1.1", "1.2", "1.3"]


async def test_only_so_many_at_once(tmp_path: Path) -> None:
    studies = StudyEnds(command(tmp_path / "out", "{StudyInstanceUID}"), after=3600, processes=2)
    for number in range(7):
        studies.stored(f"1.{number}", {"StudyInstanceUID": f"1.{number}"}, "x")
    draining = asyncio.create_task(studies.drain())
    await asyncio.sleep(0)
    most = 0
    while not draining.done():
        most = max(most, len(studies._running))
        await asyncio.wait([draining, *studies._running], return_when=asyncio.FIRST_COMPLETED)
    assert most == 2
    assert sorted((tmp_path / "out").read_text().split()) == [f"1.{number}" for number in range(7)]


async def test_several_processes_store_one_study(tmp_path: Path) -> None:
    """The command runs once for it, with the values of the object that came last."""
    line = command(tmp_path / "out", "{StudyInstanceUID}", "{PatientID}")
    async with collected(StudyEnds(line, after=3600)) as address:
        workers = [StudyReports(line, address) for _ in range(3)]
        for number in range(30):
            for study in ("1.2", "1.3"):
                workers[number % 3].stored(study, {"StudyInstanceUID": study, "PatientID": "é\n"}, "x")
                await asyncio.sleep(0)
        for worker in workers:
            await worker.drain()
    assert sorted((tmp_path / "out").read_text().split()) == ["1.2", "1.3", "é", "é"]
    with pytest.raises(OSError, match="No such file"):
        StudyReports(line, address)


async def test_what_is_reported_to_nobody_is_logged(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    line = command(tmp_path / "out", "{StudyInstanceUID}")
    with suppress(LookupError):
        async with collected(StudyEnds(line, after=3600)) as address:
            worker = StudyReports(line, address)
            worker.stored("1.2", {"StudyInstanceUID": "1.2"}, "x")
            raise LookupError
    while not caplog.messages:  # what is written before the other end is closed is lost without a word
        worker.stored("1.2", {"StudyInstanceUID": "1.2"}, "x")
        await asyncio.sleep(0)
    await worker.drain()
    assert "the ends of studies cannot be reported" in caplog.text
    assert not (tmp_path / "out").exists()


async def test_failures_are_logged(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.ERROR, "aiodicom"):
        for text in ("/nonexistent/program", f"{sys.executable} -c 'raise SystemExit(3)'"):
            studies = StudyEnds(StudyCommand(text), after=3600)
            studies.stored("1.2", {"StudyInstanceUID": "1.2"}, "x")
            await studies.drain()
    first, second = caplog.messages
    assert "the command for study 1.2 could not be run" in first
    assert "the command for study 1.2 ended with exit code 3" in second


async def test_cancelled_while_a_command_runs() -> None:
    studies = StudyEnds(StudyCommand(f"{sys.executable} -c 'import signal; signal.pause()'"), after=3600)
    studies.stored("1.2", {"StudyInstanceUID": "1.2"}, "x")
    draining = asyncio.create_task(studies.drain())
    await asyncio.sleep(0)
    assert studies._running
    draining.cancel()
    with pytest.raises(asyncio.CancelledError):
        await draining
    assert not studies._running
