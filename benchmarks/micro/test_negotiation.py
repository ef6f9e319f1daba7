"""Proposals: decoded, negotiated and answered, small ones and the largest (PS3.8 7.1.1.13)."""

from __future__ import annotations

from typing import Any

import pytest

from aiodicom.standard.uids import VERIFICATION, storage_sop_classes
from aiodicom.ul.negotiation import ANY, Support, negotiate
from aiodicom.ul.pdu import ProposedContext, ResultReason

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
