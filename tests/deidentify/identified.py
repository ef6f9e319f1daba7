"""Data sets in which everything that identifies is marked."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from hypothesis import strategies

from aiodicom.dataset import DataElement, Dataset, Sequence
from aiodicom.deidentify.actions import _profile
from aiodicom.standard.dictionary import entry_for_tag

#: Names of a patient with the Specific Character Set that has their letters.
NAMES = (
    ("Zwackelmann^Petrosilius", "ISO_IR 6"),
    ("Müßiggang^Zoë", "ISO_IR 100"),
    ("Люкceмбypг^Изольда", "ISO_IR 144"),  # noqa: RUF001
    ("Διονυσιος^Ξενια", "ISO_IR 126"),
    ("Yamada^Tarou=山田^太郎=やまだ^たろう", ["", "ISO 2022 IR 87"]),
    ("Kim^Huijung=金正^喜中=김정^희중", ["", "ISO 2022 IR 149"]),
    ("Wang^XiaoDong=王小^小东", "GB18030"),
    ("Łukasiewicz^Żółć=張學^友德", "ISO_IR 192"),
)
_TEXT_CODECS = ("ascii", "latin-1", "iso8859_5", "iso8859_7", "iso2022_jp", "euc_kr", "gb18030", "utf-8")

#: Tags of table E.1-1 that the Basic Profile removes, empties, replaces or maps, with their VR.
LISTED = {
    int(tag, 16): entry.vr
    for tag in _profile()
    if "x" not in tag and int(tag, 16) >> 16 > 4 and (entry := entry_for_tag(int(tag, 16))) is not None
}
_OUTER = sorted(tag for tag in LISTED if tag != 0xFFFCFFFC)


@dataclass
class Identified:
    """A data set, and what must not be found in its bytes any more."""

    data_set: Dataset
    marks: set[bytes] = field(default_factory=set)
    numbers: int = 0

    def mark(self) -> str:
        """A text that occurs once."""
        self.numbers += 1
        text = f"QX{self.numbers * 7919:06d}"
        self.marks.add(text.encode())
        return text

    def uid(self) -> str:
        self.numbers += 1
        uid = f"1.2.276.77.{self.numbers * 104729}.1"
        self.marks.add(uid.encode())
        return uid

    def value(self, vr: str, draw: Any, depth: int) -> Any:
        """A marked value, or one that nobody could mistake for another's where no mark fits."""
        match vr:
            case "SQ":
                return Sequence([self.item(draw, depth + 1) for _ in range(draw(strategies.integers(0, 2)))])
            case "UI":
                return [self.uid(), self.uid()] if draw(strategies.booleans()) else self.uid()
            case "DA":
                return "19520311"
            case "DT":
                return "19520311113355.25+0100"
            case "TM":
                return "113355.25"
            case "AS":
                return "073Y"
            case "IS" | "DS":
                return "777"
            case "UR":
                return f"http://example.org/{self.mark()}"
            case "PN":
                return f"{self.mark()}^{self.mark()}"
            case "OB" | "UN" | "OB or OW" | "OW":
                return self.mark().encode()
            case _ if vr in ("LO", "LT", "SH", "ST", "UC", "UT", "AE", "CS"):
                return self.mark()
        return None

    def item(self, draw: Any, depth: int) -> Dataset:
        item = Dataset()
        self.fill(item, draw, depth)
        return item

    def fill(self, data_set: Dataset, draw: Any, depth: int) -> None:
        """Adds attributes of the table, and private ones with whatever they like."""
        for tag in draw(strategies.lists(strategies.sampled_from(_OUTER), max_size=12 if depth == 0 else 4)):
            vr = LISTED[tag]
            if vr != "SQ" or depth < 3:
                data_set.add(DataElement(tag, "OW" if vr == "OB or OW" else vr, self.value(vr, draw, depth)))
        if draw(strategies.booleans()):
            group = draw(strategies.sampled_from((0x0009, 0x0029, 0x2001, 0x7053)))
            block = data_set.private_block(group, draw(strategies.sampled_from(("SOMEBODY", self.mark()))), create=True)
            block.add_new(1, "LO", self.mark())
            block.add_new(2, "UN", self.mark().encode())
            block.add_new(3, "PN", self.mark())
            if depth < 3:
                block.add_new(4, "SQ", Sequence([self.item(draw, depth + 1)]))


def words_of(name: str) -> list[str]:
    return [word for word in name.replace("=", "^").split("^") if len(word) > 1]


def encodings_of(text: str) -> set[bytes]:
    """A text in every way that a character set of DICOM may have it."""
    found = set()
    for codec in _TEXT_CODECS:
        try:
            found.add(text.encode(codec).removeprefix(b"\x1b$B").removesuffix(b"\x1b(B"))
        except UnicodeEncodeError:
            continue
    return found


@strategies.composite
def identified(draw: Any) -> Identified:
    """A data set of a patient, whose name also stands in free texts of attributes that the table does not have."""
    name, charset = draw(strategies.sampled_from(NAMES))
    made = Identified(Dataset())
    data_set = made.data_set
    data_set.SpecificCharacterSet = charset
    data_set.SOPClassUID = draw(
        strategies.sampled_from(
            (
                "1.2.840.10008.5.1.4.1.1.2",
                "1.2.840.10008.5.1.4.1.1.88.33",
                "1.2.840.10008.5.1.4.1.1.11.1",
                "1.2.840.10008.5.1.4.1.1.104.1",
                "1.2.3.4.5",
            )
        )
    )
    made.fill(data_set, draw, 0)
    data_set.PatientName = name
    data_set.PatientID = made.mark()
    data_set.PatientBirthDate = "19520311"
    data_set.StudyInstanceUID, data_set.SOPInstanceUID = made.uid(), made.uid()
    words = words_of(name)
    for word in words:
        made.marks |= encodings_of(word)
    separator = draw(strategies.sampled_from((" ", "_", "-", "")))
    free = separator.join(("seen", *words, "again"))
    data_set.SoftwareVersions = [free[:60], f"v1 {data_set.PatientID}"]
    data_set.ImageComments = free
    if name.isascii():
        data_set.add_new(0x00180060, "DS", words[0])
    data_set.AnatomicRegionSequence = Sequence([Dataset(CodeValue="1", CodingSchemeDesignator="X", CodeMeaning=free)])
    return made
