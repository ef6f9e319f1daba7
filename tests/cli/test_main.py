"""The entry point: which command, which exit code, what is imported."""

from __future__ import annotations

import gc
import subprocess
import sys
import textwrap
from collections.abc import Callable
from importlib import import_module
from pathlib import Path

import pytest
from typer.testing import CliRunner

import aiodicom
from aiodicom.cli import COMMANDS, main, make_app
from tests.cli.conftest import PATIENCE, Invoke

PACKAGE = str(Path(aiodicom.__file__).parent.parent)


def python(program: str) -> subprocess.CompletedProcess[str]:
    """Runs a program in another interpreter."""
    return subprocess.run(
        [sys.executable, "-c", f"import sys; sys.path.insert(0, {PACKAGE!r})\n{program}"],
        capture_output=True,
        text=True,
        timeout=PATIENCE,
        check=False,
    )


def test_without_the_extra() -> None:
    done = python("sys.modules['typer'] = None; from aiodicom.cli import main; main(['echoscu', 'host', '104'])")
    assert done.returncode == 1
    assert done.stdout == ""
    assert done.stderr == "aiodicom: the commands need more packages: pip install 'aiodicom[cli]'\n"


def test_a_demo_without_the_histogram() -> None:
    done = python("sys.modules['hdrh'] = None; from aiodicom.cli import main; main(['demo'])")
    assert done.returncode == 1
    assert done.stderr == "aiodicom demo: this command needs more packages: pip install 'aiodicom[all]'\n"


def test_a_router_without_its_packages() -> None:
    done = python("sys.modules['msgspec'] = None; from aiodicom.cli import main; main(['route', '.', '--check'])")
    assert done.returncode == 1
    assert done.stderr == "aiodicom route: this command needs more packages: pip install 'aiodicom[router]'\n"


def test_as_a_module() -> None:
    done = python("import runpy; sys.argv[1:] = ['--version']; runpy.run_module('aiodicom', run_name='__main__')")
    assert (done.returncode, done.stdout, done.stderr) == (0, f"aiodicom {aiodicom.__version__}\n", "")


@pytest.mark.parametrize("arguments", [[], ["--help"]])
def test_help_names_every_command(invoke: Invoke, arguments: list[str]) -> None:
    outcome = invoke(*arguments)
    assert outcome.code == 0
    for command in COMMANDS:
        assert command in outcome.out


def test_interrupted_while_it_is_imported(monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("aiodicom.cli.make_app", interrupted)
    with pytest.raises(SystemExit) as exited:
        main(["dump", "x"])
    assert exited.value.code == 130


def test_garbage_is_collected_once_all_is_imported(monkeypatch: pytest.MonkeyPatch) -> None:
    seen = []

    def app(*_: object, **__: object) -> None:
        seen.append(gc.isenabled())

    def made(*_: object) -> Callable[..., None]:
        seen.append(gc.isenabled())
        return app

    monkeypatch.setattr("aiodicom.cli.make_app", made)
    with pytest.raises(SystemExit):
        main(["dump", "x"])
    assert seen == [False, True]


def test_the_version(invoke: Invoke) -> None:
    outcome = invoke("--version")
    assert (outcome.code, outcome.out) == (0, f"aiodicom {aiodicom.__version__}\n")


@pytest.mark.parametrize(("command", "usage"), [("storescu", "HOST PORT PATH..."), ("dump", "FILE...")])
def test_the_usage_of_a_command_that_takes_several(command: str, usage: str) -> None:
    shown = CliRunner().invoke(make_app(), [command, "--help"], env={"COLUMNS": "200", "TERM": "dumb"}).stdout
    assert f"Usage: root {command} [OPTIONS] {usage} " in shown


@pytest.mark.parametrize("command", COMMANDS)
def test_the_help_of_a_command_has_an_example(invoke: Invoke, command: str) -> None:
    outcome = invoke(command, "--help")
    assert outcome.code == 0
    assert f"Example: aiodicom {command} " in " ".join(outcome.out.split())


@pytest.mark.parametrize("command", COMMANDS)
def test_the_help_of_a_command_is_as_wide_as_the_terminal(command: str) -> None:
    shown = CliRunner().invoke(make_app(), [command, "--help"], env={"COLUMNS": "80", "TERM": "dumb"}).stdout
    lines = [line.strip() for line in shown.splitlines()]
    prose = getattr(import_module(f"aiodicom.cli.{command}"), command).__doc__
    for paragraph in prose.split("\n\n"):
        wrapped = textwrap.wrap(" ".join(paragraph.split()), 78, break_long_words=False, break_on_hyphens=False)
        first = lines.index(wrapped[0])
        assert lines[first : first + len(wrapped)] == wrapped


@pytest.mark.parametrize(
    ("command", "documented"),
    [
        ("echoscu", "-aet -aec --repeat --associations --window --json"),
        ("storescu", "-aet -aec --associations --window --max-pdu --json"),
        (
            "storescp",
            "--bind -aet -od --discard --workers --max-associations --max-pdu --artim --idle --durability "
            "--accept-unknown",
        ),
        ("demo", "--associations --seconds --input --workers --json"),
    ],
)
def test_options(command: str, documented: str) -> None:
    shown = CliRunner().invoke(make_app(), [command, "--help"], env={"COLUMNS": "200", "TERM": "dumb"}).stdout
    for option in documented.split():
        assert option in shown
    if command.endswith("scu"):
        for option in ("--connect-timeout", "--acse-timeout", "--dimse-timeout", "-v", "-d", "ANY-SCP"):
            assert option in shown


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["nonsense"], "No such command"),
        (["echoscu"], "HOST"),
        (["echoscu", "host"], "PORT"),
        (["echoscu", "host", "0"], "PORT"),
        (["echoscu", "host", "65536"], "PORT"),
        (["echoscu", "host", "x"], "PORT': 'x' is no whole number"),
        (["echoscu", "host", "104", "--dimse-timeout", "x"], "--dimse-timeout': 'x' is no number"),
        (["echoscu", "host", "104", "--user"], "aiodicom echoscu: Option '--user' requires an argument"),
        (["load", "target"], "aiodicom load target: Missing argument 'PORT'"),
        (["load", "target", "0", "--seed"], "aiodicom load target: Option '--seed' requires an argument"),
        (["echoscu", "host", "104", "--repeat", "0"], "--repeat"),
        (["echoscu", "host", "104", "-aet", ""], "-aet"),
        (["echoscu", "host", "104", "-aet", "SEVENTEEN_LETTERS"], "-aet"),
        (["echoscu", "host", "104", "-aec", "BACK\\SLASH"], "-aec"),
        (["echoscu", "host", "104", "-aec", "ÄRZTE"], "-aec"),
        (["echoscu", "host", "104", "-x"], "-x"),
        (["echoscu", "host", "104", "--dimse-timeout", "-1"], "--dimse-timeout"),
        (["echoscu", "host", "104", "--connect-timeout", "nan"], "--connect-timeout"),
        (["storescp", "104", "--idle", "inf"], "--idle"),
        (["demo", "--seconds", "nan"], "--seconds"),
        (["dump", "file", "--tag", "Nonsense"], "--tag"),
        (["storescu", "host", "104"], "PATH"),
        (["storescp", "-1"], "-1"),
        (["storescp", "104", "--durability", "eternal"], "--durability"),
        (["demo", "--associations", "0"], "--associations"),
    ],
)
def test_usage_errors_are_one_line_and_exit_code_2(invoke: Invoke, arguments: list[str], said: str) -> None:
    outcome = invoke(*arguments)
    assert outcome.code == 2
    assert outcome.out == ""
    (line,) = outcome.errors
    assert said in line
    assert line.startswith("aiodicom")
    assert line.endswith(" --help")


def test_a_usage_error_that_asks(invoke: Invoke) -> None:
    line = "aiodicom echoscu: Invalid value for '--password-file' without '--user': whose password? See: "
    assert line in invoke("echoscu", "host", "104", "--password-file", "x").err


@pytest.mark.parametrize("command", COMMANDS)
def test_a_command_imports_no_other_and_nothing_it_does_not_need(command: str) -> None:
    done = python(
        "from aiodicom.cli import main\n"
        f"try: main([{command!r}, '--bad-option'])\n"
        "except SystemExit: pass\n"
        "print(*sorted(sys.modules))"
    )
    loaded = set(done.stdout.split())
    assert f"aiodicom.cli.{command}" in loaded
    others = {f"aiodicom.cli.{other}" for other in COMMANDS if other != command}
    assert not loaded & {*others, "rich", "numpy", "pydicom", "hdrh"}


def test_every_command_is_loaded_for_completion() -> None:
    names = {command.name for command in make_app().registered_commands}
    assert names == set(COMMANDS)
