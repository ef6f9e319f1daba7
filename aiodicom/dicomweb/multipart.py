"""multipart/related bodies (RFC 2387), as PS3.18 8.6.1.2 wants them: in pieces, of a length known before."""

from __future__ import annotations

import secrets
from collections.abc import AsyncIterator, Callable, Sequence
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from aiodicom.net.sources import Buffer

__all__ = ["Part", "Related"]


class Part(NamedTuple):
    """One part of a body."""

    media_type: str
    #: Bytes of the content.
    size: int
    #: Gives the content, each time it is called from its beginning: a request may have to be sent again.
    content: Callable[[], AsyncIterator[Buffer]]


class Related:
    """A multipart/related body of these parts; the boundary is random, so that no content has it."""

    def __init__(self, parts: Sequence[Part]) -> None:
        if not parts:
            raise ValueError("a multipart body has a part at least (RFC 2046 5.1)")
        self._boundary = secrets.token_hex(16)
        self._parts = [(self._head(part, is_first=not number), part) for number, part in enumerate(parts)]
        self._end = f"\r\n--{self._boundary}--\r\n".encode()
        #: Bytes of the body.
        self.size = sum(len(head) + part.size for head, part in self._parts) + len(self._end)

    @property
    def content_type(self) -> str:
        """The header field."""
        return f'multipart/related; type="{self._parts[0][1].media_type}"; boundary={self._boundary}'

    def _head(self, part: Part, *, is_first: bool) -> bytes:
        before = "" if is_first else "\r\n"
        return (
            f"{before}--{self._boundary}\r\nContent-Type: {part.media_type}\r\nContent-Length: {part.size}\r\n\r\n"
        ).encode("ascii")

    async def __aiter__(self) -> AsyncIterator[Buffer]:
        for head, part in self._parts:
            yield head
            async for piece in part.content():
                yield piece
        yield self._end
