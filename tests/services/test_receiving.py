"""The presentation contexts that are proposed to receive objects in."""

from __future__ import annotations

import pytest

import aiodicom
from aiodicom.errors import LocalError
from aiodicom.services.receiving import receiving_contexts
from aiodicom.standard.models import StudyRoot
from aiodicom.standard.uids import storage_sop_classes, transfer_syntaxes

UNCOMPRESSED = ("1.2.840.10008.1.2.1", "1.2.840.10008.1.2")
CT = "1.2.840.10008.5.1.4.1.1.2"


def test_the_most_common_ones() -> None:
    contexts = receiving_contexts()
    assert len(contexts) == 120  # and eight are left for what else the association is for
    assert contexts[0] == (CT, UNCOMPRESSED)
    aiodicom.connect("127.0.0.1", contexts=[StudyRoot.find, StudyRoot.get, StudyRoot.move], receives=contexts)
    assert {uid for uid, _ in contexts} <= storage_sop_classes()
    assert {syntax for _, syntaxes in contexts for syntax in syntaxes} <= transfer_syntaxes()


@pytest.mark.parametrize("count", [1, 2, 5, 40, 63, 64, 100, 127])
@pytest.mark.parametrize("room", [127, 126])
def test_as_many_as_there_is_room_for(count: int, room: int) -> None:
    if count > room:
        with pytest.raises(LocalError, match="127 SOP classes: there is room for 126"):
            receiving_contexts([f"1.2.{number}" for number in range(count)], room=room)
        return
    wanted = [f"1.2.{number}" for number in range(count)]
    contexts = receiving_contexts(wanted, room=room)
    assert len(contexts) <= room
    assert len(set(contexts)) == len(contexts)
    assert list(dict.fromkeys(uid for uid, _ in contexts)) == wanted
    for uid in wanted:
        groups = [syntaxes for each, syntaxes in contexts if each == uid]
        found = [syntax for syntaxes in groups for syntax in syntaxes]
        # Every transfer syntax once, uncompressed ones first.
        assert len(found) == len(set(found)) == 28
        assert tuple(found[:2]) == UNCOMPRESSED
        assert len(groups) == 1 or groups[0] == UNCOMPRESSED


def test_one_class_has_a_context_for_each_transfer_syntax() -> None:
    contexts = receiving_contexts([CT, CT])
    assert len(contexts) == 27
    assert all(len(syntaxes) == 1 for _, syntaxes in contexts[1:])
