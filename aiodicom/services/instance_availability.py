"""The Instance Availability Notification service class as SCP (PS3.4 annex R)."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Final

from aiodicom.errors import OperationRefused
from aiodicom.net.answers import Answer
from aiodicom.services.decoding import attributes_of
from aiodicom.services.dispatch import attach, heard
from aiodicom.standard.dictionary import tag_for_keyword
from aiodicom.standard.status import Status
from aiodicom.standard.uids import INSTANCE_AVAILABILITY_NOTIFICATION

if TYPE_CHECKING:
    from aiodicom.dataset import Dataset
    from aiodicom.net.handlers import Handlers
    from aiodicom.net.requests import NCreateRequest

__all__ = ["InstanceAvailability"]

#: Attributes of type 1 (PS3.4 table R.3.2-1).
_REQUIRED: Final = ("StudyInstanceUID", "ReferencedSeriesSequence")


class InstanceAvailability:
    """Performs N-CREATE of instance availability notifications.

    `notified`: a function, plain or ``async``, that is told each: its SOP Instance UID and its attributes, which name
    a study, its series and instances, where they can be retrieved, and their Instance Availability. Success is answered
    once it has returned; it may raise `OperationRefused`.
    """

    def __init__(self, notified: Callable[[str, Dataset], Awaitable[None] | None]) -> None:
        self._notified = notified

    def attach(self, handlers: Handlers) -> None:
        """Has this perform what a server is asked in contexts of the SOP class."""
        attach(handlers, [INSTANCE_AVAILABILITY_NOTIFICATION], on_n_create=self.create)

    async def create(self, request: NCreateRequest) -> Answer:
        """Answers an N-CREATE (PS3.4 R.3.2.1), for a handler of your own. Raises `OperationRefused`."""
        notification = attributes_of(request)
        for keyword in _REQUIRED:
            element = notification.data_element(keyword)
            if element is None or element.is_empty:
                status = Status.MISSING_ATTRIBUTE if element is None else Status.MISSING_ATTRIBUTE_VALUE
                raise OperationRefused(status, f"{keyword} is missing", (tag_for_keyword(keyword) or 0,))
        await heard(self._notified(request.sop_instance_uid, notification))
        return Answer(sop_instance_uid=request.sop_instance_uid)
