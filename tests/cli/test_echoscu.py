"""`aiodicom echoscu`, with peers that behave and peers that don't."""

from __future__ import annotations

import json
import resource
import signal
import threading
from collections.abc import Callable

import pytest

from tests.cli.conftest import Invoke, Start
from tests.rawpeer import (
    A_ABORT,
    A_ASSOCIATE_AC,
    A_ASSOCIATE_RJ,
    A_ASSOCIATE_RQ,
    A_RELEASE_RP,
    C_STORE_RSP,
    Connection,
    RawPeer,
    p_data,
    pdu,
    response,
)


def well_behaved(peer: Connection) -> None:
    peer.accept(window=(8, 8))
    peer.serve()


def test_success(invoke: Invoke) -> None:
    with RawPeer(well_behaved) as peer:
        outcome = invoke("echoscu", "127.0.0.1", peer.port)
    assert outcome.code == 0
    assert outcome.out.startswith(f"ANY-SCP at 127.0.0.1:{peer.port} answered in ")
    assert outcome.out.count("\n") == 1
    assert outcome.err == ""


def test_titles(invoke: Invoke) -> None:
    requests = []

    def script(peer: Connection) -> None:
        requests.append(peer.accept())
        peer.serve()

    with RawPeer(script) as peer:
        assert invoke("echoscu", "127.0.0.1", peer.port, "-aet", "ME", "-aec", "YOU").code == 0
        assert invoke("echoscu", "-aec=PACS", "-aet=MODALITY", "127.0.0.1", peer.port).code == 0
        assert invoke("echoscu", "127.0.0.1", peer.port).code == 0
    assert [(request.calling_aet, request.called_aet) for request in requests] == [
        ("ME", "YOU"),
        ("MODALITY", "PACS"),
        ("AIODICOM", "ANY-SCP"),
    ]


@pytest.mark.parametrize("window", [1, 4])
def test_json_is_all_there_is_on_stdout(start: Start, window: int) -> None:
    echoes = []

    def script(peer: Connection) -> None:
        request = peer.accept(window=(8, 8))
        assert request.window == ((window, 1) if window > 1 else None) or request.window is not None
        echoes.append(len(peer.serve()))

    with RawPeer(script) as peer:
        outcome = start(
            "echoscu", "127.0.0.1", peer.port, "--repeat", 25, "--associations", 3, "--window", window, "--json"
        ).wait()
        assert outcome.code == 0
        assert outcome.err == ""
        values = json.loads(outcome.out)
        assert outcome.out.count("\n") == 1
    assert echoes == [25, 25, 25]
    assert set(values) == {
        "associations",
        "echoes",
        "failed",
        "seconds",
        "echoes_per_s",
        "p50_ms",
        "p99_ms",
        "max_ms",
    }
    assert (values["associations"], values["echoes"], values["failed"]) == (3, 75, 0)
    assert 0 < values["p50_ms"] <= values["p99_ms"] <= values["max_ms"]


def test_several_in_words(invoke: Invoke) -> None:
    with RawPeer(well_behaved) as peer:
        outcome = invoke("echoscu", "127.0.0.1", peer.port, "--repeat", 10, "--associations", 2)
    assert outcome.code == 0
    assert "answered 20 C-ECHO on 2 associations" in outcome.out


# ------------------------------------------------------------------------------------- peers that don't behave


def reject(result: int, source: int, reason: int) -> Callable[[Connection], None]:
    def script(peer: Connection) -> None:
        peer.expect(A_ASSOCIATE_RQ)
        peer.send(pdu(A_ASSOCIATE_RJ, bytes((0, result, source, reason))))
        peer.stay_silent()

    return script


def abort_at_once(peer: Connection) -> None:
    peer.expect(A_ASSOCIATE_RQ)
    peer.send(pdu(A_ABORT, bytes((0, 0, 2, 1))))


def abort_at_echo(peer: Connection) -> None:
    peer.accept()
    peer.message()
    peer.send(pdu(A_ABORT, bytes((0, 0, 0, 0))))


def close_at_once(peer: Connection) -> None:
    peer.expect(A_ASSOCIATE_RQ)


def close_at_echo(peer: Connection) -> None:
    peer.accept()
    peer.message()


def reset_at_echo(peer: Connection) -> None:
    peer.accept()
    peer.message()
    peer.reset()


def silent(peer: Connection) -> None:
    peer.stay_silent()


def silent_at_echo(peer: Connection) -> None:
    peer.accept()
    peer.stay_silent()


def silent_at_release(peer: Connection) -> None:
    peer.accept()
    request = peer.message()
    assert request is not None
    peer.send(response(request))
    peer.stay_silent()


def http(peer: Connection) -> None:
    peer.expect(A_ASSOCIATE_RQ)
    peer.send(b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n")
    peer.stay_silent()


def garbage_at_echo(peer: Connection) -> None:
    peer.accept()
    peer.message()
    peer.send(b"\xff" * 100)
    peer.stay_silent()


def truncated_accept(peer: Connection) -> None:
    peer.expect(A_ASSOCIATE_RQ)
    peer.send(pdu(A_ASSOCIATE_AC, bytes(20)))
    peer.stay_silent()


def release_in_place_of_an_answer(peer: Connection) -> None:
    peer.accept()
    peer.message()
    peer.send(pdu(A_RELEASE_RP, bytes(4)))
    peer.stay_silent()


def answer(**changes: int | str) -> Callable[[Connection], None]:
    def script(peer: Connection) -> None:
        peer.accept()
        request = peer.message()
        assert request is not None
        peer.send(response(request, **changes))  # type: ignore[arg-type]
        while peer.message() is not None:
            pass

    return script


def malformed_command(peer: Connection) -> None:
    peer.accept()
    request = peer.message()
    assert request is not None
    peer.send(p_data(request.context_id, b"\0\0\0\0\4\0\0\0\xff\xff\xff\xff" + bytes(7)))
    peer.stay_silent()


def no_context(peer: Connection) -> None:
    peer.accept(results=lambda _: 3)
    peer.serve()


@pytest.mark.usefixtures("short_grace")
@pytest.mark.parametrize(
    ("script", "said", "todo"),
    [
        (reject(1, 1, 7), "called AE title not recognized", "-aec"),
        (reject(1, 1, 3), "calling AE title not recognized", "-aet"),
        (reject(2, 3, 2), "local limit exceeded", "later"),
        (reject(2, 3, 1), "temporary congestion", "later"),
        (reject(1, 2, 2), "protocol version", "DICOM server"),
        (abort_at_once, "aborted", "log"),
        (abort_at_echo, "aborted", "log"),
        (close_at_once, "closed", ""),
        (close_at_echo, "closed", ""),
        (reset_at_echo, "the connection was lost: Connection reset by peer", "log"),
        (silent, "no answer to the A-ASSOCIATE-RQ within 0.2 s", "--acse-"),
        (silent_at_echo, "no C-ECHO response within 0.2 s", "--dimse-"),
        (silent_at_release, "no answer to the A-RELEASE-RQ within 0.2 s", ""),
        (http, "", "DICOM server"),
        (garbage_at_echo, "", "-d"),
        (truncated_accept, "", "-d"),
        (release_in_place_of_an_answer, "", "-d"),
        (malformed_command, "", "-d"),
        (answer(message_id=4711), "message ID 4711", "-d"),
        (answer(field=C_STORE_RSP), "C-STORE response", "-d"),
        (answer(context_id=3), "context", "-d"),
        (answer(status=0x0122), "status 0122H (sop class not supported)", "log"),
        (answer(status=0x0110, comment="no\x1b[31m way"), "status 0110H (processing failure): no\\x1b[31m way", "log"),
        (answer(status=0x1234), "status 1234H", "log"),
        (no_context, "Verification", ""),
    ],
)
def test_failures(invoke: Invoke, script: Callable[[Connection], None], said: str, todo: str) -> None:
    with RawPeer(script) as peer:
        outcome = invoke("echoscu", "127.0.0.1", peer.port, "--acse-timeout", "0.2", "--dimse-timeout", "0.2")
    assert outcome.code == 1
    assert len(outcome.errors) == 1, outcome.err
    assert outcome.err.startswith("aiodicom echoscu: ")
    assert said in outcome.err
    assert todo in outcome.err


@pytest.mark.parametrize("status", [0xB000, 0x0001, 0x0107, 0xB123])
def test_a_warning_is_a_line_and_success(invoke: Invoke, status: int) -> None:
    with RawPeer(answer(status=status)) as peer:
        outcome = invoke("echoscu", "127.0.0.1", peer.port)
    assert outcome.code == 0
    assert "answered in" in outcome.out
    assert len(outcome.errors) == 1
    assert f"warning status {status:04X}H" in outcome.err


def test_failures_are_counted(invoke: Invoke) -> None:
    def script(peer: Connection) -> None:
        peer.accept()
        peer.serve(lambda request: 0x0110 if request.number(0x0110) % 2 else 0)

    with RawPeer(script) as peer:
        outcome = invoke("echoscu", "127.0.0.1", peer.port, "--repeat", 10, "--json")
    values = json.loads(outcome.out)
    assert outcome.code == 1
    assert (values["echoes"], values["failed"]) == (5, 5)
    assert "5 of 10 C-ECHO failed: " in outcome.err


def test_what_was_not_sent_has_failed(invoke: Invoke) -> None:
    def script(peer: Connection) -> None:
        peer.accept()
        for _ in range(3):
            request = peer.message()
            assert request is not None
            peer.send(response(request))

    with RawPeer(script) as peer:
        outcome = invoke("echoscu", "127.0.0.1", peer.port, "--repeat", 10, "--associations", 2, "--json")
    values = json.loads(outcome.out)
    assert outcome.code == 1
    assert (values["echoes"], values["failed"]) == (6, 14)
    assert len(outcome.errors) == 1


def test_associations_that_failed_are_not_among_those_that_answered(invoke: Invoke) -> None:
    first = threading.Lock()

    def script(peer: Connection) -> None:
        if first.acquire(blocking=False):
            well_behaved(peer)
        else:
            peer.expect(A_ASSOCIATE_RQ)
            peer.send(pdu(A_ASSOCIATE_RJ, bytes((0, 1, 1, 1))))

    with RawPeer(script) as peer:
        outcome = invoke("echoscu", "127.0.0.1", peer.port, "--repeat", 2, "--associations", 3)
    assert outcome.code == 1
    assert " answered 2 C-ECHO on 1 association in " in outcome.out
    assert "4 of 6 C-ECHO failed" in outcome.err


def test_nobody_listens(invoke: Invoke, port: int) -> None:
    outcome = invoke("echoscu", "127.0.0.1", port)
    assert outcome.code == 1
    assert len(outcome.errors) == 1
    assert "check host and port" in outcome.err


def test_no_such_host(invoke: Invoke) -> None:
    outcome = invoke("echoscu", "host.invalid", 104, "--json")
    assert outcome.code == 1
    assert len(outcome.errors) == 1
    assert json.loads(outcome.out)["failed"] == 1


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
@pytest.mark.parametrize("at", ["connect", "echo"])
def test_a_signal_drains(start: Start, number: int, at: str) -> None:
    reached, released, answer_now = threading.Event(), threading.Event(), threading.Event()

    def script(peer: Connection) -> None:
        if at == "connect":
            peer.expect(A_ASSOCIATE_RQ)
            reached.set()
            peer.stay_silent()
            return
        peer.accept()
        request = peer.message()
        assert request is not None
        reached.set()
        assert answer_now.wait(30)
        peer.send(response(request))
        assert peer.message() is None
        released.set()

    with RawPeer(script) as peer:
        command = start("echoscu", "127.0.0.1", peer.port, "--repeat", 10, "--json", "-v")
        assert reached.wait(30)
        command.send_signal(number)
        if at == "echo":
            command.wait_for_line("aiodicom echoscu: stopping")
            answer_now.set()
        outcome = command.wait()
        if at == "echo":
            assert released.wait(30)
    assert outcome.code == 1
    assert "interrupted" in outcome.err
    assert json.loads(outcome.out)["echoes"] == (1 if at == "echo" else 0)


def test_a_second_signal_aborts(start: Start) -> None:
    reached, aborted = threading.Event(), threading.Event()

    def script(peer: Connection) -> None:
        peer.accept()
        peer.message()
        reached.set()
        peer.expect(A_ABORT)
        aborted.set()

    with RawPeer(script) as peer:
        command = start("echoscu", "127.0.0.1", peer.port)
        assert reached.wait(30)
        command.send_signal(signal.SIGINT)
        command.wait_for_line("aiodicom echoscu: stopping")
        command.send_signal(signal.SIGINT)
        outcome = command.wait()
        assert aborted.wait(30)
    assert outcome.code == 1
    assert outcome.errors[-1] == "aiodicom echoscu: interrupted"


# ------------------------------------------------------------------------------------------------------ logging


def test_verbose_logs_the_association(invoke: Invoke) -> None:
    with RawPeer(well_behaved) as peer:
        outcome = invoke("echoscu", "127.0.0.1", peer.port, "-v")
    assert outcome.code == 0
    assert " INFO " in outcome.err
    assert " DEBUG " not in outcome.err


def test_debug_shows_pdus_and_command_sets(invoke: Invoke) -> None:
    with RawPeer(well_behaved) as peer:
        outcome = invoke("echoscu", "127.0.0.1", peer.port, "-d", "--json")
    assert outcome.code == 0
    for text in ("A-ASSOCIATE-RQ", "A-ASSOCIATE-AC", "C-ECHO-RQ", "C-ECHO-RSP", "A-RELEASE-RQ", "A-RELEASE-RP"):
        assert text in outcome.err
    json.loads(outcome.out)


def test_too_few_descriptors(invoke: Invoke, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(resource, "getrlimit", lambda _: (256, 256))
    outcome = invoke("echoscu", "127.0.0.1", 104, "--associations", 1000)
    assert outcome.code == 1
    (line,) = outcome.errors
    assert "1,000 associations need 1,064 open files" in line
