"""Our PDUs read by pynetdicom, and pynetdicom's by us."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from pynetdicom import pdu as theirs
from pynetdicom import pdu_items
from pynetdicom.pdu_primitives import (
    A_ASSOCIATE,
    AsynchronousOperationsWindowNegotiation,
    ImplementationClassUIDNotification,
    ImplementationVersionNameNotification,
    MaximumLengthNotification,
    SCP_SCU_RoleSelectionNegotiation,
    SOPClassCommonExtendedNegotiation,
    SOPClassExtendedNegotiation,
    UserIdentityNegotiation,
)
from pynetdicom.presentation import build_context

from aiodicom.ul import pdu as ours
from aiodicom.ul.codec import decode, encode
from tests.ul.wire import PLAIN, PLAIN_AC, PLAIN_RQ, acceptances, checked, pdus_of, requests

THEIRS: dict[int, type[Any]] = {
    1: theirs.A_ASSOCIATE_RQ,
    2: theirs.A_ASSOCIATE_AC,
    3: theirs.A_ASSOCIATE_RJ,
    4: theirs.P_DATA_TF,
    5: theirs.A_RELEASE_RQ,
    6: theirs.A_RELEASE_RP,
    7: theirs.A_ABORT_RQ,
}


def read_by_them(data: bytes) -> Any:
    """pynetdicom's PDU of these bytes."""
    pdu = THEIRS[data[0]]()
    pdu.decode(data)
    return pdu


@pytest.mark.parametrize("pdu", PLAIN, ids=type)
def test_pynetdicom_writes_our_bytes_again(pdu: ours.PDU) -> None:
    data = encode(pdu)
    assert read_by_them(data).encode() == data


@checked(60)
@given(requests)
def test_pynetdicom_reads_our_requests(sent: ours.AssociateRQ) -> None:
    pdu = read_by_them(encode(sent))
    assert pdu.called_ae_title.strip() == sent.called_ae_title
    assert pdu.calling_ae_title.strip() == sent.calling_ae_title
    assert pdu.application_context_name == sent.application_context_name
    assert [
        (item.context_id, item.abstract_syntax, tuple(item.transfer_syntax)) for item in pdu.presentation_context
    ] == [(context.context_id, context.abstract_syntax, context.transfer_syntaxes) for context in sent.contexts]
    assert pdu.user_information.maximum_length == sent.user_information.maximum_length


@checked(60)
@given(acceptances)
def test_pynetdicom_reads_our_acceptances(sent: ours.AssociateAC) -> None:
    pdu = read_by_them(encode(sent))
    assert [(item.context_id, item.result) for item in pdu.presentation_context] == [
        (context.context_id, context.result) for context in sent.results
    ]
    for item, context in zip(pdu.presentation_context, sent.results, strict=True):
        assert item.transfer_syntax == (context.transfer_syntax or "1.2.840.10008.1.2")


def user_information() -> list[Any]:
    """pynetdicom's items of user information, one of each."""
    maximum_length = MaximumLengthNotification()
    maximum_length.maximum_length_received = 16382
    class_uid = ImplementationClassUIDNotification()
    class_uid.implementation_class_uid = "1.2.3.4"
    version_name = ImplementationVersionNameNotification()
    version_name.implementation_version_name = "A_NAME"
    window = AsynchronousOperationsWindowNegotiation()
    window.maximum_number_operations_invoked = 5
    window.maximum_number_operations_performed = 2
    role = SCP_SCU_RoleSelectionNegotiation()
    role.sop_class_uid = "1.2.840.10008.5.1.4.1.1.2"
    role.scu_role, role.scp_role = False, True
    extended = SOPClassExtendedNegotiation()
    extended.sop_class_uid = "1.2.840.10008.5.1.4.1.1.2"
    extended.service_class_application_information = b"\2\0\3"
    common = SOPClassCommonExtendedNegotiation()
    common.sop_class_uid = "1.2.840.10008.5.1.4.1.1.4"
    common.service_class_uid = "1.2.840.10008.4.2"
    common.related_general_sop_class_identification = ["1.2.840.10008.5.1.4.1.1.88.22"]
    identity = UserIdentityNegotiation()
    identity.user_identity_type = 2
    identity.positive_response_requested = True
    identity.primary_field = b"user"
    identity.secondary_field = b"passcode"
    return [maximum_length, class_uid, version_name, window, role, extended, common, identity]


def test_we_read_pynetdicoms_request() -> None:
    primitive = A_ASSOCIATE()
    primitive.application_context_name = "1.2.840.10008.3.1.1.1"
    primitive.calling_ae_title = "CALLING"
    primitive.called_ae_title = "CALLED"
    primitive.user_information = user_information()
    contexts = [
        build_context("1.2.840.10008.1.1", "1.2.840.10008.1.2"),
        build_context("1.2.840.10008.5.1.4.1.1.2", ["1.2.840.10008.1.2.1", "1.2.840.10008.1.2"]),
    ]
    for number, context in enumerate(contexts):
        context.context_id = 2 * number + 1
    primitive.presentation_context_definition_list = contexts
    ((pdu_type, body),) = pdus_of(theirs.A_ASSOCIATE_RQ(primitive).encode())
    assert decode(pdu_type, body) == ours.AssociateRQ(
        "CALLED",
        "CALLING",
        (
            ours.ProposedContext(1, "1.2.840.10008.1.1", ("1.2.840.10008.1.2",)),
            ours.ProposedContext(3, "1.2.840.10008.5.1.4.1.1.2", ("1.2.840.10008.1.2.1", "1.2.840.10008.1.2")),
        ),
        ours.UserInformation(
            16382,
            "1.2.3.4",
            "A_NAME",
            ours.AsynchronousOperationsWindow(5, 2),
            (ours.RoleSelection("1.2.840.10008.5.1.4.1.1.2", False, True),),
            (ours.SOPClassExtendedNegotiation("1.2.840.10008.5.1.4.1.1.2", b"\2\0\3"),),
            (
                ours.SOPClassCommonExtendedNegotiation(
                    "1.2.840.10008.5.1.4.1.1.4", "1.2.840.10008.4.2", ("1.2.840.10008.5.1.4.1.1.88.22",)
                ),
            ),
            ours.UserIdentity(2, True, b"user", b"passcode"),
        ),
    )


def test_we_read_the_identity_of_pynetdicoms_acceptance() -> None:
    pdu = read_by_them(encode(PLAIN_AC))
    response = pdu_items.UserIdentitySubItemAC()
    response.server_response = b"another ticket"
    items = pdu.user_information.user_data
    items[[type(item) for item in items].index(pdu_items.UserIdentitySubItemAC)] = response
    read = decode(2, pdu.encode()[6:])
    assert isinstance(read, ours.AssociateAC)
    assert read.user_information.user_identity_response == ours.UserIdentityResponse(b"another ticket")


def test_pynetdicom_reads_our_user_information() -> None:
    items = read_by_them(encode(PLAIN_RQ)).user_information
    assert (items.async_ops_window.maximum_number_operations_invoked) == 5
    assert (items.async_ops_window.maximum_number_operations_performed) == 1
    assert items.implementation_version_name == "A_NAME"
    assert {uid: (role.scu, role.scp) for uid, role in items.role_selection.items()} == {
        "1.2.840.10008.5.1.4.1.1.2": (False, True)
    }
    assert items.user_identity.primary_field == b"user"
    assert items.user_identity.secondary_field == b"passcode"
    assert [item.sop_class_uid for item in items.ext_neg] == ["1.2.840.10008.5.1.4.1.1.2"]
    (common,) = items.common_ext_neg
    assert common.related_general_sop_class_identification == ["1.2.4", "1.2.5"]
