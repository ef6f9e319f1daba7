"""UIDs: the rule of PS3.5 9.1, look-up, and the list of storage SOP classes."""

from __future__ import annotations

import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydicom._uid_dict import UID_dictionary
from pynetdicom.sop_class import _STORAGE_CLASSES

from aiodicom.standard import generate, uids

PS3_5_9_1 = re.compile(r"(0|[1-9][0-9]*)(\.(0|[1-9][0-9]*))+")


@pytest.mark.parametrize(
    "uid",
    [
        "1.2",
        "0.0",
        "2.25.0",
        "1.2.840.10008.1.1",
        "1.0.100",
        "1.2." + "9" * 60,
        uids.IMPLEMENTATION_CLASS_UID,
    ],
)
def test_valid_uids(uid: str) -> None:
    assert uids.is_valid_uid(uid)


@pytest.mark.parametrize(
    "uid",
    [
        "",
        "1",
        ".",
        "..",
        ".1",
        "1.",
        "1..2",
        "01.2",
        "1.02",
        "1.2.00",
        "1.2.840.a",
        "1.2\0",
        " 1.2",
        "1.2 ",
        "1.-2",
        "1.+2",
        "1_0.2",
        "1.\u0662",
        "1.\u00b2",
        "1/2",
        "../../etc",
        "1.2." + "9" * 61,
    ],
)
def test_what_is_no_uid(uid: str) -> None:
    assert not uids.is_valid_uid(uid)


@settings(max_examples=500, deadline=None, derandomize=True, database=None)
@given(st.text(alphabet="0012.. \0", max_size=70) | st.text(max_size=8))
def test_validity_is_the_grammar(text: str) -> None:
    assert uids.is_valid_uid(text) == (len(text) <= 64 and PS3_5_9_1.fullmatch(text) is not None)


def test_every_uid_of_the_standard_is_valid() -> None:
    assert all(map(uids.is_valid_uid, UID_dictionary))


def test_our_names() -> None:
    project = tomllib.loads(Path(__file__).parents[2].joinpath("pyproject.toml").read_text())["project"]
    assert f"AIODICOM_{project['version'].replace('.', '_')}" == uids.IMPLEMENTATION_VERSION_NAME
    assert len(uids.IMPLEMENTATION_VERSION_NAME) <= 16
    assert uids.is_valid_uid(uids.IMPLEMENTATION_CLASS_UID)


def test_names_are_those_of_the_standard() -> None:
    assert uids.uid_name(uids.VERIFICATION) == "Verification SOP Class"
    assert uids.uid_name(uids.EXPLICIT_VR_BIG_ENDIAN) == "Explicit VR Big Endian"
    assert uids.uid_name(uids.DEFLATED_EXPLICIT_VR_LITTLE_ENDIAN).startswith("Deflated Explicit VR Little Endian")
    for uid, entry in UID_dictionary.items():
        assert uids.uid_name(uid) == (entry[0] or uid)


def test_what_has_no_name_is_named_by_itself() -> None:
    assert uids.uid_name("1.2.3") == "1.2.3"
    assert uids.uid_name("") == ""


def test_transfer_syntaxes() -> None:
    syntaxes = uids.transfer_syntaxes()
    assert {uid for uid, entry in UID_dictionary.items() if entry[1] == "Transfer Syntax"} <= syntaxes
    assert {
        uids.IMPLICIT_VR_LITTLE_ENDIAN,
        uids.EXPLICIT_VR_LITTLE_ENDIAN,
        uids.EXPLICIT_VR_BIG_ENDIAN,
        uids.DEFLATED_EXPLICIT_VR_LITTLE_ENDIAN,
        "1.2.840.10008.1.2.4.110",  # JPEG XL Lossless
    } <= syntaxes
    assert uids.VERIFICATION not in syntaxes


def test_storage_sop_classes_are_at_least_those_of_pynetdicom() -> None:
    assert {str(uid) for uid in _STORAGE_CLASSES.values()} <= uids.storage_sop_classes()


@pytest.mark.parametrize(
    "uid",
    [
        "1.2.840.10008.5.1.4.1.1.2",  # CT Image Storage
        "1.2.840.10008.5.1.4.1.1.6",  # Ultrasound Image Storage (retired)
        "1.2.840.10008.5.1.4.1.1.77.1",  # VL Image Storage - Trial (retired)
        "1.2.840.10008.5.1.1.29",  # Hardcopy Grayscale Image Storage (retired)
        "1.2.840.10008.5.1.4.34.7",  # RT Beams Delivery Instruction Storage
        "1.2.840.10008.5.1.4.38.1",  # Hanging Protocol Storage
        "1.2.840.10008.5.1.4.39.1",  # Color Palette Storage
        "1.2.840.10008.5.1.4.43.1",  # Generic Implant Template Storage
        "1.2.840.10008.5.1.4.1.1.201.1",  # Inventory Storage
        "1.2.840.10008.5.1.4.1.1.9.100.1",  # Waveform Presentation State Storage
    ],
)
def test_storage_sop_classes_have(uid: str) -> None:
    assert uid in uids.storage_sop_classes()


@pytest.mark.parametrize(
    "uid",
    [
        uids.VERIFICATION,
        "1.2.840.10008.1.3.10",  # Media Storage Directory Storage
        "1.2.840.10008.1.20.1",  # Storage Commitment Push Model
        "1.2.840.10008.1.20.1.1",  # its well-known SOP instance
        "1.2.840.10008.1.20.2",  # Storage Commitment Pull Model
        "1.2.840.10008.4.2",  # Storage Service Class
        "1.2.840.10008.5.1.4.1.1.201.1.1",  # Storage Management SOP Instance
        "1.2.840.10008.5.1.4.34.8",  # RT Conventional Machine Verification
        "1.2.840.10008.5.1.4.1.2.1.2",  # Patient Root Q/R - MOVE
    ],
)
def test_storage_sop_classes_have_not(uid: str) -> None:
    assert uid not in uids.storage_sop_classes()


def test_the_table_is_imported_by_the_first_look_up_only() -> None:
    code = (
        "import sys; from aiodicom.standard import uids\n"
        "assert 'aiodicom.standard._uids' not in sys.modules\n"
        "uids.uid_name('1.2'); assert 'aiodicom.standard._uids' in sys.modules\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_the_generator_makes_the_table(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    additions = tmp_path / "additions.tsv"
    additions.write_text("# uid\tname\ttype\tkeyword\n\n1.2.3\tA \"quoted\" name\tSOP Class\tQuoted\n")
    monkeypatch.setattr(generate, "HERE", tmp_path)
    monkeypatch.setattr(sys, "argv", ["generate", "uids", str(additions)])
    generate.main()
    namespace: dict[str, dict[str, tuple[str, str, str, bool]]] = {}
    exec((tmp_path / "_uids.py").read_text(), namespace)
    made = namespace["UIDS"]
    assert made.pop("1.2.3") == ('A "quoted" name', "SOP Class", "Quoted", False)
    from aiodicom.standard._uids import UIDS

    assert made.items() <= UIDS.items()
    assert list(UIDS) == sorted(UIDS, key=lambda uid: [int(component) for component in uid.split(".")])
