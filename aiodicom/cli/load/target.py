"""`aiodicom load target`: a bad PACS to practise on."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Annotated, Any

import typer

from aiodicom.cli import options, output
from aiodicom.cli.listening import advice_on_binding, announce
from aiodicom.cli.load.rules import checked, merged, operation_rules, stall_rules
from aiodicom.cli.runner import run
from aiodicom.cli.security import ServerTLS
from aiodicom.load.target.bad_pacs import BadPACS
from aiodicom.load.target.counts import Counts
from aiodicom.load.target.distributions import Distribution
from aiodicom.load.target.scenario import (
    TargetScenario,
    convert_scenario,
    parse_byte_rate,
    parse_share,
    read_tables,
)
from aiodicom.net.descriptors import allow_most_descriptors

__all__ = ["target"]

_COMMAND = "load target"


def _share(name: str, what: str) -> Any:
    return typer.Option(name, metavar="SHARE", callback=checked(parse_share), show_default=False, help=what)


def _distribution(name: str, what: str) -> Any:
    return typer.Option(name, metavar="TIME", callback=checked(Distribution), show_default=False, help=what)


def _byte_rate(name: str, what: str) -> Any:
    return typer.Option(name, metavar="RATE", callback=checked(parse_byte_rate), show_default=False, help=what)


def _matches(value: str | None) -> str | None:
    if value is not None and value != "endless" and not (value.isascii() and value.isdigit()):
        raise typer.BadParameter(f"{value!r} is neither a number nor endless")
    return value


def _rejection(value: str | None) -> str | None:
    if value is not None:
        numbers = value.split(",")
        if len(numbers) != 3 or not all(each.isdigit() and int(each) <= 255 for each in numbers):
            raise typer.BadParameter(f"{value!r}: wanted result, source and reason of PS3.8 table 9-21, such as 1,1,7")
    return value


@options.grouped
def target(
    port: Annotated[
        int,
        typer.Argument(
            metavar="PORT", min=0, max=65535, show_default=False, help="TCP port to listen on; 0: a free one."
        ),
    ],
    scenario: Annotated[
        Path | None,
        typer.Option(
            "--scenario",
            metavar="FILE",
            exists=True,
            dir_okay=False,
            show_default=False,
            help="What to do, in TOML; the other options go over it.",
        ),
    ] = None,
    address: Annotated[
        str, typer.Option("--bind", metavar="ADDRESS", help="Address to listen on; 0.0.0.0 or :: for every one.")
    ] = "127.0.0.1",
    ae_title: options.OwnAet = None,
    seed: Annotated[
        int | None, typer.Option("--seed", metavar="N", show_default="1", help="Makes chance come out alike.")
    ] = None,
    latencies: Annotated[
        list[str] | None,
        typer.Option(
            "--latency",
            metavar="[KIND=]TIME",
            show_default=False,
            help="Before an answer: 20ms; or a distribution, such as uniform,10ms,50ms normal,50ms,10ms "
            "lognormal,20ms,200ms (median, p99) exponential,30ms percentiles,p50=10ms,p99=1s. KIND: echo, store, find, "
            "worklist, get, move, commitment, mpps, other. Can be repeated.",
        ),
    ] = None,
    statuses: Annotated[
        list[str] | None,
        typer.Option(
            "--status",
            metavar="[KIND=]CODE[:SHARE]",
            show_default=False,
            help="Answer a share with this status, such as store=A700:2%. Can be repeated.",
        ),
    ] = None,
    faults: Annotated[
        list[str] | None,
        typer.Option(
            "--fault",
            metavar="[KIND=]FAULT[:SHARE]",
            show_default=False,
            help="Instead of answering a share: never, abort, abort-in-data-set, close, half-close, wrong-message-id, "
            "wrong-command-field, wrong-status, wrong-context, truncated-command-set, half-pdu, garbage, twice. Can be "
            "repeated.",
        ),
    ] = None,
    stalls: Annotated[
        list[str] | None,
        typer.Option(
            "--stall",
            metavar="TIME[@TIME][/TIME]",
            show_default=False,
            help="Neither read nor answer: 5s@10s once, 10 s after the start; 5s/1m every minute. Can be repeated.",
        ),
    ] = None,
    most: Annotated[
        int | None,
        typer.Option(
            "--max-associations", metavar="N", min=0, show_default="no limit", help="Reject further associations."
        ),
    ] = None,
    reject: Annotated[str | None, _share("--reject", "Of the associations, rejected.")] = None,
    rejection: Annotated[
        str | None,
        typer.Option(
            "--rejection",
            metavar="RESULT,SOURCE,REASON",
            callback=_rejection,
            show_default="2,3,2",
            help="How (PS3.8 table 9-21).",
        ),
    ] = None,
    abort: Annotated[str | None, _share("--abort-associations", "Of the associations, aborted at once.")] = None,
    close: Annotated[str | None, _share("--close-associations", "Of the associations, closed unanswered.")] = None,
    ignore: Annotated[str | None, _share("--ignore-associations", "Of the associations, never answered.")] = None,
    delay: Annotated[str | None, _distribution("--association-delay", "Before an association is answered.")] = None,
    abort_after: Annotated[
        int | None,
        typer.Option(
            "--abort-after", metavar="N", min=1, show_default=False, help="Abort each association at this operation."
        ),
    ] = None,
    contexts: Annotated[
        str | None,
        typer.Option(
            "--contexts",
            metavar="RULE",
            show_default="proposed",
            help="Presentation contexts to accept: proposed, none, unproposed-transfer-syntax, unproposed-context.",
        ),
    ] = None,
    read_rate: Annotated[str | None, _byte_rate("--read-rate", "How fast data sets are read, such as 500kB/s.")] = None,
    write_rate: Annotated[
        str | None, _byte_rate("--write-rate", "How fast answers are written, such as 100B/s.")
    ] = None,
    matches: Annotated[
        str | None,
        typer.Option(
            "--matches", metavar="N|endless", callback=_matches, show_default="1", help="Matches of each query."
        ),
    ] = None,
    match_interval: Annotated[str | None, _distribution("--match-interval", "Before each match.")] = None,
    instances: Annotated[
        int | None,
        typer.Option("--instances", metavar="N", min=0, show_default="1", help="What each C-GET and C-MOVE sends."),
    ] = None,
    destinations: Annotated[
        list[str] | None,
        typer.Option(
            "--destination",
            metavar="TITLE=HOST:PORT",
            show_default=False,
            help="Where C-MOVE can send to; others are answered A801H. Can be repeated.",
        ),
    ] = None,
    commitment_fail: Annotated[str | None, _share("--commitment-fail", "Of the instances, not committed to.")] = None,
    commitment_never: Annotated[
        str | None, _share("--commitment-never", "Of the storage commitment requests, never reported on.")
    ] = None,
    commitment_delay: Annotated[str | None, _distribution("--commitment-delay", "Before the report.")] = None,
    as_json: options.Json = False,
    security: ServerTLS = ServerTLS(),  # noqa: B008 (immutable)
    verbose: options.Verbose = False,
    debug: options.Debug = False,
) -> None:
    """A bad PACS to practise on: an SCP that is late, refuses, aborts, stalls and answers wrongly, as it is told.

    It keeps nothing. The same --seed does the same to the same operation of the same association.

    Example: aiodicom load target 11112 --latency store=lognormal,20ms,500ms --status store=A700:2% --stall 1s/30s
    """
    if security.verify_ae_title:
        raise typer.BadParameter("a bad PACS asks nobody who it is", param_hint="'--verify-ae-title'")
    over: dict[str, Any] = {
        "seed": seed,
        "ae_title": ae_title,
        "read_rate": read_rate,
        "write_rate": write_rate,
        "matches": int(matches) if matches is not None and matches.isdigit() else matches,
        "match_interval": match_interval,
        "instances": instances,
        "destinations": _destinations(destinations or ()),
        "stalls": stall_rules(stalls or ()),
        "operations": operation_rules(latencies or (), statuses or (), faults or ()),
        "associations": {
            "most": most,
            "reject": reject,
            "rejection": None if rejection is None else [int(each) for each in rejection.split(",")],
            "abort": abort,
            "close": close,
            "ignore": ignore,
            "delay": delay,
            "abort_after": abort_after,
            "contexts": contexts,
        },
        "commitment": {"fail": commitment_fail, "never": commitment_never, "delay": commitment_delay},
    }
    what = _scenario(scenario, over)
    output.configure_logging(verbose, debug)
    allow_most_descriptors()

    async def work(stop: asyncio.Event) -> int:
        pacs = BadPACS(what)
        with advice_on_binding():
            listening = await pacs.listen(address, port, ssl=security.context())
        try:
            announce(listening.addresses)
            await stop.wait()
        finally:
            await pacs.close()
            _report(pacs.counts, as_json)
        return 0

    run(_COMMAND, work)


def _scenario(path: Path | None, over: dict[str, Any]) -> TargetScenario:
    """The scenario of the file, with what the options say over it."""
    try:
        tables = {} if path is None else read_tables(path)
        return convert_scenario(merged(tables, _given(over)))
    except ValueError as error:
        if path is None:
            raise typer.BadParameter(str(error)) from None
        raise typer.BadParameter(f"{path}: {error}", param_hint="'--scenario'") from None


def _given(tables: dict[str, Any]) -> dict[str, Any]:
    """The options that were given."""
    found = {key: _given(value) if isinstance(value, dict) else value for key, value in tables.items()}
    return {key: value for key, value in found.items() if value not in (None, {}, [])}


def _destinations(given: list[str] | tuple[str, ...]) -> dict[str, str]:
    found = {}
    for text in given:
        title, equals, where = text.partition("=")
        if not equals:
            raise typer.BadParameter(f"{text!r}: wanted TITLE=HOST:PORT", param_hint="'--destination'")
        found[title] = where
    return found


def _report(counts: Counts, as_json: bool) -> None:
    """Says what it has done."""
    if as_json:
        output.result_json(counts.to_dict())
        return
    output.result(
        f"associations: {counts.asked:,} asked, {counts.accepted:,} accepted, {counts.rejected:,} rejected, "
        f"{counts.aborted:,} aborted, {counts.closed:,} closed, {counts.ignored:,} ignored"
    )
    for name, numbers in (
        ("operations", counts.operations),
        ("statuses", counts.statuses),
        ("faults", counts.faults),
        ("commitment reports", counts.reports),
    ):
        if numbers:
            output.result(f"{name}: " + ", ".join(f"{number:,} {what}" for what, number in sorted(numbers.items())))
    for number, noun, nouns in (
        (counts.bytes_received, "byte received", "bytes received"),
        (counts.matches, "match", "matches"),
        (counts.stalls, "stall", "stalls"),
    ):
        if number:
            output.result(output.count(number, noun, nouns))
