"""Dates, identities, keys, rules of devices, and the tables."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from aiodicom.dataset import Dataset, Sequence
from aiodicom.deidentify import DeviceRules, new_key, read_key, write_new_key
from aiodicom.deidentify.actions import Action, Actions, Place, Rules, _profile, content_rules, iod_of
from aiodicom.deidentify.dates import earlier
from aiodicom.deidentify.dummies import dummy
from aiodicom.deidentify.identity import Identity
from aiodicom.deidentify.mapping import Mapping
from aiodicom.deidentify.options import Options
from aiodicom.deidentify.private import _safe, is_safe
from aiodicom.errors import LocalError
from aiodicom.pixels.rectangle import Rectangle
from aiodicom.standard.dictionary import entry_for_tag
from aiodicom.standard.uids import is_valid_uid


@pytest.mark.parametrize(
    ("value", "vr", "moved"),
    [
        ("20200301", "DA", "20200229"),
        ("2020.03.01", "DA", "20200229"),
        ("20200101-20200302", "DA", "20191231-20200301"),
        ("-20200302", "DA", "-20200301"),
        ("20200301123000.5-0500", "DT", "20200229123000.5-0500"),
        ("2020", "DT", "2019"),
        ("202003", "DT", "202002"),
        ("202003+0100", "DT", "202002+0100"),
        ("", "DA", ""),
        ("20201301", "DA", "19000101"),
        ("00010101", "DA", "19000101"),
        ("202003", "DA", "19000101"),
        ("Easter 2020", "DA", "19000101"),
        ("20200301 by Doe", "DT", "19000101"),
    ],
)
def test_dates(value: str, vr: str, moved: str) -> None:
    assert earlier(value, vr, 1) == moved


def test_words_that_identify() -> None:
    identity = Identity("1", ["Li^Anna", "12-345", "Müller^Bo", "山田^太郎"])
    for text, left in (
        ("slice", "slice"),
        ("Li, Anna: thorax", "thorax"),
        ("seen by BOMÜLLER", "seen by"),
        ("MU\u0308LLER twice", "twice"),
        ("no 12-345 here", "no here"),
        ("x1234", "x1234"),  # another number
        ("頭部山田", "頭部"),
        ("Anna", "ANONYMIZED"),
    ):
        assert identity.without(text) == left
    telling = "Dr. House, tel. +49 30 9876543, a@b.org on 3/4/2020: CT 5 mm"
    assert identity.cleaned(telling) == "tel. , on : CT 5 mm"
    assert Identity("1", ["", "Dr^"]).without("Dr") == "Dr"


def test_no_text_takes_long() -> None:
    """As long as a data set may have one; what is quadratic would take hours."""
    identity = Identity("1", ["Doe^John", "1 " * 100_000])
    for text in ("x" * 100_000, "1 " * 50_000, "dr " * 30_000, "a@" * 50_000, "1.1-" * 25_000, " " * 100_000):
        identity.cleaned(text)


def test_words_in_bytes() -> None:
    identity = Identity("1", ["Li^Müller"])
    for codec in ("latin-1", "utf-8"):
        assert identity.occurs_in_bytes(b"\0\1" + "MÜLLER".encode(codec) + b"\xff")
    assert not identity.occurs_in_bytes(b"\0\1LI\xff")


def test_words_do_not_come_together() -> None:
    assert Identity("1", ["Meier"]).without("MeiMeierer") == "Mei er"


def test_mapped_uids_are_valid_and_stable() -> None:
    mapping = Mapping(bytes(32))
    made = {mapping.uid(f"1.2.{number}") for number in range(500)}
    assert len(made) == 500
    assert all(is_valid_uid(uid) and uid.startswith("2.25.") for uid in made)
    # As other nodes, and later versions, have to make them.
    assert mapping.uid("1.2.3") == Mapping(bytes(32)).uid("1.2.3") == "2.25.234032717547690699644168155734605930849"
    assert mapping.pseudonym("patient", "1", 12) == "VYAP5SUMLNHN"
    assert mapping.days("1", 3652) == 2587


def test_key_files(tmp_path: Path) -> None:
    path = tmp_path / "key"
    key = write_new_key(path)
    assert path.stat().st_mode & 0o777 == 0o600
    assert read_key(path) == key
    assert len(new_key()) == 32
    with pytest.raises(FileExistsError):
        write_new_key(path)
    os.chmod(path, 0o640)
    with pytest.raises(LocalError, match="chmod 600"):
        read_key(path)
    for content in ("no key", "aabb", ""):
        path.unlink()
        path.write_text(content)
        os.chmod(path, 0o600)
        with pytest.raises(LocalError, match="hexadecimal digits or more"):
            read_key(path)


RULES = """
[[device]]
manufacturer = "acme*"
modality = "US"
rows = 600
blank = [[0, 0, 800, 40], [700, 0, 100, 600]]

[[device]]
model = "Sono"
outside_ultrasound_regions = true

[[device]]
modality = "MR"
visual_features = true
blank = [[0, 0, 10, 10]]
"""


def test_device_rules() -> None:
    rules = DeviceRules.from_toml(RULES)
    acme = Dataset(Manufacturer="ACME Inc. ", Modality="US", Rows=600, Columns=800)
    [rule] = rules.matching(acme, visual_features=False)
    assert rule.blanked(acme) == [Rectangle(0, 0, 800, 40), Rectangle(700, 0, 100, 600)]
    assert rules.matching(Dataset(Manufacturer="ACME", Modality="US", Rows=601), visual_features=False) == []
    assert len(rules.matching(Dataset(Modality="MR"), visual_features=True)) == 1
    sono = Dataset(ManufacturerModelName="SONO", Rows=100, Columns=200)
    [rule] = rules.matching(sono, visual_features=False)
    with pytest.raises(LocalError, match="no Ultrasound Regions"):
        rule.blanked(sono)
    sono.SequenceOfUltrasoundRegions = Sequence([region(10, 20, 59, 69), region(100, 50, 149, 79)])
    covered = [[False] * 200 for _ in range(100)]
    for column, row, width, height in rule.blanked(sono):
        for y in range(row, row + height):
            for x in range(column, column + width):
                assert not covered[y][x]
                covered[y][x] = True
    within = [(y, x) for y in range(100) for x in range(200) if not covered[y][x]]
    regions = {(y, x) for y in range(20, 70) for x in range(10, 60)} | {
        (y, x) for y in range(50, 80) for x in range(100, 150)
    }
    assert set(within) == regions


def region(left: int, top: int, right: int, bottom: int) -> Dataset:
    return Dataset(
        RegionLocationMinX0=left, RegionLocationMinY0=top, RegionLocationMaxX1=right, RegionLocationMaxY1=bottom
    )


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("[[device]]\nmodel = ", "not TOML"),
        ("x = 1", r"tables called \[\[device\]\]"),
        ("[[device]]\nblank = []", r"device\[0\] is for every image"),
        ("[[device]]\nmodel = 1", r"device\[0\]\.model is a str, not 1"),
        ("[[device]]\nrows = true", r"device\[0\]\.rows is a int"),
        ("[[device]]\nfabric = 1", r"device\[0\]\.fabric is not known"),
        ("[[device]]\nmodel='x'\nblank = [[1, 2, 3, 4], [1, 2, 0, 4]]", r"device\[0\]\.blank\[1\] is \[column, row"),
    ],
)
def test_rules_that_are_none(text: str, said: str) -> None:
    with pytest.raises(LocalError, match=said):
        DeviceRules.from_toml(text)


def test_the_tables() -> None:
    assert len(_profile()) == 656
    assert sum(map(len, _safe().values())) == 479
    assert is_safe("Philips PET Private Group ", 0x70531009)
    assert not is_safe("Philips PET Private Group", 0x70531008)
    assert len(content_rules(Options())) > 200
    assert iod_of("1.2.840.10008.5.1.4.1.1.2") is not None
    assert iod_of("1.2.3") is iod_of(None) is None


def test_every_dummy_is_encoded() -> None:
    """Of every attribute of the table, in every IOD."""
    rules = Rules(Options(pseudonyms=False))
    places = [Place(iod, 0) for iod in (None, 0, 20, 100)] + [Place(None, 0x00400275)]
    for place in places:
        actions = Actions(rules, place)
        data_set = Dataset()
        for tag in (int(tag, 16) for tag in _profile() if "x" not in tag):
            entry = entry_for_tag(tag)
            if actions[tag] is Action.DUMMY and entry is not None and entry.vr not in ("SQ", "UI"):
                vr = "OW" if entry.vr.startswith("OB or") else entry.vr
                data_set.add_new(tag, vr, dummy(vr))
        assert Dataset.from_bytes(data_set.to_bytes("1.2.840.10008.1.2.1"), strict=True) == data_set


def test_actions_are_remembered_within_bounds() -> None:
    actions = Actions(Rules(Options()), Place(None, 0))
    for tag in range(0x00090000, 0x00090000 + 5_000):
        assert actions[tag] is Action.PRIVATE
    assert len(actions) == 2048
