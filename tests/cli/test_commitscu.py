"""`aiodicom commitscu`, with an SCP of ours."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest

import aiodicom
from aiodicom import Dataset, Destination
from aiodicom.dimse.messages import Response
from aiodicom.services.storage_commitment import StorageCommitment, Transaction
from aiodicom.standard.uids import STORAGE_COMMITMENT_PUSH_MODEL, STORAGE_COMMITMENT_PUSH_MODEL_INSTANCE
from aiodicom.ul.pdu import ProposedContext, RoleSelection
from tests.cli.conftest import Invoke, Start
from tests.cli.objects import CT, put, put_many
from tests.cli.serving import serving
from tests.net.sides import Requestor
from tests.rawpeer import (
    A_ABORT,
    A_RELEASE_RP,
    A_RELEASE_RQ,
    Connection,
    Message,
    RawPeer,
    p_data,
    pdu,
    response,
    ui,
    us,
)


class Archive:
    """Commits to everything but what `failed` says; never, when it `hangs`."""

    def __init__(self, failed: Mapping[str, int] | None = None, *, hangs: bool = False, **destinations: int) -> None:
        self.failed = failed or {}
        self.hangs = hangs
        self.transactions: list[Transaction] = []
        self.destinations = {title: Destination("127.0.0.1", port) for title, port in destinations.items()}
        #: Whether the association that has asked is to be released before the report.
        self.waits_for_release = False

    def __call__(self) -> aiodicom.Server:
        server = aiodicom.Server(destinations=self.destinations)
        StorageCommitment(self, retries=()).attach(server)
        self.server = server
        return server

    async def begin(self, transaction: Transaction) -> None:
        self.transactions.append(transaction)

    async def verify(self, transaction: Transaction) -> Mapping[str, int]:
        if self.waits_for_release:
            await asyncio.gather(*(each.wait_closed() for each in list(self.server.associations)))
        if self.hangs:
            await asyncio.Event().wait()
        return self.failed

    async def end(self, transaction: Transaction) -> None:
        pass


def test_everything_is_committed(invoke: Invoke, tmp_path: Path) -> None:
    put_many(tmp_path, 2)
    (tmp_path / "note.txt").write_text("no DICOM")
    archive = Archive()
    with serving(archive) as served:
        outcome = invoke("commitscu", "127.0.0.1", served.port, tmp_path)
    assert outcome.code == 0
    assert outcome.errors == [
        f"aiodicom commitscu: {tmp_path / 'note.txt'}: skipped: not a DICOM file: no letters DICM at offset 128"
    ]
    *rows, last = outcome.out.splitlines()
    assert rows == [
        "Result     SOPInstanceUID  File",
        f"committed  1.2.3.0         {tmp_path / '00000.dcm'}",
        f"committed  1.2.3.1         {tmp_path / '00001.dcm'}",
    ]
    assert last.startswith("2 objects committed, 0 failed, 1 skipped: ")
    (transaction,) = archive.transactions
    assert [tuple(each) for each in transaction.instances] == [(CT, "1.2.3.0"), (CT, "1.2.3.1")]


def test_some_fail(invoke: Invoke, tmp_path: Path) -> None:
    put_many(tmp_path, 3)
    with serving(Archive({"1.2.3.1": 0x0112, "1.2.3.2": 0x7777})) as served:
        outcome = invoke("commitscu", "127.0.0.1", served.port, tmp_path)
    assert (outcome.code, outcome.err) == (1, "")
    assert "failed: no such object instance (0112H)  1.2.3.1" in outcome.out
    assert "failed: 7777H                            1.2.3.2" in outcome.out
    assert "1 object committed, 2 failed, 0 skipped: " in outcome.out


def test_json_is_all_there_is_on_stdout(start: Start, tmp_path: Path) -> None:
    put_many(tmp_path, 2)
    with serving(Archive({"1.2.3.1": 0x0112})) as served:
        outcome = start("commitscu", "127.0.0.1", served.port, tmp_path, "--json").wait()
    assert (outcome.code, outcome.err) == (1, "")
    *instances, summary = map(json.loads, outcome.out.splitlines())
    assert instances == [
        {
            "event": "instance",
            "sop_class_uid": CT,
            "sop_instance_uid": f"1.2.3.{number}",
            "path": str(tmp_path / f"0000{number}.dcm"),
            "committed": not number,
            "failure_reason": "0112" if number else None,
        }
        for number in range(2)
    ]
    assert summary.pop("seconds") > 0
    assert summary == {"event": "summary", "committed": 1, "failed": 1, "skipped": 0, "retrieve_ae_title": None}


def test_the_report_comes_to_a_port(invoke: Invoke, tmp_path: Path, port: int) -> None:
    put_many(tmp_path, 2)
    archive = Archive(ME=port)
    archive.waits_for_release = True
    with serving(archive) as served:
        outcome = invoke("commitscu", "127.0.0.1", served.port, tmp_path, "-aet", "ME", "--port", port)
    assert outcome.code == 0
    assert outcome.errors == [f"listening on 127.0.0.1:{port}"]
    assert "2 objects committed, 0 failed" in outcome.out


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ([], "listen for it with --port"),
        (["--port", "0"], "check that the peer knows this host and port for the AE title"),
    ],
)
def test_no_report(invoke: Invoke, tmp_path: Path, options: list[str], said: str) -> None:
    put_many(tmp_path, 1)
    with serving(Archive(hangs=True)) as served:
        outcome = invoke("commitscu", "127.0.0.1", served.port, tmp_path, "--timeout", "0.2", *options)
    assert outcome.code == 1
    assert outcome.out.startswith("0 objects committed, 1 failed, 0 skipped: ")
    line = outcome.errors[-1]
    assert "no storage commitment report within 0.2 s" in line
    assert said in line


def test_nobody_is_there_to_ask(invoke: Invoke, tmp_path: Path, port: int) -> None:
    put_many(tmp_path, 2)
    outcome = invoke("commitscu", "127.0.0.1", port, tmp_path, "--json")
    assert outcome.code == 1
    (line,) = outcome.errors
    assert "no connection" in line
    *instances, summary = map(json.loads, outcome.out.splitlines())
    assert [(each["sop_instance_uid"], each["committed"]) for each in instances] == [
        ("1.2.3.0", False),
        ("1.2.3.1", False),
    ]
    assert (summary["committed"], summary["failed"]) == (0, 2)


def answered(peer: Connection) -> tuple[Message, Dataset]:
    """Answers a request, and returns it with the report that commits to everything."""
    proposed = peer.accept()
    request = peer.message()
    assert request is not None
    peer.send(response(request))
    report = Dataset.from_bytes(request.data, proposed.contexts[0].transfer_syntaxes[0])
    return request, report


def test_a_peer_that_aborts_instead_of_releasing(invoke: Invoke, tmp_path: Path) -> None:
    put_many(tmp_path, 1)

    def script(peer: Connection) -> None:
        request, report = answered(peer)
        peer.send(event_report(request.context_id, report, 1))
        peer.message()
        peer.expect(A_RELEASE_RQ)
        peer.send(pdu(A_ABORT, bytes(4)))

    with RawPeer(script) as peer:
        outcome = invoke("commitscu", "127.0.0.1", peer.port, tmp_path)
    assert outcome.code == 1
    (line,) = outcome.errors
    assert "aborted" in line
    assert "1 object committed, 0 failed" in outcome.out


def abort(peer: Connection) -> None:
    peer.send(pdu(A_ABORT, bytes(4)))


def release(peer: Connection) -> None:
    peer.send(pdu(A_RELEASE_RQ, bytes(4)))
    peer.expect(A_RELEASE_RP)


@pytest.mark.parametrize(("end", "said"), [(abort, "aborted"), (release, "released")])
def test_a_peer_that_leaves_without_a_report(
    invoke: Invoke, tmp_path: Path, end: Callable[[Connection], None], said: str
) -> None:
    put_many(tmp_path, 1)

    def script(peer: Connection) -> None:
        answered(peer)
        end(peer)

    with RawPeer(script) as peer:
        outcome = invoke("commitscu", "127.0.0.1", peer.port, tmp_path, "--timeout", 60)  # which nobody waits for
    assert outcome.code == 1
    (line,) = outcome.errors
    assert "no storage commitment report" in line
    assert said in line
    assert "--port" in line


def event_report(context_id: int, report: Dataset, event_type: int) -> bytes:
    """The PDUs of a report."""
    command = {
        0x0002: ui(STORAGE_COMMITMENT_PUSH_MODEL),
        0x0100: us(0x0100),
        0x0110: us(1),
        0x0800: us(0x0001),
        0x1000: ui(STORAGE_COMMITMENT_PUSH_MODEL_INSTANCE),
        0x1002: us(event_type),
    }
    assert report.transfer_syntax is not None
    return p_data(context_id, command, report.to_bytes(report.transfer_syntax))


@pytest.mark.parametrize("is_released", [True, False])
@pytest.mark.parametrize(
    ("transaction", "event_type", "said"),
    [
        (
            "1.2.3",
            1,
            "0115H (invalid argument value): unknown Transaction UID (it is of another request, or of none)",
        ),
        (None, 9, "0113H (no such event type) (event type 9 is none of storage commitment)"),
    ],
)
def test_a_report_that_is_refused(
    invoke: Invoke, tmp_path: Path, transaction: str | None, event_type: int, said: str, is_released: bool
) -> None:
    put_many(tmp_path, 1)

    def script(peer: Connection) -> None:
        request, report = answered(peer)
        report.TransactionUID = transaction or report.TransactionUID
        peer.send(event_report(request.context_id, report, event_type))
        answer = peer.message()
        assert answer is not None
        assert answer.number(0x0900) == int(said[:4], 16)
        if is_released:
            release(peer)
        else:
            peer.serve()

    with RawPeer(script) as peer:
        outcome = invoke("commitscu", "127.0.0.1", peer.port, tmp_path, "--timeout", 60 if is_released else 1)
    assert outcome.code == 1
    (line,) = outcome.errors
    assert "no storage commitment report" in line
    assert line.endswith(f"; one came that was refused with status {said}")


def test_a_report_of_who_proposes_to_be_scu(invoke: Invoke, tmp_path: Path, port: int) -> None:
    put_many(tmp_path, 1)

    def script(peer: Connection) -> None:
        _, report = answered(peer)
        peer.expect(A_RELEASE_RQ)
        peer.send(pdu(A_RELEASE_RP, bytes(4)))
        assert asyncio.run(told(port, report)) == 0x0211

    with RawPeer(script) as peer:
        outcome = invoke("commitscu", "127.0.0.1", peer.port, tmp_path, "--port", port, "--timeout", 2)
    assert outcome.code == 1
    _, line = outcome.errors
    assert line.endswith(
        "; one came that was refused with status 0211H (unrecognized operation) (the peer has to propose the role of "
        "SCP on the association that it opens)"
    )


async def told(port: int, report: Dataset) -> int:
    """The status with which a report is answered on an association whose requestor has only the role of SCU."""
    assert report.transfer_syntax is not None
    contexts = (ProposedContext(1, STORAGE_COMMITMENT_PUSH_MODEL, (report.transfer_syntax,)),)
    roles = (RoleSelection(STORAGE_COMMITMENT_PUSH_MODEL, scu=True, scp=False),)
    async with await Requestor.connect(port, contexts=contexts, roles=roles) as requestor:
        await requestor.pdu()
        requestor.send(event_report(1, report, 1))
        answer = await requestor.message()
        assert isinstance(answer, Response)
        return int(answer.status)


def test_a_peer_that_aborts_before_it_reports_to_a_port(invoke: Invoke, tmp_path: Path, port: int) -> None:
    put_many(tmp_path, 1)

    async def tell(report: Dataset) -> None:
        uid = STORAGE_COMMITMENT_PUSH_MODEL
        async with aiodicom.connect("127.0.0.1", port, contexts=[uid], roles={uid: (False, True)}) as association:
            await association.n_event_report(uid, STORAGE_COMMITMENT_PUSH_MODEL_INSTANCE, 1, report)

    def script(peer: Connection) -> None:
        _, report = answered(peer)
        peer.expect(A_RELEASE_RQ)
        peer.send(pdu(A_ABORT, bytes(4)))
        asyncio.run(tell(report))

    with RawPeer(script) as peer:
        outcome = invoke("commitscu", "127.0.0.1", peer.port, tmp_path, "--port", port)
    assert (outcome.code, outcome.errors) == (0, [f"listening on 127.0.0.1:{port}"])
    assert "1 object committed, 0 failed" in outcome.out


def test_nothing_to_ask_for(invoke: Invoke, tmp_path: Path) -> None:
    outcome = invoke("commitscu", "127.0.0.1", "104", tmp_path)
    assert (outcome.code, outcome.out) == (1, "")
    assert outcome.errors == ["aiodicom commitscu: nothing to ask for: no DICOM file was found (check the paths)"]


def test_a_broken_file_is_not_committed(invoke: Invoke, tmp_path: Path) -> None:
    put(tmp_path / "a", "1.2.3")
    (tmp_path / "b").write_bytes(bytes(128) + b"DICM")
    with serving(Archive()) as served:
        outcome = invoke("commitscu", "127.0.0.1", served.port, tmp_path)
    assert outcome.code == 1
    assert f"{tmp_path / 'b'}: " in outcome.errors[0]
    assert "1 object committed, 1 failed" in outcome.out


def test_a_peer_without_storage_commitment(invoke: Invoke, tmp_path: Path) -> None:
    put_many(tmp_path, 1)
    with serving(aiodicom.Server) as served:
        outcome = invoke("commitscu", "127.0.0.1", served.port, tmp_path)
    assert outcome.code == 1
    assert outcome.out.startswith("0 objects committed, 1 failed, ")
    (line,) = outcome.errors
    assert "no presentation context for Storage Commitment Push Model" in line


def test_options_that_need_a_port(invoke: Invoke, tmp_path: Path) -> None:
    outcome = invoke("commitscu", "127.0.0.1", "104", tmp_path, "--bind", "::1")
    assert outcome.code == 2
    assert "'--bind': this is of no use without --port" in outcome.err
