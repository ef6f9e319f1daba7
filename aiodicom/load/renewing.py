"""Studies made new: the same objects again and again, each time of another patient, study and instance.

Nothing is encoded but once. Each time the UIDs, and what names patient and study, are put into the encoded objects, and
the pixels are shared.
"""

from __future__ import annotations

import os
import secrets
from collections.abc import Iterable, Iterator, Sequence
from datetime import date, timedelta
from hashlib import blake2b
from itertools import count
from typing import Final, NamedTuple, overload

from aiodicom.dataset import Dataset
from aiodicom.errors import DecodeError, LocalError
from aiodicom.load.supply import Instance, Series, Study
from aiodicom.load.template import TEXTS, Slot, Template
from aiodicom.net.sources import KnownFile
from aiodicom.services.scan import Unusable, scan
from aiodicom.ul.pdu import MOST_CONTEXTS

__all__ = ["MADE_UP", "MOST_BYTES", "Identity", "Objects", "Renewed", "read_objects", "template_of"]

#: Bytes of files that are held in memory, unless told otherwise.
MOST_BYTES: Final = 4 << 30

_DATES: Final = tuple(tag for tag, text in TEXTS.items() if not text.is_required)
_ACCESSION_NUMBER, _PATIENT_NAME, _PATIENT_ID, _STUDY_ID = (tag for tag, text in TEXTS.items() if text.is_required)

#: Names of patients, each of as many letters as the others.
_NAMES: Final = (
    "Abernath Bergmann Castello Delacruz Eriksson Fletcher Gonzalez Hoffmann Ivanenko Johansen Kowalski Lindgren "
    "Marchand Nakagawa Oliveira Petersen Quintana Robinson Schubert Takahata Ullstein Valentin Williams Yamazaki",
    "Alice Bruno Clara David Emily Felix Grace Henry Irene Jonas Karin Lucas Maria Nadia Oscar Paula Rosie Simon Tanja "
    "Urban Viola Wanda Xenia Yusuf",
)
_FAMILIES, _GIVENS = (names.split() for names in _NAMES)


class Identity(NamedTuple):
    """What studies are to say in place of what is made up for each, or left as it is."""

    patient_id: str | None = None
    #: As PN encodes it.
    patient_name: str | None = None
    #: The first and the last of the dates that studies are of, one day after the other, and then from the first again;
    #: without them objects keep their dates. Times of day stay, but for those in one value with a date, which go.
    dates: tuple[date, date] | None = None


#: All of them made up.
MADE_UP: Final = Identity()


def template_of(data_set: Dataset, transfer_syntax: str, identity: Identity) -> Template:
    """The template of an object, which is changed, for copies of that identity. Raises as `Template` does."""
    texts = {_ACCESSION_NUMBER, _STUDY_ID, _PATIENT_ID, _PATIENT_NAME}
    if identity.patient_id is not None:
        data_set.PatientID = identity.patient_id
        texts.remove(_PATIENT_ID)
    if identity.patient_name is not None:
        data_set.PatientName = identity.patient_name
        texts.remove(_PATIENT_NAME)
    if identity.dates is not None:
        texts.update(_DATES)
    return Template(data_set, transfer_syntax, texts)


class Renewed:
    """A `Supply` of copies of objects, study after study and then from the first again: that is a round.

    Every round has other UIDs, patients and studies. Which ones, follows from the seed: what it gives is the same for
    the same objects and seed, and all different for another. Within a round a UID becomes the same UID wherever it
    stands, in items of sequences too, so that what referred to one another does so again; studies that were of one
    patient are of one patient again. UIDs are below 2.25, of UUIDs of version 8 (PS3.5 B.2, RFC 9562 5.8).
    """

    def __init__(
        self, templates: Iterable[Template], *, seed: int | str | None = None, identity: Identity = MADE_UP
    ) -> None:
        """Without a seed, one is made up. `identity` is that of the templates. Raises ValueError for no objects, or for
        more kinds of them than an association carries.
        """
        series: dict[str, dict[str, list[Template]]] = {}
        patients: dict[str, int] = {}
        for each in templates:
            series.setdefault(each.study_instance_uid, {}).setdefault(each.series_instance_uid, []).append(each)
            patients.setdefault(each.patient_id, len(patients))
        if not series:
            raise ValueError("no DICOM files to send")
        self._studies = [list(study.values()) for study in series.values()]
        self._patients = patients
        self._identity = identity
        self._seed = blake2b(str(secrets.token_hex() if seed is None else seed).encode(), digest_size=16).digest()
        self._taken = count()
        self._instances = self._endless()
        kinds = {(each.sop_class_uid, each.transfer_syntax) for study in self._studies for one in study for each in one}
        if len(kinds) > MOST_CONTEXTS - 1:  # C-ECHO needs one too
            raise ValueError(f"{len(kinds)} kinds of objects are more than {MOST_CONTEXTS - 1}, and C-ECHO, of a run")
        self.contexts = tuple((sop_class, (syntax,)) for sop_class, syntax in sorted(kinds))

    @property
    def round(self) -> int:
        """Studies of a round."""
        return len(self._studies)

    def next(self) -> Instance:
        """The next instance: study after study, in the order of their series."""
        return next(self._instances)

    def studies(self) -> Iterator[Study]:
        """Studies without end, which neither `next` nor another iterator gives too."""
        for number in self._taken:
            yield self.study(number)

    def study(self, number: int) -> Study:
        """The study of this number, from 0 on, whether or not it has been given."""
        round_, index = divmod(number, self.round)
        templates = self._studies[index]
        first = templates[0][0]
        patient = round_ * len(self._patients) + self._patients[first.patient_id]
        values = _Values(self._seed, round_)
        letters = _letters(self._seed)
        values[_PATIENT_ID] = b"%s%010d" % (letters, (patient + 1) % 10**10)
        values[_PATIENT_NAME] = _name(self._seed, patient)
        values[_ACCESSION_NUMBER] = b"%s%010d" % (letters, (number + 1) % 10**10)
        values[_STUDY_ID] = b"%010d" % ((number + 1) % 10**10)
        identity = self._identity
        if identity.dates is not None:
            begin, end = identity.dates
            day = begin + timedelta(days=number % ((end - begin).days + 1))
            values.update(dict.fromkeys(_DATES, day.strftime("%Y%m%d").encode()))
        return Study(
            values[first.study_instance_uid].decode(),
            values[_PATIENT_ID].decode() if identity.patient_id is None else identity.patient_id,
            values[_PATIENT_NAME].decode() if identity.patient_name is None else identity.patient_name,
            values[_ACCESSION_NUMBER].decode(),
            [
                Series(values[each[0].series_instance_uid].decode(), each[0].modality, _Copies(each, values))
                for each in templates
            ],
        )

    def _endless(self) -> Iterator[Instance]:
        for study in self.studies():
            for series in study.series:
                yield from series.instances


class _Values(dict[Slot, bytes]):
    """What is put into the slots of a study; UIDs as they are asked for."""

    __slots__ = ("_round", "_seed")

    def __init__(self, seed: bytes, round_: int) -> None:
        self._seed = seed
        self._round = round_.to_bytes(16, "little")

    def __missing__(self, slot: Slot) -> bytes:
        assert isinstance(slot, str)
        digest = blake2b(slot.encode("utf-8", "surrogateescape"), digest_size=16, key=self._seed, salt=self._round)
        # A UUID with the bits of version and variant that it has to have; with the highest bit it has all 39 digits.
        number = int.from_bytes(digest.digest()) & ~_FIXED_MASK | _FIXED
        uid = self[slot] = b"2.25.%d" % number
        return uid


#: Of a UUID as a number: the highest bit, the version and the variant (RFC 9562 4, 5.8).
_FIXED_MASK: Final = 1 << 127 | 0xF << 76 | 3 << 62
_FIXED: Final = 1 << 127 | 8 << 76 | 2 << 62


class _Copies(Sequence[Instance]):
    """The instances of a series, each made when it is asked for."""

    def __init__(self, templates: Sequence[Template], values: _Values) -> None:
        self._templates = templates
        self._values = values

    def __len__(self) -> int:
        return len(self._templates)

    @overload
    def __getitem__(self, index: int) -> Instance: ...
    @overload
    def __getitem__(self, index: slice) -> list[Instance]: ...
    def __getitem__(self, index: int | slice) -> Instance | list[Instance]:
        if isinstance(index, slice):
            return [template.copy(self._values) for template in self._templates[index]]
        return self._templates[index].copy(self._values)

    def __iter__(self) -> Iterator[Instance]:
        for template in self._templates:
            yield template.copy(self._values)


def _letters(seed: bytes) -> bytes:
    """Six letters that numbers of patients and studies begin with, so that those of two runs are not the same."""
    number = int.from_bytes(seed)
    return bytes(65 + number // 26**place % 26 for place in range(6))


def _name(seed: bytes, patient: int) -> bytes:
    choice = int.from_bytes(blake2b(b"%d" % patient, digest_size=8, key=seed).digest())
    choice, family = divmod(choice, len(_FAMILIES))
    return f"{_FAMILIES[family]}^{_GIVENS[choice % len(_GIVENS)]}".encode()


class Objects(NamedTuple):
    """What there is in files."""

    templates: list[Template]
    unusable: list[Unusable]


def read_objects(
    paths: Iterable[str | os.PathLike[str]], identity: Identity = MADE_UP, *, most_bytes: int = MOST_BYTES
) -> Objects:
    """Reads the objects in these files, and in these folders and those below, to be renewed.

    They stay in memory. Blocks for the reading. Raises LocalError where they have more than `most_bytes`.
    """
    objects = Objects([], [])
    seen: dict[str, str] = {}
    held = 0
    for entry in scan(os.fspath(path) for path in paths):
        if isinstance(entry, Unusable):
            objects.unusable.append(entry)
            continue
        first = seen.setdefault(entry.meta.sop_instance_uid, entry.path)
        if first != entry.path:
            objects.unusable.append(Unusable(entry.path, f"the same instance as {first}", False))
            continue
        held += entry.size
        if held > most_bytes:
            raise LocalError(
                f"{entry.path}: with it, the objects are more than the {most_bytes:,} bytes that are held in memory: "
                "name fewer, or allow more"
            )
        try:
            objects.templates.append(_read(entry, identity))
        except (DecodeError, LocalError, ValueError, OSError) as error:
            objects.unusable.append(Unusable(entry.path, str(error), True))
    return objects


def _read(file: KnownFile, identity: Identity) -> Template:
    meta = file.meta
    with open(file.path, "rb") as opened:
        data = memoryview(opened.read())
    data_set = Dataset.from_bytes(data[meta.data_offset :], meta.transfer_syntax, offset=meta.data_offset)
    if data_set.truncated is not None:
        raise data_set.truncated
    for keyword, uid in (("SOPClassUID", meta.sop_class_uid), ("SOPInstanceUID", meta.sop_instance_uid)):
        if not data_set.get(keyword):
            setattr(data_set, keyword, uid)
    return template_of(data_set, meta.transfer_syntax, identity)
