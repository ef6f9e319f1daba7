"""No original identifier remains anywhere in the bytes."""

from __future__ import annotations

from io import BytesIO

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import aiodicom
from aiodicom.dataset import Dataset
from aiodicom.deidentify import Deidentifier, Options
from aiodicom.deidentify.options import CLEANED, RETAINED
from tests.deidentify.identified import Identified, identified, words_of

KEY = bytes(range(32))
SYNTAXES = ("1.2.840.10008.1.2", "1.2.840.10008.1.2.1", "1.2.840.10008.1.2.2", "1.2.840.10008.1.2.1.99")
EXPLICIT = "1.2.840.10008.1.2.1"
CLEANING = [name for name in CLEANED if name not in ("pixels", "visual-features")]
#: Those that keep none of what is marked.
HARMLESS = ("safe-private", "modified-dates")

checked = settings(
    max_examples=60, deadline=None, derandomize=True, database=None, suppress_health_check=list(HealthCheck)
)


def file_of(data_set: Dataset, syntax: str) -> bytes:
    data_set.file_meta = Dataset(
        MediaStorageSOPInstanceUID=data_set.SOPInstanceUID,
        SourceApplicationEntityTitle="QXSENDER",
        PrivateInformationCreatorUID="1.2.276.77.1",
        PrivateInformation=b"QXPRIVATE",
    )
    data_set.preamble = b"QXPREAMBLE".ljust(128, b"\0")
    file = BytesIO()
    aiodicom.dcmwrite(file, data_set, transfer_syntax=syntax)
    return file.getvalue()


def found_in(output: bytes, marks: set[bytes]) -> list[bytes]:
    folded = output.lower()
    return sorted(mark for mark in marks if mark in output or (mark.isascii() and mark.lower() in folded))


@checked
@given(identified(), st.sampled_from(SYNTAXES), st.sets(st.sampled_from(CLEANING)), st.booleans())
def test_of_what_is_marked(made: Identified, syntax: str, clean: set[str], pseudonyms: bool) -> None:
    source = aiodicom.dcmread(BytesIO(file_of(made.data_set, syntax)))
    before = source.to_bytes()
    assert found_in(source.to_bytes(EXPLICIT), made.marks)
    deidentifier = Deidentifier(Options.named((), clean, pseudonyms=pseudonyms), key=KEY)
    result = deidentifier.apply(source)
    output = BytesIO()
    aiodicom.dcmwrite(output, result, transfer_syntax=syntax)
    # What is deflated is looked into.
    written = aiodicom.dcmread(BytesIO(output.getvalue()))
    assert found_in(output.getvalue() + written.to_bytes(EXPLICIT), made.marks | {b"QXSENDER", b"QXPRIVATE"}) == []
    assert b"QXPREAMBLE" not in output.getvalue()
    assert source.to_bytes() == before
    assert written.PatientIdentityRemoved == "YES"


@checked
@given(
    identified(),
    st.sampled_from(SYNTAXES),
    st.sets(st.sampled_from([name for name in RETAINED if name not in ("dates", "modified-dates")])),
    st.sampled_from((None, "dates", "modified-dates")),
    st.sets(st.sampled_from(CLEANING)),
)
def test_of_who_it_is(made: Identified, syntax: str, retain: set[str], dates: str | None, clean: set[str]) -> None:
    """Whatever is retained, the patient's names and number are not."""
    source = aiodicom.dcmread(BytesIO(file_of(made.data_set, syntax)))
    options = Options.named({*retain, *([dates] if dates else [])}, clean)
    result = Deidentifier(options, key=KEY).apply(source)
    output = result.to_bytes(EXPLICIT)
    marks = {str(source.PatientID).encode()}
    for word in words_of(str(source.PatientName)):
        marks |= {word.encode("utf-8"), word.encode("ascii", "ignore") or word.encode("utf-8")} - {b""}
    marks = {mark for mark in marks if len(mark) > 3}
    assert found_in(output, marks) == []
    if "uids" not in retain:
        assert found_in(output, {str(source.SOPInstanceUID).encode(), str(source.StudyInstanceUID).encode()}) == []


@checked
@given(identified(), st.sampled_from(HARMLESS))
def test_twice_is_the_same(made: Identified, retain: str) -> None:
    """By another de-identifier with the same key too; and another key gives other UIDs."""
    options = Options.named((retain,))
    once, again = (Deidentifier(options, key=KEY).apply(made.data_set) for _ in range(2))
    assert once.to_bytes(EXPLICIT) == again.to_bytes(EXPLICIT)
    assert Deidentifier(options, key=bytes(32)).apply(made.data_set).SOPInstanceUID != once.SOPInstanceUID
