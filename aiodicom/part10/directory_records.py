"""Directory records (PS3.3 F.5): which type stands for an object, and what the record says of it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from aiodicom.standard.sop_classes import Service, sop_class

if TYPE_CHECKING:
    from aiodicom.dataset import Dataset

__all__ = ["ROOT_TYPES", "record_of", "record_type_of"]

_STORAGE = "1.2.840.10008.5.1.4.1.1."

#: SOP classes by what follows the root of the storage SOP classes; the longest beginning wins (PS3.3 table F.4-1).
_TYPES = {
    "4.2": "SPECTROSCOPY",
    "9": "WAVEFORM",
    "9.100": "PRESENTATION",
    "11": "PRESENTATION",
    "66": "RAW DATA",
    "66.1": "REGISTRATION",
    "66.2": "FIDUCIAL",
    "66.3": "REGISTRATION",
    "66.4": "IMAGE",
    "66.5": "SURFACE",
    "66.6": "TRACT",
    "66.7": "IMAGE",
    "66.8": "IMAGE",
    "67": "VALUE MAP",
    "68": "SURFACE SCAN",
    "77.1.5.3": "STEREOMETRIC",
    "78": "MEASUREMENT",
    "79": "MEASUREMENT",
    "80": "MEASUREMENT",
    "88": "SR DOCUMENT",
    "88.59": "KEY OBJECT DOC",
    "90": "ASSESSMENT",
    "91": "ANNOTATION",
    "104": "ENCAP DOC",
    "481.1": "IMAGE",
    "481.2": "RT DOSE",
    "481.3": "RT STRUCTURE SET",
    "481.4": "RT TREAT RECORD",
    "481.5": "RT PLAN",
    "481.6": "RT TREAT RECORD",
    "481.7": "RT TREAT RECORD",
    "481.8": "RT PLAN",
    "481.9": "RT TREAT RECORD",
    "481": "RADIOTHERAPY",
}
_OTHER_TYPES = {
    "1.2.840.10008.5.1.4.34.7": "RT TREAT RECORD",
    "1.2.840.10008.5.1.4.34.10": "RADIOTHERAPY",
    "1.2.840.10008.5.1.4.38.1": "HANGING PROTOCOL",
    "1.2.840.10008.5.1.4.39.1": "PALETTE",
    "1.2.840.10008.5.1.4.43.1": "IMPLANT",
    "1.2.840.10008.5.1.4.44.1": "IMPLANT ASSY",
    "1.2.840.10008.5.1.4.45.1": "IMPLANT GROUP",
}

#: Records that stand at the root beside PATIENT (PS3.3 table F.4-1).
ROOT_TYPES = frozenset(("HANGING PROTOCOL", "PALETTE", "IMPLANT", "IMPLANT ASSY", "IMPLANT GROUP", "INVENTORY"))

_CONTENT = ("InstanceNumber", "ContentDate", "ContentTime")
_LABELLED = (*_CONTENT, "ContentLabel", "ContentDescription", "ContentCreatorName")
_TEMPLATE = ("Manufacturer", "EffectiveDateTime")

#: The keys of each type (PS3.3 F.5.1 to F.5.47); what an object lacks is left empty where it is in `_REQUIRED`.
_KEYS: dict[str, tuple[str, ...]] = {
    "PATIENT": ("PatientName", "PatientID"),
    "STUDY": ("StudyDate", "StudyTime", "AccessionNumber", "StudyDescription", "StudyInstanceUID", "StudyID"),
    "SERIES": ("Modality", "SeriesDescription", "SeriesInstanceUID", "SeriesNumber"),
    "IMAGE": ("ImageType", "InstanceNumber"),
    "RT DOSE": ("DoseSummationType", "InstanceNumber"),
    "RT STRUCTURE SET": ("InstanceNumber", "StructureSetLabel", "StructureSetDate", "StructureSetTime"),
    "RT PLAN": ("InstanceNumber", "RTPlanLabel", "RTPlanDate", "RTPlanTime"),
    "RT TREAT RECORD": ("InstanceNumber", "TreatmentDate", "TreatmentTime"),
    "PRESENTATION": (
        "InstanceNumber",
        "ContentLabel",
        "ContentDescription",
        "PresentationCreationDate",
        "PresentationCreationTime",
        "ContentCreatorName",
        "ReferencedSeriesSequence",
        "BlendingSequence",
    ),
    "WAVEFORM": _CONTENT,
    "SR DOCUMENT": (*_CONTENT, "CompletionFlag", "VerificationFlag", "VerificationDateTime", "ConceptNameCodeSequence"),
    "KEY OBJECT DOC": (*_CONTENT, "ConceptNameCodeSequence"),
    "SPECTROSCOPY": (*_CONTENT, "ImageType", "NumberOfFrames", "Rows", "Columns", "DataPointRows", "DataPointColumns"),
    "RAW DATA": _CONTENT,
    "REGISTRATION": _LABELLED,
    "FIDUCIAL": _LABELLED,
    "VALUE MAP": _LABELLED,
    "SURFACE": _LABELLED,
    "SURFACE SCAN": ("ContentDate", "ContentTime"),
    "TRACT": _LABELLED,
    "MEASUREMENT": _CONTENT,
    "ASSESSMENT": ("InstanceNumber", "InstanceCreationDate", "InstanceCreationTime"),
    "RADIOTHERAPY": ("InstanceNumber", "UserContentLabel", "UserContentLongLabel", "ContentDescription"),
    "ANNOTATION": _LABELLED,
    "ENCAP DOC": (*_CONTENT, "DocumentTitle", "MIMETypeOfEncapsulatedDocument", "HL7InstanceIdentifier"),
    "HANGING PROTOCOL": (
        "HangingProtocolName",
        "HangingProtocolDescription",
        "HangingProtocolLevel",
        "HangingProtocolCreator",
        "HangingProtocolCreationDateTime",
        "NumberOfPriorsReferenced",
    ),
    "PALETTE": ("ContentLabel", "ContentDescription"),
    "IMPLANT": (*_TEMPLATE, "ImplantName", "ImplantPartNumber"),
    "IMPLANT ASSY": (*_TEMPLATE, "ImplantAssemblyTemplateName", "ProcedureTypeCodeSequence"),
    "IMPLANT GROUP": ("EffectiveDateTime", "ImplantTemplateGroupName", "ImplantTemplateGroupIssuer"),
}
_REQUIRED = {
    "PatientName",
    "PatientID",
    "StudyDate",
    "StudyTime",
    "AccessionNumber",
    "StudyDescription",
    "StudyInstanceUID",
    "StudyID",
    "Modality",
    "SeriesInstanceUID",
    "SeriesNumber",
    "InstanceNumber",
    "StructureSetLabel",
    "StructureSetDate",
    "StructureSetTime",
    "RTPlanLabel",
    "RTPlanDate",
    "RTPlanTime",
    "DoseSummationType",
    "TreatmentDate",
    "TreatmentTime",
    "DocumentTitle",
}


def record_type_of(sop_class_uid: str) -> str:
    """The type of the record that stands for an object; PRIVATE where the standard has none."""
    if sop_class_uid in _OTHER_TYPES:
        return _OTHER_TYPES[sop_class_uid]
    if sop_class_uid.startswith(_STORAGE):
        rest = sop_class_uid.removeprefix(_STORAGE)
        while rest:
            if rest in _TYPES:
                return _TYPES[rest]
            rest = rest.rpartition(".")[0]
        known = sop_class(sop_class_uid)
        if known is None or (known.service is Service.STORAGE and "Protocol" not in known.name):
            return "IMAGE"
    return "PRIVATE"


def record_of(record_type: str, data_set: Dataset) -> Dataset:
    """The keys of a record of that type, taken from an object."""
    from aiodicom.dataset import DataElement, Dataset
    from aiodicom.standard.dictionary import entry_for_keyword

    keys = Dataset()
    charset = data_set.get("SpecificCharacterSet")
    if charset:
        keys.SpecificCharacterSet = charset
    for keyword in _KEYS.get(record_type, ("InstanceNumber",)):
        element = data_set.data_element(keyword)
        if element is not None and (keyword in _REQUIRED or not element.is_empty):
            keys.add(element.__copy__())
        elif keyword in _REQUIRED:
            entry = entry_for_keyword(keyword)
            assert entry is not None
            keys.add(DataElement(keyword, entry.vr, None))
    return keys
