"""`aiodicom mpps`: N-CREATE and N-SET of a modality performed procedure step (PS3.4 F.7)."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

import aiodicom
from aiodicom.cli import options, output
from aiodicom.cli.keyfile import read_data_sets
from aiodicom.cli.keys import BadKey, Key, put
from aiodicom.cli.peer import AssociationOptions, Peer
from aiodicom.cli.query import declare_characters, parse_keys
from aiodicom.cli.runner import run
from aiodicom.cli.security import ClientTLS, Identity
from aiodicom.errors import DecodeError, LocalError
from aiodicom.net.sources import KnownFile
from aiodicom.services.mpps import created, ended
from aiodicom.services.performed import (
    DISCONTINUATION_REASONS,
    discontinuation_reason,
    performed_series,
    scheduled_step,
)
from aiodicom.services.scan import scan
from aiodicom.services.stopping import unless_stopped
from aiodicom.standard.uids import MODALITY_PERFORMED_PROCEDURE_STEP, generate_uid, is_valid_uid

if TYPE_CHECKING:
    from aiodicom.net.results import Result

__all__ = ["mpps"]

_COMMAND = "mpps"


class Action(StrEnum):
    """What is said of the step."""

    START = "start"
    SET = "set"
    COMPLETE = "complete"
    DISCONTINUE = "discontinue"


@options.grouped
def mpps(
    host: options.Host,
    port: options.Port,
    action: Annotated[
        Action,
        typer.Argument(metavar="start|set|complete|discontinue", show_default=False, help="What is said of the step."),
    ],
    uid: Annotated[
        str | None,
        typer.Argument(
            metavar="UID", show_default=False, help="Its SOP Instance UID; for start, a new one if missing."
        ),
    ] = None,
    paths: Annotated[
        list[Path] | None,
        typer.Argument(
            metavar="PATH...",
            exists=True,
            show_default=False,
            help="Files that it made, or folders of them; not for start.",
        ),
    ] = None,
    item: Annotated[
        str | None,
        typer.Option(
            "--item",
            metavar="FILE",
            show_default=False,
            help="With start: the worklist item, as a DICOM or JSON file (- is stdin).",
        ),
    ] = None,
    keys: Annotated[
        list[str] | None,
        typer.Option(
            "-k",
            "--key",
            metavar="KEY=VALUE",
            show_default=False,
            help="An attribute of the step: a keyword or a tag; what is in a sequence behind SEQUENCE[0]; repeatable.",
        ),
    ] = None,
    reason: Annotated[
        str | None,
        typer.Option(
            "--reason",
            metavar="CODE",
            show_default=False,
            help="With discontinue: why, a code of PS3.16 CID 9300 such as 110513 (unspecified) or 110514 (incorrect "
            "worklist entry selected).",
        ),
    ] = None,
    as_json: options.Json = False,
    associating: AssociationOptions = AssociationOptions(),  # noqa: B008 (immutable)
    security: ClientTLS = ClientTLS(),  # noqa: B008 (immutable)
    identity: Identity = Identity(),  # noqa: B008 (immutable)
    verbose: options.Verbose = False,
    debug: options.Debug = False,
) -> None:
    """Tell a peer of a performed procedure step: that it starts, what it is, how it ends.

    start prints the UID that the others take.

    Example: aiodicom mpps ris.example.org 104 -aec RIS complete 2.25.1234 images/

    From a worklist: aiodicom worklist HOST PORT --json --max-results 1 | aiodicom mpps HOST PORT start --item -
    """
    output.configure_logging(verbose, debug)
    given = parse_keys(keys or (), "'-k'", is_matched=False)
    _check(action, uid, paths, item, given, reason)

    async def work(stop: asyncio.Event) -> int:
        peer = Peer(_COMMAND, host, port, associating, security, identity)
        if action is Action.START:
            step = _started(item, given, peer.calling_aet)
        else:
            step = _changed(action, paths or (), given, reason)
        target = uid or generate_uid()
        association = await unless_stopped(stop, peer.connect(contexts=[MODALITY_PERFORMED_PROCEDURE_STEP]))
        async with association:
            if action is Action.START:
                result = await association.n_create(MODALITY_PERFORMED_PROCEDURE_STEP, step, target)
            else:
                result = await association.n_set(MODALITY_PERFORMED_PROCEDURE_STEP, target, step)
            # Told before the release, which may fail: without its UID nobody could end the step.
            _tell(step, (action is Action.START and result.sop_instance_uid) or target, result, as_json=as_json)
        return 0

    run(_COMMAND, work)


def _check(
    action: Action,
    uid: str | None,
    paths: Sequence[Path] | None,
    item: str | None,
    keys: Sequence[Key],
    reason: str | None,
) -> None:
    """Refuses what does not go together."""
    if uid is None and action is not Action.START:
        raise typer.BadParameter("of which step? start has printed it", param_hint="'UID'")
    if uid is not None and not is_valid_uid(uid):
        raise typer.BadParameter(f"{output.quoted(uid)} is no UID", param_hint="'UID'")
    if paths and action is Action.START:
        raise typer.BadParameter("what the step makes is told with set or complete", param_hint="'PATH...'")
    if item is not None and action is not Action.START:
        raise typer.BadParameter("this is for start", param_hint="'--item'")
    if reason is not None:
        if action is not Action.DISCONTINUE:
            raise typer.BadParameter("this is for discontinue", param_hint="'--reason'")
        if reason not in DISCONTINUATION_REASONS:
            known = ", ".join(f"{code} {meaning.lower()}" for code, meaning in DISCONTINUATION_REASONS.items())
            raise typer.BadParameter(f"{output.quoted(reason)} is none of {known}", param_hint="'--reason'")
    if any(key.path[0].tag == _STATUS for key in keys):
        raise typer.BadParameter("the status is said by start, complete and discontinue", param_hint="'-k'")
    if action is Action.SET and not keys and not paths:
        raise typer.BadParameter("set what? Give attributes, or files", param_hint="'-k'")
    if action is Action.COMPLETE and not paths and not any(key.path[0].tag == _SERIES for key in keys):
        raise typer.BadParameter("a step that is complete has made something: name its files", param_hint="'PATH...'")


#: Performed Series Sequence, Performed Procedure Step Status
_SERIES, _STATUS = 0x00400340, 0x00400252


def _tell(step: aiodicom.Dataset, uid: str, result: Result, *, as_json: bool) -> None:
    """Says what came of it."""
    if result.status:
        output.note(_COMMAND, f"warning status {output.status_text(result.status, result.message.error_comment)}")
    if not as_json:
        output.result(uid)
        return
    output.result_json(
        {
            "sop_instance_uid": uid,
            "step_status": str(step.get("PerformedProcedureStepStatus") or "") or None,
            "series": len(step.get("PerformedSeriesSequence") or ()),
            "status": f"{result.status:04X}",
        }
    )


def _started(item: str | None, keys: Sequence[Key], calling_aet: str) -> aiodicom.Dataset:
    """What N-CREATE says. Raises `LocalError` or `typer.BadParameter`."""
    scheduled = None
    if item is not None:
        items = read_data_sets(item)
        if len(items) > 1:
            raise LocalError(f"{item}: {len(items)} worklist items, and a step is one (--max-results 1 gives one)")
        scheduled = items[0]
    step = scheduled_step(scheduled)
    _put(step, keys)
    if not step.get("Modality"):
        raise typer.BadParameter("the modality is missing: -k Modality=CT", param_hint="'-k'")
    if not step.get("PerformedStationAETitle"):
        step.PerformedStationAETitle = calling_aet
    step = created(step)
    declare_characters(step)
    return step


def _changed(action: Action, paths: Sequence[Path], keys: Sequence[Key], reason: str | None) -> aiodicom.Dataset:
    """What N-SET says. Raises `LocalError` or `typer.BadParameter`."""
    changes = aiodicom.Dataset()
    if paths:
        changes.PerformedSeriesSequence = _series(paths)
    if action is Action.DISCONTINUE:
        changes.PerformedProcedureStepDiscontinuationReasonCodeSequence = [discontinuation_reason(reason or "110513")]
    _put(changes, keys)
    if action is not Action.SET:
        changes = ended(changes, "COMPLETED" if action is Action.COMPLETE else "DISCONTINUED")
    declare_characters(changes)
    return changes


def _series(paths: Sequence[Path]) -> list[aiodicom.Dataset]:
    files = []
    for found in scan(map(str, paths)):
        if isinstance(found, KnownFile):
            files.append(found.path)
        elif found.broken:
            raise LocalError(f"{found.path}: {found.reason}")
        else:
            output.note(_COMMAND, f"{found.path}: skipped: {found.reason}")
    if not files:
        raise LocalError("no DICOM file was found (check the paths)")
    try:
        return performed_series(files)
    except DecodeError as error:
        raise LocalError(f"a file cannot be decoded: {error}") from error


def _put(step: aiodicom.Dataset, keys: Sequence[Key]) -> None:
    for key in keys:
        try:
            put(step, key)
        except BadKey as error:
            raise typer.BadParameter(str(error), param_hint="'-k'") from None
