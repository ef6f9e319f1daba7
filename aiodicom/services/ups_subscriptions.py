"""Who is told of which Unified Procedure Steps: the subscription states of PS3.4 CC.2.3."""

from __future__ import annotations

from typing import Final, NamedTuple

from aiodicom.dataset import Dataset
from aiodicom.errors import OperationRefused
from aiodicom.services.matching import Keys
from aiodicom.services.reporting import Target
from aiodicom.standard.status import Status

__all__ = ["Subscriptions"]

#: Application entities that may subscribe.
_MOST: Final = 1000


class _Global(NamedTuple):
    """A global subscription, of all steps or of those that match."""

    keys: Keys | None
    has_lock: bool


class Subscriptions:
    """Subscriptions by AE title: to all steps that are created from now on, and to single ones, each with a deletion
    lock or without. They are in memory.
    """

    def __init__(self) -> None:
        self._targets: dict[str, Target] = {}
        self._global: dict[str, _Global] = {}
        self._specific: dict[str, dict[str, bool]] = {}

    def know(self, target: Target) -> None:
        """Remembers where an AE is. Raises `OperationRefused` with 0213H for too many."""
        assert target.ae_title is not None
        if target.ae_title not in self._targets and len(self._targets) >= _MOST:
            raise OperationRefused(Status.RESOURCE_LIMITATION, "too many subscribers")
        self._targets[target.ae_title] = target

    def target(self, ae_title: str) -> Target:
        """Where an AE that is known is."""
        return self._targets[ae_title]

    def subscribe(self, ae_title: str, sop_instance_uid: str, has_lock: bool) -> None:
        """Subscribes an AE to one step."""
        self._specific.setdefault(sop_instance_uid, {})[ae_title] = has_lock

    def subscribe_globally(self, ae_title: str, keys: Keys | None, has_lock: bool) -> None:
        """Subscribes an AE to the steps that are created from now on, if `keys` is given to those that match."""
        self._global[ae_title] = _Global(keys, has_lock)

    def suspend(self, ae_title: str) -> None:
        """Ends the global subscription of an AE, and leaves those to single steps."""
        self._global.pop(ae_title, None)

    def unsubscribe(self, ae_title: str, sop_instance_uid: str | None = None) -> None:
        """Ends the subscription of an AE to one step, or all that it has."""
        for uid in [sop_instance_uid] if sop_instance_uid is not None else list(self._specific):
            subscribers = self._specific.get(uid, {})
            subscribers.pop(ae_title, None)
            if not subscribers:
                self._specific.pop(uid, None)
        if sop_instance_uid is None:
            self._global.pop(ae_title, None)

    def created(self, sop_instance_uid: str, step: Dataset) -> None:
        """A step is new: who is subscribed globally is subscribed to it."""
        for ae_title, (keys, has_lock) in self._global.items():
            if keys is None or keys.match(step):
                self.subscribe(ae_title, sop_instance_uid, has_lock)

    def subscribers(self, sop_instance_uid: str) -> list[Target]:
        """Who is told of a step."""
        return [self._targets[ae_title] for ae_title in self._specific.get(sop_instance_uid, ())]

    def is_subscribed(self, ae_title: str, sop_instance_uid: str) -> bool:
        """Whether an AE is told of a step."""
        return ae_title in self._specific.get(sop_instance_uid, ())

    def is_locked(self, sop_instance_uid: str) -> bool:
        """Whether an AE has a deletion lock on a step."""
        return any(self._specific.get(sop_instance_uid, {}).values())
