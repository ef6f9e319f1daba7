from collections.abc import Callable
from typing import Any

from aiodicom.dimse.messages import Request
from aiodicom.dimse.protocol import Protocol
from aiodicom.net.sources import Piece
from aiodicom.net.transport import Transport

class WholeMessages:
    is_busy: bool
    is_gathering: bool
    def __init__(self, protocol: Protocol, transport: Transport, time: Callable[[], float], /) -> None: ...
    @property
    def protocol(self) -> Protocol: ...
    @property
    def transport(self) -> Transport: ...
    @property
    def time(self) -> Callable[[], float]: ...
    def send_whole(
        self, context_id: int, build: Callable[[int], Request], token: Any, pieces: tuple[Piece, ...], /
    ) -> None: ...
    def respond(self, context_id: int, request: Request, status: int, /) -> None: ...
