"""Service class application information: the bytes of PS3.4, and what is answered to whom."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aiodicom.errors import LocalError
from aiodicom.ul.extended import QueryRetrieveExtended, RetrieveExtended, StorageExtended, answer_to, encoded
from tests.ul.wire import checked

#: each field of a query alone, in the order of PS3.4 table C.5-2
QUERY = [
    "relational_queries",
    "date_time_matching",
    "fuzzy_semantic_matching",
    "timezone_query_adjustment",
    "enhanced_multiframe_image_conversion",
    "empty_value_matching",
    "multiple_value_matching",
]


@pytest.mark.parametrize("name", QUERY)
def test_each_byte_of_a_query(name: str) -> None:
    extended = QueryRetrieveExtended(**{name: True})
    expected = bytes(name == each for each in QUERY)
    assert extended.encode() == expected
    assert QueryRetrieveExtended.decode(expected) == extended


def test_the_bytes_of_a_retrieval() -> None:
    assert RetrieveExtended(relational_retrieval=True).encode() == b"\1\0"
    assert RetrieveExtended(enhanced_multiframe_image_conversion=True).encode() == b"\0\1"
    assert RetrieveExtended.decode(b"\1") == RetrieveExtended(relational_retrieval=True)


def test_what_is_missing_or_no_flag_is_off_and_what_is_too_much_is_ignored() -> None:
    assert QueryRetrieveExtended.decode(b"") == QueryRetrieveExtended()
    assert QueryRetrieveExtended.decode(b"\1\2\xff") == QueryRetrieveExtended(relational_queries=True)
    assert QueryRetrieveExtended.decode(bytes(7) + b"\1\1") == QueryRetrieveExtended()


def test_the_bytes_of_storage() -> None:
    assert StorageExtended(2, 3, 1).encode() == b"\2\0\3\0\1\0"
    assert StorageExtended().encode() == b"\3\0\0\0\2\0"
    assert StorageExtended.decode(b"\2\xff\3\xff\1\xff") == StorageExtended(2, 3, 1)
    # The defaults of table B.3-1, and a level that the standard does not know.
    assert StorageExtended.decode(b"") == StorageExtended(3, 0, 2)
    assert StorageExtended.decode(b"\x09\0\1") == StorageExtended(9, 1, 2)


@checked(100)
@given(st.binary(max_size=12))
def test_nobodys_bytes_fail(information: bytes) -> None:
    for kind in (StorageExtended, QueryRetrieveExtended, RetrieveExtended):
        decoded = kind.decode(information)
        assert kind.decode(decoded.encode()) == decoded


@pytest.mark.parametrize(
    ("proposed", "answered"),
    [
        # As many bytes as were offered, 1 only where 1 was offered (PS3.4 C.5.1.1).
        (b"\1", b"\1"),
        (b"\0", b"\0"),
        (b"\1\1\1", b"\1\0\1"),
        (b"\1\1\2\1\1\1\1", b"\1\0\0\0\0\0\1"),
        (bytes((1,)) * 20, b"\1\0\1\0\0\0\1"),
        (b"", b""),
    ],
)
def test_a_query_is_answered_with_what_was_asked_for(proposed: bytes, answered: bytes) -> None:
    supported = QueryRetrieveExtended(
        relational_queries=True, fuzzy_semantic_matching=True, multiple_value_matching=True
    )
    assert answer_to(proposed, supported) == answered


def test_storage_and_bytes_are_answered_as_they_are() -> None:
    assert answer_to(b"\3\0\0\0\2\0", StorageExtended(2, 1, 0)) == b"\2\0\1\0\0\0"
    assert answer_to(b"\1", b"anything") == b"anything"


@pytest.mark.parametrize("wrong", [StorageExtended(level_of_support=256), bytes(65470), "text", None, 7])
def test_what_has_no_bytes(wrong: Any) -> None:
    with pytest.raises(LocalError):
        encoded(wrong)
    with pytest.raises(LocalError):
        answer_to(b"\1", wrong)
