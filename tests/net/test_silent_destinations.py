"""C-MOVE to what takes connections and says nothing: it fails in the time of one attempt, for any number of objects."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest

import aiodicom
from aiodicom import Dataset, Destination, Server, Status, StudyRoot, SubOperation, Timeouts
from aiodicom.errors import StatusError
from tests.net.sides import CT, DATA, IMPLICIT, soon
from tests.rawpeer import A_ABORT, Connection, RawPeer

COUNT = 200


def accepts_nothing(peer: Connection) -> None:
    peer.stay_silent()


def answers_nothing(peer: Connection) -> None:
    peer.accept()
    while peer.receive_pdu()[0] != A_ABORT:
        pass


@pytest.mark.parametrize("script", [accepts_nothing, answers_nothing])
async def test_the_rest_has_failed_at_once(script: Callable[[Connection], None]) -> None:
    archive = Server()

    @archive.on_c_move
    def retrieve(request: Any) -> Iterator[SubOperation]:
        for number in range(COUNT):
            yield SubOperation(DATA, CT, f"1.2.{number}", IMPLICIT)

    assert StudyRoot.move is not None
    with RawPeer(script) as peer:
        timeouts = Timeouts(acse=0.1, dimse=0.1)
        archive.destinations = {"WS1": Destination("127.0.0.1", peer.port, associations=2, timeouts=timeouts)}
        async with (
            archive.listen("127.0.0.1", 0) as listening,
            aiodicom.connect("127.0.0.1", listening.port, contexts=[StudyRoot.move]) as association,
        ):
            with pytest.raises(StatusError) as caught:
                await soon(association.c_move(Dataset(QueryRetrieveLevel="STUDY", StudyInstanceUID="1.2.3"), "WS1"))
        assert peer.connections < 10
    assert caught.value.status == Status.UNABLE_TO_PERFORM_SUB_OPERATIONS
    result = caught.value.response
    assert isinstance(result, aiodicom.RetrieveResult)
    assert result.failed == len(set(result.failed_sop_instance_uids)) == COUNT
