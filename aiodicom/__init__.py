"""aiodicom: an asyncio-native, high-throughput DICOM network engine.

Everything public is here; a name is imported from its module when it is first used, so that importing aiodicom costs
next to nothing.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from aiodicom.dataset import DataElement, Dataset, PersonName, Sequence, Tag
    from aiodicom.dataset.interop import from_pydicom, to_pydicom
    from aiodicom.dimse.events import AcceptedContext, Timeouts
    from aiodicom.metrics import Counters
    from aiodicom.net.acceptor import Rejection
    from aiodicom.net.association import Association
    from aiodicom.net.connect import connect
    from aiodicom.net.pool import Pool
    from aiodicom.net.requests import EchoRequest, StoreRequest
    from aiodicom.net.run import run
    from aiodicom.net.serve import Serving, serve
    from aiodicom.net.server import Server
    from aiodicom.net.sinks import BodySink, Discarded, Spooled, Streamed
    from aiodicom.net.tls import (
        TLSProfile,
        admit_by_certificate,
        check_certificate_ae_title,
        tls_client_context,
        tls_server_context,
    )
    from aiodicom.part10.dicomdir import FileSet
    from aiodicom.part10.reader import dcmread
    from aiodicom.part10.writer import dcmwrite
    from aiodicom.standard.status import Status, StatusCategory
    from aiodicom.standard.uids import VERIFICATION
    from aiodicom.ul.negotiation import ANY, Support
    from aiodicom.ul.pdu import UserIdentity

__version__ = "0.1.0"

_MODULES = {
    "ANY": "aiodicom.ul.negotiation",
    "AcceptedContext": "aiodicom.dimse.events",
    "Association": "aiodicom.net.association",
    "BodySink": "aiodicom.net.sinks",
    "Counters": "aiodicom.metrics",
    "DataElement": "aiodicom.dataset",
    "Dataset": "aiodicom.dataset",
    "Discarded": "aiodicom.net.sinks",
    "EchoRequest": "aiodicom.net.requests",
    "FileSet": "aiodicom.part10.dicomdir",
    "PersonName": "aiodicom.dataset",
    "Pool": "aiodicom.net.pool",
    "Rejection": "aiodicom.net.acceptor",
    "Sequence": "aiodicom.dataset",
    "Server": "aiodicom.net.server",
    "Serving": "aiodicom.net.serve",
    "Spooled": "aiodicom.net.sinks",
    "Status": "aiodicom.standard.status",
    "StatusCategory": "aiodicom.standard.status",
    "StoreRequest": "aiodicom.net.requests",
    "Streamed": "aiodicom.net.sinks",
    "Support": "aiodicom.ul.negotiation",
    "TLSProfile": "aiodicom.net.tls",
    "Tag": "aiodicom.dataset",
    "Timeouts": "aiodicom.dimse.events",
    "UserIdentity": "aiodicom.ul.pdu",
    "VERIFICATION": "aiodicom.standard.uids",
    "admit_by_certificate": "aiodicom.net.tls",
    "check_certificate_ae_title": "aiodicom.net.tls",
    "connect": "aiodicom.net.connect",
    "dcmread": "aiodicom.part10.reader",
    "dcmwrite": "aiodicom.part10.writer",
    "errors": "aiodicom.errors",
    "from_pydicom": "aiodicom.dataset.interop",
    "run": "aiodicom.net.run",
    "serve": "aiodicom.net.serve",
    "tls_client_context": "aiodicom.net.tls",
    "tls_server_context": "aiodicom.net.tls",
    "to_pydicom": "aiodicom.dataset.interop",
}

__all__ = [
    "ANY",
    "VERIFICATION",
    "AcceptedContext",
    "Association",
    "BodySink",
    "Counters",
    "DataElement",
    "Dataset",
    "Discarded",
    "EchoRequest",
    "FileSet",
    "PersonName",
    "Pool",
    "Rejection",
    "Sequence",
    "Server",
    "Serving",
    "Spooled",
    "Status",
    "StatusCategory",
    "StoreRequest",
    "Streamed",
    "Support",
    "TLSProfile",
    "Tag",
    "Timeouts",
    "UserIdentity",
    "__version__",
    "admit_by_certificate",
    "check_certificate_ae_title",
    "connect",
    "dcmread",
    "dcmwrite",
    "errors",
    "from_pydicom",
    "run",
    "serve",
    "tls_client_context",
    "tls_server_context",
    "to_pydicom",
]


def __getattr__(name: str) -> Any:
    module = _MODULES.get(name)
    if module is None:
        raise AttributeError(f"module 'aiodicom' has no attribute {name!r}")
    loaded = import_module(module)
    value = loaded if module == f"aiodicom.{name}" else getattr(loaded, name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return __all__
