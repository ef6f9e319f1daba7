"""Data sets of messages: the short ways to decode and encode them do what the long ones do."""

from __future__ import annotations

import copy
import gc
import pickle
import weakref

import pytest

from aiodicom.dataset import Dataset
from aiodicom.dataset._dataset import decode_message, encode_message
from aiodicom.errors import DecodeError
from aiodicom.standard.uids import (
    DEFLATED_EXPLICIT_VR_LITTLE_ENDIAN,
    EXPLICIT_VR_BIG_ENDIAN,
    EXPLICIT_VR_LITTLE_ENDIAN,
    IMPLICIT_VR_LITTLE_ENDIAN,
)
from aiodicom.ul._pdu import Body

_SYNTAXES = (
    IMPLICIT_VR_LITTLE_ENDIAN,
    EXPLICIT_VR_LITTLE_ENDIAN,
    EXPLICIT_VR_BIG_ENDIAN,
    DEFLATED_EXPLICIT_VR_LITTLE_ENDIAN,
)
_JPEG_BASELINE = "1.2.840.10008.1.2.4.50"


def _data_set() -> Dataset:
    return Dataset(
        SpecificCharacterSet="ISO_IR 192",
        PatientName="Müller^Jürgen",
        PatientID="P1",
        Rows=512,
        ScheduledStepAttributesSequence=[Dataset(StudyInstanceUID="1.2.3", ReferencedStudySequence=[])],
    )


@pytest.mark.parametrize("transfer_syntax", _SYNTAXES)
def test_what_was_made_anew_is_encoded_as_by_to_bytes(transfer_syntax: str) -> None:
    data_set = _data_set()
    assert encode_message(data_set, transfer_syntax) == data_set.to_bytes(transfer_syntax)


@pytest.mark.parametrize("transfer_syntax", _SYNTAXES)
@pytest.mark.parametrize("target", _SYNTAXES)
def test_what_was_decoded_is_encoded_as_by_to_bytes(transfer_syntax: str, target: str) -> None:
    data = _data_set().to_bytes(transfer_syntax)
    data_set = decode_message(memoryview(data), transfer_syntax)
    assert data_set == Dataset.from_bytes(data, transfer_syntax)
    assert encode_message(data_set, target) == data_set.to_bytes(target)
    data_set.PatientID = "P2"
    assert encode_message(data_set, target) == data_set.to_bytes(target)


@pytest.mark.parametrize("transfer_syntax", _SYNTAXES)
def test_a_body_is_decoded_where_it_is(transfer_syntax: str) -> None:
    data = _data_set().to_bytes(transfer_syntax)
    body = Body()
    body.write(data)
    data_set = decode_message(body, transfer_syntax)
    assert data_set == _data_set()
    with pytest.raises(BufferError):
        body.write(bytes(1 << 16))  # it stays where it is as long as somebody has it
    raw = data_set["PatientID"].raw
    del data_set, body
    assert bytes(raw) == b"P1"


@pytest.mark.parametrize("transfer_syntax", _SYNTAXES[:3])
def test_what_was_cut_off_is_not_encoded(transfer_syntax: str) -> None:
    data_set = decode_message(memoryview(_data_set().to_bytes(transfer_syntax)[:-4]), transfer_syntax)
    for target in _SYNTAXES:
        with pytest.raises(DecodeError, match="end"):
            encode_message(data_set, target)


def test_pixel_data_that_do_not_fit_are_refused() -> None:
    native = Dataset(Rows=1, Columns=2, BitsAllocated=8, PixelData=b"\1\2").to_bytes(EXPLICIT_VR_LITTLE_ENDIAN)
    data_set = decode_message(memoryview(native), EXPLICIT_VR_LITTLE_ENDIAN)
    for encode in (encode_message, Dataset.to_bytes):
        with pytest.raises(ValueError, match="not encapsulated"):
            encode(data_set, _JPEG_BASELINE)


def test_what_is_no_transfer_syntax_is_refused() -> None:
    with pytest.raises(ValueError, match="UID"):
        encode_message(_data_set(), "explicit")


@pytest.mark.parametrize("transfer_syntax", _SYNTAXES)
def test_one_that_ends_too_early_is_refused_where_it_has_to_be_whole(transfer_syntax: str) -> None:
    data = _data_set().to_bytes(transfer_syntax)
    assert decode_message(memoryview(data), transfer_syntax, is_whole=True) == _data_set()
    assert decode_message(memoryview(data[:-4]), transfer_syntax).truncated is not None
    with pytest.raises(DecodeError, match="end"):
        decode_message(memoryview(data[:-4]), transfer_syntax, is_whole=True)


@pytest.mark.parametrize("count", [2, 31, 32, 33, 200])
@pytest.mark.parametrize("step", [1, -1, 7])
def test_elements_are_written_in_the_order_of_their_tags_whatever_that_of_setting_them(count: int, step: int) -> None:
    made = Dataset()
    decoded = Dataset.from_bytes(Dataset(PatientID="P1", Rows=512).to_bytes())
    for number in range(count):
        tag = 0x00110100 + step * number % count
        made.add_new(tag, "SH", f"{tag:08X}")
        decoded.add_new(tag, "SH", f"{tag:08X}")
    del decoded["PatientID"]
    for data_set, others in ((made, 0), (decoded, 1)):
        again = decode_message(
            memoryview(encode_message(data_set, EXPLICIT_VR_LITTLE_ENDIAN)), EXPLICIT_VR_LITTLE_ENDIAN
        )
        written = [(element.tag, element.value) for element in again]
        assert written[:count] == [(tag, f"{tag:08X}") for tag in range(0x00110100, 0x00110100 + count)]
        assert len(written) == count + others


@pytest.mark.parametrize("transfer_syntax", [*_SYNTAXES, None])
def test_copies_know_the_transfer_syntax(transfer_syntax: str | None) -> None:
    data_set = (
        _data_set()
        if transfer_syntax is None
        else Dataset.from_bytes(_data_set().to_bytes(transfer_syntax), transfer_syntax)
    )
    data_set.filename = "somewhere"
    for make in (copy.copy, copy.deepcopy, lambda each: pickle.loads(pickle.dumps(each))):
        made = make(data_set)
        assert (made, made.transfer_syntax, made.filename) == (data_set, transfer_syntax, "somewhere")
    assert data_set.select(["PatientID"]).transfer_syntax == transfer_syntax
    [item] = pickle.loads(pickle.dumps(data_set)).ScheduledStepAttributesSequence
    assert item.transfer_syntax is None


@pytest.mark.parametrize("change", ["attribute", "element", "sequence", "nothing"])
def test_what_a_decoded_data_set_leads_to_is_collected_with_it(change: str) -> None:
    """The garbage collector does not know of it before anything could lead back to it."""
    data = _data_set().to_bytes(EXPLICIT_VR_LITTLE_ENDIAN)
    body = Body()
    body.write(data)
    body.finish()
    data_set = decode_message(body, EXPLICIT_VR_LITTLE_ENDIAN)
    assert not gc.is_tracked(body)
    assert not gc.is_tracked(data_set)
    assert data_set.PatientID == "P1"
    if change == "attribute":
        data_set.itself = data_set
    elif change == "element":
        data_set.ReferencedStudySequence = [Dataset(PatientID="P2")]
        data_set.ReferencedStudySequence[0].itself = data_set
    elif change == "sequence":
        data_set.ScheduledStepAttributesSequence[0].itself = data_set
    gone = weakref.ref(data_set)
    del data_set, body
    gc.collect()
    assert gone() is None


@pytest.mark.parametrize("transfer_syntax", _SYNTAXES)
def test_text_of_latin_1_without_a_character_set_is_sent_in_it(transfer_syntax: str) -> None:
    with pytest.warns(UserWarning, match="without a Specific Character Set"):
        encoded = encode_message(Dataset(PatientName="Müller"), transfer_syntax)
    assert decode_message(encoded, transfer_syntax).get("PatientName") == "Müller"


@pytest.mark.parametrize("transfer_syntax", _SYNTAXES)
@pytest.mark.parametrize("name", ["Müller^山", "山田"])
def test_text_that_the_character_set_lacks_is_refused(transfer_syntax: str, name: str) -> None:
    inside = Dataset(ScheduledStepAttributesSequence=[Dataset(StudyID=name)])
    for data_set, named in ((Dataset(PatientName=name), r"\(0010,0010\)"), (inside, r"\(0020,0010\)")):
        with pytest.raises(ValueError, match=named + '.*cannot be encoded.* set SpecificCharacterSet="ISO_IR 192"'):
            encode_message(data_set, transfer_syntax)
        data_set.SpecificCharacterSet = "ISO_IR 192"
        assert decode_message(encode_message(data_set, transfer_syntax), transfer_syntax) == data_set
    decoded = decode_message(memoryview(_data_set().to_bytes(transfer_syntax)), transfer_syntax)
    decoded.SpecificCharacterSet = "ISO_IR 126"
    with pytest.raises(ValueError, match=r"\(0010,0010\) PN cannot be encoded: .* has 'ü'"):
        encode_message(decoded, transfer_syntax)


@pytest.mark.parametrize("transfer_syntax", _SYNTAXES)
def test_text_that_has_come_without_its_character_set_goes_on_as_it_is(transfer_syntax: str) -> None:
    came = Dataset.from_bytes(b"\x10\x00\x10\x00PN\x06\x00M\xfcller").to_bytes(transfer_syntax)
    data_set = decode_message(memoryview(came), transfer_syntax)
    data_set.PatientID = "1"
    assert decode_message(encode_message(data_set, transfer_syntax), transfer_syntax).PatientName == "Müller"
