"""Files: `deidentify_file`."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from aiodicom.part10.reader import dcmread
from aiodicom.part10.writer import replacing
from aiodicom.standard.uids import EXPLICIT_VR_LITTLE_ENDIAN

if TYPE_CHECKING:
    from collections.abc import Callable

    from aiodicom.dataset import Dataset

    from .deidentifier import Deidentifier

__all__ = ["deidentify_file"]


def deidentify_file(
    deidentifier: Deidentifier,
    source: str | os.PathLike[str],
    target: str | os.PathLike[str] | Callable[[Dataset], str | os.PathLike[str]],
    *,
    overwrite: bool = True,
    fsync: bool = False,
) -> Dataset:
    """Writes the object of a file without what identifies the patient (`Deidentifier.apply`), in its transfer syntax.

    The target, or what `target` makes of the de-identified data set, is written whole or not at all; folders to it are
    made. It may be the source. Without `overwrite`, a file that exists raises FileExistsError; with `fsync`, it is on
    the disk on return. Long values are copied in pieces. Returns the de-identified data set, of which long values are
    still in the source.

    Raises OSError, and what `Deidentifier.apply` raises.
    """
    from aiodicom.pixels.transcode import transcode_data_set

    result = deidentifier.apply(dcmread(source))
    meta = result.file_meta
    own = str(
        (meta is not None and meta.get("TransferSyntaxUID")) or result.transfer_syntax or EXPLICIT_VR_LITTLE_ENDIAN
    )
    transcoded = transcode_data_set(result, own)
    path = target(result) if callable(target) else target
    os.makedirs(os.path.dirname(os.path.abspath(path)), exist_ok=True)
    with replacing(path, fsync=fsync, overwrite=overwrite) as file:
        file.write(transcoded.head)
        for piece in transcoded.pieces:
            file.write(piece)
    return result
