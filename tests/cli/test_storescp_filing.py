"""`aiodicom storescp` with a template, and with a command at the end of a study."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest

import aiodicom
from tests.cli.conftest import Command, Invoke, Start
from tests.cli.objects import CT, EXPLICIT, put

TEMPLATE = "{StudyInstanceUID}/{SeriesInstanceUID}/{SOPInstanceUID}.dcm"

#: Writes its arguments as a line of JSON.
SCRIPT = (
    "import json, sys; open(sys.argv[1], 'a').write(json.dumps(sys.argv[2:]) + chr(10)); "
    "sys.stdout.write('done' + chr(10))"
)


def port_of(command: Command) -> int:
    return int(command.wait_for_line("listening on ").rpartition(":")[2])


def put_study(folder: Path, study: str, count: int) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for number in range(count):
        data_set = aiodicom.Dataset(
            SOPClassUID=CT,
            SOPInstanceUID=f"{study}.9.{number}",
            StudyInstanceUID=study,
            SeriesInstanceUID=f"{study}.{number % 2}",
            PatientName="; touch evil --x '\"$(reboot)",
        )
        aiodicom.dcmwrite(folder / f"{study}-{number}", data_set, transfer_syntax=EXPLICIT)


@pytest.mark.parametrize("workers", [1, 2])
def test_a_template(start: Start, invoke: Invoke, tmp_path: Path, workers: int) -> None:
    put_study(tmp_path / "in", "1.2.3", 5)
    command = start("storescp", 0, "-od", tmp_path / "out" / TEMPLATE, "--workers", workers)
    assert invoke("storescu", "127.0.0.1", port_of(command), tmp_path / "in", "--associations", 2).code == 0
    assert command.terminate().code == 0
    found = sorted(str(path.relative_to(tmp_path / "out")) for path in (tmp_path / "out").rglob("*.dcm"))
    assert found == sorted(f"1.2.3/1.2.3.{number % 2}/1.2.3.9.{number}.dcm" for number in range(5))


@pytest.mark.parametrize(("after", "workers"), [(0.05, 1), (3600, 1), (0.05, 2), (3600, 2)])
def test_a_command_at_the_end_of_a_study(
    start: Start, invoke: Invoke, tmp_path: Path, after: float, workers: int
) -> None:
    for study in ("1.2.3", "1.2.4"):
        put_study(tmp_path / "in", study, 3)
    line = f'{sys.executable} -c "{SCRIPT}" {tmp_path / "ran"} {{StudyInstanceUID}} {{PatientName}} {{path}}'
    options = ["--exec-on-study-end", line, "--study-end-after", after, "--workers", workers]
    command = start("storescp", 0, "-od", tmp_path / "out" / TEMPLATE, *options)
    port = port_of(command)
    for _ in range(1 if after < 1 else workers):
        assert invoke("storescu", "127.0.0.1", port, tmp_path / "in", "--associations", workers).code == 0
    if after < 1:
        command.wait_for_line("done")
    ended = command.terminate()
    assert ended.code == 0
    assert ended.out == ""
    assert "done" in ended.errors
    ran = sorted(map(json.loads, (tmp_path / "ran").read_text().splitlines()))
    if after < 1:  # a slow machine may have made a pause between two objects
        ran = [line for place, line in enumerate(ran) if line not in ran[:place]]
    name = "; touch evil --x '_$(reboot)"
    assert ran == [[study, name, str(tmp_path / "out" / study)] for study in ("1.2.3", "1.2.4")]
    assert not Path("evil").exists()


def test_a_command_that_fails_is_logged(start: Start, invoke: Invoke, tmp_path: Path) -> None:
    put_study(tmp_path / "in", "1.2.3", 1)
    command = start("storescp", 0, "-od", tmp_path / "out", "--exec-on-study-end", "false {StudyInstanceUID}")
    assert invoke("storescu", "127.0.0.1", port_of(command), tmp_path / "in").code == 0
    ended = command.terminate()
    assert ended.code == 0
    assert "the command for study 1.2.3 ended with exit code 1: false" in ended.err


def test_an_object_without_a_study(start: Start, invoke: Invoke, tmp_path: Path) -> None:
    put(tmp_path / "in" / "x", "1.2.3")
    command = start("storescp", 0, "-od", tmp_path / "out" / TEMPLATE, "--exec-on-study-end", "false")
    assert invoke("storescu", "127.0.0.1", port_of(command), tmp_path / "in").code == 0
    ended = command.terminate()
    assert (ended.code, "exit code" in ended.err) == (0, False)
    assert (tmp_path / "out" / "UNKNOWN" / "UNKNOWN" / "1.2.3.dcm").exists()


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["-od", "x/{PatientName}"], "objects would replace one another"),
        (["-od", "x/{Nonsense}/{SOPInstanceUID}"], "is no keyword"),
        (["-od", "x}"], "'-od'"),
        (["--exec-on-study-end", "x {nothing}"], "is no keyword"),
        (["--exec-on-study-end", "x 'y"], "No closing quotation"),
        (["--exec-on-study-end", "x", "--discard"], "there are no studies"),
    ],
)
def test_arguments_that_cannot_be(invoke: Invoke, arguments: list[str], said: str) -> None:
    outcome = invoke("storescp", 0, *arguments)
    assert outcome.code == 2
    (line,) = outcome.errors
    assert line.startswith("aiodicom storescp: Invalid value for ")
    assert said in line
