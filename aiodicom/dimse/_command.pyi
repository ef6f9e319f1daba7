from typing import TypeVar

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
    def decode(self, data: bytes | bytearray | memoryview, /) -> Message: ...
    def make(self, cls: type[_Message], fields: tuple[object, ...], first: object, /) -> _Message: ...
    def encode(self, message: Message, /) -> bytes: ...

def encode_response(
    command_field: int, message_id: int, status: int, sop_class_uid: str, sop_instance_uid: str | None, /
) -> bytes: ...
