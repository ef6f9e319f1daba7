"""What replaces UIDs, identifiers and dates: values that follow from a key, the same at any time and on any node."""

from __future__ import annotations

import base64
import hmac
from functools import lru_cache
from typing import Final

from aiodicom.errors import LocalError

__all__ = ["SHORTEST_KEY", "Mapping"]

#: Bytes of a key; random ones, as `aiodicom.deidentify.new_key` makes them.
SHORTEST_KEY: Final = 16

#: What all UIDs of the standard begin with (PS3.5 9.1): they name kinds of things, not things.
_OF_THE_STANDARD: Final = "1.2.840.10008."

#: UIDs and identifiers that are remembered: those of a study come again with each of its objects.
_REMEMBERED: Final = 4096


class Mapping:
    """Replacements by keyed hash (HMAC with SHA-256). Who has no key can neither repeat nor undo them."""

    def __init__(self, key: bytes) -> None:
        if len(key) < SHORTEST_KEY:
            raise LocalError(f"a key of {len(key)} bytes is too short: at least {SHORTEST_KEY}, random ones")
        self._key = bytes(key)
        #: The replacement of a UID.
        self.uid = lru_cache(_REMEMBERED)(self._uid)
        #: A replacement for an identifier of a kind, of as many characters as asked for.
        self.pseudonym = lru_cache(_REMEMBERED)(self._pseudonym)

    def _hash(self, kind: str, value: str) -> bytes:
        return hmac.digest(self._key, f"{kind}\0{value}".encode("utf-8", "surrogatepass"), "sha256")

    def _uid(self, uid: str) -> str:
        """A UID under 2.25 (PS3.5 B.2), of a UUID of version 8 (RFC 9562); UIDs of the standard stay."""
        if uid.startswith(_OF_THE_STANDARD) or not uid:
            return uid
        number = int.from_bytes(self._hash("uid", uid)[:16], "big")
        number = number & ~(0xF << 76) & ~(0x3 << 62) | 0x8 << 76 | 0x2 << 62
        return f"2.25.{number}"

    def _pseudonym(self, kind: str, value: str, length: int) -> str:
        return base64.b32encode(self._hash(kind, value)).decode()[:length]

    def days(self, patient: str, most: int) -> int:
        """By how many days, from 1 to `most`, the dates of a patient go back."""
        return 1 + int.from_bytes(self._hash("days", patient)[:8], "big") % most
