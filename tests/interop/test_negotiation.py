"""Roles, extended and common extended negotiation, and user identities with pynetdicom and DCMTK, both ways."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Any

import pytest

import aiodicom
from aiodicom import errors
from aiodicom.standard.models import StudyRoot
from tests.interop import objects, peers
from tests.interop.processes import Running

CT = "1.2.840.10008.5.1.4.1.1.2"
PRIVATE = "1.2.826.0.1.3680043.10.1234.1"
STORAGE = "1.2.840.10008.4.2"
BOTH, SCU = [True, True], [True, False]
assert StudyRoot.find is not None
FIND = StudyRoot.find
NAMES = (1, 2)
TYPES = pytest.mark.parametrize("identity_type", list(aiodicom.UserIdentityType))


def identity(identity_type: int, name: bytes = b"jane") -> aiodicom.UserIdentity:
    return aiodicom.UserIdentity(identity_type, True, name, b"secret" if identity_type == 2 else b"")


@TYPES
async def test_pynetdicom_proposes(identity_type: int) -> None:
    server = aiodicom.Server(
        roles={CT: (True, True)},
        extended_negotiation={FIND: aiodicom.QueryRetrieveExtended(True, False, True)},
        accept_specialized=True,
    )
    server.on_c_store(lambda request: None)
    server.on_c_find(lambda request: iter(()))
    asked: list[aiodicom.UserIdentity] = []

    @server.on_user_identity
    async def verify(identity: aiodicom.UserIdentity, association: aiodicom.Association) -> bytes | bool:
        asked.append(identity)
        if identity.primary_field != b"jane":
            return False
        return b"" if identity.identity_type in NAMES else b"ticket"

    async with server.listen("127.0.0.1", 0) as listening:
        run = peers.pynetdicom_negotiation_scu
        answer = await asyncio.to_thread(run, listening.port, identity_type, "jane")
        refused = await asyncio.to_thread(run, listening.port, identity_type, "mallory")
    assert answer["roles"] == {aiodicom.VERIFICATION: SCU, CT: BOTH, FIND: SCU, PRIVATE: SCU}
    assert answer["extended"] == {FIND: "010001"}
    assert answer["response"] == ("" if identity_type in NAMES else b"ticket".hex())
    assert refused == {"established": False, "rejected": [1, 2, 1]}
    assert asked == [identity(identity_type), identity(identity_type, b"mallory")]


@TYPES
async def test_pynetdicom_accepts(identity_type: int, pynetdicom_negotiating: tuple[Running, Path], start: Any) -> None:
    server, seen = pynetdicom_negotiating
    options: dict[str, Any] = {
        "contexts": [aiodicom.VERIFICATION, CT, FIND],
        "roles": {CT: (True, True)},
        "extended_negotiation": {FIND: aiodicom.QueryRetrieveExtended(True, True, True)},
        "common_extended_negotiation": [aiodicom.SOPClassCommonExtendedNegotiation(CT, STORAGE, (PRIVATE,))],
    }
    confirmed: dict[str, Any] = {"require_user_identity_response": identity_type not in NAMES}
    async with aiodicom.connect(
        "127.0.0.1", server.port, user_identity=identity(identity_type), **options, **confirmed
    ) as association:
        roles = {each.abstract_syntax: [each.as_scu, each.as_scp] for each in association.contexts.values()}
        assert roles == {aiodicom.VERIFICATION: SCU, CT: BOTH, FIND: SCU}
        assert association.extended_negotiation == {FIND: bytes((1, 0, 1, 0, 0, 0, 0))}
        if identity_type not in NAMES:
            assert association.user_identity_response == b"ticket"
        await association.c_echo()
    with pytest.raises(errors.AssociationRejected):
        await aiodicom.connect("127.0.0.1", server.port, user_identity=identity(identity_type, b"mallory"))
    sent = identity(identity_type)
    assert json.loads(seen.read_text().splitlines()[-1]) == {
        "identity": [identity_type, sent.primary_field.hex(), sent.secondary_field.hex()],
        "extended": {FIND: "01010100000000"},
        "common": {CT: [STORAGE, PRIVATE]},
        "roles": {aiodicom.VERIFICATION: SCU[::-1], CT: BOTH, FIND: SCU[::-1]},
    }


async def test_dcmtks_getscu_is_the_scp_of_what_it_receives(tmp_path: Path) -> None:
    """It proposes that role in 120 storage SOP classes, and gets it."""
    ct = objects.write_ct(tmp_path / "ct.dcm")
    server = aiodicom.Server()
    accepted: list[aiodicom.Association] = []
    server.on_association(accepted.append)

    @server.on_c_get
    def get(request: aiodicom.GetRequest) -> Any:
        yield ct.path

    (tmp_path / "received").mkdir()
    async with server.listen("127.0.0.1", 0) as listening:
        arguments = ["-S", "-k", "QueryRetrieveLevel=STUDY", "-k", "StudyInstanceUID=1.2.3", "+B"]
        where = ["-od", str(tmp_path / "received"), "127.0.0.1", str(listening.port)]
        await asyncio.to_thread(peers.dcmtk_command, "getscu", *arguments, *where)
    roles = [
        (each.as_scu, each.as_scp) for each in accepted[0].contexts.values() if each.abstract_syntax != StudyRoot.get
    ]
    assert len(roles) > 100
    assert set(roles) == {(True, False)}
    (received,) = (tmp_path / "received").iterdir()
    assert objects.part10(received).sop_instance_uid == ct.sop_instance_uid
