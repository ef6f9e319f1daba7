"""Where an object came from: `Origin`."""

from __future__ import annotations

from typing import NamedTuple

__all__ = ["ORIGIN_NAMES", "Origin"]


class Origin(NamedTuple):
    """What the association says that brought an object: what conditions can ask for beside the data set."""

    #: AE title of who sent it, and the one that it called.
    calling_aet: str
    called_aet: str
    #: Address of who sent it, such as ``10.1.2.3``.
    peer: str = ""
    #: UID of the transfer syntax that it came in.
    transfer_syntax: str = ""


#: What conditions call them.
ORIGIN_NAMES = Origin._fields
