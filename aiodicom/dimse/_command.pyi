from typing import Any, TypeVar

from aiodicom.dimse.messages import Message

_Message = TypeVar("_Message", bound=Message)

MAXIMUM_COMMAND_LENGTH: int

class CommandCodec:
    def __init__(
        self,
        messages: tuple[type[Message], ...],
        unrecognized: type[Message],
        elements: dict[str, tuple[int, str]],
        status_type: type[int],
    ) -> None: ...
    def make(self, cls: type[_Message], /, *values: Any) -> _Message: ...
    def decode(self, data: bytes | bytearray | memoryview, /) -> Message: ...
    def encode(self, message: Message, /) -> bytes: ...
