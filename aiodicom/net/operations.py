"""The operations of a service user, on one association (PS3.7 9.1, 10.1)."""

from __future__ import annotations

import asyncio
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any, cast

from aiodicom.dimse.events import AcceptedContext
from aiodicom.dimse.messages import (
    CEchoRQ,
    CEchoRSP,
    CFindRQ,
    CGetRQ,
    CMoveRQ,
    CStoreRSP,
    NActionRQ,
    NCreateRQ,
    NDeleteRQ,
    NEventReportRQ,
    NGetRQ,
    NSetRQ,
)
from aiodicom.errors import LocalError
from aiodicom.net._data_sets import encode_data_set
from aiodicom.net._invoking import StoreRequest, result_of
from aiodicom.net.acceptor import check_ae_title
from aiodicom.net.responses import Matches, ResponseStream, check, dataset_of
from aiodicom.net.results import Result, RetrieveResult, retrieve_result, tell_progress
from aiodicom.net.sinks import BodyChoice, Spooled
from aiodicom.net.sources import Encoded, EncodedIdentifier, Storable, open_source
from aiodicom.net.suboperations import MoveOriginator
from aiodicom.net.transcoding import Transcoding, policy_of
from aiodicom.standard.models import InformationModel, StudyRoot
from aiodicom.standard.uids import VERIFICATION

if TYPE_CHECKING:
    from pydicom.dataset import Dataset as PydicomDataset

    from aiodicom.dataset import Dataset
    from aiodicom.net.association import Association
    from aiodicom.net.invoker import Invoker
    from aiodicom.net.retrieval import Retrieved

    Identifier = Dataset | PydicomDataset

__all__ = ["Operations", "sop_class_of"]

#: A tag, or a keyword of one.
Attribute = int | str


class Operations(ABC):
    """What a service user can invoke on an association.

    A failure status raises `StatusError`; a warning is returned. All raise `ContextNotAccepted` when the peer accepted
    no presentation context for the operation, `LocalError` for arguments that can't be, `DecodeError` for a response
    whose data set is none, `AssociationClosed`, or the `RemoteError` that ended the association.

    Unless it says otherwise an operation that is cancelled leaves the association usable: nothing has happened while it
    waited for its turn; later, its response is dropped when it comes.
    """

    __slots__ = ()

    @property
    @abstractmethod
    def invoker(self) -> Invoker:
        """What sends requests to the peer."""

    def context_for(
        self, abstract_syntax: str, transfer_syntaxes: tuple[str, ...] | None, *, as_scp: bool = False
    ) -> AcceptedContext:
        """Returns the context of the first of `transfer_syntaxes` that the peer has accepted, with us as SCU or as SCP;
        None stands for any. Raises `ContextNotAccepted`, or why the association is over.
        """
        return self.invoker.context_for(abstract_syntax, transfer_syntaxes, as_scp=as_scp)

    @property
    def _association(self) -> Association:
        return cast("Association", self)  # the one class that has these

    # --- DIMSE-C ----------------------------------------------------------------------------------------------------

    async def c_echo(self) -> CEchoRSP:
        """Verifies that the peer answers (C-ECHO, PS3.7 9.1.5).

        Raises `ContextNotAccepted`, `AssociationClosed`, `StatusError` for a failure status, or the `RemoteError`
        that ended the association. Cancelled, the association stays usable: the response is dropped when it comes.
        """
        context = self.context_for(VERIFICATION, None)
        event = await self.invoker.invoke(context, lambda message_id: CEchoRQ(message_id, VERIFICATION), None)
        check(event.message)
        assert isinstance(event.message, CEchoRSP)
        return event.message

    async def c_store(
        self,
        source: Storable,
        *,
        priority: int = 0,
        sop_class_uid: str | None = None,
        sop_instance_uid: str | None = None,
        transfer_syntax: str | None = None,
        transcode: Transcoding | str | None = None,
        move_originator: MoveOriginator | None = None,
    ) -> CStoreRSP:
        """Has the peer store a composite SOP instance (C-STORE, PS3.7 9.1.1).

        `source` is the path of a Part 10 file, or the bytes of one; or an encoded data set in memory (bytes, or what
        has ``tobytes()``), whose SOP class, SOP instance and transfer syntax are then to be given; or a data set, an
        `aiodicom.Dataset` or pydicom's, which says them itself unless they are given. Memory and data sets must not
        change until the response is there. SOP class and instance that are given for a file are those that it has to
        be of: else it is not sent. `priority` is 0 medium, 1 high, 2 low. `move_originator`: whose C-MOVE this
        is a sub-operation of.

        What is in a transfer syntax that the peer has accepted for its SOP class is sent as it stands, unparsed.
        Otherwise it is brought into one that the peer has accepted, in a thread and frame by frame, as far as
        `transcode` allows: ``"never"``, ``"decompress-only"``, ``"lossless"`` (by default), or ``"lossy"`` as the last
        resort, which makes another SOP instance of it (PS3.3 C.7.6.1.1.5): `aiodicom.transcode`.

        Raises `ContextNotAccepted` when the peer accepted no context for this SOP class and transfer syntax,
        `DecodeError` for what is no DICOM file, and `PixelDataError`, which is one, for frames that can't be decoded,
        `OSError` for a file that can't be read, `LocalError` for what can't be encoded, `StatusError` for a failure
        status (a warning is returned), or the `RemoteError` that ended the association. Cancelled before or after the
        data set is sent, the association stays usable; cancelled while it is being sent, the association is aborted.
        """
        _check_priority(priority)
        opened = open_source(source, sop_class_uid, sop_instance_uid, transfer_syntax)
        try:
            syntaxes = opened.transfer_syntaxes(policy_of(transcode or Transcoding.LOSSLESS))
            context = self.invoker.context_for(opened.sop_class_uid, syntaxes)
            if not opened.is_encoded or context.transfer_syntax != opened.transfer_syntax:
                opened = Encoded(opened, context.transfer_syntax)
            event = await self.invoker.invoke(context, StoreRequest(opened, priority, move_originator), opened)
            check(event.message)
        finally:
            opened.close()
        assert isinstance(event.message, CStoreRSP)
        return event.message

    def c_find(self, query: Identifier, model: InformationModel | str = StudyRoot, *, priority: int = 0) -> Matches:
        """Asks for what matches a query (C-FIND, PS3.7 9.1.2): `Matches`, to be iterated over.

        `query` is the Identifier (PS3.4 C.4.1.1.3), `model` an information model or the UID of its SOP class.
        Nothing is sent before the iteration begins.
        """
        _check_priority(priority)
        context = self.context_for(sop_class_of(model, "find"), None)
        return Matches(
            self._association,
            context,
            lambda message_id: CFindRQ(message_id, context.abstract_syntax, priority),
            identifier_source(query, context),
        )

    def c_get(
        self,
        query: Identifier,
        model: InformationModel | str = StudyRoot,
        *,
        priority: int = 0,
        body: BodyChoice | None = None,
        on_progress: Callable[[RetrieveResult], object] | None = None,
    ) -> Retrieved:
        """Retrieves what an identifier names, on this association (C-GET, PS3.7 9.1.3): `Retrieved`, to be iterated
        over.

        The association needs a context for each SOP class to be received, with the role of SCP for us: see `receives`
        of `connect()`. `body` chooses where an object goes while it arrives, as for `Server.on_c_store`. `on_progress`,
        plain or ``async``, is called with each pending response, once no object waits to be taken. Nothing is sent
        before the iteration begins.
        """
        from aiodicom.net.retrieval import Retrieved

        _check_priority(priority)
        context = self.context_for(sop_class_of(model, "get"), None)
        return Retrieved(
            self._association,
            context,
            lambda message_id: CGetRQ(message_id, context.abstract_syntax, priority),
            identifier_source(query, context),
            body or Spooled(),
            on_progress,
        )

    async def c_move(
        self,
        query: Identifier,
        destination: str,
        model: InformationModel | str = StudyRoot,
        *,
        priority: int = 0,
        on_progress: Callable[[RetrieveResult], object] | None = None,
        stop: asyncio.Event | None = None,
    ) -> RetrieveResult:
        """Has the peer send what an identifier names to the AE `destination` (C-MOVE, PS3.7 9.1.4).

        `on_progress`, plain or ``async``, is called with each pending response. Returns the numbers of the final
        response, also where some sub-operations have failed (B000H); the `StatusError` for a failure has them as its
        ``response``. A peer that sends no pending responses has `Timeouts.dimse` for all of it, unless there are other
        signs of it: `Association.note_progress`.

        When `stop` is set, C-CANCEL is sent, and the numbers of the final response are waited for and returned, which
        has no failure in FE00H then; `on_progress` is not called any more.

        Cancelled, C-CANCEL is sent, and the association stays usable; the peer has `Timeouts.dimse` to end.
        """
        _check_priority(priority)
        context = self.context_for(sop_class_of(model, "move"), None)
        title = check_ae_title(destination)
        stream = ResponseStream(
            self._association,
            context,
            lambda message_id: CMoveRQ(message_id, context.abstract_syntax, title, priority),
        )
        stopped: asyncio.Task[Any] | None = None
        try:
            await stream.begin(identifier_source(query, context))
            if stop is not None:
                stopped = asyncio.create_task(stop.wait())
                stopped.add_done_callback(lambda _: stream.leave())
            while True:
                try:
                    event = await stream.next()
                except StopAsyncIteration:  # it was stopped
                    event = await stream.final()
                result = retrieve_result(event.message, dataset_of(event, context.transfer_syntax))
                if event.is_final:
                    check(event.message, allowing_cancel=stop is not None and stop.is_set(), detail=result)
                    return result
                await tell_progress(on_progress, result)
        finally:
            if stopped is not None:
                stopped.cancel()
            stream.leave()

    # --- DIMSE-N ----------------------------------------------------------------------------------------------------

    async def n_get(
        self,
        sop_class_uid: str,
        sop_instance_uid: str,
        attributes: Iterable[Attribute] = (),
        *,
        abstract_syntax: str | None = None,
    ) -> Result:
        """Asks for attributes of a SOP instance (N-GET, PS3.7 10.1.2), by tag or keyword; for all where none is named.

        `abstract_syntax`, here and below: that of the presentation context, where it is not the SOP class, such as a
        meta SOP class of print management.
        """
        tags = tuple(map(_tag, attributes))
        invoker = self.invoker
        context = invoker.context_for(abstract_syntax or sop_class_uid, None)
        fields = (sop_class_uid, sop_instance_uid, tags, False)
        return result_of(await invoker.ask(context, NGetRQ, fields, None), context)

    async def n_set(
        self, sop_class_uid: str, sop_instance_uid: str, dataset: Identifier, *, abstract_syntax: str | None = None
    ) -> Result:
        """Has attributes of a SOP instance modified (N-SET, PS3.7 10.1.3): `dataset` is the modification list."""
        if dataset is None:  # the peer would wait for it, and we for the peer
            raise LocalError("an N-SET has to have a modification list (PS3.7 table 10.1-3)")
        invoker = self.invoker
        context = invoker.context_for(abstract_syntax or sop_class_uid, None)
        fields = (sop_class_uid, sop_instance_uid, True)
        return result_of(await invoker.ask(context, NSetRQ, fields, dataset), context)

    async def n_action(
        self,
        sop_class_uid: str,
        sop_instance_uid: str,
        action_type_id: int,
        dataset: Identifier | None = None,
        *,
        abstract_syntax: str | None = None,
    ) -> Result:
        """Has an action performed (N-ACTION, PS3.7 10.1.4): `dataset` is the action information."""
        _check_id(action_type_id, "action type ID")
        invoker = self.invoker
        context = invoker.context_for(abstract_syntax or sop_class_uid, None)
        fields = (sop_class_uid, sop_instance_uid, action_type_id, dataset is not None)
        return result_of(await invoker.ask(context, NActionRQ, fields, dataset), context)

    async def n_create(
        self,
        sop_class_uid: str,
        dataset: Identifier | None = None,
        sop_instance_uid: str | None = None,
        *,
        abstract_syntax: str | None = None,
    ) -> Result:
        """Has a SOP instance created (N-CREATE, PS3.7 10.1.5): `dataset` is the attribute list. Without an instance
        UID the peer chooses one: `Result.sop_instance_uid`.
        """
        invoker = self.invoker
        context = invoker.context_for(abstract_syntax or sop_class_uid, None)
        fields = (sop_class_uid, sop_instance_uid, dataset is not None)
        return result_of(await invoker.ask(context, NCreateRQ, fields, dataset), context)

    async def n_delete(
        self, sop_class_uid: str, sop_instance_uid: str, *, abstract_syntax: str | None = None
    ) -> Result:
        """Has a SOP instance deleted (N-DELETE, PS3.7 10.1.6)."""
        invoker = self.invoker
        context = invoker.context_for(abstract_syntax or sop_class_uid, None)
        fields = (sop_class_uid, sop_instance_uid, False)
        return result_of(await invoker.ask(context, NDeleteRQ, fields, None), context)

    async def n_event_report(
        self,
        sop_class_uid: str,
        sop_instance_uid: str,
        event_type_id: int,
        dataset: Identifier | None = None,
        *,
        abstract_syntax: str | None = None,
    ) -> Result:
        """Reports an event to the peer (N-EVENT-REPORT, PS3.7 10.1.1): `dataset` is the event information.

        It goes from the SCP of the SOP class to its SCU.
        """
        _check_id(event_type_id, "event type ID")
        invoker = self.invoker
        context = invoker.context_for(abstract_syntax or sop_class_uid, None, as_scp=True)
        fields = (sop_class_uid, sop_instance_uid, event_type_id, dataset is not None)
        return result_of(await invoker.ask(context, NEventReportRQ, fields, dataset), context)


def _check_priority(priority: int) -> None:
    if priority not in (0, 1, 2):
        raise LocalError(f"a priority of {priority!r} is none: 0 medium, 1 high, 2 low")


def _check_id(number: int, what: str) -> None:
    if not 0 <= number <= 0xFFFF:
        raise LocalError(f"{number} is no {what}: 0 to 65535")


def sop_class_of(model: InformationModel | str, operation: str) -> str:
    """Returns the SOP class of a model for "find", "move" or "get". Raises `LocalError` where it has none."""
    if isinstance(model, str):
        return model
    uid: str | None = getattr(model, operation)
    if uid is None:
        raise LocalError(f"the information model {model.name} has no C-{operation.upper()}")
    return uid


def identifier_source(dataset: Any, context: AcceptedContext) -> EncodedIdentifier:
    """Returns a data set, such as an Identifier, as it is sent in a context. Raises `LocalError` where it can't be."""
    return EncodedIdentifier(encode_data_set(dataset, context.transfer_syntax))


def _tag(attribute: Attribute) -> int:
    from aiodicom.dataset._dataset import to_tag

    try:
        return int(to_tag(attribute))
    except (KeyError, ValueError, TypeError):
        raise LocalError(f"{attribute!r} is neither a tag nor the keyword of one") from None
