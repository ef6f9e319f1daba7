"""C-ECHO (PS3.4 annex A)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from aiodicom.load.operations.operation import Outcome
from aiodicom.net.unawaited import begin_echo
from aiodicom.standard.uids import VERIFICATION

if TYPE_CHECKING:
    from aiodicom.load.attempts import Attempt
    from aiodicom.net.association import Association
    from aiodicom.net.connect import ContextProposal

__all__ = ["Echo"]


class Echo:
    """Verifies that the peer answers."""

    name = "echo"
    contexts: Sequence[ContextProposal] = (VERIFICATION,)
    is_receiving = False

    def begin(self, association: Association, attempt: Attempt) -> bool:
        return begin_echo(association, attempt)

    async def __call__(self, attempt: Attempt) -> Outcome:
        response = await (await attempt.associate()).c_echo()
        return Outcome(response.status)
