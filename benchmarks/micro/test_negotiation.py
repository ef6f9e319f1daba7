"""Proposals: negotiated, and answered from their bytes on, small ones and the largest (PS3.8 7.1.1.13)."""

from __future__ import annotations

from itertools import cycle
from typing import Any

import pytest

from aiodicom.net.acceptor import Acceptor, Deciders
from aiodicom.net.offer import Offer
from aiodicom.standard.uids import VERIFICATION, storage_sop_classes
from aiodicom.ul.codec import encode
from aiodicom.ul.negotiation import ANY, Support, negotiate
from aiodicom.ul.pdu import AssociateRQ, PduType, ProposedContext, ResultReason, UserInformation

SYNTAXES = tuple(f"1.2.840.10008.1.2.4.{number}" for number in (50, 57, 70, 80, 90, 91))
STORAGE = tuple(storage_sop_classes())
SUPPORT = Support({VERIFICATION: ANY} | dict.fromkeys(STORAGE, SYNTAXES))
#: A proposal of one context, and one of as many as there can be.
PROPOSALS = {
    "1 context": (ProposedContext(1, VERIFICATION, ("1.2.840.10008.1.2",)),),
    "128 contexts": tuple(
        ProposedContext(2 * number + 1, STORAGE[number % len(STORAGE)], SYNTAXES[::-1]) for number in range(128)
    ),
}


@pytest.mark.parametrize("name", PROPOSALS)
def test_negotiating(benchmark: Any, name: str) -> None:
    proposed = PROPOSALS[name]
    results = benchmark(negotiate, proposed, SUPPORT)
    assert [result.context_id for result in results] == [context.context_id for context in proposed]
    assert all(result.result == ResultReason.ACCEPTANCE for result in results)


def acceptor() -> Acceptor:
    offer = Offer(SUPPORT, {}, None, {}, False, 131072, 32)
    return Acceptor(ae_title=None, offer=lambda: offer, deciders=Deciders())


def body_of(name: str) -> bytes:
    """The body of an A-ASSOCIATE-RQ."""
    return encode(AssociateRQ("SCP", "SCU", PROPOSALS[name], UserInformation(16384)))[6:]


@pytest.mark.parametrize("name", PROPOSALS)
def test_answering_what_is_new(benchmark: Any, name: str) -> None:
    accepts, body = acceptor(), body_of(name)

    def answer() -> bytes:
        accepts.forget()
        return accepts.look_at(body).response

    assert benchmark(answer)[0] == PduType.ASSOCIATE_AC


def test_answering_the_same_items_of_others(benchmark: Any) -> None:
    accepts, body = acceptor(), body_of("128 contexts")
    # More titles than are remembered: what is negotiated is, by what does not name them.
    bodies = cycle([body[:20] + f"{number:16}".encode() + body[36:] for number in range(1000)])
    assert benchmark(lambda: accepts.look_at(next(bodies)).response)[0] == PduType.ASSOCIATE_AC
