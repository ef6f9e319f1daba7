"""The SCP that misbehaves as a scenario says: `aiodicom.Server` with handlers that decide badly."""

from __future__ import annotations

import asyncio
import socket
import ssl as tls
from functools import partial

from aiodicom.dimse.events import Timeouts
from aiodicom.load.sized import SizedObjects
from aiodicom.load.target.answering import Answering
from aiodicom.load.target.behaviour import AssociationPlan, Behaviour, Fate, Standing
from aiodicom.load.target.commitments import Commitments
from aiodicom.load.target.counts import Counts
from aiodicom.load.target.negotiating import wrong_acceptance
from aiodicom.load.target.scenario import ContextRule, TargetScenario
from aiodicom.load.target.slow import RECEIVE_BUFFER, PacedWriter
from aiodicom.net.acceptor import Rejection
from aiodicom.net.association import Association
from aiodicom.net.requests import NActionRequest
from aiodicom.net.server import Listening, Server
from aiodicom.net.sources import SubOperation
from aiodicom.net.suboperations import Destination
from aiodicom.net.transport import set_option
from aiodicom.standard.status import Status
from aiodicom.standard.uids import EXPLICIT_VR_LITTLE_ENDIAN, STORAGE_COMMITMENT_PUSH_MODEL
from aiodicom.ul.negotiation import ANY, Support
from aiodicom.ul.pdu import AsynchronousOperationsWindow

__all__ = ["BadPACS"]

#: It has more patience than those it tests, but for peers that are gone.
_TIMEOUTS = Timeouts(artim=30.0, acse=None, dimse=None, idle=3600.0, paused=None)
#: The reason to pause reading.
_STALL = "a stall"
_CT_IMAGE_STORAGE = "1.2.840.10008.5.1.4.1.1.2"
_CT_SIZE = 525_000

Verdict = Rejection | asyncio.Future[Rejection | None] | None


class BadPACS:
    """An SCP that does what `scenario` says, from `listen` to `close`, and counts it."""

    def __init__(self, scenario: TargetScenario) -> None:
        self.counts = Counts()
        self._scenario = scenario
        self._behaviour = Behaviour(scenario)
        self._server = server = Server(
            scenario.ae_title,
            max_pdu=scenario.max_pdu,
            window=scenario.window,
            contexts=_support(scenario),
            destinations=_destinations(scenario),
            timeouts=_TIMEOUTS,
        )
        self._loop: asyncio.AbstractEventLoop | None = None
        self._begun = 0.0
        self._stalling: asyncio.Task[None] | None = None
        self._objects = SizedObjects(scenario.seed)
        self._commitments = Commitments(self._behaviour, self.counts, server)
        self._answering = answering = Answering(
            self._behaviour,
            self.counts,
            self._elapsed,
            self._instance,
            matches=scenario.matches if isinstance(scenario.matches, int) else None,
            instances=scenario.instances,
            read_rate=scenario.read_rate,
        )
        server.on_association(self._admit)
        server.on_c_echo(answering.echo)
        server.on_c_store(answering.store, body=answering.open_body)
        server.on_c_find(answering.find)
        server.on_c_get(answering.get)
        server.on_c_move(answering.move)
        server.on_n_create(answering.normalized)
        server.on_n_set(answering.normalized)
        server.on_n_get(answering.normalized)
        server.on_n_delete(answering.normalized)
        server.on_n_action(self._action)

    async def listen(self, host: str | None, port: int, *, ssl: tls.SSLContext | None = None) -> Listening:
        """Begins, and the time of the stalls with it. Raises `OSError`, such as for a port in use."""
        listening = await self._server.listen(host, port, ssl=ssl)
        self._loop = asyncio.get_running_loop()
        self._begun = self._loop.time()
        self._stalling = self._loop.create_task(self._stall())
        return listening

    async def close(self) -> None:
        """Aborts what is there and ends. Cancelling it leaves sockets that close on their own."""
        if self._stalling is not None:
            self._stalling.cancel()
            await asyncio.wait((self._stalling,))
        await self._commitments.close()
        await self._server.close()

    def _elapsed(self) -> float:
        assert self._loop is not None
        return self._loop.time() - self._begun

    # --- associations ------------------------------------------------------------------------------------------------

    def _admit(self, association: Association) -> Verdict:
        self.counts.asked += 1
        places = self._server.places
        standing, plan = self._behaviour.associate(places.connections - places.idle, self._elapsed())
        if not plan.delay and plan.fate in (Fate.ACCEPT, Fate.REJECT):
            return self._decided(association, standing, plan.fate)
        verdict: asyncio.Future[Rejection | None] = association.loop.create_future()
        timer = association.loop.call_later(plan.delay, self._act, association, standing, plan, verdict)
        verdict.add_done_callback(lambda _: timer.cancel())
        return verdict

    def _act(
        self,
        association: Association,
        standing: Standing,
        plan: AssociationPlan,
        verdict: asyncio.Future[Rejection | None],
    ) -> None:
        if verdict.done():
            return  # the requestor has gone in the meantime
        if plan.fate in (Fate.ACCEPT, Fate.REJECT):
            verdict.set_result(self._decided(association, standing, plan.fate))
        elif plan.fate is Fate.ABORT:
            self.counts.aborted += 1
            association.abort()
        elif plan.fate is Fate.CLOSE:
            self.counts.closed += 1
            association.transport.close_now()
        else:
            self.counts.ignored += 1

    def _decided(self, association: Association, standing: Standing, fate: Fate) -> Rejection | None:
        rules = self._scenario.associations
        if fate is Fate.REJECT:
            self.counts.rejected += 1
            return Rejection(*rules.rejection)
        self.counts.accepted += 1
        self._answering.standings[association.id] = standing
        end: asyncio.Future[None] = association.loop.create_future()
        end.add_done_callback(partial(self._forget, association.id))
        association.own(end)
        self._slow_down(association)
        if rules.contexts in (ContextRule.UNPROPOSED_TRANSFER_SYNTAX, ContextRule.UNPROPOSED_CONTEXT):
            assert association.proposal is not None
            acceptance = wrong_acceptance(rules.contexts, association.proposal, self._scenario.max_pdu)
            association.establish(
                acceptance.contexts,
                association.proposal.user_information.maximum_length,
                AsynchronousOperationsWindow(1, 1),
                acceptance.response,
            )
        return None

    def _forget(self, number: int, _end: asyncio.Future[None]) -> None:
        self._objects.forget(number)
        del self._answering.standings[number]

    def _slow_down(self, association: Association) -> None:
        transport = association.transport
        connected = transport.connection.get_extra_info("socket")
        if self._scenario.read_rate is not None and connected is not None:
            set_option(connected, socket.SOL_SOCKET, socket.SO_RCVBUF, RECEIVE_BUFFER)
        if self._scenario.write_rate is not None:
            transport.divert(PacedWriter(association, self._scenario.write_rate))

    # --- the rest ----------------------------------------------------------------------------------------------------

    async def _action(self, request: NActionRequest) -> Status:
        if request.context.abstract_syntax != STORAGE_COMMITMENT_PUSH_MODEL:
            return await self._answering.awaited(self._answering.normalized(request))
        status = await self._answering.commitment(request)
        return status or await self._commitments.action(request)

    def _instance(self, association: Association) -> SubOperation:
        """What a retrieval sends: a CT image of 512 x 512, of one study for each association."""
        return SubOperation(
            self._objects.instance(_CT_IMAGE_STORAGE, EXPLICIT_VR_LITTLE_ENDIAN, _CT_SIZE, association.id).source
        )

    async def _stall(self) -> None:
        """Holds up all associations when it is time."""
        stalls = self._behaviour.stalls
        while (begin := stalls.next(self._elapsed())) is not None:
            await asyncio.sleep(begin - self._elapsed())
            self.counts.stalls += 1
            associations = list(self._server.associations)
            for association in associations:
                association.transport.pause_reading(_STALL)
            now = begin
            while (end := stalls.end(now)) is not None:
                await asyncio.sleep(end - self._elapsed())
                now = max(end, self._elapsed())
            for association in associations:
                association.transport.resume_reading(_STALL)


def _support(scenario: TargetScenario) -> Support | None:
    """What is accepted; None for everything that there are handlers for."""
    rules = scenario.associations
    if rules.contexts == ContextRule.NONE:
        return Support({})
    if not rules.abstract_syntaxes and not rules.transfer_syntaxes:
        return None
    syntaxes = rules.transfer_syntaxes or ANY
    return Support(dict.fromkeys(rules.abstract_syntaxes, syntaxes), None if rules.abstract_syntaxes else syntaxes)


def _destinations(scenario: TargetScenario) -> dict[str, Destination]:
    found = {}
    for title, where in scenario.destinations.items():
        host, _, port = where.rpartition(":")
        found[title] = Destination(host.strip("[]"), int(port))
    return found
