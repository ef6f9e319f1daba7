"""Status codes: names, unknown values, and the classes of PS3.7 annex C."""

from __future__ import annotations

import copy
import pickle
from typing import Any

import pytest
from pynetdicom.status import STATUS_FAILURE, STATUS_WARNING, code_to_category

from aiodicom.standard.status import Status, StatusCategory


def test_names() -> None:
    assert Status(0) is Status.SUCCESS
    assert Status(0xA700) is Status.OUT_OF_RESOURCES
    assert Status(0x0210) is Status.DUPLICATE_INVOCATION
    assert Status["UNABLE_TO_PROCESS"] is Status(0xC000) is Status.CANNOT_UNDERSTAND
    assert Status["SUB_OPERATIONS_COMPLETE_WITH_FAILURES"] is Status(0xB000) is Status.COERCION_OF_DATA_ELEMENTS


@pytest.mark.parametrize(
    ("value", "service", "name"),
    [
        (0xC000, "C-FIND", "UNABLE_TO_PROCESS"),
        (0xC123, "C-MOVE", "UNABLE_TO_PROCESS"),
        (0xC123, "C-STORE", "CANNOT_UNDERSTAND"),
        (0xC307, "N-GET", "UPS_DOES_NOT_EXIST"),
        (0xC123, "N-GET", "UNKNOWN_C123"),
        (0xA900, "C-GET", "IDENTIFIER_DOES_NOT_MATCH_SOP_CLASS"),
        (0xA955, "C-STORE", "DATA_SET_DOES_NOT_MATCH_SOP_CLASS"),
        (0xA7FF, "C-STORE", "OUT_OF_RESOURCES"),
        (0xA702, "C-MOVE", "UNABLE_TO_PERFORM_SUB_OPERATIONS"),
        (0xB000, "C-MOVE", "SUB_OPERATIONS_COMPLETE_WITH_FAILURES"),
        (0xB000, "C-STORE", "COERCION_OF_DATA_ELEMENTS"),
        (0x0000, "C-ECHO", "SUCCESS"),
    ],
)
def test_names_of_a_service(value: int, service: str, name: str) -> None:
    """PS3.4 tables B.2-1, C.4-1, C.4-2 and C.4-3."""
    assert Status(value).name_in(service) == name


def test_an_unknown_value_is_a_status() -> None:
    status = Status(0xC123)
    assert isinstance(status, Status)
    assert status == 0xC123
    assert status == Status(0xC123)
    assert hash(status) == hash(0xC123)
    assert status.name == "UNKNOWN_C123"
    assert repr(status) == "<Status.UNKNOWN_C123: 49443>"
    assert f"{status:04X}" == "C123"
    assert pickle.loads(pickle.dumps(status)) == status
    assert copy.deepcopy(status) == status
    assert status not in list(Status)


def test_unknown_values_are_not_remembered() -> None:
    known = len(Status._value2member_map_)
    names = len(Status._member_map_)
    for value in range(0x10000):
        assert Status(value) == value
    assert len(Status._value2member_map_) == known
    assert len(Status._member_map_) == names


@pytest.mark.parametrize("value", [-1, 0x10000, 1 << 40, "0", None, 1.5])
def test_what_is_no_16_bit_value_is_no_status(value: Any) -> None:
    with pytest.raises(ValueError, match="is not a valid Status"):
        Status(value)


def test_categories_are_pynetdicoms() -> None:
    theirs = {
        "Success": StatusCategory.SUCCESS,
        "Pending": StatusCategory.PENDING,
        "Cancel": StatusCategory.CANCEL,
        STATUS_WARNING: StatusCategory.WARNING,
        STATUS_FAILURE: StatusCategory.FAILURE,
    }
    for value in range(0x10000):
        category = code_to_category(value)
        if category in theirs:
            assert Status(value).category is theirs[category], hex(value)


@pytest.mark.parametrize(
    ("value", "category"),
    [
        (0x0000, StatusCategory.SUCCESS),
        (0x0001, StatusCategory.WARNING),
        (0x0107, StatusCategory.WARNING),
        (0x0116, StatusCategory.WARNING),
        (0xB000, StatusCategory.WARNING),
        (0xBFFF, StatusCategory.WARNING),
        (0xC000, StatusCategory.FAILURE),
        (0xAFFF, StatusCategory.FAILURE),
        (0x0110, StatusCategory.FAILURE),
        (0x0002, StatusCategory.FAILURE),
        (0xFE00, StatusCategory.CANCEL),
        (0xFE01, StatusCategory.FAILURE),
        (0xFF00, StatusCategory.PENDING),
        (0xFF01, StatusCategory.PENDING),
        (0xFF02, StatusCategory.FAILURE),
    ],
)
def test_categories(value: int, category: StatusCategory) -> None:
    assert Status(value).category is category
