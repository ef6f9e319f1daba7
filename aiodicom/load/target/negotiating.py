"""Answers to proposals that PS3.8 9.3.3 does not allow: what was accepted had not been proposed."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import NamedTuple

from aiodicom.dimse.events import AcceptedContext
from aiodicom.load.target.scenario import ContextRule
from aiodicom.standard.uids import IMPLICIT_VR_LITTLE_ENDIAN
from aiodicom.ul.codec import encode
from aiodicom.ul.pdu import (
    AssociateAC,
    AssociateRQ,
    ContextResult,
    ProposedContext,
    ResultReason,
    UserInformation,
)

__all__ = ["Acceptance", "wrong_acceptance"]

#: The first that was not proposed is accepted: JPEG-LS, JPEG 2000, RLE, and the big endian that is retired.
_OTHER_SYNTAXES = (
    "1.2.840.10008.1.2.4.80",
    "1.2.840.10008.1.2.4.90",
    "1.2.840.10008.1.2.5",
    "1.2.840.10008.1.2.2",
)


class Acceptance(NamedTuple):
    """An encoded A-ASSOCIATE-AC, and what messages can then come on."""

    response: bytes
    contexts: Mapping[int, AcceptedContext]


def wrong_acceptance(rule: str, proposal: AssociateRQ, maximum_length: int) -> Acceptance:
    """Returns an A-ASSOCIATE-AC as the rule has it, one of the two that are about what is not proposed."""
    if rule == ContextRule.UNPROPOSED_TRANSFER_SYNTAX:
        results = [ContextResult(each.context_id, ResultReason.ACCEPTANCE, _other(each)) for each in proposal.contexts]
    else:
        free = _unproposed_ids(proposal)
        results = [
            ContextResult(next(free, 0), ResultReason.ACCEPTANCE, IMPLICIT_VR_LITTLE_ENDIAN) for _ in proposal.contexts
        ]
    response = AssociateAC(
        proposal.called_ae_title,
        proposal.calling_ae_title,
        tuple(results),
        UserInformation(maximum_length=maximum_length),
        received_header=proposal.received_header,
    )
    contexts = {
        result.context_id: AcceptedContext(
            result.context_id, proposed.abstract_syntax, result.transfer_syntax, as_scu=False, as_scp=True
        )
        for result, proposed in zip(results, proposal.contexts, strict=True)
    }
    return Acceptance(encode(response), contexts)


def _other(context: ProposedContext) -> str:
    return next((uid for uid in _OTHER_SYNTAXES if uid not in context.transfer_syntaxes), _OTHER_SYNTAXES[0])


def _unproposed_ids(proposal: AssociateRQ) -> Iterator[int]:
    """The odd numbers that no proposed context has."""
    proposed = {context.context_id for context in proposal.contexts}
    return (number for number in range(1, 256, 2) if number not in proposed)
