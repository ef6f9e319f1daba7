"""What every kind of destination is to the router."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from aiodicom.router.outcomes import Outcome
from aiodicom.router.outgoing import Outgoing

__all__ = ["Sender"]


class Sender(Protocol):
    """Sends objects to one destination."""

    #: Objects that `send` takes at once, at the most.
    batch: int

    @property
    def concurrency(self) -> int:
        """Calls of `send` that are worth while side by side; it may change."""
        ...

    @property
    def open(self) -> int:
        """Associations, or connections, that are open."""
        ...

    async def start(self) -> None:
        """To be awaited once, before anything is sent."""
        ...

    async def send(self, objects: Sequence[Outgoing]) -> Sequence[Outcome]:
        """Sends objects and says what has become of each, in their order.

        What it raises has become of all of them. Cancelled, they may have arrived or not.
        """
        ...

    async def close(self) -> None:
        """Ends what is open; nothing is being sent."""
        ...
