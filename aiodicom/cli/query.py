"""What is asked for: information model, level and keys, as the commands of queries and retrievals take them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Annotated, Any, Final, NamedTuple

import typer

from aiodicom.cli import output
from aiodicom.cli.keyfile import read_data_sets
from aiodicom.cli.keys import BadKey, Key, Path, Step, parse_key, parse_path, path_text, put, vr_of
from aiodicom.cli.models import ModelOptions
from aiodicom.dataset.charset import can_encode, encodings_for
from aiodicom.errors import LocalError
from aiodicom.services.levels import LEVELS, UNIQUE_KEYS
from aiodicom.standard.models import (
    InformationModel,
    ModalityWorklist,
    PatientRoot,
    PatientStudyOnly,
    StudyRoot,
    UPSPull,
    UPSQuery,
    UPSWatch,
)
from aiodicom.values import Value, frozen

if TYPE_CHECKING:
    from aiodicom.dataset import Dataset

__all__ = [
    "KeyOptions",
    "LevelOption",
    "Query",
    "Retrieval",
    "RetrievalKeyOptions",
    "declare_characters",
    "find_query",
    "hint",
    "parse_keys",
    "retrieve_query",
    "worklist_query",
]

#: What is asked for at each level unless the keys say otherwise.
_RETURNED: Final = {
    "PATIENT": "PatientName PatientID PatientBirthDate PatientSex NumberOfPatientRelatedStudies",
    "STUDY": "PatientName PatientID StudyDate AccessionNumber ModalitiesInStudy StudyDescription "
    "NumberOfStudyRelatedInstances StudyInstanceUID",
    "SERIES": "SeriesNumber Modality SeriesDescription BodyPartExamined NumberOfSeriesRelatedInstances "
    "SeriesInstanceUID",
    "IMAGE": "InstanceNumber SOPClassUID SOPInstanceUID",
}
_STEP: Final = "ScheduledProcedureStepSequence[0]."
_WORKLIST_SHOWN: Final = (
    f"{_STEP}ScheduledProcedureStepStartDate {_STEP}ScheduledProcedureStepStartTime {_STEP}Modality "
    f"{_STEP}ScheduledStationAETitle PatientName PatientID AccessionNumber {_STEP}ScheduledProcedureStepDescription"
)
#: What a modality needs besides to make images and a performed procedure step of it (PS3.4 table K.6-1, type 1 to 2).
_WORKLIST_RETURNED: Final = (
    f"{_STEP}ScheduledPerformingPhysicianName {_STEP}ScheduledProtocolCodeSequence {_STEP}ScheduledProcedureStepID "
    f"{_STEP}ScheduledStationName {_STEP}ScheduledProcedureStepLocation RequestedProcedureID "
    "RequestedProcedureDescription RequestedProcedureCodeSequence StudyInstanceUID ReferencedStudySequence "
    "RequestedProcedurePriority ReferringPhysicianName RequestingPhysician AdmissionID IssuerOfPatientID "
    "PatientBirthDate PatientSex PatientWeight MedicalAlerts Allergies PregnancyStatus ReferencedPatientSequence "
    "SpecificCharacterSet"
)
_UPS_RETURNED: Final = (
    "ProcedureStepState ProcedureStepLabel ScheduledProcedureStepPriority ScheduledProcedureStepStartDateTime "
    "PatientName PatientID SOPInstanceUID"
)


def _level(value: str | None) -> str | None:
    return None if value is None else value.upper()


LevelOption = Annotated[
    str | None,
    typer.Option(
        "--level",
        metavar="LEVEL",
        show_default="that of the keys, else STUDY",
        callback=_level,
        help="PATIENT, STUDY, SERIES or IMAGE.",
    ),
]


@frozen
class KeyOptions(Value):
    """The keys of a query."""

    keys: Annotated[
        list[str] | None,
        typer.Option(
            "-k",
            "--key",
            metavar="KEY[=VALUE]",
            show_default=False,
            help="What to match, or, without a value, to have returned: a keyword or a tag, what is in a sequence "
            "behind SEQUENCE[0]. and several values with backslashes between them; can be repeated.",
        ),
    ] = None
    query: Annotated[
        str | None,
        typer.Option(
            "--query",
            metavar="FILE",
            show_default=False,
            help="Take the query from this DICOM or JSON file (- is stdin); -k changes it.",
        ),
    ] = None

    def parsed(self) -> list[Key]:
        """The keys of -k. Raises `typer.BadParameter`."""
        return parse_keys(self.keys or (), "'-k'")


@frozen
class RetrievalKeyOptions(KeyOptions):
    """The keys of a retrieval."""

    keys: Annotated[
        list[str] | None,
        typer.Option(
            "-k",
            "--key",
            metavar="KEY=VALUE",
            show_default=False,
            help="What to retrieve: StudyInstanceUID=..., and SeriesInstanceUID=... and SOPInstanceUID=... for less; "
            "several values with backslashes between them; can be repeated.",
        ),
    ] = None
    query: Annotated[
        str | None,
        typer.Option(
            "--query",
            metavar="FILE",
            show_default=False,
            help="Take it from this DICOM or JSON file (- is stdin): each match of findscu --json is retrieved.",
        ),
    ] = None


def parse_keys(texts: Iterable[str], option: str, *, is_matched: bool = True) -> list[Key]:
    """The keys, each path once. Raises `typer.BadParameter`."""
    found: dict[Path, Key] = {}
    for text in texts:
        try:
            key = parse_key(text, is_matched=is_matched)
        except BadKey as error:
            raise typer.BadParameter(str(error), param_hint=option) from None
        if key.path in found:
            raise typer.BadParameter(
                f"{path_text(key.path)} is there twice; several values of one key have backslashes between them",
                param_hint=option,
            )
        found[key.path] = key
    return list(found.values())


class Query(NamedTuple):
    """What a C-FIND asks for."""

    model: InformationModel
    #: Query/Retrieve Level; empty in models that have none
    level: str
    identifier: Dataset
    #: what is shown of each match
    columns: tuple[Path, ...]


class Retrieval(NamedTuple):
    """What one C-GET or C-MOVE after the other asks for."""

    model: InformationModel
    level: str
    identifiers: list[Dataset]


def find_query(models: ModelOptions, worklist: bool, level: str | None, given: KeyOptions) -> Query:
    """The query that these options say. Raises `typer.BadParameter`, or `LocalError` for the file."""
    model = models.chosen(operation="find", worklist=worklist)
    if model is ModalityWorklist:
        if level is not None:
            raise typer.BadParameter("a worklist has no levels", param_hint="'--level'")
        return worklist_query(given)
    keys, found = given.parsed(), _one_from(given.query)
    level = _chosen_level(model, level, keys, found)
    returned = (
        _RETURNED.get(level, "") if model in LEVELS else _UPS_RETURNED if model in (UPSPull, UPSWatch, UPSQuery) else ""
    )
    if not returned and not keys and found is None:
        raise typer.BadParameter("of this model nothing is known but what keys ask for", param_hint="'-k'")
    return _query(model, level, found, keys, returned.split())


def worklist_query(given: KeyOptions, more: Sequence[Key] = ()) -> Query:
    """The query of a modality worklist (PS3.4 K) by the keys that are given and `more`. Raises as `find_query`."""
    keys = given.parsed()
    for key in keys:
        if any(key.path == each.path for each in more):
            raise typer.BadParameter(f"{path_text(key.path)} is given by an option already", param_hint="'-k'")
    shown, returned = _WORKLIST_SHOWN.split(), _WORKLIST_RETURNED.split()
    return _query(ModalityWorklist, "", _one_from(given.query), [*more, *keys], shown, returned)


def _query(
    model: InformationModel,
    level: str,
    found: Dataset | None,
    keys: Sequence[Key],
    shown: Sequence[str],
    returned: Sequence[str] = (),
) -> Query:
    """Puts a query together.

    What is to be returned says a file, or keys without a value; only where there is none of both, it is what people
    want as a rule: `shown` in columns, and `returned`.
    """
    from aiodicom.dataset import Dataset

    identifier = Dataset() if found is None else found
    columns: list[Path] = [] if found is None else _attributes(found)
    if found is None and all(key.values for key in keys):
        columns = [parse_path(name) for name in shown]
        for path in (*columns, *map(parse_path, returned)):
            put(identifier, Key(path))
    for key in keys:
        _put(identifier, key)
        if key.path not in columns and not (columns and _is_one_uid(key)):
            columns.append(key.path)
    if level:
        identifier.QueryRetrieveLevel = level
    declare_characters(identifier)
    return Query(model, level, identifier, tuple(path for path in columns if path_text(path) not in _NOT_SHOWN))


def _is_one_uid(key: Key) -> bool:
    """Whether every match has the same value."""
    return vr_of(key.path[-1].tag) == "UI" and key.values is not None and len(key.values) == 1


_NOT_SHOWN: Final = ("QueryRetrieveLevel", "SpecificCharacterSet")


def _attributes(data_set: Dataset, before: Path = ()) -> list[Path]:
    """The paths of what a data set asks for, those in sequences of one item too."""
    paths: list[Path] = []
    for element in data_set:
        if element.vr == "SQ" and len(element.value) == 1:
            paths += _attributes(element.value[0], (*before, Step(element.tag, 0)))
        else:
            paths.append((*before, Step(element.tag)))
    return paths


def retrieve_query(models: ModelOptions, operation: str, level: str | None, given: KeyOptions) -> Retrieval:
    """What names the instances of a retrieval: one identifier, or one for each data set of a file. Raises as
    `find_query`.

    An identifier has the unique keys alone (PS3.4 C.4.2.1.4.1). What a file has besides, as the matches of a query
    have, is left out.
    """
    from aiodicom.dataset import Dataset

    model = models.chosen(operation=operation)
    keys = given.parsed()
    files = [Dataset()] if given.query is None else read_data_sets(given.query)
    level = _chosen_level(model, level, keys, files[0])
    if model not in LEVELS:
        return Retrieval(model, level, [_query(model, level, each, keys, ()).identifier for each in files])
    levels = LEVELS[model]
    wanted = [UNIQUE_KEYS[each] for each in levels[: levels.index(level) + 1]]
    for key in keys:
        name = path_text(key.path)
        if name not in (*wanted, *_NOT_SHOWN) and model in (PatientRoot, StudyRoot, PatientStudyOnly):
            others = " and ".join(wanted)
            others += " do (findscu tells them)" if len(wanted) > 1 else " does (findscu tells it)"
            patients = "; -P retrieves whole patients" if name == UNIQUE_KEYS["PATIENT"] else ""
            text = f"{name} names nothing to retrieve at level {level}, but {others}{patients}"
            raise typer.BadParameter(text, param_hint="'-k'")
    identifiers = []
    for found in files:
        identifier = Dataset(element.__copy__() for element in found if element.keyword in wanted)
        for key in keys:
            _put(identifier, key)
        _check_unique(identifier, level)
        identifier.QueryRetrieveLevel = level
        declare_characters(identifier)
        identifiers.append(identifier)
    return Retrieval(model, level, identifiers)


def _check_unique(identifier: Dataset, level: str) -> None:
    keyword = UNIQUE_KEYS[level]
    element = identifier.data_element(keyword)
    if element is None or element.is_empty:
        raise typer.BadParameter(
            f"what is to be retrieved at level {level} is said by {keyword}=... (findscu tells it)", param_hint="'-k'"
        )
    if any(letter in str(value) for value in element.values for letter in "*?"):
        raise typer.BadParameter(
            f"{keyword} has wild cards: those are for queries (findscu tells what matches)", param_hint="'-k'"
        )


def _put(identifier: Dataset, key: Key) -> None:
    try:
        put(identifier, key)
    except BadKey as error:
        raise typer.BadParameter(str(error), param_hint="'-k'") from None


def _chosen_level(model: InformationModel, level: str | None, keys: Sequence[Key], found: Dataset | None) -> str:
    """The level: as it is said, else that of the deepest unique key. Raises `typer.BadParameter`."""
    if model not in LEVELS:
        if level is not None:
            raise typer.BadParameter(f"{model.name} has no levels", param_hint="'--level'")
        return ""
    levels = LEVELS[model]
    named: dict[str, tuple[Any, ...]] = {}
    if found is not None:
        named = {element.keyword: tuple(element.values) for element in found if not element.is_empty}
    named |= {path_text(key.path): key.values or () for key in keys}
    if level is None and named.get("QueryRetrieveLevel"):
        level = str(named["QueryRetrieveLevel"][0])
    if level is None:
        deepest = [each for each in levels if UNIQUE_KEYS[each] in named]
        return deepest[-1] if deepest else "STUDY" if "STUDY" in levels else levels[-1]
    if level not in levels:
        raise typer.BadParameter(f"{level} is no level of {model.name}: {', '.join(levels)}", param_hint="'--level'")
    return level


#: VRs whose text is in the Specific Character Set (PS3.5 6.1.2.3).
_TEXTS: Final = frozenset(("LO", "LT", "PN", "SH", "ST", "UC", "UT"))


def declare_characters(identifier: Dataset) -> None:
    """Says that the text is UTF-8, where it is not ASCII and nobody has said what it is.

    Raises `typer.BadParameter` for a Specific Character Set that is none, or has not all the characters: what took
    their place would be matched by others, ``?`` by every character.
    """
    texts = [
        (element.keyword or str(element.tag), str(value))
        for element in identifier.iterall()
        if element.vr in _TEXTS
        for value in element.values
        if not str(value).isascii()
    ]
    given = identifier.get("SpecificCharacterSet")
    if not given:
        if texts:
            identifier.SpecificCharacterSet = "ISO_IR 192"
        return
    wrong: list[str] = []
    terms = [str(term) for term in (given if isinstance(given, list) else [given])]
    encodings = encodings_for(terms, wrong.append)
    said = "\\".join(terms)
    if wrong:
        term = output.quoted(said)
        text = f"SpecificCharacterSet: {term} is no term of PS3.3 C.12.1.1.2, such as 'ISO_IR 100' (Latin 1)"
        raise typer.BadParameter(text, param_hint="'-k'")
    for keyword, text in texts:
        if not can_encode(text, encodings):
            what = f"{output.quoted(text)} has characters that {said!r} has not"
            text = f"{keyword}: {what}; without SpecificCharacterSet it is UTF-8"
            raise typer.BadParameter(text, param_hint="'-k'")


def hint(model: InformationModel, level: str, identifier: Dataset) -> str:
    """What most likely was wrong with an identifier that a peer refused; or nothing."""
    levels = LEVELS.get(model, ())
    above = levels[: levels.index(level)] if level in levels else ()
    missing = [UNIQUE_KEYS[each] for each in above if not identifier.get(UNIQUE_KEYS[each])]
    keys = " ".join(f"-k {keyword}=..." for keyword in missing)
    return f"at level {level}, most peers need the levels above as well: {keys}" if keys else ""


def _one_from(file: str | None) -> Dataset | None:
    if file is None:
        return None
    found = read_data_sets(file)
    if len(found) > 1:
        raise LocalError(f"{file}: {len(found)} data sets, and a query is one")
    return found[0]
