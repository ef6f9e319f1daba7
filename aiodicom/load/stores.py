"""What a load stores: synthetic instances, or files again and again."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from typing import TYPE_CHECKING, Protocol

from aiodicom.load.synthetic import SyntheticCT
from aiodicom.net.sources import KnownFile
from aiodicom.ul.pdu import MOST_CONTEXTS

if TYPE_CHECKING:
    from aiodicom.net.association import Association

__all__ = ["FileStore", "Store", "SyntheticStore"]


class Store(Protocol):
    """Stores one object on the association and returns the bytes of its data set."""

    #: what an association has to propose for it, at most `MOST_CONTEXTS`
    contexts: Sequence[tuple[str, Sequence[str]]]

    async def __call__(self, association: Association) -> int: ...


class SyntheticStore:
    """Synthetic CT images, each a new instance."""

    def __init__(self, series: SyntheticCT) -> None:
        self._series = series
        self.contexts: Sequence[tuple[str, Sequence[str]]] = [(series.sop_class_uid, [series.transfer_syntax])]

    async def __call__(self, association: Association) -> int:
        instance = self._series.next()
        await association.c_store(instance.source)
        return instance.size


class FileStore:
    """These files in turn, as they are. Raises ValueError for none, or for more kinds than an association carries."""

    def __init__(self, files: Sequence[KnownFile]) -> None:
        if not files:
            raise ValueError("no DICOM files to send")
        kinds = sorted({(file.meta.sop_class_uid, file.meta.transfer_syntax) for file in files})
        most = MOST_CONTEXTS - 1  # C-ECHO needs one too
        if len(kinds) > most:
            raise ValueError(f"{len(kinds)} kinds of objects are more than the {most} that fit into one association")
        self.contexts: Sequence[tuple[str, Sequence[str]]] = [(sop_class, [syntax]) for sop_class, syntax in kinds]
        self._files = itertools.cycle(files)

    async def __call__(self, association: Association) -> int:
        file = next(self._files)
        await association.c_store(file)
        return file.size - file.meta.data_offset
