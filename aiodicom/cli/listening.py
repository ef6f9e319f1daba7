"""What commands share that listen or write to a folder: the faults of both in words, and where to listen."""

from __future__ import annotations

import errno
import os
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import fields, replace
from typing import TYPE_CHECKING, Annotated

import typer

from aiodicom.cli import streams
from aiodicom.cli.security import ClientTLS, ServerTLS
from aiodicom.errors import LocalError
from aiodicom.store.files import Folder

if TYPE_CHECKING:
    from aiodicom.net.association import Association
    from aiodicom.net.server import Listening, Server

__all__ = [
    "Bind",
    "ListeningPort",
    "TLSListener",
    "advice_on_binding",
    "announce",
    "check_folder",
    "listen_beside",
    "named_folder",
]

ListeningPort = Annotated[
    int | None,
    typer.Option(
        "--port", metavar="PORT", min=0, max=65535, show_default=False, help="TCP port to listen on; 0: a free one."
    ),
]
Bind = Annotated[
    str | None,
    typer.Option(
        "--bind",
        metavar="ADDRESS",
        show_default="the one that we reach the peer from",
        help="Address to listen on; 0.0.0.0 or :: for every one.",
    ),
]
TLSListener = Annotated[
    bool, typer.Option("--tls-listener", help="What comes to --port comes with TLS, too; this needs --cert.")
]

#: What to do about an address that can't be listened on.
_BINDING = {
    errno.EADDRINUSE: "choose another port, or end what listens there",
    errno.EACCES: "choose a port from 1024 on, or run as root",
    errno.EADDRNOTAVAIL: "name an address of this machine",
    errno.EAFNOSUPPORT: "this machine has no addresses of that kind",
}


def named_folder(value: str | None) -> str | None:
    """The callback of -od."""
    if value == "":
        raise typer.BadParameter("a folder has a name; this one is .")
    return value


def check_folder(path: str) -> None:
    """Makes the folder of -od if it is missing. Raises `LocalError` for what is none or may not be written."""
    try:
        Folder(path).close()
    except (FileExistsError, NotADirectoryError) as error:
        what = os.strerror(errno.ENOTDIR)
        raise LocalError(f"{error.filename or path}: {what} (give -od a folder, or the name of a new one)") from error
    except OSError as error:
        if error.errno not in (errno.EACCES, errno.EPERM, errno.EROFS):
            raise
        raise LocalError(
            f"{error.filename or path}: {error.strerror} (give -od a folder that this user may write)"
        ) from error


@contextmanager
def advice_on_binding() -> Iterator[None]:
    """Has the faults of listening say what to do about them."""
    try:
        yield
    except OSError as error:
        if error.errno not in _BINDING:
            raise
        raise LocalError(f"{error.strerror} ({_BINDING[error.errno]})") from error


def announce(addresses: Iterable[tuple[str, int]]) -> None:
    """Says where somebody listens."""
    where = ", ".join(f"{f'[{host}]' if ':' in host else host}:{port}" for host, port in addresses)
    streams.tell(f"listening on {where}")


def _server_tls(client: ClientTLS) -> ServerTLS:
    """The options of a client as those of a server: the same certificates, and the same authorities."""
    names = {field.name for field in fields(ServerTLS)} & {field.name for field in fields(ClientTLS)}
    return replace(ServerTLS(**{name: getattr(client, name) for name in names}), tls=True)


async def listen_beside(
    association: Association, server: Server, port: int, *, bind: str | None, security: ClientTLS, is_tls: bool
) -> Listening:
    """Has `server` listen for what the peer of an association opens in its turn, and says where.

    Without `bind`, on the address that the association comes from. Raises `LocalError`.
    """
    context = _server_tls(security).context() if is_tls else None
    host = bind or association.local.rpartition(":")[0].strip("[]")
    with advice_on_binding():
        listening = await server.listen(host, port, ssl=context)
    announce(listening.addresses)
    return listening
