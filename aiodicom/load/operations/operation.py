"""What every operation of a mix is."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple, Protocol

if TYPE_CHECKING:
    from aiodicom.load.attempts import Attempt
    from aiodicom.net.association import Association
    from aiodicom.net.connect import ContextProposal

__all__ = ["Operation", "Outcome", "Waiting"]


class Outcome(NamedTuple):
    """How an operation has ended that did not fail."""

    #: Success, or a warning.
    status: int = 0
    #: Bytes of data sets.
    sent: int = 0
    received: int = 0
    #: Of C-FIND; of C-GET and C-MOVE, the instances that were sent (completed sub-operations).
    matches: int = 0
    #: From its start to the first of several responses, in seconds; None where there were none.
    first_response: float | None = None


class Operation(Protocol):
    """An operation of the mix."""

    @property
    def name(self) -> str:
        """As the mix and the results call it."""

    @property
    def contexts(self) -> Sequence[ContextProposal]:
        """The presentation contexts that it needs."""

    @property
    def is_receiving(self) -> bool:
        """Whether the peer sends it objects on its association (C-GET)."""

    def begin(self, association: Association, attempt: Attempt) -> bool:
        """Begins the operation, if that takes no waiting: `attempt` is then told of the response. Otherwise returns
        False, and it is called. Raises what `aiodicom.net.unawaited` does.
        """

    async def __call__(self, attempt: Attempt) -> Outcome:
        """Performs the operation. Raises AiodicomError or OSError where it fails."""


class Waiting:
    """An operation that takes a task: its base class."""

    is_receiving = False

    def begin(self, _association: Association, _attempt: Attempt) -> bool:
        """It has to be called."""
        return False
