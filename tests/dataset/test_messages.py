"""Data sets of messages: the short ways to decode and encode them do what the long ones do."""

from __future__ import annotations

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
