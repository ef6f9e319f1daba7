"""What an association hands to its transport, write by write."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import aiodicom


class Recording:
    """Stands between an association and asyncio's transport; `writes` has the buffers of each write."""

    def __init__(self, association: aiodicom.Association) -> None:
        self.writes: list[list[Any]] = []
        self._connection = association.transport.connection
        association.transport.divert(self)

    def write(self, buffer: Any) -> None:
        self.writes.append([buffer])
        self._connection.write(buffer)

    def writelines(self, buffers: Sequence[Any]) -> None:
        self.writes.append(list(buffers))
        self._connection.writelines(buffers)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._connection, name)
