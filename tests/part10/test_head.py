"""Where the parts of a file begin: the plain search against the compiled one, and bytes that nobody wrote."""

from __future__ import annotations

import io
import warnings
from pathlib import Path

import pydicom
import pytest
from hypothesis import given
from hypothesis import strategies as st

from aiodicom.dataset._dataset import plain_head
from aiodicom.errors import DecodeError
from aiodicom.part10.head import find_head, guess_transfer_syntax
from aiodicom.part10.reader import dcmread
from aiodicom.standard.uids import EXPLICIT_VR_BIG_ENDIAN, EXPLICIT_VR_LITTLE_ENDIAN, IMPLICIT_VR_LITTLE_ENDIAN

DATA = Path(pydicom.__file__).parent / "data"
FILES = sorted(path for path in DATA.rglob("*") if path.is_file() and path.read_bytes()[128:132] == b"DICM")
CT = (DATA / "test_files" / "CT_small.dcm").read_bytes()[:1000]


def both(data: bytes) -> None:
    """The compiled search finds what the plain one finds, or leaves it to it."""
    plain = plain_head(data)
    if plain is not None:
        head = find_head(lambda offset, count: data[offset : offset + count], len(data))
        assert (head.data_offset, head.transfer_syntax, head.fault) == (*plain, "")
        assert head.preamble == data[:128]
        assert head.meta == data[132 : plain[0]]


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.name)
def test_files(path: Path) -> None:
    both(path.read_bytes())


def test_a_file_in_order_takes_the_short_way() -> None:
    assert plain_head(CT) == (CT.index(b"\x08\0\5\0CS"), EXPLICIT_VR_LITTLE_ENDIAN)
    assert plain_head(bytearray(CT)) == plain_head(memoryview(CT)) == plain_head(CT)
    assert plain_head(b"") is None


@given(st.integers(128, 400), st.binary(min_size=1, max_size=8))
def test_changed_bytes(place: int, change: bytes) -> None:
    data = CT[:place] + change + CT[place + len(change) :]
    both(data)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            data_set = dcmread(io.BytesIO(data))
            data_set.to_json()
            (data_set.file_meta or data_set).to_json()
        except DecodeError:
            pass


@given(st.binary(max_size=300), st.sampled_from([b"", bytes(128) + b"DICM", b"DICM", CT[:144], CT[:340]]))
def test_any_bytes(data: bytes, before: bytes) -> None:
    data = before + data
    both(data)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for force in (False, True):
            try:
                data_set = dcmread(io.BytesIO(data), force=force)
                data_set.to_json()
                (data_set.file_meta or data_set).to_json()
            except DecodeError:
                pass


@pytest.mark.parametrize(
    ("start", "syntax"),
    [
        (b"\x08\0\5\0CS\x0a\0ISO_IR 100", EXPLICIT_VR_LITTLE_ENDIAN),
        (b"\0\x08\0\5CS\0\x0aISO_IR 100", EXPLICIT_VR_BIG_ENDIAN),
        (b"\x08\0\5\0\x0a\0\0\0ISO_IR 100", IMPLICIT_VR_LITTLE_ENDIAN),
        (b"\0\x20\0\x0dUI\0\x041.2\0", EXPLICIT_VR_BIG_ENDIAN),
        (b"\0\x20\x10\0IS\2\x001 ", EXPLICIT_VR_LITTLE_ENDIAN),  # of a film session
        (b"", IMPLICIT_VR_LITTLE_ENDIAN),
    ],
)
def test_guessing(start: bytes, syntax: str) -> None:
    assert guess_transfer_syntax(start, len(start)) == syntax
