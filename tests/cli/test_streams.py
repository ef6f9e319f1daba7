"""Commands whose stdout or stderr cannot be written."""

from __future__ import annotations

import itertools
import os
import subprocess
import sys
import threading
import time
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

import aiodicom
from aiodicom.cli import streams
from aiodicom.dataset.xml import from_xml
from tests.cli.conftest import PATIENCE, Outcome, Start, environment
from tests.cli.objects import CT, put, put_many
from tests.cli.serving import Served, serving
from tests.cli.test_findscu import Finder


@pytest.mark.skipif(sys.platform != "linux", reason="/dev/full is Linux's")
@pytest.mark.parametrize(
    ("stream", "options", "code"),
    [
        ("stderr", [], 0),
        ("stderr", ["-v"], 0),
        ("stderr", ["-d"], 0),
        ("stderr", ["--nix"], 2),
        ("stdout", [], 1),
    ],
)
def test_the_exit_code_is_that_of_the_result(stream: str, options: list[str], code: int) -> None:
    with serving(lambda: aiodicom.Server()) as served, open("/dev/full", "w") as full:
        command = [sys.executable, "-m", "aiodicom", "echoscu", "127.0.0.1", str(served.port), *options]
        other = "stdout" if stream == "stderr" else "stderr"
        places = {stream: full, other: subprocess.PIPE}
        done = subprocess.run(command, env=environment(), timeout=PATIENCE, text=True, check=False, **places)
    assert done.returncode == code
    if stream == "stdout":
        assert done.stderr == "aiodicom echoscu: stdout: No space left on device\n"


def test_a_fault_that_passes(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    def refuse() -> None:
        raise OSError("no room now")

    with monkeypatch.context() as patches:
        patches.setattr(sys.stderr, "flush", refuse)
        streams.tell("one")
    streams.tell("two")
    assert capsys.readouterr().err.splitlines()[-1] == "two"


@pytest.mark.skipif(sys.platform != "linux", reason="/dev/full is Linux's")
def test_what_the_program_says_of_itself() -> None:
    with open("/dev/full", "w") as full:
        command = [sys.executable, "-m", "aiodicom", "--version"]
        done = subprocess.run(
            command, env=environment(), timeout=PATIENCE, text=True, check=False, stdout=full, stderr=subprocess.PIPE
        )
    assert (done.returncode, done.stderr) == (1, "aiodicom: No space left on device\n")


class Archive:
    """Finds, and sends by C-GET and C-MOVE, what it is given; again and again if it is endless."""

    def __init__(self, *sources: Path, is_endless: bool, **destinations: int) -> None:
        self.sources = sources
        self.is_endless = is_endless
        self.destinations = {title: aiodicom.Destination("127.0.0.1", port) for title, port in destinations.items()}
        self.cancelled = threading.Event()

    def __call__(self) -> aiodicom.Server:
        server = aiodicom.Server(pending_interval=0, destinations=self.destinations)
        server.on_c_find(self.find)
        server.on_c_get(self.retrieve)
        server.on_c_move(self.retrieve)
        server.on_c_cancel(lambda _: self.cancelled.set())
        return server

    def rounds(self) -> Iterator[int]:
        return itertools.count() if self.is_endless else iter(range(1))

    async def find(self, request: aiodicom.FindRequest) -> AsyncIterator[aiodicom.Dataset]:
        for _ in self.rounds():
            yield aiodicom.Dataset(QueryRetrieveLevel="STUDY", StudyInstanceUID="1.2")

    async def retrieve(self, request: aiodicom.GetRequest | aiodicom.MoveRequest) -> AsyncIterator[Path]:
        request.total = 1000 if self.is_endless else len(self.sources)
        for _ in self.rounds():
            for source in self.sources:
                yield source


#: How the results of a query or retrieval are asked for, by command.
ASKING = {"findscu": (), "getscu": ("-od", "got"), "movescu": ("--dest", "THERE")}


def asking(command: str, archive: Served, form: str) -> list[object]:
    return [command, "127.0.0.1", archive.port, "-k", "StudyInstanceUID=1.2", form, *ASKING[command]]


def storing() -> aiodicom.Server:
    server = aiodicom.Server()
    server.on_c_store(lambda request: None)
    return server


@pytest.mark.parametrize("command", ASKING)
def test_nobody_reads_any_more(command: str, start: Start, tmp_path: Path) -> None:
    """The rest is cancelled, which is no failure, and the association released."""
    put_many(tmp_path / "sent", 2)
    script = 'cd "$0" && ("$@"; echo "exit code $?" >&2) | head -n 1'
    with serving(storing) as there:
        archive = Archive(*(tmp_path / "sent").iterdir(), is_endless=True, THERE=there.port)
        with serving(archive) as served:
            arguments = (*asking(command, served, "--json"), "-v")
            outcome = start(*arguments, prefix=("sh", "-c", script, tmp_path)).wait()
            assert archive.cancelled.wait(PATIENCE)
    assert outcome.errors[-1] == "exit code 0"
    assert outcome.out.count("\n") == 1
    assert not [line for line in outcome.errors if line.startswith("aiodicom ")]
    assert "association released" in outcome.err


@pytest.mark.skipif(sys.platform != "linux", reason="/dev/full is Linux's")
@pytest.mark.parametrize("command", ASKING)
@pytest.mark.parametrize("form", ["--json", "-v"])
def test_no_room_for_results(command: str, form: str, start: Start, tmp_path: Path) -> None:
    put_many(tmp_path / "sent", 2)
    with serving(storing) as there:
        archive = Archive(*(tmp_path / "sent").iterdir(), is_endless=False, THERE=there.port)
        with serving(archive) as served:
            prefix = ("sh", "-c", 'cd "$0" && exec "$@" > /dev/full', tmp_path)
            outcome = start(*asking(command, served, form), prefix=prefix).wait()
    assert outcome.code == 1
    told = [line for line in outcome.errors if "No space left" in line]
    assert told == [f"aiodicom {command}: stdout: No space left on device"]


# ---------------------------------------------------------------------------------------------- streams that are closed

#: What starts a command without a stream.
WITHOUT = {
    stream: ("sh", "-c", f'exec "$@" {number}>&-', "sh") for number, stream in enumerate(("stdin", "stdout", "stderr"))
}


@pytest.mark.parametrize("stream", WITHOUT)
def test_closed_with_a_peer(stream: str, start: Start) -> None:
    with serving(aiodicom.Server) as served:
        outcome = start("echoscu", "127.0.0.1", served.port, prefix=WITHOUT[stream]).wait()
    assert (outcome.code, outcome.err) == (0, "")
    assert bool(outcome.out) == (stream != "stdout")


@pytest.mark.parametrize("stream", WITHOUT)
@pytest.mark.parametrize("workers", [1, 2])
def test_closed_with_a_server(stream: str, workers: int, start: Start, tmp_path: Path, port: int) -> None:
    options = ("-od", tmp_path, "--workers", workers)
    scp = start("storescp", port, "--bind", "127.0.0.1", *options, prefix=WITHOUT[stream])
    deadline = time.monotonic() + PATIENCE
    if stream != "stderr":
        scp.wait_for_line("listening on ")
        deadline = 0
    # Without stderr it does not say when it listens.
    while code := start("echoscu", "127.0.0.1", port).wait().code:
        assert time.monotonic() < deadline
    assert code == 0
    assert scp.terminate().code == 0


@pytest.mark.parametrize("stream", WITHOUT)
@pytest.mark.parametrize(
    ("arguments", "code"), [(["--version"], 0), (["--help"], 0), (["dump", "FILE"], 0), (["echoscu", "--nix"], 2)]
)
def test_closed_without_a_network(stream: str, arguments: list[str], code: int, start: Start, tmp_path: Path) -> None:
    put(tmp_path / "FILE", "1.2.3")
    outcome = start(*arguments, prefix=("sh", "-c", f'cd "$0" && {WITHOUT[stream][2]}', tmp_path)).wait()
    assert outcome.code == code
    assert len(outcome.errors) == (code == 2 and stream != "stderr")


@pytest.mark.skipif(not Path("/proc/self/fd").exists(), reason="/proc is Linux's")
def test_what_was_closed_goes_nowhere(start: Start, port: int) -> None:
    """And no socket has its descriptor."""
    prefix = ("sh", "-c", 'exec "$@" <&- >&-', "sh")
    scp = start("storescp", port, "--bind", "127.0.0.1", "--discard", prefix=prefix)
    scp.wait_for_line("listening on ")
    assert [os.readlink(f"/proc/{scp.pid}/fd/{number}") for number in range(2)] == [os.devnull] * 2
    scp.terminate()


# ------------------------------------------------------------------------------------------ what cannot be encoded

NAMES = ["Yamada^Tarou=山田^太郎", "Müller^Jörg", "Smile^😀"]


def in_ascii(*arguments: object) -> Outcome:
    """Runs a command whose streams are ASCII, and strict."""
    done = subprocess.run(
        [sys.executable, "-m", "aiodicom", *map(str, arguments)],
        env=environment() | {"PYTHONIOENCODING": "ascii:strict"},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        timeout=PATIENCE,
        check=False,
    )
    return Outcome(done.returncode, done.stdout.decode("ascii"), done.stderr.decode("ascii"))


def matches() -> Finder:
    return Finder(*(aiodicom.Dataset(SpecificCharacterSet="ISO_IR 192", PatientName=name) for name in NAMES))


def test_text_that_cannot_be_encoded_is_escaped() -> None:
    finder = matches()
    with serving(finder) as served:
        outcome = in_ascii("findscu", "127.0.0.1", served.port, "-k", "PatientName=*山*")
    assert (outcome.code, outcome.err) == (0, "")
    assert "M\\xfcller, J\\xf6rg" in outcome.out
    assert "Smile, \\U0001f600" in outcome.out
    assert finder.identifiers[0].PatientName == "*山*"


def test_json_that_cannot_be_encoded_is_json() -> None:
    with serving(matches()) as served:
        outcome = in_ascii("findscu", "127.0.0.1", served.port, "-k", "PatientName", "--json")
    assert (outcome.code, outcome.err) == (0, "")
    found = [aiodicom.Dataset.from_json(line) for line in outcome.out.splitlines()]
    assert [str(each.PatientName) for each in found] == NAMES


def test_errors_that_cannot_be_encoded_are_escaped(tmp_path: Path) -> None:
    outcome = in_ascii("dump", tmp_path / "Jörg.dcm")
    assert outcome.code == 1
    assert "J\\xf6rg.dcm: No such file" in outcome.err


@pytest.mark.parametrize("form", ["json", "xml"])
def test_files_in_a_form_for_programs(form: str, tmp_path: Path) -> None:
    file = tmp_path / "a.dcm"
    data_set = aiodicom.Dataset(
        SOPClassUID=CT,
        SOPInstanceUID="1.2.3",
        SpecificCharacterSet="ISO_IR 192",
        PatientName=NAMES[0],
        PatientComments=NAMES[2],
    )
    aiodicom.dcmwrite(file, data_set)
    outcome = in_ascii("dump", file, "--format", form)
    assert (outcome.code, outcome.err) == (0, "")
    read = aiodicom.Dataset.from_json(outcome.out) if form == "json" else from_xml(outcome.out)
    assert (str(read.PatientName), read.PatientComments) == (NAMES[0], NAMES[2])


# ------------------------------------------------------------------------------------------------ Python's warnings


def test_warnings_are_lines_of_the_command(start: Start) -> None:
    with serving(Finder(aiodicom.Dataset(PatientName="\x1b[31mRED\x1b[0m"))) as served:
        outcome = start("findscu", "127.0.0.1", served.port, "-k", "PatientName", "-k", "PatientID").wait()
    assert outcome.code == 0
    assert outcome.errors
    assert all(line.startswith("aiodicom findscu: ") and ".py" not in line for line in outcome.errors)
