"""What the router needs of a queue: `LocalQueue` is one, and so is what has its rows in PostgreSQL."""

from __future__ import annotations

from asyncio import Future
from collections.abc import Callable, Sequence
from typing import Any, Protocol

from aiodicom.net.sources import DataSource
from aiodicom.router.queue.objects import Incoming, Lease, Receipt, Selection, State, Way
from aiodicom.router.queue.space import Watermarks

__all__ = ["Queue"]


class Queue(Protocol):
    """Objects that are on the disk, and their deliveries. See `LocalQueue` for what each call means, raises and
    costs.
    """

    watermarks: Watermarks

    @property
    def findings(self) -> list[str]:
        """What was not as it should be when the queue was opened, for people."""
        ...

    @property
    def path(self) -> str:
        """The folder of the process that has the queue."""
        ...

    @property
    def is_told_here(self) -> bool:
        """Whether this process tells what is queued, of those that have the same queue on this machine."""
        ...

    @property
    def on_hold(self) -> list[str]:
        """The destinations for which nothing is claimed."""
        ...

    @property
    def obstacle(self) -> str:
        """Why nothing is taken, where it is not."""
        ...

    def now(self) -> float:
        """Returns the time of the queue's clock, in seconds."""
        ...

    def accepts(self, size: int = 0) -> bool:
        """Whether there is room for so many bytes more."""
        ...

    def enqueue(self, incoming: Incoming, data: bytes | memoryview) -> Future[Receipt]:
        """Queues an object; done when Success may be answered."""
        ...

    async def claim(self, destination: str, limit: int, *, newest: bool = False) -> list[Lease]:
        """Leases deliveries."""
        ...

    def listen(self, destination: str, told: Callable[[], object]) -> None:
        """Has `told` called, once, when there may be something to claim that was not there when that was last tried."""
        ...

    def offered(self, destination: str, limit: int) -> Sequence[Lease]:
        """Leases what has just come, as far as that need not be waited for; `claim` gives the rest."""
        ...

    def source(self, lease: Lease) -> DataSource:
        """Opens what a delivery sends."""
        ...

    def delivered(self, *leases: Lease, warning: str = "") -> None:
        """The destination has them."""
        ...

    def failed(self, lease: Lease, reason: str, retry_at: float | None, *, counts: bool = True) -> None:
        """The destination has not taken it."""
        ...

    def dropped(self, lease: Lease, reason: str) -> None:
        """Its route has it not delivered."""
        ...

    async def forwarded(self, object: int, number: int, warning: str = "") -> None:
        """A delivery that waited for its group was made otherwise."""
        ...

    async def complete(self, route: str, group: str) -> None:
        """A series or study is complete."""
        ...

    async def gathering(self, after: int = 0) -> Sequence[tuple[int, str, str, str]]:
        """Returns what waits for the rest of its group."""
        ...

    def give_back(self, *leases: Lease) -> None:
        """Nothing has become of them."""
        ...

    async def flush(self) -> None:
        """Returns when everything is committed that was settled before."""
        ...

    async def hold(self, meant: Selection) -> int:
        """Has deliveries wait until they are released."""
        ...

    async def release(self, meant: Selection) -> int:
        """Ends that."""
        ...

    async def retry(self, meant: Selection) -> int:
        """Has dead and delayed deliveries tried now."""
        ...

    async def drop(self, meant: Selection, reason: str = "dropped") -> int:
        """Gives deliveries up."""
        ...

    async def counts(self) -> dict[str, dict[State, int]]:
        """Returns how many deliveries there are, by destination and state."""
        ...

    async def find(self, **wanted: Any) -> list[Way]:
        """Looks for objects."""
        ...

    async def pending(self, meant: Selection, after: int = 0, limit: int = 100) -> list[Way]:
        """Lists what is pending."""
        ...

    async def close(self) -> None:
        """Returns when what was enqueued and settled is done."""
        ...
