"""Scenario files: what they may say, and what is said of those that say something else."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from aiodicom.load.scenario import Executor, Scenario, ScenarioError, read_scenario, scenario_from

TARGETS: list[dict[str, object]] = [{"host": "pacs", "port": 104}]


def made(**values: Any) -> Scenario:
    return scenario_from({"targets": TARGETS, "duration": "10s", **values}, "x.toml")


FILE = """
title = "Go-live"
rate = "500/s"
duration = "1m30s"
warm_up = "10s"
associations = 200
association_per = 100
calling_aets = ["CT1", "CT2"]
thresholds = ["store.p99<200ms"]

[mix]
store = 8
find = 1

[[targets]]
host = "pacs"
port = 104
called_aets = ["PACS", "BACKUP"]

[timeouts]
dimse = "5s"

[data]
modality = ["CT", "SR"]
images = 5

[tls]
ca = "ca.pem"
"""


def test_a_file(tmp_path: Path) -> None:
    path = tmp_path / "go-live.toml"
    path.write_text(FILE)
    scenario = read_scenario(path)
    assert scenario.executor is Executor.CONSTANT_RATE
    assert (scenario.rate, scenario.seconds, scenario.warm_up, scenario.association_per) == (500, 90, 10, 100)
    assert scenario.mix == {"store": 8, "find": 1}
    assert scenario.targets[0].called_aets == ("PACS", "BACKUP")
    assert scenario.timeouts.dimse == 5
    assert scenario.data.images == 5
    assert scenario.tls is not None
    again = scenario_from(scenario.to_dict(), "again")
    assert again == scenario


def test_what_is_said_elsewhere_goes_first(tmp_path: Path) -> None:
    path = tmp_path / "go-live.toml"
    path.write_text(FILE)
    assert read_scenario(path, {"rate": "5/s"}).rate == 5


@pytest.mark.parametrize(
    ("values", "executor", "seconds", "most"),
    [
        ({"rate": "5/s"}, Executor.CONSTANT_RATE, 10, 1),
        ({"associations": 7}, Executor.CONSTANT_ASSOCIATIONS, 10, 7),
        ({"operations": 7, "duration": None}, Executor.COUNT, None, 1),
        ({"operations": 7}, Executor.COUNT, 10, 1),
        ({"stages": [{"rate": "5/s", "duration": "3s"}] * 2, "duration": None}, Executor.RAMPING_RATE, 6, 1),
        ({"stages": [{"associations": 9, "duration": "3s"}], "duration": None}, Executor.RAMPING_ASSOCIATIONS, 3, 9),
    ],
)
def test_executors(values: dict[str, Any], executor: Executor, seconds: float | None, most: int) -> None:
    scenario = made(**values)
    assert (scenario.executor, scenario.seconds, scenario.most_associations) == (executor, seconds, most)
    assert scenario.executor.is_open == ("rate" in executor)


STAGE = {"rate": "1/s", "duration": "1s"}


@pytest.mark.parametrize(
    ("values", "line"),
    [
        ({"rate": "5/x"}, 'key `rate`: wanted a rate such as "500/s", "30/m" or "2000/h", got \'5/x\''),
        ({"rate": 0}, "key `rate`: wanted more than 0/s"),
        ({"stages": [STAGE, {**STAGE, "rate": []}]}, "key `stages[1].rate`: wanted a rate such as"),
        ({"stages": [{"rate": 1}]}, "key `stages[0].duration`: wanted, and not there"),
        ({"stages": [STAGE]}, "key `duration`: not with stages: the run lasts as long as they do"),
        (
            {"stages": [STAGE, {"duration": 1, "associations": 2}], "duration": None},
            "key `stages[1]`: wanted either rate",
        ),
        ({"duration": None}, "key `duration`: wanted, where there are neither stages nor operations"),
        ({"duration": "9"}, None),
        ({"warm_up": "10s"}, "key `warm_up`: wanted less than the run lasts"),
        ({"operations": 0}, "key `operations`: wanted 1 or more, got 0"),
        ({"operations": 1, "rate": 1}, "key `operations`: not with a rate or stages"),
        ({"associations": "5"}, "key `associations`: wanted a whole number, got text in quotes"),
        ({"associations": 0}, "key `associations`: wanted 1 to 1,000,000, got 0"),
        ({"durration": "5s"}, "key `durration`: no such key: duration?"),
        ({"tls": {"certificate": "x"}}, "key `tls.certificate`: no such key: wanted one of ca, cert, key, key_passw"),
        ({"stages": [{**STAGE, "rates": 1}]}, "key `stages[0].rates`: no such key: rate?"),
        ({"poisson": "yes"}, "key `poisson`: wanted true or false, got text in quotes"),
        ({"seed": 1.5}, "key `seed`: wanted a whole number or text in quotes, got a number"),
        ({"targets": "pacs"}, "key `targets`: wanted a list, got text in quotes"),
        ({"targets": []}, "key `targets`: wanted at least one [[targets]] with host and port"),
        ({"targets": [{"port": 1}]}, "key `targets[0].host`: wanted, and not there"),
        ({"targets": [*TARGETS, {"host": "x", "port": 65536}]}, "key `targets[1].port`: wanted 1 to 65535, got 65536"),
        (
            {"targets": [{"host": "x", "called_aets": ["A" * 17]}]},
            "key `targets[0].called_aets`: 'AAAAAAAAAAAAAAAAA' is no",
        ),
        ({"calling_aets": []}, "key `calling_aets`: wanted at least one AE title"),
        (
            {"association_per": "week"},
            'key `association_per`: wanted "run", "operation", "series", "study", a number, got \'week\'',
        ),
        (
            {"query": {"level": "SLICE"}},
            'key `query.level`: wanted "PATIENT", "STUDY", "SERIES", "IMAGE", got \'SLICE\'',
        ),
        ({"query": {"keys": {"PatientIdd": "1"}}}, "key `query.keys.PatientIdd`: no keyword of PS3.6"),
        ({"worklist": {"Modalitie": "CT"}}, "key `worklist.Modalitie`: no keyword of PS3.6"),
        ({"mix": {"move": 1}}, "key `query.destination`: wanted for move, or a receiver of our own, since"),
        ({"mix": {"move": 1}, "query": {"destination": "WS1"}}, None),
        ({"receiver": {"port": 0}}, "key `receiver.port`: wanted 1 to 65535, got 0"),
        ({"receiver": {"port": 1, "ae_title": ""}}, "key `receiver.ae_title`: '' is no AE title"),
        (
            {"data": {"modality": ["ct", "XX"]}},
            "key `data.modality`: wanted some of CT, MR, US, MG, CR, DX, SC, SR, en",
        ),
        ({"data": {"modality": []}}, "key `data.modality`: wanted some of CT, MR"),
        ({"data": {"images": 0}}, "key `data.images`: wanted 1 or more, got 0"),
        ({"data": {"transfer_syntax": "zip"}}, "key `data.transfer_syntax`: 'zip' is no transfer syntax: a UID, or"),
        (
            {"data": {"dates": "2026"}},
            "key `data.dates`: '2026' is no date, such as 20260131, nor a range of two in order",
        ),
        ({"data": {"dates": "20260102-20260101"}}, "key `data.dates`: '20260102-20260101' is no date"),
        ({"duration": 0}, "key `duration`: wanted more than 0 s"),
        ({"stages": [{"rate": 1, "duration": 0}], "duration": None}, "key `stages`: wanted more than 0 s"),
        ({"association_per": 0}, 'key `association_per`: wanted "run", "operation", "series", "study" or a number'),
        ({"mix": {}}, "key `mix`: wanted at least one operation"),
        ({"mix": {"echo": 0}}, "key `mix`: wanted a weight above 0"),
        ({"mix": {"ecko": 1}}, "key `mix.ecko`: no such operation: wanted one of echo, store,"),
        ({"mix": {"echo": -1}}, "key `mix.echo`: wanted a weight of 0 or more, got -1"),
        ({"mix": {"echo": "x"}}, "key `mix"),
        ({"window": 0}, "key `window`: wanted 1 to 65535, got 0"),
        ({"max_pdu": 1}, "key `max_pdu`: wanted 4096 or more bytes, got 1"),
        ({"thresholds": ["store.p99<1"]}, "key `thresholds[0]`: "),
        (
            {"tls": {"profile": "x"}},
            'key `tls.profile`: wanted "8996", "8996-mod", "bcp195-nd", "bcp195-ex", "bcp195", got',
        ),
    ],
)
def test_what_cannot_be_is_said_in_one_line(values: dict[str, Any], line: str | None) -> None:
    if line is None:
        made(**values)
        return
    with pytest.raises(ScenarioError) as error:
        made(**values)
    assert str(error.value).startswith(f"x.toml: {line}")
    assert "\n" not in str(error.value)


def test_what_is_no_toml(tmp_path: Path) -> None:
    path = tmp_path / "x.toml"
    path.write_text("rate = ")
    with pytest.raises(ScenarioError, match=r"x.toml: no TOML: Invalid value \(at end of document\)"):
        read_scenario(path)
    path.write_bytes(b"\xff")
    with pytest.raises(ScenarioError, match=r"x.toml: no TOML"):
        read_scenario(path)
