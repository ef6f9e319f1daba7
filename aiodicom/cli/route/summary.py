"""What a configuration of the router does, in words."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterator
from typing import Any

from aiodicom.cli import output
from aiodicom.router.config.destinations import (
    Destination,
    DimseDestination,
    FolderDestination,
    ObjectsDestination,
    Slot,
    StowDestination,
)
from aiodicom.router.config.listening import Listener, Sender
from aiodicom.router.config.queueing import Commitment, Durability, Queue
from aiodicom.router.config.root import Config, name_of
from aiodicom.router.config.routes import Completion, Route
from aiodicom.router.config.transformations import Transformation
from aiodicom.standard.transfer_syntaxes import transfer_syntax

__all__ = ["summary_of"]

_SUCCESS = {
    Durability.RECEIVED: "when the object has arrived",
    Durability.WRITTEN: "when the object is in the system's cache",
    Durability.SYNCED: "when the object is on the disk",
    Durability.FORWARDED: "when every destination has the object",
}
_COMMITTED = {
    Commitment.NO: "not offered",
    Commitment.SYNCED: "when the object is on the disk",
    Commitment.DELIVERED: "when every destination has the object",
}


def summary_of(config: Config) -> Iterator[str]:
    """Lines for people."""
    yield "The configuration is right."
    yield ""
    for listener in config.listeners:
        yield _row("Listens", _listening(listener))
        yield _row("", f"from {_senders(listener)}")
    yield from _queue(config.queue, config.workers)
    yield _row("Other objects", "are refused" if config.unrouted == "refuse" else "are dropped, with Success")
    for number, route in enumerate(config.routes):
        yield ""
        yield from _route(route, number)
    yield ""
    yield "Destinations"
    width = max(map(len, config.destinations))
    for name, destination in config.destinations.items():
        yield f"  {name.ljust(width)}  {_destination(destination, config)}"
        for detail in _details(destination):
            yield f"  {' ' * width}  {detail}"
    yield from _looked_after(config)
    hints = list(_hints(config))
    if hints:
        yield ""
        yield from (f"Hint: {hint}" for hint in hints)


def _row(title: str, text: str) -> str:
    return f"{title:<14}{text}"


def _place(host: str, port: int) -> str:
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def _listening(listener: Listener) -> str:
    titles = " or ".join(listener.ae_titles) or "any AE title"
    tls = " by TLS" if listener.tls is not None else ""
    return f"{_place(listener.host, listener.port)} as {titles}{tls}"


def _senders(listener: Listener) -> str:
    if listener.senders:
        return "; ".join(map(_sender, listener.senders))
    try:
        is_local = ipaddress.ip_address(listener.host).is_loopback
    except ValueError:
        is_local = listener.host == "localhost"
    return 'this machine alone (host = "0.0.0.0" is for every network)' if is_local else "everybody"


def _sender(sender: Sender) -> str:
    address = f" at {sender.address}" if sender.address is not None else ""
    certificate = " with a certificate for it" if sender.certificate else ""
    return f"{'any AE title' if sender.ae_title == '*' else sender.ae_title}{address}{certificate}"


def _queue(queue: Queue, workers: int) -> Iterator[str]:
    shards = f", {workers} workers" if workers > 1 else ""
    yield _row("Queue", f"{queue.directory}{shards}")
    if queue.postgres is not None and queue.durability is Durability.SYNCED:
        yield _row("Success", "when the object is in the store, and the database knows it")
    else:
        yield _row("Success", _SUCCESS[queue.durability])
    yield _row("Commitment", _COMMITTED[queue.commitment])
    if queue.postgres is not None:
        yield _row("Shared", f"by PostgreSQL, with objects in {queue.objects}")
    if queue.refuse_below is not None:
        yield _row("Disk full", f"below {_size(queue.refuse_below)} free: objects are refused (A700H)")
    if queue.expire is not None:
        yield _row("Given up", f"what is not delivered after {_time(queue.expire)}")


def _route(route: Route, number: int) -> Iterator[str]:
    yield f"Route {number + 1}" + (f": {route.name}" if route.name is not None else "")
    yield f"  when    {' '.join(route.when.split()) if route.when is not None else 'always'}"
    if route.unless is not None:
        yield f"  unless  {' '.join(route.unless.split())}"
    for transformation in route.transformations:
        condition = f"  (when {' '.join(transformation.when.split())})" if transformation.when is not None else ""
        yield f"  then    {_transformation(transformation)}{condition}"
    if route.completion is not None:
        yield f"  waits   {_completion(route.completion)}"
    yield f"  to      {', '.join(route.to) or 'nowhere'}{f', priority {route.priority}' if route.priority else ''}"
    if route.final:
        yield "  and no route behind it"


def _transformation(transformation: Transformation) -> str:
    made: Any = transformation
    match type(transformation).__name__:
        case "SetValues":
            return "set " + ", ".join(f"{tag} to {value!r}" for tag, value in made.values.items())
        case "Remove":
            private = ["private attributes"] if made.private else []
            return f"remove {', '.join([*made.tags, *private])}"
        case "Hash":
            return f"hash {', '.join(made.tags)}"
        case "MapValues":
            source = f", by {made.source}" if made.source is not None else ""
            return f"map {made.tag} by table {made.table}{source}"
        case "Prefix":
            return f"prefix {made.tag} with {made.text!r}"
        case "Deidentify":
            return f"de-identify by profile {made.profile}"
        case "Transcode":
            return f"transcode to {transfer_syntax(made.to).name}"
        case "Split":
            return f"split {'series' if made.level == 'series' else 'studies'} by {', '.join(made.by)}"
        case "PlugIn":
            return f"plug-in {made.name}"
    return "drop"


def _completion(completion: Completion) -> str:
    signs = [f"{_time(completion.quiet)} without a further object"]
    signs += ["MPPS says so"] if completion.mpps else []
    signs += ["all are there that the header counts"] if completion.counts else []
    return f"until the {completion.level} is complete: {', or '.join(signs)}; {_time(completion.most)} at the most"


def _destination(destination: Destination, config: Config) -> str:
    match destination:
        case DimseDestination():
            calling = destination.calling_aet or config.calling_aet
            tls = " by TLS" if destination.tls is not None else ""
            return f"{destination.called_aet} at {_place(destination.host, destination.port)}{tls}, as {calling}"
        case StowDestination():
            return f"STOW-RS at {destination.url}"
        case FolderDestination():
            return f"files {destination.path}"
        case ObjectsDestination():
            return f"objects {destination.url.rstrip('/')}/{destination.path}"


def _details(destination: Destination) -> Iterator[str]:
    if isinstance(destination, DimseDestination):
        yield f"transcoding {destination.transcode.value}; associations {destination.associations}"
        if destination.commitment is not None:
            yield "an object leaves the queue when the destination has committed to it"
    limits = []
    if destination.rate is not None:
        limits.append(f"{destination.rate:g} objects a second")
    if destination.bandwidth is not None:
        limits.append(f"{_size(destination.bandwidth)} a second")
    if limits:
        yield f"at the most {' and '.join(limits)}"
    if destination.schedule:
        yield f"sent {' and '.join(map(_slot, destination.schedule))}"
    if destination.hold:
        yield "held until somebody releases it"


def _slot(slot: Slot) -> str:
    days = "" if len(slot.days) == 7 else f" on {', '.join(slot.days)}"
    return f"from {slot.begins} to {slot.ends}{days}"


def _looked_after(config: Config) -> Iterator[str]:
    passed = [
        f"{what} to {name}"
        for what, name in (
            ("queries", config.pass_through.queries),
            ("worklist", config.pass_through.worklist),
            ("MPPS", config.pass_through.mpps),
        )
        if name is not None
    ]
    rows = [("Passed on", ", ".join(passed))]
    if config.operations is not None:
        scheme = "http" if config.operations.tls is None else "https"
        rows.append(("Page", f"{scheme}://{_place(config.operations.host, config.operations.port)}/, with the token"))
    if config.metrics is not None:
        rows.append(("Metrics", f"http://{_place(config.metrics.host, config.metrics.port)}/metrics"))
    if config.tracing is not None:
        rows.append(("Traces", f"to {config.tracing.endpoint}"))
    if config.audit is not None:
        port = config.audit.port or (6514 if config.audit.transport == "tls" else 514)
        rows.append(("Audit", f"to {_place(config.audit.host, port)} by {config.audit.transport.upper()}"))
    shown = [_row(title, text) for title, text in rows if text]
    if shown:
        yield ""
        yield from shown


def _hints(config: Config) -> Iterator[str]:
    passing = config.pass_through
    used = {name for route in config.routes for name in route.to}
    used |= {name for name in (passing.queries, passing.worklist, passing.mpps) if name is not None}
    for name, destination in config.destinations.items():
        if name not in used:
            yield f"no route leads to {name}"
        if isinstance(destination, StowDestination) and destination.url.startswith("http:"):
            has_token = destination.token_file is not None or destination.token_hook is not None
            if has_token:
                yield f"everybody on the way can read the token of {name}: its url begins with http:, not https:"
    for number, route in enumerate(config.routes[:-1]):
        if route.final and route.when is None and route.unless is None:
            behind = len(config.routes) - number - 1
            yield f"{output.count(behind, 'route')} behind {name_of(route, number)} cannot be reached: it is final"
            break


def _size(size: int) -> str:
    for unit, length in (("TiB", 1 << 40), ("GiB", 1 << 30), ("MiB", 1 << 20), ("KiB", 1 << 10)):
        if size and not size % length:
            return f"{size // length:,} {unit}"
    return f"{size:,} bytes"


def _time(seconds: float) -> str:
    for unit, length in (("d", 86400), ("h", 3600), ("min", 60)):
        if seconds >= length and not seconds % length:
            return f"{seconds / length:g} {unit}"
    return f"{seconds:g} s"
