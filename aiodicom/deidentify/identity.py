"""Who a data set is of: what identifies them, to be found again in texts that are kept."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable
from functools import cached_property
from itertools import islice, permutations
from typing import TYPE_CHECKING, Final

from .dummies import WORD

if TYPE_CHECKING:
    from aiodicom.dataset import Dataset

__all__ = ["IDENTIFYING", "Identity", "identifiers_of"]

_PATIENT_ID: Final = 0x00100020
_PATIENT_NAME: Final = 0x00100010
_BIRTH_DATE: Final = 0x00100030
_STUDY_INSTANCE_UID: Final = 0x0020000D

#: Attributes whose values name somebody, or number them: all their words are looked for.
IDENTIFYING: Final = (
    _PATIENT_NAME,
    _PATIENT_ID,
    _BIRTH_DATE,
    0x00080050,  # Accession Number
    0x00080090,  # Referring Physician's Name
    0x0008009C,  # Consulting Physician's Name
    0x00081048,  # Physician(s) of Record
    0x00081050,  # Performing Physician's Name
    0x00081060,  # Name of Physician(s) Reading Study
    0x00081070,  # Operators' Name
    0x00101000,  # Other Patient IDs
    0x00101001,  # Other Patient Names
    0x00101005,  # Patient's Birth Name
    0x00101040,  # Patient's Address
    0x00101060,  # Patient's Mother's Birth Name
    0x00101090,  # Medical Record Locator
    0x00102154,  # Patient's Telephone Numbers
    0x00102297,  # Responsible Person
    0x00321032,  # Requesting Physician
    0x00380010,  # Admission ID
)

#: In names, and in half of all texts.
_TITLES: Final = frozenset(("dr", "md", "mr", "mrs", "ms", "phd", "prof", "von", "van", "de", "der", "jr", "sr"))
_WORD: Final = re.compile(r"[^\W_]+")

#: Shorter ones are only looked for as whole words; single letters not at all.
_SAFELY_FOUND: Final = 4

#: Characters of a value and words of all that are looked for: more than people have.
_LONGEST: Final = 4096
_MOST_WORDS: Final = 512

#: Parts of a value that are looked for without a space between two of them.
_PARTS: Final = 6

#: What may say more than it seems: addresses, dates, numbers of four digits or more, those of telephones, and who has a
#: title. Nothing here takes longer than in proportion to the text.
_TELLING: Final = re.compile(
    r"""
    [^\s@]{1,64}@[^\s@]{1,255} | (?:https?|ftp)://\S+ | www\.\S+
    | \b\d{1,4}[-./]\d{1,2}[-./]\d{1,4}\b
    | [+(]{0,2}(?:\d[\s()/.-]{0,2}){7,20}
    | \b\w*\d{4,}\w*
    | \b(?:dr|mr|mrs|ms|miss|prof|herr|frau|mme|sig)\b\.?\s*[\w'-]+(?-i:\s+[A-Z][\w'-]+)*
    """,
    re.IGNORECASE | re.VERBOSE,
)
_SPACES: Final = re.compile(r"[ \t]{2,}")


def identifiers_of(data_set: Dataset) -> tuple[str, ...]:
    """The values of `IDENTIFYING` attributes, in one text each, and the patient that dates and pseudonyms are of."""
    found = []
    for tag in IDENTIFYING:
        value = data_set._value(tag, None)
        found.append("" if value is None else _text(value)[:_LONGEST])
    patient = found[1] or "\n".join(filter(None, (found[0], found[2])))
    return (patient.strip() or _text(data_set._value(_STUDY_INSTANCE_UID, None) or ""), *found)


def _text(value: object) -> str:
    if isinstance(value, list):
        return "\\".join(map(str, value))
    return value if isinstance(value, str) else str(value)


class Identity:
    """What identifies the people of a data set: `patient`, and words to be found in texts."""

    def __init__(self, patient: str, values: Iterable[str]) -> None:
        self.patient = patient
        words: dict[str, None] = {}  # in order
        for value in filter(None, values):
            folded = _folded(value)
            parts = _WORD.findall(folded)
            together = [one + other for one, other in permutations(parts[:_PARTS], 2)]
            for each in (folded, *parts, *together, *re.split(r"[\\=^\s]+", folded)):
                if len(each) > 1 and each not in _TITLES:
                    words[each] = None
        #: Longest first: parts of one would keep it from being found.
        self._words = sorted(islice(words, _MOST_WORDS), key=len, reverse=True)
        #: Those that are no numbers, nor codes.
        self._names = [word for word in self._words if len(word) >= _SAFELY_FOUND and not word.isdecimal()]

    @cached_property
    def _pattern(self) -> re.Pattern[str] | None:
        parts = []
        for word in self._words:
            part = re.escape(word)
            is_word = len(word) < _SAFELY_FOUND and word.isascii()
            parts.append(rf"(?<![^\W_]){part}(?![^\W_])" if is_word else part)
        return re.compile("|".join(parts), re.IGNORECASE) if parts else None

    def occurs_in(self, text: str) -> bool:
        """Whether any of the words may be in a text; quick, and sometimes wrong for short ones."""
        folded = text.lower() if text.isascii() else _folded(text)
        return any(word in folded for word in self._words)

    def without(self, text: str) -> str:
        """A text without the words that identify."""
        if not self.occurs_in(text):
            return text
        pattern = self._pattern
        assert pattern is not None
        cleaned = pattern.sub(" ", text)  # a space, so that what was apart does not make another word
        if not text.isascii() and self.occurs_in(cleaned) and pattern.search(_folded(cleaned)):
            cleaned = pattern.sub(" ", _folded(cleaned))  # composed otherwise, or of another case
        return text if cleaned == text else _tidied(cleaned)

    def cleaned(self, text: str) -> str:
        """A text without the words that identify, and without what looks as if it could: PS3.15 E.3.5."""
        cleaned = _TELLING.sub(" ", text)
        return self.without(text if cleaned == text else _tidied(cleaned))

    def is_named_in(self, text: str) -> bool:
        """Whether any of the words that are no numbers is in text that is no free text, but codes and numbers."""
        folded = text.lower()
        return any(word in folded for word in self._names)

    def occurs_in_bytes(self, data: bytes) -> bool:
        """Whether any of the words is in bytes that nobody knows the meaning of; short ones are there by chance."""
        words = [word for word in self._words if len(word) >= _SAFELY_FOUND]
        texts = (data.decode("latin-1").lower(), _folded(data.decode("utf-8", "ignore")))
        return any(word in text for text in texts for word in words)


def _tidied(text: str) -> str:
    """What is left of a text; a dummy where that is nothing."""
    return _SPACES.sub(" ", text).strip(" ^=,;:") or WORD


def _folded(text: str) -> str:
    return unicodedata.normalize("NFKC", text).casefold()
