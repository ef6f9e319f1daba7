"""PDUs and command sets as lines for people, for debugging; data sets and free text, which may tell of a patient, are
not shown.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Any

from aiodicom.dimse.command import decode_command
from aiodicom.dimse.messages import ELEMENTS, Message
from aiodicom.errors import AiodicomError
from aiodicom.standard.status import Status
from aiodicom.standard.uids import uid_name
from aiodicom.ul.codec import decode
from aiodicom.ul.framing import PduReader
from aiodicom.ul.pdu import (
    PDU,
    PDV,
    Abort,
    AssociateAC,
    AssociateRJ,
    AssociateRQ,
    PDataTF,
    ReleaseRP,
    ReleaseRQ,
    UserInformation,
)

__all__ = ["Tracer", "printable"]

#: What a peer writes for people may name one.
_MASKED = frozenset(("error_comment",))


class Tracer:
    """Writes a line for each PDU and for each command set of an association, by `emit(line)`."""

    def __init__(self, emit: Callable[[str], None]) -> None:
        self._received = _Direction("<-", emit)
        self._sent = _Direction("->", emit)

    def received(self, data: bytes | memoryview) -> None:
        """Takes bytes that came from the peer."""
        self._received.feed(data)

    def sent(self, data: bytes | memoryview) -> None:
        """Takes bytes that go to the peer."""
        self._sent.feed(data)


class _Direction:
    """One of the two byte streams; after the first thing that is no PDU it is silent."""

    def __init__(self, arrow: str, emit: Callable[[str], None]) -> None:
        self._arrow = arrow
        self._emit = emit
        self._reader: PduReader | None = PduReader()
        self._command = b""

    def feed(self, data: bytes | memoryview) -> None:
        if self._reader is None:
            return
        self._reader.feed(memoryview(data))
        try:
            while (found := self._reader.next_pdu()) is not None:
                for line in self._describe(decode(*found)):
                    self._emit(f"{self._arrow} {printable(line)}")
        except AiodicomError as error:
            self._emit(f"{self._arrow} no PDU: {printable(str(error))}")
            self._reader = None

    def _describe(self, pdu: PDU) -> Iterator[str]:
        match pdu:
            case AssociateRQ():
                yield f"A-ASSOCIATE-RQ called {pdu.called_ae_title!r} calling {pdu.calling_ae_title!r}"
                yield from _user_information(pdu.user_information)
                for proposed in pdu.contexts:
                    yield f"  context {proposed.context_id}: {_name(proposed.abstract_syntax)}"
                    for transfer_syntax in proposed.transfer_syntaxes:
                        yield f"    {_name(transfer_syntax)}"
            case AssociateAC():
                yield "A-ASSOCIATE-AC"
                yield from _user_information(pdu.user_information)
                for context in pdu.results:
                    chosen = f": {_name(context.transfer_syntax)}" if context.result == 0 else ""
                    yield f"  context {context.context_id}: result {int(context.result)}{chosen}"
            case AssociateRJ():
                yield f"A-ASSOCIATE-RJ result {pdu.result} source {pdu.source} reason {pdu.reason}"
            case PDataTF():
                for pdv in pdu.pdvs:
                    yield from self._fragment(pdv)
            case ReleaseRQ():
                yield "A-RELEASE-RQ"
            case ReleaseRP():
                yield "A-RELEASE-RP"
            case Abort():
                yield f"A-ABORT source {pdu.source} reason {pdu.reason}"

    def _fragment(self, pdv: PDV) -> Iterator[str]:
        kind = "command" if pdv.is_command else "data set"
        last = ", last" if pdv.is_last else ""
        yield f"P-DATA-TF context {pdv.context_id}, {kind} fragment of {len(pdv.data)} bytes{last}"
        if not pdv.is_command:
            return
        self._command += pdv.data
        if pdv.is_last:
            command, self._command = self._command, b""
            yield f"  {_message(decode_command(command))}"


def printable(text: str) -> str:
    """Returns what a peer has written such that it stays on its line and does nothing to a terminal."""
    if text.isprintable():
        return text
    return "".join(character if character.isprintable() else repr(character)[1:-1] for character in text)


def _name(uid: str) -> str:
    name = uid_name(uid)
    return uid if name == uid else f"{uid} {name}"


def _user_information(information: UserInformation) -> Iterable[str]:
    window = information.asynchronous_operations_window
    parts = [
        f"maximum length {information.maximum_length}",
        f"implementation {information.implementation_class_uid} {information.implementation_version_name}".rstrip(),
    ]
    if window is not None:
        parts.append(f"asynchronous operations {window.invoked}/{window.performed}")
    if information.user_identity is not None:
        parts.append(f"user identity of type {information.user_identity.identity_type} (masked)")
    if information.user_identity_response is not None:
        parts.append("user identity response (masked)")
    yield "  " + ", ".join(parts)
    for role in information.roles:
        roles = " and ".join(name for name, has in (("SCU", role.scu), ("SCP", role.scp)) if has)
        yield f"  requestor is {roles or 'neither SCU nor SCP'} of {_name(role.sop_class_uid)}"
    for extended in information.extended:
        size = len(extended.application_information)
        yield f"  {_name(extended.sop_class_uid)}: {size} bytes of extended negotiation"
    for common in information.common_extended:
        related = ", ".join(map(_name, common.related_general_sop_class_uids)) or "no other SOP class"
        yield f"  {_name(common.sop_class_uid)}: of {_name(common.service_class_uid)}, related to {related}"


def _message(message: Message) -> str:
    kind = "RSP" if hasattr(message, "status") else "RQ"
    parts = []
    for name in ELEMENTS:
        value: Any = getattr(message, name, None)
        if value is None or value == () or name == "has_data_set":
            continue
        if isinstance(value, Status):
            value = f"{value:04X}H {value.name}"
        parts.append(f"{name} {'(masked)' if name in _MASKED else value}")
    return f"{message.SERVICE}-{kind} {', '.join(parts)}{', data set follows' if message.has_data_set else ''}"
