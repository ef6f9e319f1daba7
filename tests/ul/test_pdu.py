"""The PDU model: values that cannot change, that compare, and that keep credentials to themselves."""

from __future__ import annotations

import pickle
from dataclasses import FrozenInstanceError, replace

import pytest

from aiodicom.ul.pdu import AssociateRQ, PduError, ReleaseRP, ReleaseRQ, UserIdentity, UserIdentityResponse
from tests.ul.wire import PLAIN, PLAIN_AC, PLAIN_RQ


def test_credentials_are_not_shown() -> None:
    shown = repr(PLAIN_RQ) + repr(PLAIN_AC) + str(UserIdentity(3, False, b"secret-ticket"))
    assert "user_identity=UserIdentity(identity_type=2" in shown
    for secret in ("b'user'", "passcode", "ticket"):
        assert secret not in shown
    assert repr(UserIdentityResponse(b"ticket")) == "UserIdentityResponse()"


def test_values_do_not_change() -> None:
    for pdu in PLAIN:
        with pytest.raises((FrozenInstanceError, TypeError, AttributeError)):
            pdu.source = 1  # type: ignore[misc, union-attr]
        with pytest.raises((FrozenInstanceError, TypeError, AttributeError)):
            pdu.more = 1  # type: ignore[union-attr]


def test_values_compare_and_hash() -> None:
    assert len({ReleaseRQ(), ReleaseRQ(), ReleaseRP()}) == 2
    assert len({*PLAIN, *PLAIN}) == len(PLAIN)
    copied = pickle.loads(pickle.dumps(PLAIN_RQ))
    assert isinstance(copied, AssociateRQ)
    assert copied == PLAIN_RQ
    # Where a title was padded is no part of what the request says.
    assert replace(PLAIN_RQ, received_header=bytes(64)) == PLAIN_RQ


def test_an_error_survives_pickling() -> None:
    error = pickle.loads(pickle.dumps(PduError(6, "a message")))
    assert (type(error), error.reason, str(error)) == (PduError, 6, "a message")
