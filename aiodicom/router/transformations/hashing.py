"""Keyed hashes in place of values."""

from __future__ import annotations

import base64
import hashlib
import hmac
from collections.abc import Sequence
from typing import Any

from aiodicom.dataset import Dataset
from aiodicom.router.conditions.kinds import vr_of
from aiodicom.router.conditions.reading import find_tag
from aiodicom.router.conditions.syntax import Path
from aiodicom.router.origin import Origin
from aiodicom.router.transformations.attributes import LONGEST, check_everywhere, holders_of, replace_values
from aiodicom.router.transformations.pipeline import Change
from aiodicom.standard.uids import standard_uids

__all__ = ["hashing"]


def hashing(paths: Sequence[Path], key: bytes, length: int, everywhere: bool) -> Change:
    """Puts hashes in the place of values: HMAC with SHA-256. UIDs become UIDs, but for those of the standard; texts
    `length` letters and digits. Raises ValueError for attributes that neither can stand in.
    """
    check_everywhere(paths, everywhere)
    for path in paths:
        vr = vr_of(path.steps[-1].tag)
        if vr not in LONGEST:
            raise ValueError(f"{path} ({vr}) has no values that a hash could stand in the place of")
        if vr != "UI" and length > LONGEST[vr]:
            raise ValueError(f"{path} ({vr}) has {LONGEST[vr]} characters at the most: length = {length} is too much")
    standard = standard_uids()

    def digest(value: Any) -> bytes:
        return hmac.digest(key, str(value).strip(" ").encode(), hashlib.sha256)

    def hashed_uid(value: Any) -> str:
        return str(value) if value in standard else f"2.25.{int.from_bytes(digest(value)[:16], 'big')}"

    def hashed_text(value: Any) -> str:
        return base64.b32encode(digest(value)).decode()[:length]

    def change(data_set: Dataset, origin: Origin) -> Dataset:
        for path in paths:
            tag = path.steps[-1].tag
            hashed = hashed_uid if vr_of(tag) == "UI" else hashed_text
            for holder in holders_of(data_set, path, everywhere):
                found = find_tag(holder, tag)
                if found is not None:
                    replace_values(holder, found, hashed)
        return data_set

    return change
