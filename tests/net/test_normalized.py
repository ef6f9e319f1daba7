"""The DIMSE-N services, both roles."""

from __future__ import annotations

import asyncio
import copy
import functools
from typing import Any

import pytest

import aiodicom
from aiodicom import Answer, Dataset, Handlers, Server, Status
from aiodicom.dimse.messages import NActionRSP, NEventReportRSP, NGetRSP, NSetRQ
from aiodicom.dimse.responses import response_to
from aiodicom.errors import ContextNotAccepted, DecodeError, LocalError, OperationRefused, StatusError
from aiodicom.net._invoking import result_of
from aiodicom.net.answers import Reply
from aiodicom.net.sources import EncodedIdentifier
from tests.net.sides import IMPLICIT, soon

MPPS = "1.2.840.10008.3.1.2.3.3"
FILM_SESSION = "1.2.840.10008.5.1.1.1"
PRINT_META = "1.2.840.10008.5.1.1.9"
COMMITMENT = "1.2.840.10008.1.20.1"
COMMITMENT_INSTANCE = "1.2.840.10008.1.20.1.1"
PATIENT = Dataset(PatientID="P1")
KINDS = pytest.mark.parametrize("kind", ["plain", "async"])


def connect(port: int, **options: Any) -> Any:
    """Proposes to be SCU of all, and SCP of storage commitment as well."""
    contexts = [MPPS, PRINT_META, COMMITMENT, aiodicom.VERIFICATION]
    roles = {COMMITMENT: (True, True)}
    return aiodicom.connect("127.0.0.1", port, **({"contexts": contexts, "roles": roles} | options))


def of_kind(kind: str, function: Any) -> Any:
    """The function as it is, or as a coroutine function that first lets others run."""
    if kind == "plain":
        return function

    @functools.wraps(function)
    async def asynchronous(request: Any) -> Any:
        await asyncio.sleep(0)
        return function(request)

    return asynchronous


@KINDS
async def test_every_service(kind: str) -> None:
    server = Server()
    seen: list[Any] = []

    def note(request: Any) -> None:
        seen.append((type(request).__name__, request.sop_class_uid, request.sop_instance_uid, request.dataset))

    def create(request: aiodicom.NCreateRequest) -> Dataset:
        note(request)
        return Dataset(PatientName="A")

    def get(request: aiodicom.NGetRequest) -> Dataset:
        note(request)
        return Dataset(PatientID=",".join(f"{tag:08X}" for tag in request.attributes))

    def act(request: aiodicom.NActionRequest) -> Answer:
        note(request)
        return Answer(Status.ATTRIBUTE_LIST_ERROR, Dataset(PatientID=str(request.action_type_id)), error_comment="c")

    def report(request: aiodicom.NEventReportRequest) -> Answer:
        note(request)
        return Answer(dataset=Dataset(PatientID=str(request.event_type_id)))

    server.on_n_create(of_kind(kind, create))
    server.on_n_get(of_kind(kind, get))
    server.on_n_set(of_kind(kind, note))
    server.on_n_action(of_kind(kind, act))
    server.on_n_delete(of_kind(kind, note))
    server.on_n_event_report(of_kind(kind, report))
    async with server.listen("127.0.0.1", 0) as listening, connect(listening.port) as association:
        created = await association.n_create(MPPS, PATIENT, "1.2.3")
        assert (created.status, created.sop_instance_uid, created.dataset) == (0, "1.2.3", Dataset(PatientName="A"))
        got = await association.n_get(MPPS, "1.2.3", ["PatientName", 0x00100020])
        assert isinstance(got.message, NGetRSP)
        assert (got.dataset.PatientID, got.sop_instance_uid) == ("00100010,00100020", "1.2.3")
        assert (await association.n_set(MPPS, "1.2.3", PATIENT)).dataset is None
        acted = await association.n_action(FILM_SESSION, "1.2.3", 7, abstract_syntax=PRINT_META)
        assert isinstance(acted.message, NActionRSP)
        assert (acted.status, acted.message.action_type_id, acted.dataset.PatientID) == (0x0107, 7, "7")
        assert acted.message.error_comment == "c"
        assert (await association.n_delete(MPPS, "1.2.3")).status is Status.SUCCESS
        reported = await association.n_event_report(COMMITMENT, COMMITMENT_INSTANCE, 2, PATIENT)
        assert isinstance(reported.message, NEventReportRSP)
        assert (reported.message.event_type_id, reported.dataset.PatientID) == (2, "2")
    assert seen == [
        ("NCreateRequest", MPPS, "1.2.3", PATIENT),
        ("NGetRequest", MPPS, "1.2.3", None),
        ("NSetRequest", MPPS, "1.2.3", PATIENT),
        ("NActionRequest", FILM_SESSION, "1.2.3", None),
        ("NDeleteRequest", MPPS, "1.2.3", None),
        ("NEventReportRequest", COMMITMENT, COMMITMENT_INSTANCE, PATIENT),
    ]


@KINDS
async def test_an_instance_without_a_uid_gets_one(kind: str) -> None:
    server = Server()
    given = []
    server.on_n_create(of_kind(kind, lambda request: given.append(request.sop_instance_uid)))
    async with server.listen("127.0.0.1", 0) as listening, connect(listening.port) as association:
        created = await association.n_create(MPPS)
        assert [created.sop_instance_uid] == given
        assert created.sop_instance_uid.startswith("2.25.")
        for status in (0, Status.ATTRIBUTE_LIST_ERROR):  # a warning
            server.on_n_create(of_kind(kind, lambda request, status=status: status))
            created = await association.n_create(MPPS)
            assert created.status == status
            assert created.sop_instance_uid.startswith("2.25.")
        server.on_n_create(lambda request: Answer(sop_instance_uid="1.2.9"))
        assert (await association.n_create(MPPS, PATIENT)).sop_instance_uid == "1.2.9"


async def test_requests_of_classes_of_ones_own() -> None:
    """As a test of a handler may make them."""

    class Marked(aiodicom.NSetRequest):
        def __init__(self, *args: Any) -> None:
            super().__init__(*args)
            self.mark = "marked"

    server = Server()
    server.on_n_set(lambda request: None)
    async with server.listen("127.0.0.1", 0) as listening, connect(listening.port) as association:
        context = association.context_for(MPPS, None)
        request = Marked(association, context, NSetRQ(1, MPPS, "1.2.3", has_data_set=False))
        assert (request.mark, request.message_id, request.sop_instance_uid) == ("marked", 1, "1.2.3")
        assert request.dataset is None
        assert request.context is context
        with pytest.raises(TypeError, match="belongs to its association"):
            copy.copy(request)


async def test_reported_on_the_association_that_asked() -> None:
    """An SCP tells its SCU of an event while it performs an action, and the SCU's handlers perform that."""
    server, handlers = Server(), Handlers()
    reports: list[Any] = []

    @server.on_n_action
    async def commit(request: aiodicom.NActionRequest) -> None:
        result = await request.association.n_event_report(COMMITMENT, COMMITMENT_INSTANCE, 1, request.dataset)
        reports.append(result.status)

    @handlers.on_n_event_report
    async def report(request: aiodicom.NEventReportRequest) -> Status:
        await asyncio.sleep(0)
        reports.append((request.event_type_id, request.dataset))
        return Status.SUCCESS

    async with (
        server.listen("127.0.0.1", 0) as listening,
        connect(listening.port, handlers=handlers) as association,
    ):
        await soon(association.n_action(COMMITMENT, COMMITMENT_INSTANCE, 1, PATIENT))
    assert reports == [(1, PATIENT), 0]


@KINDS
async def test_failures(kind: str, caplog: pytest.LogCaptureFixture) -> None:
    server = Server(roles=(True, True))

    def refuse(request: Any) -> None:
        raise OperationRefused(Status.NO_SUCH_SOP_INSTANCE, "x" * 100, (0x00080018,))

    server.on_n_set(of_kind(kind, refuse))
    server.on_n_get(of_kind(kind, lambda request: 1 / 0))
    server.on_n_delete(of_kind(kind, lambda request: PATIENT))  # has no data set in its response
    server.on_n_create(of_kind(kind, lambda request: Answer(Status.PENDING)))
    server.on_n_action(of_kind(kind, lambda request: Status.NO_SUCH_ACTION_TYPE))
    async with server.listen("127.0.0.1", 0) as listening, connect(listening.port) as association:

        async def failure(operation: Any) -> StatusError:
            with pytest.raises(StatusError) as caught:
                await operation
            return caught.value

        refused = await failure(association.n_set(MPPS, "1.2.3", PATIENT))
        assert (refused.status, refused.error_comment) == (Status.NO_SUCH_SOP_INSTANCE, "x" * 64)
        assert refused.response.offending_elements == (0x00080018,)  # type: ignore[attr-defined]
        assert (await failure(association.n_get(MPPS, "1.2.3"))).status == Status.PROCESSING_FAILURE
        assert (await failure(association.n_delete(MPPS, "1.2.3"))).status == Status.PROCESSING_FAILURE
        assert (await failure(association.n_create(MPPS))).status == Status.PROCESSING_FAILURE
        assert (await failure(association.n_action(COMMITMENT, "1.2", 9))).status == Status.NO_SUCH_ACTION_TYPE
        unhandled = await failure(association.n_event_report(COMMITMENT, "1.2", 9))
        assert unhandled.status == Status.UNRECOGNIZED_OPERATION
        await association.c_echo()
    assert "ZeroDivisionError" in caplog.text


@pytest.mark.parametrize(
    "answer",
    [
        False,  # a 0, and so a success
        0.0,
        0x10000,
        Answer(sop_instance_uid="no UID"),
        Answer(error_id=0x10000),
        Answer(0xC001, offending_elements=(0x1_0000_0000,)),
        OperationRefused(0xC001, offending_elements=("PatientName",)),  # type: ignore[arg-type]
        OperationRefused(Status.PENDING),
    ],
)
async def test_what_is_no_answer_fails_and_the_association_goes_on(answer: Any) -> None:
    server = Server()

    @server.on_n_set
    def modify(request: aiodicom.NSetRequest) -> Any:
        if isinstance(answer, Exception):
            raise answer
        return answer

    async with server.listen("127.0.0.1", 0) as listening, connect(listening.port) as association:
        with pytest.raises(StatusError) as caught:
            await soon(association.n_set(MPPS, "1.2.3", PATIENT))
        assert caught.value.status == Status.PROCESSING_FAILURE
        await soon(association.c_echo())


async def test_offending_elements_have_room_in_a_command_set() -> None:
    server = Server()

    @server.on_n_set
    def modify(request: aiodicom.NSetRequest) -> None:
        raise OperationRefused(Status.INVALID_ATTRIBUTE_VALUE, offending_elements=tuple(range(70_000)))

    async with server.listen("127.0.0.1", 0) as listening, connect(listening.port) as association:
        with pytest.raises(StatusError) as caught:
            await soon(association.n_set(MPPS, "1.2.3", PATIENT))
        assert caught.value.response.offending_elements == tuple(range(1024))  # type: ignore[attr-defined]


async def test_what_can_not_be_asked() -> None:
    server = Server()
    server.on_n_get(lambda request: None)
    async with server.listen("127.0.0.1", 0) as listening, connect(listening.port) as association:
        with pytest.raises(ContextNotAccepted):
            await association.n_get(FILM_SESSION, "1.2.3")
        with pytest.raises(LocalError, match="action type"):
            await association.n_action(MPPS, "1.2.3", 70000)
        with pytest.raises(LocalError, match="modification list"):
            await soon(association.n_set(MPPS, "1.2.3", None))
        with pytest.raises(LocalError, match="NoSuchKeyword"):
            await association.n_get(MPPS, "1.2.3", ["NoSuchKeyword"])


@pytest.mark.parametrize("size", [100, 1 << 20, 3 << 20])
async def test_data_sets_of_any_length_go_at_once_and_after_a_wait(size: int) -> None:
    server = Server()
    server.on_n_set(lambda request: request.dataset)
    held = asyncio.get_running_loop().create_future()

    @server.on_n_action
    async def wait(request: aiodicom.NActionRequest) -> None:
        await held

    data_set = Dataset(PixelData=bytes(size), PatientID="P1")
    async with server.listen("127.0.0.1", 0) as listening, connect(listening.port) as association:
        assert (await soon(association.n_set(MPPS, "1.2.3", data_set))).dataset == data_set
        waiting = asyncio.create_task(association.n_action(MPPS, "1.2.3", 1))
        behind = [asyncio.create_task(association.n_set(MPPS, f"1.2.{each}", data_set)) for each in range(3)]
        await asyncio.sleep(0)
        assert association.outstanding == 1
        behind.pop(1).cancel()
        held.set_result(None)
        assert (await soon(waiting)).dataset is None
        for each, instance in zip(behind, ("1.2.0", "1.2.2"), strict=True):
            result = await soon(each)
            assert (result.sop_instance_uid, result.dataset) == (instance, data_set)
        assert association.outstanding == 0


@pytest.mark.parametrize("uid", ["foo", "1.2.3" + "4" * 80, "1.02.3", "", 5])
async def test_an_instance_is_not_created_under_what_is_no_uid(uid: Any) -> None:
    server = Server()
    server.on_n_create(lambda request: None)
    async with server.listen("127.0.0.1", 0) as listening, connect(listening.port) as association:
        with pytest.raises(LocalError, match="is no UID of a SOP instance"):
            await association.n_create(MPPS, PATIENT, uid)
        assert association.outstanding == 0
        assert (await soon(association.n_create(MPPS, PATIENT, "1.2.3"))).status == 0


@pytest.mark.parametrize("uid", ["foo", "1.02.3"])
async def test_an_instance_that_is_there_may_be_called_anything(uid: str) -> None:
    server = Server()
    asked: list[str] = []
    for register in (server.on_n_get, server.on_n_set, server.on_n_action, server.on_n_delete):
        register(lambda request: asked.append(request.sop_instance_uid))
    async with server.listen("127.0.0.1", 0) as listening, connect(listening.port) as association:
        for operation in (
            association.n_get(MPPS, uid),
            association.n_set(MPPS, uid, PATIENT),
            association.n_action(MPPS, uid, 1),
            association.n_delete(MPPS, uid),
        ):
            assert (await soon(operation)).status == 0
    assert asked == [uid] * 4


async def test_a_request_that_cannot_be_made_holds_no_turn() -> None:
    server = Server()
    server.on_n_set(lambda request: None)
    async with server.listen("127.0.0.1", 0) as listening, connect(listening.port) as association:
        with pytest.raises(LocalError, match="cannot be encoded"):
            await association.n_set(MPPS, "1.2.3", Dataset(Rows=70_000))
        with pytest.raises(LocalError, match=r"PatientName .* names none that has '山'"):
            await association.n_set(MPPS, "1.2.3", Dataset(PatientName="山田"))
        with pytest.raises(LocalError):
            await association.n_set(MPPS, "1.2." * 70_000, PATIENT)
        assert association.outstanding == 0
        assert (await soon(association.n_set(MPPS, "1.2.3", PATIENT))).status == 0


async def test_data_sets_that_end_too_early_are_refused_on_both_sides() -> None:
    server = Server()
    cut = PATIENT.to_bytes(IMPLICIT)[:-2]
    refusals: list[bool] = []

    @server.on_n_set
    def modify(request: aiodicom.NSetRequest) -> Reply:
        for _ in range(2):
            with pytest.raises(DecodeError, match="end"):
                request.dataset  # noqa: B018
            refusals.append(True)
        return Reply(response_to(request.message, Status.SUCCESS, has_data_set=True), cut)

    async with (
        server.listen("127.0.0.1", 0) as listening,
        connect(listening.port, contexts=[(MPPS, [IMPLICIT])], roles={}) as one,
    ):
        context = one.context_for(MPPS, None)
        event = await soon(
            one.invoker.invoke(context, lambda number: NSetRQ(number, MPPS, "1.2.3"), EncodedIdentifier(cut))
        )
        with pytest.raises(DecodeError, match="end"):
            result_of(event, context)
    assert refusals == [True, True]


class Uid(str):
    """As pydicom has one."""

    __slots__ = ()


async def test_uids_may_be_of_a_class_of_their_own() -> None:
    server = Server()
    server.on_n_set(lambda request: None)
    async with server.listen("127.0.0.1", 0) as listening, connect(listening.port) as association:
        assert (await association.n_set(Uid(MPPS), Uid("1.2.3"), PATIENT)).status == 0
        async with aiodicom.Pool("127.0.0.1", listening.port, contexts=[Uid(MPPS)]) as pool:
            assert (await soon(pool.n_set(Uid(MPPS), Uid("1.2.3"), PATIENT))).status == 0
