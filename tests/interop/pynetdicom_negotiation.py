"""Negotiation with pynetdicom, run as a process, which says as JSON what it has seen.

pynetdicom_negotiation.py PORT scp FILE: accepts CT as SCU and as SCP, answers extended negotiation of Study Root FIND
with what was asked but for date-time matching, and user identities with a ticket unless they are "mallory"; writes what
each association has proposed to FILE, one line each.

pynetdicom_negotiation.py PORT scu TYPE USER: proposes CT in both roles, extended and common extended negotiation and a
user identity; prints what was answered.
"""

from __future__ import annotations

import json
import signal
import sys
import threading
from pathlib import Path
from typing import Any

from pynetdicom import AE, build_role, evt
from pynetdicom.pdu import A_ASSOCIATE_RJ
from pynetdicom.pdu_primitives import (
    SOPClassCommonExtendedNegotiation,
    SOPClassExtendedNegotiation,
    UserIdentityNegotiation,
)
from pynetdicom.sop_class import CTImageStorage, StudyRootQueryRetrieveInformationModelFind, Verification

CT, FIND = str(CTImageStorage), str(StudyRootQueryRetrieveInformationModelFind)
PRIVATE = "1.2.826.0.1.3680043.10.1234.1"
STORAGE = "1.2.840.10008.4.2"


def scp(port: int, path: Path) -> None:
    seen: dict[Any, dict[str, Any]] = {}

    def of(event: evt.Event) -> dict[str, Any]:
        return seen.setdefault(event.assoc, {})

    def extended(event: evt.Event) -> dict[str, bytes]:
        of(event)["extended"] = {str(uid): each.hex() for uid, each in event.app_info.items()}
        return {uid: each[:1] + b"\0" + each[2:] for uid, each in event.app_info.items()}

    def common(event: evt.Event) -> dict[str, Any]:
        of(event)["common"] = {
            str(uid): [str(item.service_class_uid), *map(str, item.related_general_sop_class_identification)]
            for uid, item in event.items.items()
        }
        return {}

    def identity(event: evt.Event) -> tuple[bool, bytes | None]:
        fields = [event.user_id_type, event.primary_field.hex(), (event.secondary_field or b"").hex()]
        of(event)["identity"] = fields
        return event.primary_field != b"mallory", b"ticket"

    def accepted(event: evt.Event) -> None:
        contexts = {str(each.abstract_syntax): [each.as_scu, each.as_scp] for each in event.assoc.accepted_contexts}
        of(event)["roles"] = contexts
        with path.open("a") as lines:
            lines.write(json.dumps(seen.pop(event.assoc)) + "\n")

    ae = AE(ae_title="PYNETDICOM")
    ae.add_supported_context(Verification)
    ae.add_supported_context(CT, scu_role=True, scp_role=True)
    ae.add_supported_context(FIND)
    ended = threading.Event()
    signal.signal(signal.SIGTERM, lambda *_: ended.set())
    handlers = [
        (evt.EVT_SOP_EXTENDED, extended),
        (evt.EVT_SOP_COMMON, common),
        (evt.EVT_USER_ID, identity),
        (evt.EVT_ACCEPTED, accepted),
    ]
    server = ae.start_server(("127.0.0.1", port), block=False, evt_handlers=handlers)
    ended.wait()
    server.shutdown()


def scu(port: int, identity_type: int, user: str) -> None:
    extended = SOPClassExtendedNegotiation()
    extended.sop_class_uid = FIND
    extended.service_class_application_information = b"\1\1\1"
    common = SOPClassCommonExtendedNegotiation()
    common.sop_class_uid = PRIVATE
    common.service_class_uid = STORAGE
    common.related_general_sop_class_identification = [CT]
    identity = UserIdentityNegotiation()
    identity.user_identity_type = identity_type
    identity.primary_field = user.encode()
    if identity_type == 2:
        identity.secondary_field = b"secret"
    identity.positive_response_requested = True
    ae = AE(ae_title="PYNETDICOM")
    for uid in (Verification, CT, FIND, PRIVATE):
        ae.add_requested_context(uid)
    items = [extended, common, identity, build_role(CT, scu_role=True, scp_role=True)]
    rejections: list[list[int]] = []

    def note(event: evt.Event) -> None:
        # What pynetdicom itself says of it is gone at times: two of its threads are at work then.
        if isinstance(event.pdu, A_ASSOCIATE_RJ):
            rejections.append([event.pdu.result, event.pdu.source, event.pdu.reason_diagnostic])

    association = ae.associate("127.0.0.1", port, ext_neg=items, evt_handlers=[(evt.EVT_PDU_RECV, note)])
    answer: dict[str, Any] = {"established": association.is_established}
    if association.is_established:
        acceptor = association.acceptor
        answer["roles"] = {
            str(each.abstract_syntax): [each.as_scu, each.as_scp] for each in association.accepted_contexts
        }
        answer["extended"] = {str(uid): each.hex() for uid, each in acceptor.sop_class_extended.items()}
        response = acceptor.user_identity
        answer["response"] = None if response is None else (response.server_response or b"").hex()
        association.release()
    else:
        (answer["rejected"],) = rejections
    json.dump(answer, sys.stdout)


if __name__ == "__main__":
    if sys.argv[2] == "scp":
        scp(int(sys.argv[1]), Path(sys.argv[3]))
    else:
        scu(int(sys.argv[1]), int(sys.argv[3]), sys.argv[4])
