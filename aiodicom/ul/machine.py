"""The state machine of one association (PS3.8 9.2): `table` run, without IO and without a clock."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

from aiodicom.errors import LocalError
from aiodicom.ul.codec import decode, encode
from aiodicom.ul.events import (
    AbortIndication,
    AssociateConfirm,
    AssociateIndication,
    AssociateRejected,
    DataIndication,
    Indication,
    ProviderAbortIndication,
    ReleaseConfirm,
    ReleaseIndication,
)
from aiodicom.ul.pdu import (
    PDU,
    Abort,
    AbortReason,
    AssociateAC,
    AssociateRJ,
    AssociateRQ,
    PDataTF,
    PduError,
    PduType,
    ReleaseRP,
    ReleaseRQ,
)
from aiodicom.ul.table import ACTIONS, Event, Outcome, State, action_of

__all__ = ["Machine", "allows_data"]


class Machine:
    """One association's protocol machine. It never waits: it is told events and the time, and says what is to be done.

    The owner sends what is in ``outgoing``, in order, and empties it; connects when ``connecting`` is set; closes the
    transport once ``closing`` is set and everything is sent; and calls `handle_timer` at ``deadline``.

    Invariants: ``deadline`` is set in Sta2 and Sta13 alone, and never when ARTIM is off. A `LocalError` changes
    nothing. A machine serves one association.
    """

    __slots__ = ("_request", "acceptor", "artim", "closing", "connecting", "deadline", "outgoing", "state")

    #: where the association is
    state: State
    #: whether the peer opened the transport connection
    acceptor: bool
    #: the ARTIM timer's length in seconds, None for off
    artim: float | None
    #: when the ARTIM timer expires, in the time that `handle` is told; None while it is stopped
    deadline: float | None
    #: encoded PDUs to send
    outgoing: list[bytes]
    #: a transport connection is wanted
    connecting: bool
    #: the transport connection is to be closed
    closing: bool

    def __init__(self, *, acceptor: bool, artim: float | None = 30.0) -> None:
        self.state = State.Sta1
        self.acceptor = acceptor
        self.artim = artim
        self.deadline = None
        self.outgoing = []
        self.connecting = False
        self.closing = False
        self._request = b""

    def handle(
        self,
        event: Event,
        now: float,
        pdu: PDU | bytes | None = None,
        reason: int = 0,
        *,
        reject: AssociateRJ | None = None,
        detail: str = "",
    ) -> Indication | None:
        """Do the action of table 9-10 for ``event``.

        ``pdu`` is what was received, or what is to be sent, that also encoded already: the A-ASSOCIATE-RQ goes with
        the A-ASSOCIATE request, and is sent once the transport is connected. ``reason`` and ``detail`` go into an
        abort by our provider. ``reject`` is for an A-ASSOCIATE-RQ that the provider cannot accept (AE-6).

        Raises `LocalError` for an event whose cell is blank and for a PDU that is not the one to send; nothing has
        changed then.
        """
        cell = _CELLS[self.state][event]
        if cell is None:
            raise LocalError(f"{event.description}: not possible in {self.state.name}, {self.state.description}")
        outcome, condition, otherwise = cell
        if condition is not None and not condition(self, reject):
            outcome = otherwise
        steps, next_state = outcome
        indication = None
        for step in steps:
            made = step(self, pdu if reject is None else reject, now, reason, detail)
            if made is not None:
                indication = made
        self.state = next_state
        return indication

    def receive(self, pdu_type: int, body: bytes | memoryview, now: float) -> Indication | None:
        """Handle a PDU whose header has been taken off ``body``.

        What arrives after the machine has asked to close the transport is ignored.
        """
        if self.closing:
            return None
        try:
            pdu = decode(pdu_type, body)
        except PduError as error:
            return self.refuse(error, now)
        # The reason counts where table 9-10 aborts.
        return self.handle(_RECEIVED[pdu_type], now, pdu, AbortReason.UNEXPECTED_PDU)

    def refuse(self, error: PduError, now: float) -> Indication | None:
        """Handle what was received in place of a PDU (Evt19)."""
        if self.closing:
            return None
        return self.handle(Event.INVALID_PDU, now, reason=error.reason, detail=str(error))

    def transport_closed(self, now: float) -> Indication | None:
        """Handle the end of the transport connection (Evt17), also when the machine had asked for it."""
        if self.state is State.Sta1:
            return None
        return self.handle(Event.TRANSPORT_CLOSED, now)

    def handle_timer(self, now: float) -> Indication | None:
        """Handle the expiry of the ARTIM timer (Evt18) if ``deadline`` has come."""
        if self.deadline is None or now < self.deadline:
            return None
        return self.handle(Event.ARTIM_EXPIRED, now)


_RECEIVED: dict[int, Event] = {
    PduType.ASSOCIATE_RQ: Event.A_ASSOCIATE_RQ_PDU,
    PduType.ASSOCIATE_AC: Event.A_ASSOCIATE_AC_PDU,
    PduType.ASSOCIATE_RJ: Event.A_ASSOCIATE_RJ_PDU,
    PduType.P_DATA_TF: Event.P_DATA_TF_PDU,
    PduType.RELEASE_RQ: Event.A_RELEASE_RQ_PDU,
    PduType.RELEASE_RP: Event.A_RELEASE_RP_PDU,
    PduType.ABORT: Event.A_ABORT_PDU,
}

# The steps -----------------------------------------------------------------------------------------------------------
# Each is given the machine and what `Machine.handle` was given: pdu, now, reason, detail.

Step = Callable[[Machine, PDU | bytes | None, float, int, str], Indication | None]

_ABORT_BY_USER = encode(Abort(source=0, reason=0))
_RELEASE_RQ = encode(ReleaseRQ())
_RELEASE_RP = encode(ReleaseRP())

_RELEASED = ReleaseConfirm()
_ASKED_TO_RELEASE = ReleaseIndication(collision=False)
_BOTH_ASK_TO_RELEASE = ReleaseIndication(collision=True)

P = TypeVar("P", bound=PDU)


def _to_send(pdu: PDU | bytes | None, pdu_type: PduType) -> bytes:
    if pdu is None:
        raise LocalError(f"no {pdu_type.name} to send")
    data = pdu if isinstance(pdu, bytes) else encode(pdu)
    if data[0] != pdu_type:
        raise LocalError(f"a PDU of type {data[0]:02X}H in place of {pdu_type.name}")
    return data


def _received(pdu: PDU | bytes | None, kind: type[P]) -> P:
    if not isinstance(pdu, kind):
        raise LocalError(f"{type(pdu).__name__} in place of {kind.__name__}")
    return pdu


def _connect(machine: Machine, pdu: PDU | bytes | None, *_: object) -> None:
    machine._request = _to_send(pdu, PduType.ASSOCIATE_RQ)
    machine.connecting = True


def _send_associate_rq(machine: Machine, *_: object) -> None:
    machine.outgoing.append(machine._request)
    machine._request = b""
    machine.connecting = False


def _send_associate_ac(machine: Machine, pdu: PDU | bytes | None, *_: object) -> None:
    machine.outgoing.append(_to_send(pdu, PduType.ASSOCIATE_AC))


def _send_associate_rj(machine: Machine, pdu: PDU | bytes | None, *_: object) -> None:
    machine.outgoing.append(_to_send(pdu, PduType.ASSOCIATE_RJ))


def _send_p_data(machine: Machine, pdu: PDU | bytes | None, *_: object) -> None:
    machine.outgoing.append(_to_send(pdu, PduType.P_DATA_TF))


def _send_release_rq(machine: Machine, *_: object) -> None:
    machine.outgoing.append(_RELEASE_RQ)


def _send_release_rp(machine: Machine, *_: object) -> None:
    machine.outgoing.append(_RELEASE_RP)


def _send_user_abort(machine: Machine, *_: object) -> None:
    machine.outgoing.append(_ABORT_BY_USER)


def _send_provider_abort(machine: Machine, _pdu: PDU | bytes | None, _now: float, reason: int, *_: object) -> None:
    machine.outgoing.append(encode(Abort(source=2, reason=reason)))


def _confirm_associate(_machine: Machine, pdu: PDU | bytes | None, *_: object) -> Indication:
    return AssociateConfirm(_received(pdu, AssociateAC))


def _confirm_reject(_machine: Machine, pdu: PDU | bytes | None, *_: object) -> Indication:
    return AssociateRejected(_received(pdu, AssociateRJ))


def _confirm_release(*_: object) -> Indication:
    return _RELEASED


def _indicate_associate(_machine: Machine, pdu: PDU | bytes | None, *_: object) -> Indication:
    return AssociateIndication(_received(pdu, AssociateRQ))


def _indicate_data(_machine: Machine, pdu: PDU | bytes | None, *_: object) -> Indication:
    return DataIndication(_received(pdu, PDataTF))


def _indicate_release(*_: object) -> Indication:
    return _ASKED_TO_RELEASE


def _indicate_release_collision(*_: object) -> Indication:
    return _BOTH_ASK_TO_RELEASE


def _indicate_abort(_machine: Machine, pdu: PDU | bytes | None, *_: object) -> Indication:
    abort = _received(pdu, Abort)
    if abort.source == 0:
        return AbortIndication(abort.source, abort.reason)
    return ProviderAbortIndication(abort.source, abort.reason)


def _indicate_provider_abort(
    _machine: Machine, _pdu: PDU | bytes | None, _now: float, reason: int, detail: str
) -> Indication:
    return ProviderAbortIndication(2, reason, by_us=True, detail=detail)


def _indicate_connection_lost(*_: object) -> Indication:
    return ProviderAbortIndication(2, AbortReason.NOT_SPECIFIED, connection_lost=True)


def _start_artim(machine: Machine, _pdu: PDU | bytes | None, now: float, *_: object) -> None:
    machine.deadline = None if machine.artim is None else now + machine.artim


def _stop_artim(machine: Machine, *_: object) -> None:
    machine.deadline = None


def _close(machine: Machine, *_: object) -> None:
    machine.connecting = False
    machine.closing = True


_STEPS: dict[str, Step] = {
    "connect": _connect,
    "send_associate_rq": _send_associate_rq,
    "send_associate_ac": _send_associate_ac,
    "send_associate_rj": _send_associate_rj,
    "send_p_data": _send_p_data,
    "send_release_rq": _send_release_rq,
    "send_release_rp": _send_release_rp,
    "send_user_abort": _send_user_abort,
    "send_provider_abort": _send_provider_abort,
    "confirm_associate": _confirm_associate,
    "confirm_reject": _confirm_reject,
    "confirm_release": _confirm_release,
    "indicate_associate": _indicate_associate,
    "indicate_data": _indicate_data,
    "indicate_release": _indicate_release,
    "indicate_release_collision": _indicate_release_collision,
    "indicate_abort": _indicate_abort,
    "indicate_provider_abort": _indicate_provider_abort,
    "indicate_connection_lost": _indicate_connection_lost,
    "start_artim": _start_artim,
    "stop_artim": _stop_artim,
    "close": _close,
}

Condition = Callable[[Machine, AssociateRJ | None], bool]

_CONDITIONS: dict[str, Condition] = {
    "acceptable": lambda _machine, reject: reject is None,
    "requestor": lambda machine, _reject: not machine.acceptor,
}

# The table made ready: for each state and event what happens, under which condition, and what happens otherwise.

Resolved = tuple[tuple[Step, ...], State]
Cell = tuple[Resolved, Condition | None, Resolved]


def _resolve(outcome: Outcome) -> Resolved:
    return tuple(_STEPS[name] for name in outcome.steps), outcome.next_state


def _cell(event: Event, state: State) -> Cell | None:
    name = action_of(event, state)
    if not name:
        return None
    action = ACTIONS[name]
    condition = _CONDITIONS[action.outcome.condition] if action.outcome.condition else None
    return _resolve(action.outcome), condition, _resolve(action.otherwise or action.outcome)


def allows_data(state: State) -> bool:
    """Whether a P-DATA-TF is expected in this state: whether Evt10 leads to a P-DATA indication."""
    name = action_of(Event.P_DATA_TF_PDU, state)
    return bool(name) and "indicate_data" in ACTIONS[name].outcome.steps


# Both are indexed by the numbers, which begin with 1.
_CELLS: list[list[Cell | None]] = [[], *([None, *(_cell(event, state) for event in Event)] for state in State)]
