"""Roles: which requests a side takes on a context, by its roles in it."""

from __future__ import annotations

from dataclasses import fields, replace

import pytest

from aiodicom.dimse.command import decode_command, encode_command
from aiodicom.dimse.events import AcceptedContext, RequestReceived
from aiodicom.dimse.messages import (
    MESSAGES,
    CEchoRQ,
    CStoreRQ,
    NEventReportRQ,
    Request,
    Response,
    UnrecognizedRequest,
)
from aiodicom.standard.status import Status
from aiodicom.standard.uids import IMPLICIT_VR_LITTLE_ENDIAN
from tests.dimse.sides import CT, STORE, Side, open_acceptor, open_requestor
from tests.dimse.wire import least
from tests.ul.streams import COMMAND, LAST, p_data, pdv

#: Every request that there is.
REQUESTS = [kind for kind in MESSAGES if issubclass(kind, Request) and kind is not UnrecognizedRequest]


def with_roles(side: Side, *, as_scu: bool, as_scp: bool) -> Side:
    """Has it these roles in its context for storage."""
    context = AcceptedContext(STORE, CT, IMPLICIT_VR_LITTLE_ENDIAN, as_scu=as_scu, as_scp=as_scp)
    side.protocol.establish({STORE: context}, 16384)
    return side


def asked(side: Side, kind: type[Request]) -> Status | None:
    """The status that such a request is refused with, None when it is taken."""
    request = least(kind)
    named = [field.name for field in fields(request) if field.name.endswith("sop_class_uid")]  # type: ignore[arg-type]
    request = replace(request, **dict.fromkeys(named, CT))  # type: ignore[type-var]
    sent = p_data(pdv(STORE, COMMAND | LAST, encode_command(request)))
    if request.has_data_set:
        sent += p_data(pdv(STORE, LAST, b"data"))
    side.receive(sent)
    if side.refused:
        assert not side.events
        response = decode_command(side.sent()[12:])
        assert isinstance(response, Response)
        assert response.status == side.refused[0].status
        return response.status
    (event,) = side.events
    assert isinstance(event, RequestReceived)
    return None


@pytest.mark.parametrize("kind", REQUESTS)
@pytest.mark.parametrize("as_scu", [False, True], ids=["", "scu"])
@pytest.mark.parametrize("as_scp", [False, True], ids=["", "scp"])
@pytest.mark.parametrize("opened", [open_acceptor, open_requestor])
def test_an_scp_performs_operations_and_an_scu_is_told_of_events(
    kind: type[Request], as_scu: bool, as_scp: bool, opened: type[Side]
) -> None:
    side = with_roles(opened(), as_scu=as_scu, as_scp=as_scp)
    is_taken = as_scu if kind is NEventReportRQ else as_scp
    status = asked(side, kind)
    # 0211H: "not one of those agreed between the DIMSE-service-users" (PS3.7 9.1 and 10.1)
    assert status == (None if is_taken else Status.UNRECOGNIZED_OPERATION)
    assert (side.counters.operations, side.counters.failures) == ((0, 0) if is_taken else (1, 1))


def test_the_data_set_of_what_is_refused_is_kept_nowhere() -> None:
    opened = []
    side = with_roles(
        open_acceptor(open_body=lambda context, message: opened.append(message)), as_scu=True, as_scp=False
    )
    assert asked(side, CStoreRQ) == Status.UNRECOGNIZED_OPERATION
    assert not opened


def test_verification_is_not_answered_by_who_is_not_its_scp() -> None:
    side = with_roles(open_requestor(), as_scu=True, as_scp=False)
    side.protocol.answers_verification = True
    assert asked(side, CEchoRQ) == Status.UNRECOGNIZED_OPERATION
