"""Transfer syntaxes and SOP classes against pydicom's table of UIDs."""

from __future__ import annotations

import pytest
from pydicom._uid_dict import UID_dictionary
from pydicom.uid import UID

from aiodicom.standard.sop_classes import Service, is_storage, sop_class, sop_classes
from aiodicom.standard.transfer_syntaxes import TRANSFER_SYNTAXES, transfer_syntax

NAMES = {uid: row[0] for uid, row in UID_dictionary.items() if row[1] == "Transfer Syntax"}

#: pydicom calls all but four syntaxes encapsulated and explicit; the standard does not.
WITHOUT_FRAGMENTS = ("4.94", "4.95", "4.204", "4.205", "6.1", "6.2", "7.1", "7.2", "7.3")


@pytest.mark.parametrize("uid", NAMES)
def test_properties(uid: str) -> None:
    known, theirs = TRANSFER_SYNTAXES[uid], UID(uid)
    assert known.name == NAMES[uid]
    assert known.retired == (UID_dictionary[uid][3] != "")
    assert known.little_endian == theirs.is_little_endian
    if uid.removeprefix("1.2.840.10008.1.2.") in WITHOUT_FRAGMENTS or uid == "1.2.840.10008.1.20":
        assert known.native
    else:
        assert known.explicit != theirs.is_implicit_VR
        assert known.encapsulated == theirs.is_encapsulated
        assert known.deflated == theirs.is_deflated


@pytest.mark.parametrize(
    ("uid", "codec", "lossless"),
    [
        ("1.2.840.10008.1.2.4.50", "jpeg", False),
        ("1.2.840.10008.1.2.4.70", "jpeg", True),
        ("1.2.840.10008.1.2.4.80", "jpeg-ls", True),
        ("1.2.840.10008.1.2.4.91", "jpeg-2000", False),
        ("1.2.840.10008.1.2.4.110", "jpeg-xl", True),
        ("1.2.840.10008.1.2.4.201", "htj2k", True),
        ("1.2.840.10008.1.2.5", "rle", True),
        ("1.2.840.10008.1.2.8.1", "deflate", True),
    ],
)
def test_codecs(uid: str, codec: str, lossless: bool) -> None:
    known = transfer_syntax(uid)
    assert known.encapsulated
    assert (known.codec, known.lossless) == (codec, lossless)


def test_an_unknown_syntax_is_explicit_with_compressed_pixels() -> None:
    known = transfer_syntax("1.2.3.4")
    assert known.private
    assert known.explicit
    assert known.little_endian
    assert known.encapsulated


def test_every_sop_class_has_its_service() -> None:
    theirs = {uid for uid, row in UID_dictionary.items() if row[1] in ("SOP Class", "Meta SOP Class")}
    assert theirs <= set(sop_classes())
    assert {known.service for known in sop_classes().values()} == set(Service)


@pytest.mark.parametrize(
    ("uid", "service"),
    [
        ("1.2.840.10008.1.1", Service.VERIFICATION),
        ("1.2.840.10008.5.1.4.1.1.2", Service.STORAGE),
        ("1.2.840.10008.5.1.4.1.1.66.7", Service.STORAGE),
        ("1.2.840.10008.5.1.4.38.1", Service.NON_PATIENT_OBJECT_STORAGE),
        ("1.2.840.10008.5.1.4.1.2.2.1", Service.QUERY_RETRIEVE),
        ("1.2.840.10008.5.1.4.31", Service.BASIC_WORKLIST_MANAGEMENT),
        ("1.2.840.10008.5.1.4.34.6.1", Service.UNIFIED_PROCEDURE_STEP),
        ("1.2.840.10008.5.1.4.34.8", Service.RT_MACHINE_VERIFICATION),
        ("1.2.840.10008.5.1.4.34.7", Service.STORAGE),
        ("1.2.840.10008.3.1.2.3.3", Service.MODALITY_PERFORMED_PROCEDURE_STEP),
    ],
)
def test_services(uid: str, service: Service) -> None:
    known = sop_class(uid)
    assert known is not None
    assert known.service is service
    assert is_storage(uid) == (service in (Service.STORAGE, Service.NON_PATIENT_OBJECT_STORAGE))


def test_no_sop_class() -> None:
    assert sop_class("1.2.3") is None
    assert not is_storage("1.2.840.10008.1.2")
