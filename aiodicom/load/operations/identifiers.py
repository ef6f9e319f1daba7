"""The Identifiers of queries and retrievals (PS3.4 C.4), made from what a scenario says."""

from __future__ import annotations

from collections import deque
from datetime import date
from typing import TYPE_CHECKING, Final

from aiodicom.dataset import Dataset
from aiodicom.errors import LocalError
from aiodicom.load.scenario import Query, Scenario
from aiodicom.standard.models import InformationModel, PatientRoot, StudyRoot

if TYPE_CHECKING:
    from aiodicom.net.association import Association

__all__ = ["Studies", "model_of", "query_identifier", "worklist_identifier"]

#: What is asked for besides the matching keys, by level.
_RETURNED: Final = {
    "PATIENT": ("PatientName", "PatientID", "PatientBirthDate", "PatientSex"),
    "STUDY": (
        "StudyDate",
        "StudyTime",
        "AccessionNumber",
        "ModalitiesInStudy",
        "StudyDescription",
        "PatientName",
        "PatientID",
        "PatientBirthDate",
        "StudyInstanceUID",
        "NumberOfStudyRelatedSeries",
        "NumberOfStudyRelatedInstances",
    ),
    "SERIES": ("Modality", "SeriesDescription", "StudyInstanceUID", "SeriesInstanceUID", "SeriesNumber"),
    "IMAGE": ("SOPClassUID", "SOPInstanceUID", "StudyInstanceUID", "SeriesInstanceUID", "InstanceNumber"),
}
_PATIENT: Final = ("PatientName", "PatientID", "PatientBirthDate", "PatientSex")
_REQUEST: Final = ("AccessionNumber", "RequestedProcedureID", "RequestedProcedureDescription", "StudyInstanceUID")
_STEP: Final = (
    "Modality",
    "ScheduledStationAETitle",
    "ScheduledProcedureStepStartDate",
    "ScheduledProcedureStepStartTime",
    "ScheduledPerformingPhysicianName",
    "ScheduledProcedureStepDescription",
    "ScheduledProcedureStepID",
)
#: Studies that are remembered to be retrieved.
_MOST_STUDIES: Final = 1000


def model_of(query: Query) -> InformationModel:
    """The information model that a scenario asks by."""
    return PatientRoot if query.model == "patient" else StudyRoot


def query_identifier(query: Query) -> Dataset:
    """What C-FIND asks for: the scenario's keys, or the studies of today."""
    keys = dict(query.keys)
    if not keys and query.level == "STUDY":
        keys["StudyDate"] = f"{date.today():%Y%m%d}"
    return _data_set({"QueryRetrieveLevel": query.level, **dict.fromkeys(_RETURNED[query.level], ""), **keys})


def worklist_identifier(scenario: Scenario) -> Dataset:
    """What is asked of a modality worklist (PS3.4 K.6.1.2): the scenario's keys, or what is scheduled for today."""
    given = dict(scenario.worklist) or {"ScheduledProcedureStepStartDate": f"{date.today():%Y%m%d}"}
    step = _data_set({keyword: given.pop(keyword, "") for keyword in _STEP})
    identifier = _data_set({**dict.fromkeys((*_PATIENT, *_REQUEST), ""), **given})
    identifier.ScheduledProcedureStepSequence = [step]
    return identifier


def _data_set(values: dict[str, str]) -> Dataset:
    try:
        data_set = Dataset()
        for keyword, value in values.items():
            setattr(data_set, keyword, value)
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        raise LocalError(f"the scenario's keys make no Identifier: {error}") from None
    return data_set


class Studies:
    """Studies that can be retrieved, in turn: the one that the scenario names, or those that the peer has found."""

    def __init__(self, scenario: Scenario) -> None:
        self._query = scenario.query
        self._uids: deque[str] = deque(maxlen=_MOST_STUDIES)
        if named := scenario.query.keys.get("StudyInstanceUID"):
            self._uids.append(named)

    def add(self, study_instance_uid: str) -> None:
        """A study has been stored in this run."""
        if "StudyInstanceUID" not in self._query.keys:
            self._uids.append(study_instance_uid)

    async def next(self, association: Association) -> Dataset:
        """The Identifier of the next study to retrieve; asks the peer where none is known. Raises `LocalError` where
        the peer has none, and what `c_find` does.
        """
        if not self._uids:
            await self._ask(association)
        if not self._uids:
            raise LocalError("the peer has found no study to retrieve: set [query] keys to what it has")
        uid = self._uids[0]
        self._uids.rotate(-1)
        return _data_set({"QueryRetrieveLevel": "STUDY", "StudyInstanceUID": uid})

    async def _ask(self, association: Association) -> None:
        query = Query(model=self._query.model, keys=self._query.keys)
        async with association.c_find(query_identifier(query), model_of(query)) as matches:
            async for match in matches:
                if uid := match.get("StudyInstanceUID"):
                    self._uids.append(str(uid))
                if len(self._uids) == _MOST_STUDIES:
                    break
