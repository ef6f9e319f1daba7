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
    from aiodicom.net.answers import Answer
    from aiodicom.net.association import Association
    from aiodicom.net.connect import connect
    from aiodicom.net.handlers import Handlers, Refusal
    from aiodicom.net.pool import Pool
    from aiodicom.net.pooled import PooledMatches, PooledRetrieved
    from aiodicom.net.requests import (
        EchoRequest,
        FindRequest,
        GetRequest,
        MoveRequest,
        NActionRequest,
        NCreateRequest,
        NDeleteRequest,
        NEventReportRequest,
        NGetRequest,
        NSetRequest,
        StoreRequest,
    )
    from aiodicom.net.responses import Matches
    from aiodicom.net.results import Result, RetrieveResult
    from aiodicom.net.retrieval import Retrieved
    from aiodicom.net.retry import Retry
    from aiodicom.net.run import run
    from aiodicom.net.serve import Serving, serve
    from aiodicom.net.server import Server
    from aiodicom.net.sinks import BodySink, Discarded, Spooled, Streamed
    from aiodicom.net.sources import SubOperation
    from aiodicom.net.suboperations import Destination, MoveOriginator
    from aiodicom.net.tls import (
        TLSProfile,
        admit_by_certificate,
        check_certificate_ae_title,
        tls_client_context,
        tls_server_context,
    )
    from aiodicom.net.transcoding import Transcoding
    from aiodicom.part10.dicomdir import FileSet
    from aiodicom.part10.reader import dcmread
    from aiodicom.part10.writer import dcmwrite
    from aiodicom.pixels.frames import Frame, Frames
    from aiodicom.pixels.rendering import render
    from aiodicom.pixels.transcode import transcode, transcode_file
    from aiodicom.services.finding import find_instances, find_series, find_studies
    from aiodicom.services.index import Index, MemoryIndex
    from aiodicom.services.ingest import Ingest
    from aiodicom.services.instance_availability import InstanceAvailability
    from aiodicom.services.instances import Instances, MemoryInstances
    from aiodicom.services.levels import Query
    from aiodicom.services.matching import Keys
    from aiodicom.services.mpps import PerformedProcedureStep, PerformedProcedureSteps, mpps
    from aiodicom.services.naming import FileTemplate
    from aiodicom.services.performed import performed_series, scheduled_step
    from aiodicom.services.query_retrieve import QueryRetrieve
    from aiodicom.services.receiving import receiving_contexts
    from aiodicom.services.storage import FolderStorage, StorageServer
    from aiodicom.services.storage_commitment import (
        Commitment,
        CommitmentArchive,
        CommitmentListener,
        FailedInstance,
        FailureReason,
        ReferencedInstance,
        StorageCommitment,
        Transaction,
        request_commitment,
    )
    from aiodicom.services.studies import Studies, StudyCommand, StudyEnds
    from aiodicom.services.ups import UnifiedProcedureSteps
    from aiodicom.services.worklist import Worklist
    from aiodicom.standard.models import (
        CompositeInstanceRetrieveWithoutBulkData,
        CompositeInstanceRoot,
        InformationModel,
        ModalityWorklist,
        PatientRoot,
        PatientStudyOnly,
        StudyRoot,
        UPSPull,
        UPSQuery,
        UPSWatch,
    )
    from aiodicom.standard.status import Status, StatusCategory
    from aiodicom.standard.uids import (
        INSTANCE_AVAILABILITY_NOTIFICATION,
        MODALITY_PERFORMED_PROCEDURE_STEP,
        MODALITY_PERFORMED_PROCEDURE_STEP_NOTIFICATION,
        MODALITY_PERFORMED_PROCEDURE_STEP_RETRIEVE,
        STORAGE_COMMITMENT_PUSH_MODEL,
        STORAGE_COMMITMENT_PUSH_MODEL_INSTANCE,
        UNIFIED_PROCEDURE_STEP_EVENT,
        UNIFIED_PROCEDURE_STEP_PUSH,
        UPS_FILTERED_GLOBAL_SUBSCRIPTION,
        UPS_GLOBAL_SUBSCRIPTION,
        VERIFICATION,
    )
    from aiodicom.store.files import Durability
    from aiodicom.ul.extended import QueryRetrieveExtended, RetrieveExtended, StorageExtended
    from aiodicom.ul.negotiation import ANY, Support
    from aiodicom.ul.pdu import SOPClassCommonExtendedNegotiation, UserIdentity, UserIdentityType

__version__ = "0.1.0"

_MODULES = {
    "ANY": "aiodicom.ul.negotiation",
    "AcceptedContext": "aiodicom.dimse.events",
    "Answer": "aiodicom.net.answers",
    "Association": "aiodicom.net.association",
    "BodySink": "aiodicom.net.sinks",
    "Commitment": "aiodicom.services.storage_commitment",
    "CommitmentArchive": "aiodicom.services.storage_commitment",
    "CommitmentListener": "aiodicom.services.storage_commitment",
    "CompositeInstanceRetrieveWithoutBulkData": "aiodicom.standard.models",
    "CompositeInstanceRoot": "aiodicom.standard.models",
    "Counters": "aiodicom.metrics",
    "DataElement": "aiodicom.dataset",
    "Dataset": "aiodicom.dataset",
    "Destination": "aiodicom.net.suboperations",
    "Discarded": "aiodicom.net.sinks",
    "Durability": "aiodicom.store.files",
    "EchoRequest": "aiodicom.net.requests",
    "FailedInstance": "aiodicom.services.storage_commitment",
    "FailureReason": "aiodicom.services.storage_commitment",
    "FileSet": "aiodicom.part10.dicomdir",
    "FileTemplate": "aiodicom.services.naming",
    "FindRequest": "aiodicom.net.requests",
    "FolderStorage": "aiodicom.services.storage",
    "Frame": "aiodicom.pixels.frames",
    "Frames": "aiodicom.pixels.frames",
    "GetRequest": "aiodicom.net.requests",
    "Handlers": "aiodicom.net.handlers",
    "INSTANCE_AVAILABILITY_NOTIFICATION": "aiodicom.standard.uids",
    "Index": "aiodicom.services.index",
    "InformationModel": "aiodicom.standard.models",
    "Ingest": "aiodicom.services.ingest",
    "InstanceAvailability": "aiodicom.services.instance_availability",
    "Instances": "aiodicom.services.instances",
    "Keys": "aiodicom.services.matching",
    "MODALITY_PERFORMED_PROCEDURE_STEP": "aiodicom.standard.uids",
    "MODALITY_PERFORMED_PROCEDURE_STEP_NOTIFICATION": "aiodicom.standard.uids",
    "MODALITY_PERFORMED_PROCEDURE_STEP_RETRIEVE": "aiodicom.standard.uids",
    "Matches": "aiodicom.net.responses",
    "MemoryIndex": "aiodicom.services.index",
    "MemoryInstances": "aiodicom.services.instances",
    "ModalityWorklist": "aiodicom.standard.models",
    "MoveOriginator": "aiodicom.net.suboperations",
    "MoveRequest": "aiodicom.net.requests",
    "NActionRequest": "aiodicom.net.requests",
    "NCreateRequest": "aiodicom.net.requests",
    "NDeleteRequest": "aiodicom.net.requests",
    "NEventReportRequest": "aiodicom.net.requests",
    "NGetRequest": "aiodicom.net.requests",
    "NSetRequest": "aiodicom.net.requests",
    "PatientRoot": "aiodicom.standard.models",
    "PatientStudyOnly": "aiodicom.standard.models",
    "PerformedProcedureStep": "aiodicom.services.mpps",
    "PerformedProcedureSteps": "aiodicom.services.mpps",
    "PersonName": "aiodicom.dataset",
    "Pool": "aiodicom.net.pool",
    "PooledMatches": "aiodicom.net.pooled",
    "PooledRetrieved": "aiodicom.net.pooled",
    "Query": "aiodicom.services.levels",
    "QueryRetrieve": "aiodicom.services.query_retrieve",
    "QueryRetrieveExtended": "aiodicom.ul.extended",
    "ReferencedInstance": "aiodicom.services.storage_commitment",
    "Refusal": "aiodicom.net.handlers",
    "Rejection": "aiodicom.net.acceptor",
    "Result": "aiodicom.net.results",
    "RetrieveExtended": "aiodicom.ul.extended",
    "RetrieveResult": "aiodicom.net.results",
    "Retrieved": "aiodicom.net.retrieval",
    "Retry": "aiodicom.net.retry",
    "SOPClassCommonExtendedNegotiation": "aiodicom.ul.pdu",
    "STORAGE_COMMITMENT_PUSH_MODEL": "aiodicom.standard.uids",
    "STORAGE_COMMITMENT_PUSH_MODEL_INSTANCE": "aiodicom.standard.uids",
    "Sequence": "aiodicom.dataset",
    "Server": "aiodicom.net.server",
    "Serving": "aiodicom.net.serve",
    "Spooled": "aiodicom.net.sinks",
    "Status": "aiodicom.standard.status",
    "StatusCategory": "aiodicom.standard.status",
    "StorageCommitment": "aiodicom.services.storage_commitment",
    "StorageExtended": "aiodicom.ul.extended",
    "StorageServer": "aiodicom.services.storage",
    "StoreRequest": "aiodicom.net.requests",
    "Streamed": "aiodicom.net.sinks",
    "Studies": "aiodicom.services.studies",
    "StudyCommand": "aiodicom.services.studies",
    "StudyEnds": "aiodicom.services.studies",
    "StudyRoot": "aiodicom.standard.models",
    "SubOperation": "aiodicom.net.sources",
    "Support": "aiodicom.ul.negotiation",
    "TLSProfile": "aiodicom.net.tls",
    "Tag": "aiodicom.dataset",
    "Timeouts": "aiodicom.dimse.events",
    "Transaction": "aiodicom.services.storage_commitment",
    "Transcoding": "aiodicom.net.transcoding",
    "UNIFIED_PROCEDURE_STEP_EVENT": "aiodicom.standard.uids",
    "UNIFIED_PROCEDURE_STEP_PUSH": "aiodicom.standard.uids",
    "UPSPull": "aiodicom.standard.models",
    "UPSQuery": "aiodicom.standard.models",
    "UPSWatch": "aiodicom.standard.models",
    "UPS_FILTERED_GLOBAL_SUBSCRIPTION": "aiodicom.standard.uids",
    "UPS_GLOBAL_SUBSCRIPTION": "aiodicom.standard.uids",
    "UnifiedProcedureSteps": "aiodicom.services.ups",
    "UserIdentity": "aiodicom.ul.pdu",
    "UserIdentityType": "aiodicom.ul.pdu",
    "VERIFICATION": "aiodicom.standard.uids",
    "Worklist": "aiodicom.services.worklist",
    "admit_by_certificate": "aiodicom.net.tls",
    "check_certificate_ae_title": "aiodicom.net.tls",
    "connect": "aiodicom.net.connect",
    "dcmread": "aiodicom.part10.reader",
    "dcmwrite": "aiodicom.part10.writer",
    "errors": "aiodicom.errors",
    "find_instances": "aiodicom.services.finding",
    "find_series": "aiodicom.services.finding",
    "find_studies": "aiodicom.services.finding",
    "from_pydicom": "aiodicom.dataset.interop",
    "mpps": "aiodicom.services.mpps",
    "performed_series": "aiodicom.services.performed",
    "receiving_contexts": "aiodicom.services.receiving",
    "render": "aiodicom.pixels.rendering",
    "request_commitment": "aiodicom.services.storage_commitment",
    "run": "aiodicom.net.run",
    "scheduled_step": "aiodicom.services.performed",
    "serve": "aiodicom.net.serve",
    "tls_client_context": "aiodicom.net.tls",
    "tls_server_context": "aiodicom.net.tls",
    "to_pydicom": "aiodicom.dataset.interop",
    "transcode": "aiodicom.pixels.transcode",
    "transcode_file": "aiodicom.pixels.transcode",
}

__all__ = [
    "ANY",
    "AcceptedContext",
    "Answer",
    "Association",
    "BodySink",
    "Commitment",
    "CommitmentArchive",
    "CommitmentListener",
    "CompositeInstanceRetrieveWithoutBulkData",
    "CompositeInstanceRoot",
    "Counters",
    "DataElement",
    "Dataset",
    "Destination",
    "Discarded",
    "Durability",
    "EchoRequest",
    "FailedInstance",
    "FailureReason",
    "FileSet",
    "FileTemplate",
    "FindRequest",
    "FolderStorage",
    "Frame",
    "Frames",
    "GetRequest",
    "Handlers",
    "INSTANCE_AVAILABILITY_NOTIFICATION",
    "Index",
    "InformationModel",
    "Ingest",
    "InstanceAvailability",
    "Instances",
    "Keys",
    "MODALITY_PERFORMED_PROCEDURE_STEP",
    "MODALITY_PERFORMED_PROCEDURE_STEP_NOTIFICATION",
    "MODALITY_PERFORMED_PROCEDURE_STEP_RETRIEVE",
    "Matches",
    "MemoryIndex",
    "MemoryInstances",
    "ModalityWorklist",
    "MoveOriginator",
    "MoveRequest",
    "NActionRequest",
    "NCreateRequest",
    "NDeleteRequest",
    "NEventReportRequest",
    "NGetRequest",
    "NSetRequest",
    "PatientRoot",
    "PatientStudyOnly",
    "PerformedProcedureStep",
    "PerformedProcedureSteps",
    "PersonName",
    "Pool",
    "PooledMatches",
    "PooledRetrieved",
    "Query",
    "QueryRetrieve",
    "QueryRetrieveExtended",
    "ReferencedInstance",
    "Refusal",
    "Rejection",
    "Result",
    "RetrieveExtended",
    "RetrieveResult",
    "Retrieved",
    "Retry",
    "SOPClassCommonExtendedNegotiation",
    "STORAGE_COMMITMENT_PUSH_MODEL",
    "STORAGE_COMMITMENT_PUSH_MODEL_INSTANCE",
    "Sequence",
    "Server",
    "Serving",
    "Spooled",
    "Status",
    "StatusCategory",
    "StorageCommitment",
    "StorageExtended",
    "StorageServer",
    "StoreRequest",
    "Streamed",
    "Studies",
    "StudyCommand",
    "StudyEnds",
    "StudyRoot",
    "SubOperation",
    "Support",
    "TLSProfile",
    "Tag",
    "Timeouts",
    "Transaction",
    "Transcoding",
    "UNIFIED_PROCEDURE_STEP_EVENT",
    "UNIFIED_PROCEDURE_STEP_PUSH",
    "UPSPull",
    "UPSQuery",
    "UPSWatch",
    "UPS_FILTERED_GLOBAL_SUBSCRIPTION",
    "UPS_GLOBAL_SUBSCRIPTION",
    "UnifiedProcedureSteps",
    "UserIdentity",
    "UserIdentityType",
    "VERIFICATION",
    "Worklist",
    "__version__",
    "admit_by_certificate",
    "check_certificate_ae_title",
    "connect",
    "dcmread",
    "dcmwrite",
    "errors",
    "find_instances",
    "find_series",
    "find_studies",
    "from_pydicom",
    "mpps",
    "performed_series",
    "receiving_contexts",
    "render",
    "request_commitment",
    "run",
    "scheduled_step",
    "serve",
    "tls_client_context",
    "tls_server_context",
    "to_pydicom",
    "transcode",
    "transcode_file",
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
