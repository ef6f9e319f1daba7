"""What every operation of a mix is."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple, Protocol

if TYPE_CHECKING:
    from aiodicom.load.attempts import Attempt
    from aiodicom.net.association import Association
    from aiodicom.net.connect import ContextProposal

__all__ = ["Operation", "Outcome"]


class Outcome(NamedTuple):
    """How an operation has ended that did not fail."""

    #: Success, or a warning.
    status: int = 0
    #: Bytes of data sets.
    sent: int = 0
    received: int = 0
    #: From its start to the first of several responses, in seconds; None where there are not several.
    first_response: float | None = None


class Operation(Protocol):
    """An operation of the mix."""

    #: As the mix and the results call it.
    name: str
    #: Presentation contexts that it needs, and those of objects that it is sent (C-GET).
    contexts: Sequence[ContextProposal]
    receives: Sequence[ContextProposal]

    def begin(self, association: Association, attempt: Attempt) -> bool:
        """Begins the operation, if that takes no waiting: `attempt` is then told of the response. Otherwise returns
        False, and it is called. Raises what `aiodicom.net.unawaited` does.
        """

    async def __call__(self, attempt: Attempt) -> Outcome:
        """Performs the operation. Raises AiodicomError or OSError where it fails."""
