from collections.abc import Callable
from typing import Any

from aiodicom.dataset import Dataset
from aiodicom.net.requests import ServiceRequest
from aiodicom.net.sinks import BodySink
from aiodicom.ul._pdu import Body

CHUNK: int

def decode_data_set(data: memoryview | Body, transfer_syntax: str, /, is_whole: bool = False) -> Dataset: ...
def encode_data_set(data_set: Any, transfer_syntax: str, /) -> bytes: ...
def gathering(request: ServiceRequest, above: int, spill: Callable[[], BodySink], *, unread: bool = False) -> Body: ...

class EncodedDataSet:
    size: int
    def __init__(self, data: bytes, /) -> None: ...
    @property
    def data(self) -> bytes: ...
    def at_once(self) -> tuple[bytes, ...] | None: ...
