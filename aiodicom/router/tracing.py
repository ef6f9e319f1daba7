"""Traces across hops (OpenTelemetry): every node that an object goes through adds its spans to one trace.

DICOM has no place for a trace's context. So the trace follows from the SOP Instance UID: nodes that know nothing of
each other agree on it as long as the UID stays the same.
"""

from __future__ import annotations

import hashlib
import logging
import math
import time
from typing import TYPE_CHECKING, Any, Final

from opentelemetry import trace
from opentelemetry.trace import NonRecordingSpan, SpanContext, Status, StatusCode, TraceFlags

from aiodicom.errors import LocalError
from aiodicom.router.observing import Observer

if TYPE_CHECKING:
    from collections.abc import Callable

    from opentelemetry.context import Context
    from opentelemetry.trace import Tracer

    from aiodicom.dataset import Dataset
    from aiodicom.net.association import Association
    from aiodicom.router.config.operations import Tracing
    from aiodicom.router.outcomes import Outcome
    from aiodicom.router.queue.objects import Incoming, Lease

__all__ = ["TracingObserver", "context_of", "tracer_of"]

_SECOND: Final = 1_000_000_000
#: Seconds between what the exporter says of a collector that is away.
_SELDOM: Final = 600.0
#: Where a collector takes traces.
_TRACES: Final = "/v1/traces"


def context_of(sop_instance_uid: str, ratio: float = 1.0) -> Context | None:
    """The context of an object's trace; None for one that is not among the part `ratio` that is traced.

    Which objects these are follows from their UIDs too: a trace has all of its hops or none.
    """
    digest = hashlib.sha256(sop_instance_uid.encode()).digest()
    if int.from_bytes(digest[24:]) >= ratio * 2**64:
        return None
    identity = SpanContext(
        int.from_bytes(digest[:16]) or 1,
        int.from_bytes(digest[16:24]) or 1,
        is_remote=True,
        trace_flags=TraceFlags(TraceFlags.SAMPLED),
    )
    return trace.set_span_in_context(NonRecordingSpan(identity))


class _Seldom(logging.Filter):
    """Lets a record through when there was none for a while: a collector that is away is one piece of news."""

    def __init__(self) -> None:
        super().__init__()
        self._last = -math.inf

    def filter(self, record: logging.LogRecord) -> bool:
        is_due = record.created - self._last > _SELDOM
        if is_due:
            self._last = record.created
        return is_due


def tracer_of(settings: Tracing) -> tuple[Tracer, Callable[[], None]]:
    """A tracer that exports to a collector, and what ends it, which waits for what is on its way. Raises LocalError
    where the exporter is not installed.
    """
    try:
        from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
        from opentelemetry.sdk.resources import Resource
        from opentelemetry.sdk.trace import TracerProvider
        from opentelemetry.sdk.trace.export import BatchSpanProcessor
    except ModuleNotFoundError:
        raise LocalError("tracing needs more packages: pip install 'aiodicom[tracing]'") from None
    provider = TracerProvider(resource=Resource.create({"service.name": settings.service_name}))
    # Given to it, the address is taken for that of traces alone, which collectors have below their own.
    endpoint = f"{settings.endpoint.rstrip('/').removesuffix(_TRACES)}{_TRACES}"
    log = logging.getLogger(OTLPSpanExporter.__module__)
    if not any(isinstance(each, _Seldom) for each in log.filters):
        log.addFilter(_Seldom())
    provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter(endpoint=endpoint)))
    return provider.get_tracer("aiodicom.router"), provider.shutdown


class TracingObserver(Observer):
    """Adds a span for each object that was received, and for each attempt at a delivery, when it has ended."""

    def __init__(self, tracer: Tracer, ratio: float = 1.0) -> None:
        self._tracer = tracer
        self._ratio = ratio

    def received(self, incoming: Incoming, size: int, header: Dataset, association: Association) -> None:
        """An object has been taken."""
        self._span(
            "receive",
            incoming.sop_instance_uid,
            max(time.time() - incoming.received, 0.0),
            {
                "dicom.calling_aet": incoming.calling_aet,
                "dicom.called_aet": incoming.called_aet,
                "dicom.sop_class_uid": incoming.sop_class_uid,
                "dicom.study_instance_uid": incoming.study_instance_uid,
                "dicom.size": size,
            },
        )

    def delivered(self, lease: Lease, size: int, seconds: float, reason: str) -> None:
        """A destination has an object."""
        self._span("deliver", lease.sop_instance_uid, seconds, {**_about(lease), "dicom.size": size})

    def failed(self, lease: Lease, outcome: Outcome, is_dead: bool) -> None:
        """An attempt has failed."""
        about = {**_about(lease), "dicom.is_given_up": is_dead}
        self._span("deliver", lease.sop_instance_uid, 0.0, about, failure=outcome.reason)

    def _span(
        self, name: str, sop_instance_uid: str, seconds: float, attributes: dict[str, Any], failure: str = ""
    ) -> None:
        context = context_of(sop_instance_uid, self._ratio)
        if context is None:
            return
        end = time.time_ns()
        begin = end - int(seconds * _SECOND)
        attributes["dicom.sop_instance_uid"] = sop_instance_uid
        span = self._tracer.start_span(name, context, attributes=attributes, start_time=begin)
        if failure:
            span.set_status(Status(StatusCode.ERROR, failure))
        span.end(end)


def _about(lease: Lease) -> dict[str, Any]:
    return {
        "dicom.destination": lease.destination,
        "dicom.route": lease.route,
        "dicom.attempts": lease.attempts,
        "dicom.sop_class_uid": lease.sop_class_uid,
    }
