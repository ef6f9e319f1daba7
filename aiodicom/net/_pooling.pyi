import asyncio
from collections import deque
from collections.abc import Callable

from aiodicom.net.association import Association
from aiodicom.net.member import Member
from aiodicom.net.proposing import Need, Proposals
from aiodicom.net.responses import Token
from aiodicom.net.tuning import Tuner
from aiodicom.net.upkeep import Upkeep
from aiodicom.net.waiting import Queue, Wish

class TurnsOfMember:
    granted: int
    taken: int
    turns: int
    is_lent: bool
    is_listed: bool
    is_leaving: bool
    is_spent: bool
    is_outdated: bool
    is_proven: bool
    used: float
    heard: float
    begun: float | None
    size: int
    def __init__(self, association: Association, now: float, /) -> None: ...
    @property
    def association(self) -> Association: ...
    def meets(self, need: Need | None, /) -> bool: ...

    # What it calls of its subclass.
    def refusal(self, need: Need, /) -> str | None: ...

class TurnsOfPool:
    _loop: asyncio.AbstractEventLoop | None
    _members: set[Member]
    _listed: deque[Member]
    _queue: Queue
    _tuner: Tuner
    _proposals: Proposals
    _upkeep: Upkeep
    _window: int
    _settled: int
    _completed: int
    _is_over: bool
    def begin_now(
        self,
        begin: Callable[[Association, Token], bool],
        token: Token,
        *,
        need: Need | None = None,
        size: int | None = None,
    ) -> bool: ...
    def give(self, member: Member, error: BaseException | None = None) -> None: ...
    @property
    def is_blocked(self) -> bool: ...
    @property
    def sends_files(self) -> bool: ...
    def _take_now(self, wish: Wish, /) -> Member | None: ...
    def _pick(self, wish: Wish, /) -> Member | None: ...
    def _turns_of(self, member: Member, /) -> int: ...
    def _succeeded(self, member: Member, begun: float, size: int | None, /) -> None: ...

    # What it calls of its subclass.
    def _adjust(self) -> None: ...
    def _list(self, member: Member, /) -> None: ...
    def _retire(self, member: Member, /) -> None: ...
    def _watch(self, member: Member, now: float, size: int, /) -> None: ...
    def _why_none(self) -> Exception: ...
    def _passed_on(self, member: Member, size: int | None, error: BaseException, /) -> BaseException: ...
