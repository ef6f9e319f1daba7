"""Users whom storescp lets in, and others (PS3.7 D.3.3.7)."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.cli.conftest import Invoke, Outcome, Start
from tests.cli.test_storescp import port_of


@pytest.fixture(autouse=True)
def files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("right").write_bytes(b"pass:word\n")
    Path("wrong").write_bytes(b"PASSWORD-OF-ANOTHER\n")
    Path("token").write_bytes(b"a.b.c\n")
    Path("users").write_bytes("\ufeffjane:pass:word\r\n\n# who sends\nJörg:other\n".encode())


@pytest.mark.parametrize("workers", [1, 2])
def test_a_user_with_a_password(workers: int, start: Start, invoke: Invoke) -> None:
    options = ("--user", "jane", "--password-file", "right", "--workers", workers)
    command = start("storescp", 0, "--discard", *options)
    port = port_of(command)

    def echo(*identity: str) -> Outcome:
        return invoke("echoscu", "127.0.0.1", port, *identity)

    jane = ("--user", "jane", "--password-file")
    outcome = echo(*jane, "right", "--positive-response")
    assert (outcome.code, outcome.errors) == (0, [])
    assert echo(*jane, "right").code == 0
    for identity in (
        (),
        ("--user", "jane"),
        (*jane, "wrong"),
        ("--user", "joe\n", "--password-file", "right"),
        ("--jwt", "token"),
    ):
        outcome = echo(*identity)
        assert outcome.code == 1
        (line,) = outcome.errors
        assert "(it may want a user: --user and --password-file; its log says why)" in line
    ended = command.terminate()
    assert ended.code == 0
    warnings = sorted(line.partition("WARNING ")[2] for line in ended.errors if "WARNING" in line)
    assert len(warnings) == 5
    for words in (
        "no user identity, and one is required: rejected",
        "user 'jane' gives no password: rejected",
        "the password of user 'jane' is wrong: rejected",
        "there is no user 'joe\\n': rejected",
        "a user identity of type 5, not a user name (1, 2): rejected",
    ):
        assert sum(words in line for line in warnings) == 1
    assert "PASSWORD" not in ended.err
    assert "pass:word" not in ended.err
    assert "5 rejected" in ended.err


def test_users_by_name_alone(start: Start, invoke: Invoke) -> None:
    command = start("storescp", 0, "--discard", "--user", "jane", "--user", "Jörg", "-v")
    peer = ("echoscu", "127.0.0.1", port_of(command))
    assert invoke(*peer, "--user", "jane").code == 0
    assert invoke(*peer, "--user", "Jörg", "--password-file", "wrong").code == 0
    assert invoke(*peer, "--user", "Jorg").code == 1
    assert invoke(*peer).code == 1
    assert "user 'Jörg' is accepted" in command.terminate().err


def test_a_file_of_users(start: Start, invoke: Invoke) -> None:
    command = start("storescp", 0, "--discard", "--users-file", "users")
    Path("other").write_bytes(b"other")
    peer = ("echoscu", "127.0.0.1", port_of(command))
    assert invoke(*peer, "--user", "jane", "--password-file", "right").code == 0
    assert invoke(*peer, "--user", "Jörg", "--password-file", "other").code == 0
    assert invoke(*peer, "--user", "Jörg", "--password-file", "right").code == 1
    assert invoke(*peer, "--user", "# who sends", "--password-file", "other").code == 1
    command.terminate()


@pytest.mark.parametrize(
    ("options", "code", "text"),
    [
        (["--password-file", "right"], 2, "whose password?"),
        (["--user", "a", "--user", "b", "--password-file", "right"], 2, "a password each: give --users-file"),
        (["--user", "a", "--users-file", "users"], 2, "write all users into the file"),
        (["--password-file", "right", "--users-file", "users"], 2, "write all users into the file"),
        (["--user", ""], 2, "the name is empty"),
        (["--user", "a", "--password-file", "missing"], 1, "missing: No such file or directory"),
        (["--user", "a", "--password-file", "empty"], 1, "empty: the file is empty"),
        (["--users-file", "missing"], 1, "missing: No such file or directory"),
        (["--users-file", "empty"], 1, "empty has no user: write lines of NAME:PASSWORD"),
        (["--users-file", "wrong"], 1, "wrong: line 1 is not NAME:PASSWORD"),
        (["--users-file", "bare"], 1, "bare: line 2 is not NAME:PASSWORD"),
        (["--users-file", "twice"], 1, "twice: line 2 has user 'a' a second time"),
    ],
)
def test_options_that_name_nobody(options: list[str], code: int, text: str, invoke: Invoke) -> None:
    Path("empty").write_bytes(b"\n")
    Path("bare").write_bytes(b"a:b\nb:\n")
    Path("twice").write_bytes(b"a:b\na:SECRET\n")
    outcome = invoke("storescp", 0, "--discard", *options)
    assert outcome.code == code
    assert text in outcome.err
    assert "SECRET" not in outcome.err
    assert "PASSWORD-OF" not in outcome.err
