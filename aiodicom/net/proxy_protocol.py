"""The PROXY protocol, version 2: a load balancer says in front of everything else whose connection it passes on.

The document is HAProxy's proxy-protocol.txt; the sections named here are its.
"""

from __future__ import annotations

import asyncio
import os
import socket
import struct
from collections.abc import Callable, Iterable
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network

from aiodicom.errors import LocalError
from aiodicom.net.sockets import address_text

__all__ = ["HeaderError", "HeaderReader", "Trusted", "body_length", "client_of", "trusted"]

#: The networks whose load balancers are believed; none stands for every one.
Trusted = tuple[IPv4Network | IPv6Network, ...]

SIGNATURE = b"\r\n\r\n\0\r\nQUIT\n"
#: Bytes of the header up to its addresses, which its length is the last field of.
PREFIX_LENGTH = 16
#: Bytes of addresses and TLVs that are read. A client's certificate among them has room; nobody sends the 64 KiB that
#: could be said.
MOST = 4096

_LOCAL, _PROXY = 0x20, 0x21
_UNSPECIFIED = 0x00
#: Family and transport (2.2), with the format of the addresses: source, destination, then the ports.
_TCP4, _TCP6, _UNIX_STREAM = 0x11, 0x21, 0x31
_ADDRESSES = {
    _TCP4: struct.Struct("!4s4sHH"),
    _TCP6: struct.Struct("!16s16sHH"),
    _UNIX_STREAM: struct.Struct("108s108s"),
}
_TLV = struct.Struct("!BH")
_CRC32C = 0x03
_CRC32C_LENGTH = 4


class HeaderError(Exception):
    """What came is no header of the PROXY protocol, version 2."""


def trusted(
    given: bool | Iterable[str | IPv4Network | IPv6Network],
    path: str | os.PathLike[str] | None = None,
    sock: socket.socket | None = None,
) -> Trusted | None:
    """Returns what `proxy_protocol=` says beside where to listen; None where no header is expected. Raises `LocalError`
    for no network.
    """
    if isinstance(given, bool):
        return () if given else None
    if path is not None or (sock is not None and sock.family == socket.AF_UNIX):
        raise LocalError("who connects to a unix socket is in no network: proxy_protocol=True")
    if isinstance(given, str):  # one network, not its letters
        given = [given]
    try:
        networks = tuple(ip_network(each) for each in given)
    except TypeError:
        raise LocalError(f"proxy_protocol={given!r} is none: give True, or the networks of load balancers") from None
    except ValueError as error:
        raise LocalError(f"a source of the PROXY protocol is to be a network: {error}") from None
    if not networks:
        raise LocalError("the PROXY protocol from no network at all would let nobody in: True is any source")
    return networks


def body_length(prefix: bytes) -> int:
    """Returns how many bytes come after the first 16. Raises `HeaderError`."""
    _check_signature(prefix)
    if prefix[12] not in (_LOCAL, _PROXY):
        raise HeaderError(f"version and command {prefix[12]:02X}H are none of the PROXY protocol, version 2")
    length = int.from_bytes(prefix[14:16], "big")
    if length > MOST:
        raise HeaderError(f"a PROXY protocol header of {length:,} bytes is longer than {MOST:,}")
    return length


def _check_signature(beginning: bytes) -> None:
    if not SIGNATURE.startswith(beginning[: len(SIGNATURE)]):
        raise HeaderError("it does not begin with a header of the PROXY protocol, version 2")


def client_of(prefix: bytes, body: bytes) -> str | None:
    """Returns the address of the client; None where the connection is the load balancer's own, or it does not say.

    Raises `HeaderError`.
    """
    family = prefix[13]
    if prefix[12] == _LOCAL or family == _UNSPECIFIED:
        return None
    addresses = _ADDRESSES.get(family)
    if addresses is None:
        raise HeaderError(f"family and transport {family:02X}H of the PROXY protocol are not those of a stream")
    if len(body) < addresses.size:
        raise HeaderError("the addresses in the PROXY protocol header end too early")
    _check_tlvs(prefix + body, PREFIX_LENGTH + addresses.size)
    fields = addresses.unpack_from(body)
    if family == _TCP4:
        return f"{IPv4Address(fields[0])}:{fields[2]}"
    if family == _TCP6:
        return f"[{IPv6Address(fields[0])}]:{fields[2]}"
    return address_text(fields[0].partition(b"\0")[0]) or "unix socket"


def _check_tlvs(header: bytes, offset: int) -> None:
    """Walks the TLVs behind the addresses (2.2.1 on), of which the checksum alone says something to us."""
    while offset < len(header):
        if offset + _TLV.size > len(header):
            raise HeaderError("a TLV in the PROXY protocol header ends too early")
        kind, length = _TLV.unpack_from(header, offset)
        offset += _TLV.size
        if offset + length > len(header):
            raise HeaderError("a TLV in the PROXY protocol header ends too early")
        if kind == _CRC32C:
            if length != _CRC32C_LENGTH:
                raise HeaderError("the checksum in the PROXY protocol header is not 4 bytes")
            said = int.from_bytes(header[offset : offset + length], "big")
            if said != crc32c(header[:offset] + bytes(length) + header[offset + length :]):
                raise HeaderError("the checksum in the PROXY protocol header is wrong")
        offset += length


def _table() -> list[int]:
    table = []
    for byte in range(256):
        for _ in range(8):
            byte = byte >> 1 ^ (0x82F63B78 if byte & 1 else 0)
        table.append(byte)
    return table


_CRC_TABLE = _table()


def crc32c(data: bytes) -> int:
    """Returns the CRC of Castagnoli's polynomial (RFC 3720 B.4)."""
    crc = 0xFFFFFFFF
    for byte in data:
        crc = crc >> 8 ^ _CRC_TABLE[(crc ^ byte) & 0xFF]
    return crc ^ 0xFFFFFFFF


class HeaderReader:
    """Reads the header from a connection, and not one byte of what comes behind it.

    `done` is called once, with the client's address and None, or with None and what was wrong; not if it is cancelled.
    Invariant: the loop watches the connection exactly while `_is_watched`.
    """

    def __init__(
        self,
        connection: socket.socket,
        networks: Trusted,
        timeout: float | None,
        done: Callable[[HeaderReader, str | None, Exception | None], None],
    ) -> None:
        self.connection = connection
        self._networks = networks
        self._timeout = timeout
        self._done = done
        self._loop = asyncio.get_running_loop()
        self._received = bytearray()
        self._wanted = PREFIX_LENGTH
        self._is_watched = False
        self._timer: asyncio.TimerHandle | None = None

    def start(self) -> None:
        """Reads what there is, which as a rule is all, and waits for the rest."""
        self.connection.setblocking(False)
        self._read()

    def cancel(self) -> None:
        """Reads no more."""
        if self._is_watched:
            self._is_watched = False
            self._loop.remove_reader(self.connection.fileno())
        if self._timer is not None:
            self._timer.cancel()

    def _read(self) -> None:
        try:
            if not self._received:
                self._check_source()
            while len(self._received) < self._wanted:
                some = self.connection.recv(self._wanted - len(self._received))
                if not some:
                    raise HeaderError("it ended in front of or within the PROXY protocol header")
                self._received += some
                if len(self._received) <= PREFIX_LENGTH:
                    self._look_at_prefix()
            prefix, body = bytes(self._received[:PREFIX_LENGTH]), bytes(self._received[PREFIX_LENGTH:])
            client = client_of(prefix, body)
        except (BlockingIOError, InterruptedError):
            self._wait()
        except (HeaderError, OSError) as error:
            self._end(None, error)
        else:
            self._end(client, None)

    def _look_at_prefix(self) -> None:
        prefix = bytes(self._received)
        _check_signature(prefix)  # of what there is so far: what is wrong already need not wait for more
        if len(prefix) == PREFIX_LENGTH:
            self._wanted = PREFIX_LENGTH + body_length(prefix)

    def _check_source(self) -> None:
        if not self._networks:
            return
        host = ip_address(self.connection.getpeername()[0].partition("%")[0])
        host = getattr(host, "ipv4_mapped", None) or host
        if not any(host in network for network in self._networks):
            raise HeaderError(f"{host} is not among the sources of the PROXY protocol")

    def _wait(self) -> None:
        if self._is_watched:
            return
        self._is_watched = True
        self._loop.add_reader(self.connection.fileno(), self._read)
        if self._timeout is not None:
            self._timer = self._loop.call_later(self._timeout, self._on_timeout)

    def _on_timeout(self) -> None:
        self._end(None, HeaderError(f"no PROXY protocol header within {self._timeout:g} s"))

    def _end(self, client: str | None, error: Exception | None) -> None:
        self.cancel()
        self._done(self, client, error)
