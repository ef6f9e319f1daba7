from collections.abc import Callable
from typing import Any

ALONE: int

class Turns:
    brought: int
    has_little: bool
    is_here: bool
    @property
    def may_wait(self) -> bool: ...

class BufferedTransport:
    connection: Any
    descriptor: int
    is_loop_closed: Callable[[], bool] | None
    sends_files: bool
    owner: Any
    is_impatient: bool
    def __init__(
        self,
        protocol: Any,
        owner: Any,
        time: Callable[[], float],
        call_soon: Callable[..., Any],
        scratch: memoryview,
        turns: Turns,
        /,
    ) -> None: ...
    @property
    def turns(self) -> Turns: ...
    @property
    def protocol(self) -> Any: ...
    @property
    def time(self) -> Callable[[], float]: ...
    @property
    def call_soon(self) -> Callable[..., Any]: ...
    @property
    def is_blocked(self) -> bool: ...
    def get_buffer(self, sizehint: int) -> memoryview: ...
    def buffer_updated(self, nbytes: int) -> None: ...
    def flush(self) -> None: ...
    def write_as_it_is(self, data: bytes) -> None: ...
    def flush_soon(self, size: int) -> None: ...
