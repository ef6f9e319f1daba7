"""Whose fault a failed delivery is."""

from __future__ import annotations

import pytest

from aiodicom.errors import (
    AssociationRejected,
    ConnectFailed,
    ConnectionLost,
    ContextNotAccepted,
    DeadlineExceeded,
    DecodeError,
    WebRefused,
)
from aiodicom.router.outcomes import Fault, outcome_of, outcome_of_status


@pytest.mark.parametrize(
    ("status", "fault"),
    [
        (0x0000, Fault.NONE), (0xB000, Fault.NONE), (0xB007, Fault.NONE), (0x0107, Fault.NONE),
        (0xA700, Fault.DESTINATION), (0xA7FF, Fault.DESTINATION), (0x0213, Fault.DESTINATION),
        (0xA900, Fault.OBJECT), (0xC000, Fault.OBJECT), (0x0110, Fault.OBJECT), (0x0122, Fault.OBJECT),
    ],
)  # fmt: skip
def test_statuses(status: int, fault: Fault) -> None:
    assert outcome_of_status(status).fault is fault


@pytest.mark.parametrize(
    ("error", "fault"),
    [
        (ConnectFailed("x"), Fault.DESTINATION),
        (AssociationRejected(1, 1, 7), Fault.DESTINATION),
        (ConnectionLost("x"), Fault.EITHER),
        (DeadlineExceeded("response", 3), Fault.EITHER),
        (ContextNotAccepted("1.2", None, "x"), Fault.OBJECT),
        (DecodeError("x"), Fault.HOPELESS),
        (WebRefused(503, "x", 9), Fault.DESTINATION),
        (WebRefused(415, "x"), Fault.OBJECT),
        (PermissionError("x"), Fault.DESTINATION),
        (ZeroDivisionError("x"), Fault.OBJECT),
    ],
)
def test_errors(error: Exception, fault: Fault) -> None:
    outcome = outcome_of(error)
    assert outcome.fault is fault
    assert outcome.reason
    assert outcome.pause == (9 if isinstance(error, WebRefused) and error.status == 503 else None)
