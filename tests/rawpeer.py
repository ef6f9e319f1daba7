"""A scripted acceptor on a raw socket, for what no well-behaved peer does.

It encodes and decodes by itself, sharing nothing with aiodicom. A script is a function of one connection, run in a
thread for each connection that is made:

    def script(peer: Connection) -> None:
        peer.accept()
        request = peer.message()
        peer.send(response(request, status=0xA700))

    with RawPeer(script) as peer: ...      # peer.port

What a script raises fails the test at the end of the `with`, except that the other side went away.
"""

from __future__ import annotations

import contextlib
import socket
import struct
import threading
from collections.abc import Callable
from typing import NamedTuple

#: Seconds that a script waits for the other side before the test fails.
PATIENCE = 30.0

A_ASSOCIATE_RQ, A_ASSOCIATE_AC, A_ASSOCIATE_RJ, P_DATA_TF, A_RELEASE_RQ, A_RELEASE_RP, A_ABORT = range(1, 8)
C_STORE_RQ, C_STORE_RSP, C_ECHO_RQ, C_ECHO_RSP = 0x0001, 0x8001, 0x0030, 0x8030

IMPLICIT = "1.2.840.10008.1.2"


class Proposal(NamedTuple):
    """A proposed presentation context."""

    context_id: int
    abstract_syntax: str
    transfer_syntaxes: list[str]


class AssociateRequest(NamedTuple):
    """What an A-ASSOCIATE-RQ says."""

    called_aet: str
    calling_aet: str
    contexts: list[Proposal]
    max_pdu: int
    window: tuple[int, int] | None


class Message(NamedTuple):
    """A DIMSE message: the command set by element number in group 0000, values as they came."""

    context_id: int
    command: dict[int, bytes]
    data: bytes

    def number(self, element: int) -> int:
        """The value of a US element."""
        value: int = struct.unpack("<H", self.command[element])[0]
        return value

    def text(self, element: int) -> str:
        """The value of a UI element."""
        return self.command[element].rstrip(b"\0 ").decode()

    @property
    def has_data_set(self) -> bool:
        """Whether the command set says so."""
        return self.command[0x0800] != us(0x0101)

    @classmethod
    def of(cls, context_id: int, command: bytes, data: bytes) -> Message:
        """The message of an encoded command set."""
        return cls(context_id, _elements(command), data)


def pdu(pdu_type: int, body: bytes) -> bytes:
    """A PDU (PS3.8 9.3.1)."""
    return struct.pack(">BBI", pdu_type, 0, len(body)) + body


def item(item_type: int, value: bytes) -> bytes:
    """An item or sub-item."""
    return struct.pack(">BBH", item_type, 0, len(value)) + value


def items(data: bytes) -> list[tuple[int, bytes]]:
    """The items that `data` holds."""
    found = []
    while data:
        item_type, _, length = struct.unpack_from(">BBH", data)
        found.append((item_type, data[4 : 4 + length]))
        data = data[4 + length :]
    return found


def parse_request(body: bytes) -> AssociateRequest:
    """Decodes the body of an A-ASSOCIATE-RQ (PS3.8 9.3.2)."""
    contexts, max_pdu, window = [], 0, None
    for item_type, value in items(body[68:]):
        if item_type == 0x20:
            syntaxes = items(value[4:])
            abstract = next(name.decode() for kind, name in syntaxes if kind == 0x30)
            contexts.append(Proposal(value[0], abstract, [name.decode() for kind, name in syntaxes if kind == 0x40]))
        elif item_type == 0x50:
            for kind, information in items(value):
                if kind == 0x51:
                    (max_pdu,) = struct.unpack(">I", information)
                elif kind == 0x53:
                    window = struct.unpack(">HH", information)
    return AssociateRequest(body[4:20].decode().strip(), body[20:36].decode().strip(), contexts, max_pdu, window)


def accept_pdu(
    body: bytes,
    *,
    results: Callable[[Proposal], int] = lambda _: 0,
    max_pdu: int = 16384,
    window: tuple[int, int] | None = None,
    sub_items: bytes = b"",
) -> bytes:
    """An A-ASSOCIATE-AC (PS3.8 9.3.3) for the A-ASSOCIATE-RQ of this body; accepts each context's first syntax.

    `sub_items` end its user information."""
    request = parse_request(body)
    contexts = b"".join(
        item(
            0x21,
            bytes((context.context_id, 0, results(context), 0)) + item(0x40, context.transfer_syntaxes[0].encode()),
        )
        for context in request.contexts
    )
    user = item(0x51, struct.pack(">I", max_pdu)) + item(0x52, b"1.2.3.4")
    if window is not None:
        user += item(0x53, struct.pack(">HH", *window))
    application = item(0x10, b"1.2.840.10008.3.1.1.1")
    return pdu(A_ASSOCIATE_AC, body[:68] + application + contexts + item(0x50, user + sub_items))


def sub_items(body: bytes, item_type: int) -> list[bytes]:
    """The values of the user information sub-items of one type in an A-ASSOCIATE-RQ or -AC."""
    (information,) = (value for kind, value in items(body[68:]) if kind == 0x50)
    return [value for kind, value in items(information) if kind == item_type]


def command_set(elements: dict[int, bytes]) -> bytes:
    """A command set (PS3.7 6.3.1), implicit VR little endian, with its group length."""
    encoded = b"".join(struct.pack("<HHI", 0, number, len(value)) + value for number, value in sorted(elements.items()))
    return struct.pack("<HHII", 0, 0, 4, len(encoded)) + encoded


def p_data(context_id: int, command: dict[int, bytes] | bytes, data: bytes = b"") -> bytes:
    """A message in P-DATA-TF PDUs (PS3.8 9.3.5), one for the command set and one for the data set."""
    encoded = command if isinstance(command, bytes) else command_set(command)
    sent = pdu(P_DATA_TF, struct.pack(">IBB", len(encoded) + 2, context_id, 3) + encoded)
    if data:
        sent += pdu(P_DATA_TF, struct.pack(">IBB", len(data) + 2, context_id, 2) + data)
    return sent


def fragments_of(body: bytes) -> list[tuple[int, int, bytes]]:
    """Context ID, flags and fragment of each PDV in the body of a P-DATA-TF."""
    found = []
    while body:
        length, context_id, flags = struct.unpack_from(">IBB", body)
        found.append((context_id, flags, body[6 : 4 + length]))
        body = body[4 + length :]
    return found


def us(number: int) -> bytes:
    """A value of VR US."""
    return struct.pack("<H", number)


def ui(uid: str) -> bytes:
    """A value of VR UI."""
    return uid.encode() + b"\0" * (len(uid) % 2)


def response(
    request: Message,
    *,
    status: int = 0,
    field: int | None = None,
    message_id: int | None = None,
    context_id: int | None = None,
    comment: str | None = None,
) -> bytes:
    """The response to `request`, right unless told otherwise."""
    command = {
        0x0100: us(request.number(0x0100) | 0x8000 if field is None else field),
        0x0120: us(request.number(0x0110) if message_id is None else message_id),
        0x0800: us(0x0101),
        0x0900: us(status),
    }
    for element in (0x0002, 0x1000):
        if element in request.command:
            command[element] = request.command[element]
    if comment is not None:
        command[0x0902] = comment.encode() + b" " * (len(comment) % 2)
    return p_data(request.context_id if context_id is None else context_id, command)


class Gone(Exception):
    """The other side has closed the connection."""


class Connection:
    """One connection, from the peer's side."""

    def __init__(self, sock: socket.socket, ended: threading.Event) -> None:
        self.socket = sock
        self.request: AssociateRequest | None = None
        #: set when the test is over
        self.ended = ended

    def receive(self, size: int) -> bytes:
        """Exactly `size` bytes. Raises Gone at the end of the stream."""
        received = b""
        while len(received) < size:
            try:
                some = self.socket.recv(size - len(received))
            except ConnectionError:
                some = b""
            if not some:
                raise Gone
            received += some
        return received

    def receive_pdu(self) -> tuple[int, bytes]:
        """The type and the body of the next PDU."""
        pdu_type, _, length = struct.unpack(">BBI", self.receive(6))
        return pdu_type, self.receive(length)

    def expect(self, pdu_type: int) -> bytes:
        """The body of the next PDU, which is of this type. Raises Gone for an A-ABORT in its place."""
        received, body = self.receive_pdu()
        if received == A_ABORT != pdu_type:
            raise Gone
        assert received == pdu_type, f"received a PDU of type {received}, expected {pdu_type}"
        return body

    def send(self, data: bytes) -> None:
        """Sends all of it. Raises Gone."""
        try:
            self.socket.sendall(data)
        except ConnectionError:
            raise Gone from None

    def accept(
        self,
        *,
        results: Callable[[Proposal], int] = lambda _: 0,
        max_pdu: int = 16384,
        window: tuple[int, int] | None = None,
        sub_items: bytes = b"",
    ) -> AssociateRequest:
        """Accepts the association."""
        body = self.expect(A_ASSOCIATE_RQ)
        self.request = parse_request(body)
        self.send(accept_pdu(body, results=results, max_pdu=max_pdu, window=window, sub_items=sub_items))
        return self.request

    def message(self) -> Message | None:
        """The next message; None when the association was released, which has been answered."""
        command, data = b"", b""
        while True:
            pdu_type, body = self.receive_pdu()
            if pdu_type == A_RELEASE_RQ:
                assert not command
                self.send(pdu(A_RELEASE_RP, bytes(4)))
                return None
            if pdu_type == A_ABORT:
                raise Gone
            assert pdu_type == P_DATA_TF, f"received a PDU of type {pdu_type}"
            for context_id, flags, fragment in fragments_of(body):
                if flags & 1:
                    command += fragment
                else:
                    data += fragment
                if flags & 2:
                    message = Message.of(context_id, command, data)
                    if not flags & 1 or not message.has_data_set:
                        return message

    def serve(self, status: Callable[[Message], int] = lambda _: 0) -> list[Message]:
        """Answers every request with this status until the association is released; what was received."""
        received = []
        while (request := self.message()) is not None:
            received.append(request)
            self.send(response(request, status=status(request)))
        return received

    def stay_silent(self) -> None:
        """Reads and answers nothing, until the other side closes or the test is over."""
        with contextlib.suppress(Gone, TimeoutError):
            while not self.ended.is_set():
                self.receive(1)

    def reset(self) -> None:
        """Closes the connection with a TCP RST."""
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.socket.close()


def _elements(command: bytes) -> dict[int, bytes]:
    found = {}
    while command:
        _, number, length = struct.unpack_from("<HHI", command)
        found[number] = command[8 : 8 + length]
        command = command[8 + length :]
    return found


class RawPeer:
    """Listens on a loopback port and runs `script` for each connection."""

    def __init__(self, script: Callable[[Connection], object]) -> None:
        self._script = script
        self._listening = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listening.getsockname()[1]
        self._ended = threading.Event()
        self._threads: list[threading.Thread] = []
        self._sockets: list[socket.socket] = []
        self._failures: list[BaseException] = []
        #: how many connections have been made
        self.connections = 0
        self._accepting = threading.Thread(target=self._accept, daemon=True)

    def __enter__(self) -> RawPeer:
        self._accepting.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        self._ended.set()
        # Wakes accept(), which close() alone does not.
        with contextlib.suppress(OSError):
            self._listening.shutdown(socket.SHUT_RDWR)
        self._accepting.join(PATIENCE)
        self._listening.close()
        for sock in self._sockets:
            with contextlib.suppress(OSError):
                sock.shutdown(socket.SHUT_RDWR)
        for thread in self._threads:
            thread.join(PATIENCE)
            assert not thread.is_alive(), "a script of the raw peer does not end"
        for sock in self._sockets:
            sock.close()
        if self._failures and kind is None:
            raise self._failures[0]

    def _accept(self) -> None:
        while not self._ended.is_set():
            try:
                sock, _ = self._listening.accept()
            except OSError:
                return
            sock.settimeout(PATIENCE)
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            self._sockets.append(sock)
            self.connections += 1
            thread = threading.Thread(target=self._run, args=(sock,), daemon=True)
            self._threads.append(thread)
            thread.start()

    def _run(self, sock: socket.socket) -> None:
        try:
            self._script(Connection(sock, self._ended))
        except Gone:
            pass
        except BaseException as error:
            if not self._ended.is_set():
                self._failures.append(error)
        finally:
            with contextlib.suppress(OSError):
                sock.shutdown(socket.SHUT_RDWR)
            sock.close()
