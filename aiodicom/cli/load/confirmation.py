"""Whoever loads a peer that is not this machine is asked whether that is what they mean."""

from __future__ import annotations

import ipaddress
import socket
import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING

import typer

from aiodicom.cli import output

if TYPE_CHECKING:
    from aiodicom.load.scenario import Target

__all__ = ["confirm"]


def confirm(command: str, targets: Sequence[Target], yes: bool) -> None:
    """Has the host typed of each target that is not loopback, unless `yes`. Otherwise exits with code 2."""
    for host in dict.fromkeys(target.host for target in targets):
        if yes or _is_loopback(host):
            continue
        if not sys.stdin.isatty():
            output.note(command, f"{host} is not this machine: give --yes if it is to be loaded")
            raise typer.Exit(2)
        typed = typer.prompt(f"This loads {host}. Type its name to go on", default="", show_default=False, err=True)
        if typed.strip() != host:
            output.note(command, f"that was not {host}: nothing has been done")
            raise typer.Exit(2)


def _is_loopback(host: str) -> bool:
    """Whether all addresses of a host are of this machine's loopback interface."""
    try:
        addresses = {str(entry[4][0]) for entry in socket.getaddrinfo(host, None)}
    except (OSError, UnicodeError):
        return False
    return all(ipaddress.ip_address(address.partition("%")[0]).is_loopback for address in addresses)
