"""What the log says of sub-operations that fail: of a thousand for the same reason not a thousand times the same."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Final, NamedTuple

from aiodicom.errors import AiodicomError, StatusError

if TYPE_CHECKING:
    from aiodicom.net.association import Association

__all__ = ["Failures"]

#: Reasons that are told apart: each object may have one of its own.
_MOST_REASONS: Final = 16


class _Reason(NamedTuple):
    level: int
    text: str


class Failures:
    """Logs the sub-operations of one retrieval that fail: the first for each reason, and in the end how many did."""

    def __init__(self, association: Association, service: str) -> None:
        self._association = association
        self._service = service
        self._counts: dict[_Reason, int] = {}

    def note(self, error: Exception) -> None:
        """A sub-operation has failed."""
        is_known = isinstance(error, (AiodicomError, OSError))
        # A failure status is the destination's affair; the rest is ours, or on the way.
        level = logging.ERROR if not is_known else logging.INFO if isinstance(error, StatusError) else logging.WARNING
        reason = _Reason(level, _text(error))
        if reason not in self._counts and len(self._counts) >= _MOST_REASONS:
            reason = _Reason(level, "other reasons")
        count = self._counts[reason] = self._counts.get(reason, 0) + 1
        if count > 1:
            return
        if is_known:
            self._association.log(level, "a sub-operation of %s failed: %s", self._service, reason.text)
        else:
            self._association.log(level, "a sub-operation of %s failed", self._service, error=error)

    def end(self) -> None:
        """No more will fail."""
        for reason, count in self._counts.items():
            if count > 1:
                text = "%s sub-operations of %s failed: %s"
                self._association.log(reason.level, text, f"{count:,}", self._service, reason.text)
        self._counts.clear()


def _text(error: Exception) -> str:
    """What may be logged of an error: which object it is would be in the name of its file."""
    if isinstance(error, AiodicomError):
        return str(error)
    return getattr(error, "strerror", None) or type(error).__name__
