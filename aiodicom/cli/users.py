"""Who may associate with storescp, by user name and password (PS3.7 D.3.3.7), as its worker processes verify it.

They do so without typer, which they do not need.
"""

from __future__ import annotations

import codecs
import logging
import os
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Final

from aiodicom.errors import LocalError
from aiodicom.ul.pdu import UserIdentityType

if TYPE_CHECKING:
    from aiodicom.net.association import Association
    from aiodicom.ul.pdu import UserIdentity

__all__ = ["Users", "read_users"]

#: Bytes of a user's name that are logged: a peer may send 64 KiB of them.
_SHOWN: Final = 64
#: What the password of who is nobody is compared with: to say no takes as long for a name that is unknown.
_NOBODY: Final = os.urandom(16)


class Users:
    """The users who are let in: each name as it is sent, and the password, or None where the name is enough."""

    def __init__(self, passwords: Mapping[bytes, bytes | None]) -> None:
        self._passwords = dict(passwords)

    def verify(self, identity: UserIdentity, association: Association) -> bool:
        """For `Server.on_user_identity`: logs who is accepted, and why another is not, never a password."""
        from hmac import compare_digest  # not for each command that has options of users

        kind = identity.identity_type
        if kind not in (UserIdentityType.USERNAME, UserIdentityType.USERNAME_AND_PASSCODE):
            association.log(logging.WARNING, "a user identity of type %d, not a user name (1, 2): rejected", kind)
            return False
        name = identity.primary_field
        shown = repr(name[:_SHOWN].decode(errors="replace"))
        password = self._passwords.get(name, _NOBODY)
        if password is None or compare_digest(identity.secondary_field, password):
            association.log(logging.INFO, "user %s is accepted", shown)
            return True
        if password is _NOBODY:
            association.log(logging.WARNING, "there is no user %s: rejected", shown)
        elif identity.secondary_field:
            association.log(logging.WARNING, "the password of user %s is wrong: rejected", shown)
        else:
            association.log(logging.WARNING, "user %s gives no password: rejected", shown)
        return False


def read_users(path: Path) -> dict[bytes, bytes]:
    """The users in a file of lines NAME:PASSWORD; empty lines and those that begin with # say nothing.

    Raises `LocalError`, which has nothing of a line in it but the name.
    """
    try:
        lines = path.read_bytes().removeprefix(codecs.BOM_UTF8).splitlines()
    except OSError as error:
        raise LocalError(f"{path}: {error.strerror}") from error
    users: dict[bytes, bytes] = {}
    for number, line in enumerate(lines, 1):
        if not line.strip() or line.startswith(b"#"):
            continue
        name, colon, password = line.partition(b":")
        if not (colon and name and password):
            raise LocalError(f"{path}: line {number} is not NAME:PASSWORD")
        if name in users:
            raise LocalError(f"{path}: line {number} has user {name.decode(errors='replace')!r} a second time")
        users[name] = password
    if not users:
        raise LocalError(f"{path} has no user: write lines of NAME:PASSWORD")
    return users
