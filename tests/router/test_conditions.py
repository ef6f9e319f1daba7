"""Conditions: what they mean, what they refuse, and what no text and no data set can make them do."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from aiodicom.dataset import Dataset
from aiodicom.errors import ConditionError, DecodeError
from aiodicom.router.conditions.compiler import compile_condition
from aiodicom.router.conditions.lexer import LONGEST
from aiodicom.router.conditions.parser import DEEPEST, parse, parse_path
from aiodicom.router.conditions.syntax import And, Compare, List, Literal, Name, Node, Not, Or, Path, Step
from tests.router.objects import ORIGIN, ct


@pytest.mark.parametrize(
    "source",
    [
        'Modality == "CT" and "CINE" in SeriesDescription and calling_aet ~ "ER*"',
        "Modality == 'CT'",
        '"CT" == Modality',
        'Modality != "MR"',
        'Modality in ["MR", "CT"]',
        'Modality not in ["MR", "US"]',
        'not Modality == "MR" or Modality == "CT" and Modality == "US"',
        'lower(PatientName) ~ "doe^*"',
        'PatientName ~ "D?e^J*"',
        'PatientName !~ "d*"',
        # One of several values is enough.
        'ImageType == "PRIMARY"',
        'ImageType in ["AXIAL"]',
        '"LOCALIZER" not in ImageType',
        "count(ImageType) == 3",
        "ImagePositionPatient < -99.5 and ImagePositionPatient > 12",
        # Numbers, dates, times, ages, UIDs.
        "Rows == 64 and Rows >= 64 and 64 <= Rows and SliceThickness == 1.5 and KVP == 1.2e2",
        'StudyDate == "20240131" and StudyDate > "2024-01-30" and StudyDate in ["20240131"]',
        'StudyTime >= "08:30" and StudyTime < "0831"',
        'PatientAge > "18Y" and PatientAge < "660M"',
        'SOPClassUID == "CTImageStorage" and SOPClassUID == "1.2.840.10008.5.1.4.1.1.2"',
        'transfer_syntax == "ExplicitVRLittleEndian"',
        'calling_aet == "ER_CT1" and called_aet == "ROUTER" and peer ~ "10.1.*"',
        # What is absent or empty.
        "exists(PatientID) and not exists(PatientWeight) and not exists(PatientComments)",
        'PatientWeight != 5 and not PatientWeight == 5 and not PatientWeight < 5 and PatientComments !~ "*"',
        # Nested, by tag, and private.
        'RequestAttributesSequence[0].ScheduledProcedureStepID == "S1"',
        'RequestAttributesSequence[*].ScheduledProcedureStepID == "S2"',
        'not RequestAttributesSequence[2].ScheduledProcedureStepID == "S2" and count(RequestAttributesSequence) == 2',
        'any(RequestAttributesSequence, RequestedProcedureID == "R2" and ScheduledProcedureStepID == "S2")',
        'not any(RequestAttributesSequence, RequestedProcedureID == "R1" and ScheduledProcedureStepID == "S2")',
        'any(RequestAttributesSequence, calling_aet == "ER_CT1")',
        '(0008,0060) == "CT" and (0008, 0060) == Modality and exists((0008,0060))',
        '(0009,"ACME CT",02) == "SPECIAL" and not exists((0009,"ACME MR",02))',
        '(0009,"ACME CT",02) ~ "SPEC*"',
        # Attributes beside each other.
        'StudyDate == StudyDate and PatientID != AccessionNumber and Rows <= Columns and "e" in InstitutionName',
        "Modality in SeriesDescription or StationName in SeriesDescription or Modality in StationName",
    ],
)
def test_what_holds(source: str) -> None:
    condition = compile_condition(source)
    header = ct(PatientComments="")
    assert condition(header, ORIGIN) is True
    assert compile_condition(f"not ({source})")(header, ORIGIN) is False
    printed = str(parse(source))
    assert parse(printed) == parse(source)
    assert str(parse(printed)) == printed


def test_values_that_are_none_of_their_kind() -> None:
    header = ct(StudyDate=None, PatientID=" 4711 ")
    header.add_new("StudyDate", "LO", "last week")
    header.add_new("SeriesNumber", "LO", "three")
    header.add_new("Rows", "LO", "64")
    for source, holds in (
        ('StudyDate < "20240101" or StudyDate > "20240101" or StudyDate == "20240101"', False),
        ("SeriesNumber < 5 or SeriesNumber >= 5", False),
        ("Rows == 64", True),
        ('PatientID == "4711"', True),
        ('PatientID == " 4711"', True),
    ):
        assert compile_condition(source)(header, ORIGIN) is holds


def test_private_values_of_unknown_vr() -> None:
    header = ct()
    block = header.private_block(0x0009, "ACME CT")
    block.add_new(0x03, "UN", b"WIDE\0")
    block.add_new(0x04, "UN", b"12 ")
    block.add_new(0x05, "UN", b"x" * 2000)
    header = Dataset.from_bytes(header.to_bytes("1.2.840.10008.1.2"), "1.2.840.10008.1.2")
    for source, holds in (
        ('(0009,"ACME CT",03) == "WIDE"', True),
        ('(0009,"ACME CT",04) > 11', True),
        ('(0009,"ACME CT",05) ~ "x*"', False),
        ('exists((0009,"ACME CT",05))', True),
    ):
        assert compile_condition(source)(header, ORIGIN) is holds


@pytest.mark.parametrize(
    ("source", "column", "reason"),
    [
        ('Modalit == "CT"', 1, "did you mean Modality?"),
        ('Modality == "CT" and patientid == "1"', 22, "did you mean PatientID?"),
        ('caling_aet == "CT"', 1, "did you mean calling_aet?"),
        ('Modality = "CT"', 10, "did you mean ==?"),
        ('Modality == "CT" & Rows > 5', 18, "did you mean and?"),
        ('Modality == "CT', 13, 'no " at its end'),
        ("Modality", 1, "write exists(Modality)"),
        ("Modality == CT", 13, 'a text stands in quotation marks: "CT"'),
        ('Modality == "CT" or "MR"', 21, 'or write ATTRIBUTE in ["CT", "MR"]'),
        ('Modality == "CT" AND Rows > 5', 18, "and (in small letters)"),
        ("PatientAge < 18", 14, 'write "018Y"'),
        ("calling_aet", 1, "alone is no condition"),
        ('"CT"', 1, "alone is no condition"),
        ('Modality == "CT" and', 21, "the condition ends"),
        ('Modality == "CT" Rows == 5', 18, "and, or, or the end"),
        ('(Modality == "CT"', 18, "')' to the parenthesis"),
        ("", 1, "the condition ends"),
        ('Rows == "5"', 9, "Rows is a number"),
        ("PatientID == 5", 14, 'write "5" for text'),
        ('PatientID < "5"', 11, "text has no order"),
        ('Modality == ""', 13, "not exists"),
        ('StudyDate > "2024"', 13, 'a date like "20240131"'),
        ('StudyTime > "25:00"', 13, 'a time like "08:30"'),
        ('PatientAge > "18"', 14, 'an age like "018Y"'),
        ('SOPClassUID == "CT Image Storage"', 16, "neither a UID nor the keyword"),
        ('"a" == "b"', 5, "both sides are constants"),
        ('Modality == ["CT"]', 13, "a list stands behind in"),
        ("Modality in []", 13, "an empty list"),
        ('Modality in "CT,MR"', 13, 'a list, such as ["CT", "MR"]'),
        ("Modality in [Rows]", 14, "a list has texts or numbers"),
        ("5 in Rows", 6, "Rows: a part of it is looked for"),
        ("Modality ~ Modality", 12, "a pattern"),
        ('Rows ~ "6*"', 1, "patterns are for text"),
        ("StudyDate == StudyTime", 14, "never the same"),
        ('RequestAttributesSequence == "S1"', 1, "is a sequence"),
        ("RequestAttributesSequence[0] == 5", 30, "'==' stands where . and what is looked at"),
        ("RequestAttributesSequence[-1].PatientID == '1'", 27, "no number of an item"),
        ('Rows[0].Columns == "x"', 1, "Rows is a number: nothing is in it"),
        ('RedPaletteColorLookupTableData == "x"', 1, "binary values"),
        ("PixelData == 5", 1, "not in the header"),
        ('(0002,0010) == "x"', 1, "in no data set"),
        ('(0010,"X",02) == "x"', 1, "no private group"),
        ('(0009,"",02) == "x"', 1, "a private creator has a name"),
        ("exist(PatientID)", 1, "did you mean exists?"),
        ("frobnicate()", 1, "there is no function frobnicate"),
        ("exists()", 1, "exists(...) has one argument, not 0"),
        ("exists(0010,0020)", 1, "exists(...) has one argument, not 2"),
        ("exists(calling_aet)", 8, "asked of an attribute"),
        ("any(PatientID, Rows == 5)", 5, "no sequence"),
        ("any(RequestAttributesSequence)", 1, "has 2 arguments, not 1"),
        ('lower(Modality) == "CT"', 20, "write 'ct'"),
        ("lower(Rows) == '5'", 7, "is for text"),
        ("count(calling_aet) == 5", 7, "asked of an attribute"),
        ("Rows == 1e999", 9, "too large a number"),
        ("Rows == " + "1" * 50, 9, "at most 32 characters"),
        ("(" * 60 + "Rows == 5" + ")" * 60, DEEPEST + 1, f"more than {DEEPEST} parentheses"),
        ("not " * 60 + "Rows == 5", 4 * DEEPEST + 1, f"more than {DEEPEST} parentheses"),
        ("Rows == 5" + " " * LONGEST, LONGEST + 1, "at most 10,000 characters"),
        (".".join(["ContentSequence[0]"] * 40) + ".CodeValue == '1'", 1, "a path of more than 32"),
        ('Modality ~ "' + "x*" * 600 + '"', 12, "a pattern of more than 1024"),
    ],
)
def test_what_is_no_condition(source: str, column: int, reason: str) -> None:
    with pytest.raises(ConditionError) as raised:
        compile_condition(source)
    assert raised.value.column == column
    assert reason in raised.value.reason
    assert "\n" not in str(raised.value)


def test_a_path() -> None:
    path = parse_path("RequestAttributesSequence[*].(0040,0009)")
    assert path.steps == (Step(0x00400275, -1), Step(0x00400009))
    assert str(path) == "RequestAttributesSequence[*].ScheduledProcedureStepID"
    with pytest.raises(ConditionError, match=r"column 11: '==' stands where and, or, or the end"):
        parse_path("PatientID == 5")


def test_functions_of_plug_ins() -> None:
    seen = []

    def is_urgent(header: Dataset, origin: Any, *arguments: Any) -> bool:
        seen.append((header.Modality, origin.calling_aet, arguments))
        return True

    condition = compile_condition('is_urgent("a", 5, ["b", 2]) and is_urgent(1000,2000)', {"is_urgent": is_urgent})
    assert condition(ct(), ORIGIN)
    assert seen == [("CT", "ER_CT1", ("a", 5, ["b", 2])), ("CT", "ER_CT1", (1000, 2000))]
    with pytest.raises(ConditionError, match=r"column 11: a plug-in is given texts, numbers and lists"):
        compile_condition("is_urgent(PatientID)", {"is_urgent": is_urgent})
    with pytest.raises(ConditionError, match=r"did you mean is_urgent\?"):
        compile_condition("is_urgnt()", {"is_urgent": is_urgent})


def test_a_thousand_operands() -> None:
    for word in ("and", "or"):
        condition = compile_condition(f" {word} ".join(["Rows == 64"] * 600))
        assert condition(ct(), ORIGIN)


# --- properties ------------------------------------------------------------------------------------------------------

HEADER = ct()
TEXTS = {"Modality": ("CT",), "ImageType": ("ORIGINAL", "PRIMARY", "AXIAL"), "PatientComments": ()}
NUMBERS = {"Rows": (64,), "ImagePositionPatient": (-100, -100, 12.5), "PatientWeight": ()}
TAGS = {
    "Modality": 0x00080060,
    "ImageType": 0x00080008,
    "PatientComments": 0x00104000,
    "Rows": 0x00280010,
    "ImagePositionPatient": 0x00200032,
    "PatientWeight": 0x00101030,
}


def path(keyword: str) -> Path:
    return Path((Step(TAGS[keyword]),), column=0)


text_literals = st.one_of(
    st.sampled_from(["CT", "PRIMARY", "R", 'a"b\\c', "C*"]),
    st.text(st.characters(exclude_categories=("Cs",)), min_size=1, max_size=8).filter(lambda text: text.strip(" ")),
).map(lambda text: Literal(text, column=0))
number_literals = st.one_of(st.sampled_from([64, -100, 12.5]), st.integers(-(10**9), 10**9), st.floats(-1e6, 1e6)).map(
    lambda number: Literal(number, column=0)
)
text_operands = st.one_of(st.sampled_from(sorted(TEXTS)).map(path), st.just(Name("calling_aet", column=0)))
number_operands = st.sampled_from(sorted(NUMBERS)).map(path)


def compared(signs: list[str], left: Any, right: Any) -> Any:
    return st.builds(lambda *parts: Compare(*parts, column=0), st.sampled_from(signs), left, right)


comparisons = st.one_of(
    compared(["==", "!="], text_operands, text_literals),
    compared(["==", "!="], text_literals, text_operands),
    compared(["in", "not in"], text_literals, text_operands),
    compared(
        ["in", "not in"],
        text_operands,
        st.lists(text_literals, min_size=1, max_size=3).map(lambda items: List(tuple(items), column=0)),
    ),
    compared(["==", "!=", "<", "<=", ">", ">="], number_operands, number_literals),
    compared(["==", "!=", "<", "<=", ">", ">="], number_literals, number_operands),
    compared(["==", "!=", "<", "<=", ">", ">="], number_operands, number_operands),
)


def joined(node: type[And] | type[Or], operands: list[Node]) -> Node:
    return node(tuple(operands), column=0)


conditions = st.recursive(
    comparisons,
    lambda inner: st.one_of(
        inner.map(lambda node: Not(node, column=0)),
        st.builds(joined, st.sampled_from([And, Or]), st.lists(inner, min_size=2, max_size=3)),
    ),
    max_leaves=8,
)


def meaning(node: Node) -> bool:
    """What a condition says of `ct()`, found out in the plainest way."""
    match node:
        case And(operands):
            return all(map(meaning, operands))
        case Or(operands):
            return any(map(meaning, operands))
        case Not(operand):
            return not meaning(operand)
        case Compare("!=" | "not in" as sign, left, right):
            return not meaning(Compare({"!=": "==", "not in": "in"}[sign], left, right, column=0))
        case Compare(sign, left, right):
            return any(_compared(sign, one, other) for one in _values(left) for other in _values(right))
    raise AssertionError(node)


def _compared(sign: str, one: Any, other: Any) -> bool:
    match sign:
        case "==":
            return bool(one == other)
        case "in":
            return one in other
        case "<":
            return bool(one < other)
        case "<=":
            return bool(one <= other)
        case ">":
            return bool(one > other)
    return bool(one >= other)


def _values(node: Node) -> Any:
    match node:
        case Literal(value):
            return (value.strip(" ") if isinstance(value, str) else value,)
        case List(items):
            return (tuple(_values(item)[0] for item in items),)
        case Name():
            return (ORIGIN.calling_aet,)
        case Path():
            return (TEXTS | NUMBERS)[str(node)]
    raise AssertionError(node)


@given(conditions)
@settings(max_examples=150, deadline=None)
def test_printed_parsed_and_evaluated(node: Node) -> None:
    source = str(node)
    again = parse(source)
    assert str(again) == source
    assert compile_condition(source)(HEADER, ORIGIN) is meaning(node)


PIECES = [
    "Modality", "Rows", "RequestAttributesSequence", "[0].", "[*].", "(0010,0020)", '(0009,"ACME CT",02)', "==", "!=",
    "<", "~", "in", "not", "and", "or", "(", ")", "[", "]", ",", '"CT"', "'", '"', "5", "-1e5", "exists(", "any(",
    "lower(", "count(", "calling_aet", "\\", "\0", "\u00e9", ".", "*", "frobnicate(",
]  # fmt: skip


@given(st.one_of(st.lists(st.sampled_from(PIECES), max_size=20).map(" ".join), st.text(max_size=40)))
@settings(max_examples=150, deadline=None)
def test_no_text_does_anything_but_be_refused(source: str) -> None:
    column = 1
    try:
        assert compile_condition(source)(HEADER, ORIGIN) in (True, False)
    except ConditionError as error:
        column = error.column
    assert 1 <= column <= len(source) + 1


OTHER = ct(Modality="MR", SeriesDescription="x", StudyDate="20200101").to_bytes()[:900]
EVERYTHING = compile_condition(
    'Modality == "CT" or "CINE" in SeriesDescription or StudyDate > "20240101" or StudyTime < "0800" or Rows > 70 or '
    'PatientAge < "018Y" or PatientName ~ "X*y*z" or RequestAttributesSequence[*].ScheduledProcedureStepID == "S3" or '
    'any(ReferencedImageSequence, ReferencedSOPInstanceUID == "1.2") or (0009,"ACME CT",02) == "X" or count(KVP) > 5'
)


@pytest.mark.filterwarnings("ignore::UserWarning")  # of character sets that there are not
@given(st.data())
@settings(max_examples=150, deadline=None)
def test_no_data_set_does_anything_but_be_looked_at(data: st.DataObject) -> None:
    encoded = bytearray(OTHER)
    for _ in range(data.draw(st.integers(0, 6))):
        encoded[data.draw(st.integers(0, len(encoded) - 1))] = data.draw(st.integers(0, 255))
    try:
        header = Dataset.from_bytes(bytes(encoded))
        assert EVERYTHING(header, ORIGIN) in (True, False)
    except DecodeError:
        pass
