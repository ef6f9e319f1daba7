"""What a configuration decides: who may send, when objects go, and what changes when it is read again."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path
from typing import Any

import pytest

from aiodicom.router.config.destinations import Slot, is_open, next_change
from aiodicom.router.config.reading import load
from aiodicom.router.config.reloading import reload
from aiodicom.router.config.values import TimeOfDay
from tests.router.test_config import MINIMAL, read


@pytest.mark.parametrize(
    ("calling_aet", "address", "is_admitted"),
    [
        ("CT1", "10.1.2.3", True),
        ("CT1", "::ffff:10.1.2.3", True),
        ("CT1", "10.2.2.3", False),
        ("MR1", "10.1.2.3", False),
        ("CT1", "", False),
        ("PORTAL", "", True),
        ("PORTAL", "fe80::1%eth0", True),
    ],
)
def test_who_may_send(calling_aet: str, address: str, is_admitted: bool, tmp_path: Path) -> None:
    senders = 'senders = [{ ae_title = "CT*", address = "10.1.0.0/16" }, { ae_title = "PORTAL" }]\n'
    (listener,) = read(MINIMAL.replace("port = 11112\n", f"port = 11112\n{senders}"), tmp_path).listeners
    assert (listener.admits(calling_aet, address) is not None) is is_admitted
    (anybody,) = read(MINIMAL, tmp_path).listeners
    assert anybody.admits(calling_aet, address) == ()


def slot(begins: str, ends: str, *days: Any) -> Slot:
    return Slot(begins=TimeOfDay(begins), ends=TimeOfDay(ends), **({"days": days} if days else {}))


def test_a_schedule() -> None:
    night = (slot("22:00", "06:00", "fri"), slot("12:00", "13:00"))
    friday = datetime(2024, 2, 2)
    for hour, minute, day, opened in (
        (21, 59, 0, False),
        (22, 0, 0, True),
        (5, 59, 1, True),
        (6, 0, 1, False),
        (23, 0, 1, False),
        (12, 30, 1, True),
    ):
        now = friday.replace(day=2 + day, hour=hour, minute=minute)
        assert is_open(night, now) is opened
    assert next_change(night, friday.replace(hour=13)) == friday.replace(hour=22)
    assert next_change(night, friday.replace(hour=23)) == friday.replace(day=3, hour=6)
    assert next_change(night, friday.replace(day=3, hour=7)) == friday.replace(day=3, hour=12)
    weekly = (slot("00:00", "24:00", "thu"),)
    assert next_change(weekly, friday) == friday.replace(day=8)
    assert next_change(weekly, friday.replace(day=8, hour=1)) == friday.replace(day=9)
    assert is_open((), friday)
    assert next_change((), friday) is None
    assert next_change((slot("00:00", "24:00"),), friday) is None


def test_reloading(tmp_path: Path) -> None:
    file = tmp_path / "router.toml"
    file.write_text(MINIMAL)
    before = load(file)
    assert reload(file, before) == (before, (), ())
    file.write_text('unrouted = "drop"\n' + MINIMAL.replace("11113", "11114").replace('== "CT"', '!= "CT"'))
    config, found, changed = reload(file, before)
    assert (found, changed) == ((), ("destinations.pacs.port", "routes[0].when", "unrouted"))
    assert config.destinations["pacs"] != before.destinations["pacs"]
    file.write_text(
        MINIMAL.replace("[[routes]]", "[destinations.x]\ntype = 'folder'\npath = '{SOPInstanceUID}'\n[[routes]]")
    )
    assert reload(file, before).changed == ("destinations.x",)
    file.write_text(MINIMAL + "\n[[routes]]\nto = ['pacs']\n")
    assert reload(file, before).changed == ("routes",)
    # What was there stays, where the new one cannot be.
    file.write_text(MINIMAL.replace('"queue"', '"queue2"').replace("[listen]", "workers = 2\n[listen]"))
    assert reload(file, before) == (
        before,
        ("queue.directory: this changes with a restart alone", "workers: this changes with a restart alone"),
        (),
    )
    file.write_text(MINIMAL.replace("Modality", "Modalit"))
    config, found, changed = reload(file, before)
    assert config is before
    assert found[0].startswith("routes[0].when: column 1: Modalit is no keyword")
    file.unlink()
    assert reload(file, before).problems == (f"{file}: No such file or directory",)


# --- properties ------------------------------------------------------------------------------------------------------
