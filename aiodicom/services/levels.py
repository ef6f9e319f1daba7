"""Levels of the query/retrieve information models, their keys, and what an identifier asks for (PS3.4 C.3, C.6)."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from typing import TYPE_CHECKING, Final, NamedTuple

from aiodicom.errors import DecodeError, OperationRefused
from aiodicom.services.matching import Keys
from aiodicom.standard.dictionary import tag_for_keyword
from aiodicom.standard.models import (
    CompositeInstanceRetrieveWithoutBulkData,
    CompositeInstanceRoot,
    InformationModel,
    PatientRoot,
    PatientStudyOnly,
    StudyRoot,
)
from aiodicom.standard.status import Status

if TYPE_CHECKING:
    from collections.abc import Collection

    from aiodicom.dataset import Dataset

__all__ = ["LEVELS", "UNIQUE_KEYS", "Query", "find_query", "keys_of", "retrieve_query"]

#: The levels of each model, from the top.
LEVELS: Final[Mapping[InformationModel, tuple[str, ...]]] = {
    PatientRoot: ("PATIENT", "STUDY", "SERIES", "IMAGE"),
    StudyRoot: ("STUDY", "SERIES", "IMAGE"),
    PatientStudyOnly: ("PATIENT", "STUDY"),
    CompositeInstanceRoot: ("IMAGE",),
    CompositeInstanceRetrieveWithoutBulkData: ("IMAGE",),
}

#: The unique key of each level.
UNIQUE_KEYS: Final[Mapping[str, str]] = {
    "PATIENT": "PatientID",
    "STUDY": "StudyInstanceUID",
    "SERIES": "SeriesInstanceUID",
    "IMAGE": "SOPInstanceUID",
}

#: The attributes of each level: PS3.4 tables C.6-1 to C.6-4, and of the modules that PS3.3 has for its information
#: entities what an index can be expected to hold.
_KEYS: Final[Mapping[str, str]] = {
    "PATIENT": """
        BreedRegistrationSequence DeidentificationMethod DeidentificationMethodCodeSequence EthnicGroup
        IssuerOfPatientID IssuerOfPatientIDQualifiersSequence NumberOfPatientRelatedInstances
        NumberOfPatientRelatedSeries NumberOfPatientRelatedStudies OtherPatientIDs OtherPatientIDsSequence
        OtherPatientNames PatientBirthDate PatientBirthTime PatientBreedCodeSequence PatientBreedDescription
        PatientComments PatientID PatientIdentityRemoved PatientMotherBirthName PatientName PatientSex
        PatientSpeciesCodeSequence PatientSpeciesDescription QualityControlSubject ReferencedPatientPhotoSequence
        ReferencedPatientSequence ResponsibleOrganization ResponsiblePerson ResponsiblePersonRole TypeOfPatientID
    """,
    "STUDY": """
        AccessionNumber AdditionalPatientHistory AdmissionID AdmittingDiagnosesCodeSequence
        AdmittingDiagnosesDescription Allergies ConsultingPhysicianIdentificationSequence ConsultingPhysicianName
        IssuerOfAccessionNumberSequence IssuerOfAdmissionIDSequence IssuerOfServiceEpisodeIDSequence LastMenstrualDate
        MedicalAlerts ModalitiesInStudy NameOfPhysiciansReadingStudy NumberOfStudyRelatedInstances
        NumberOfStudyRelatedSeries Occupation OtherStudyNumbers PatientAge PatientSexNeutered PatientSize PatientState
        PatientWeight PhysiciansOfRecord PhysiciansOfRecordIdentificationSequence
        PhysiciansReadingStudyIdentificationSequence PregnancyStatus ProcedureCodeSequence
        ReasonForPerformedProcedureCodeSequence ReferencedStudySequence ReferringPhysicianIdentificationSequence
        ReferringPhysicianName RequestingServiceCodeSequence SOPClassesInStudy ServiceEpisodeDescription
        ServiceEpisodeID SmokingStatus StudyComments StudyDate StudyDescription StudyID StudyInstanceUID StudyTime
    """,
    "SERIES": """
        BodyPartExamined CommentsOnThePerformedProcedureStep DeviceSerialNumber FrameOfReferenceUID GantryID
        InstitutionAddress InstitutionName InstitutionalDepartmentName Laterality Manufacturer ManufacturerModelName
        Modality NumberOfSeriesRelatedInstances OperatorIdentificationSequence OperatorsName PatientPosition
        PerformedProcedureStepDescription PerformedProcedureStepEndDate PerformedProcedureStepEndTime
        PerformedProcedureStepID PerformedProcedureStepStartDate PerformedProcedureStepStartTime
        PerformedProtocolCodeSequence PerformingPhysicianIdentificationSequence PerformingPhysicianName
        PositionReferenceIndicator ProtocolName ReferencedPerformedProcedureStepSequence RelatedSeriesSequence
        RequestAttributesSequence SeriesDate SeriesDescription SeriesDescriptionCodeSequence SeriesInstanceUID
        SeriesNumber SeriesTime SoftwareVersions StationName SynchronizationFrameOfReferenceUID
    """,
    "IMAGE": """
        AcquisitionDate AcquisitionDateTime AcquisitionNumber AcquisitionTime AcquisitionUID
        AlternateRepresentationSequence AvailableTransferSyntaxUID BitsAllocated BitsStored BurnedInAnnotation Columns
        CompletionFlag ConceptNameCodeSequence ContainerIdentifier ContentCreatorName ContentDate ContentDescription
        ContentLabel ContentTime ContributingEquipmentSequence DerivationDescription DocumentTitle EchoNumbers
        EchoTime ImageComments ImageLaterality ImageOrientationPatient ImagePositionPatient ImageType
        InstanceCreationDate InstanceCreationTime InstanceCreatorUID InstanceNumber KVP LossyImageCompression
        MIMETypeOfEncapsulatedDocument NumberOfFrames ObservationDateTime PatientOrientation PhotometricInterpretation
        PixelSpacing PresentationCreationDate PresentationCreationTime ReferencedImageSequence
        ReferencedRequestSequence ReferencedSeriesSequence RelatedGeneralSOPClassUID RepetitionTime Rows SOPClassUID
        SOPInstanceUID SamplesPerPixel SliceLocation SliceThickness SpecimenDescriptionSequence TemporalPositionIndex
        VerificationDateTime VerificationFlag ViewPosition
    """,
}


@cache
def keys_of(level: str) -> frozenset[int]:
    """The tags of the attributes that entities of a level have: its own, and those of the levels above."""
    names = [name for each in list(UNIQUE_KEYS)[: list(UNIQUE_KEYS).index(level) + 1] for name in _KEYS[each].split()]
    tags = {name: tag_for_keyword(name) for name in names}
    return frozenset(tag for tag in tags.values() if tag is not None)


class Query(NamedTuple):
    """What an identifier asks for."""

    #: Query/Retrieve Level
    level: str
    #: The values of the unique keys that are given and are no universal matching, by keyword.
    unique: Mapping[str, tuple[str, ...]]
    #: The identifier as it came.
    identifier: Dataset
    #: What entities have to match; of a retrieval None.
    keys: Keys | None = None


def find_query(
    model: InformationModel,
    identifier: Dataset,
    *,
    supported: Collection[int] | None = None,
    is_relational: bool = False,
    combined: bool = False,
) -> Query:
    """What the identifier of a C-FIND asks for (PS3.4 C.4.1.1.3.1, C.4.1.3.1).

    `supported`: as of `Keys`. Without `is_relational` each level above the one of the query needs one value of its
    unique key. Raises `OperationRefused` with A900H for an identifier that is not as the model has it.
    """
    level, unique = _read(model, identifier, is_relational)
    try:
        return Query(level, unique, identifier, Keys(identifier, supported=supported, combined=combined))
    except DecodeError:
        raise _refused("the identifier cannot be decoded") from None


def retrieve_query(model: InformationModel, identifier: Dataset, *, is_relational: bool = False) -> Query:
    """What the identifier of a C-GET or C-MOVE asks for (PS3.4 C.4.2.1.4.1, C.4.2.2.1).

    The unique key of the level has to have values, without `is_relational` those of the levels above one each. Raises
    `OperationRefused` with A900H.
    """
    level, unique = _read(model, identifier, is_relational)
    keyword = UNIQUE_KEYS[level]
    if keyword not in unique:
        raise _refused(f"{keyword} is missing", keyword)
    if any(letter in value for values in unique.values() for value in values for letter in "*?"):
        raise _refused("unique keys have no wild cards", keyword)
    return Query(level, unique, identifier)


def _read(
    model: InformationModel, identifier: Dataset, is_relational: bool
) -> tuple[str, Mapping[str, tuple[str, ...]]]:
    levels = LEVELS[model]
    level = identifier.get("QueryRetrieveLevel")
    if level not in levels:
        raise _refused(f"the model has no level {level}" if level else "there is no level", "QueryRetrieveLevel")
    unique: dict[str, tuple[str, ...]] = {}
    for each in UNIQUE_KEYS.values():
        element = identifier.data_element(each)
        values = () if element is None else tuple(str(value).strip() for value in element.values)
        if any(values) and values != ("*",):
            unique[each] = tuple(filter(None, values))
    above = [UNIQUE_KEYS[each] for each in levels[: levels.index(level)]]
    for keyword in above:
        values = unique.get(keyword, ())
        if not is_relational and (len(values) != 1 or "*" in values[0] or "?" in values[0]):
            raise _refused(f"{keyword} needs one value", keyword)
    return level, unique


def _refused(comment: str, keyword: str | None = None) -> OperationRefused:
    tag = tag_for_keyword(keyword) if keyword is not None else None
    elements = () if tag is None else (tag,)
    return OperationRefused(Status.IDENTIFIER_DOES_NOT_MATCH_SOP_CLASS, comment, elements)
