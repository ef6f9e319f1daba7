"""An association alone: opened, and released."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from aiodicom.load.operations.operation import Outcome, Waiting

if TYPE_CHECKING:
    from aiodicom.load.attempts import Attempt
    from aiodicom.net.connect import ContextProposal

__all__ = ["Associate"]


class Associate(Waiting):
    """Opens an association besides the SCU's own, and releases it."""

    name = "associate-only"
    contexts: Sequence[ContextProposal] = ()

    async def __call__(self, attempt: Attempt) -> Outcome:
        association = await attempt.scu.open_another()
        await attempt.scu.release_another(association)
        return Outcome()
