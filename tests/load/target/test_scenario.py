"""The scenario of a bad PACS as TOML: all keys, and what is wrong with one in one line that names it."""

from __future__ import annotations

import tomllib
from pathlib import Path

import pytest

from aiodicom.load.target.scenario import TargetScenario, convert_scenario, read_tables

EVERYTHING = """
title = "Monday morning"
seed = 7
ae_title = "PACS"
max_pdu = 16384
window = 4
read_rate = "500kB/s"
write_rate = 1000
matches = "endless"
match_interval = "exponential 10ms"
instances = 3
destinations = { WS1 = "127.0.0.1:11112" }

[associations]
most = 50
reject = "5%"
abort = 0.01
close = "1%"
ignore = "1%"
rejection = [1, 1, 7]
delay = "uniform 0ms 20ms"
abort_after = 1000
contexts = "none"
abstract_syntaxes = ["1.2.840.10008.1.1"]
transfer_syntaxes = ["1.2.840.10008.1.2"]

[operations.all]
latency = "lognormal 20ms 200ms"

[operations.store]
statuses = { A700 = "2%", B000H = 0.1 }
faults = { never = "1%", wrong-message-id = "0.5%" }

[[stalls]]
for = "5s"
at = "1m"

[[stalls]]
for = "500ms"
every = "10s"

[commitment]
fail = "10%"
reason = 0x0112
never = "5%"
delay = "1s"
"""


def test_every_key() -> None:
    scenario = convert_scenario(tomllib.loads(EVERYTHING))
    assert scenario.read_rate == 500_000
    assert scenario.associations.rejection == (1, 1, 7)
    assert scenario.operations.store.faults == {"never": 0.01, "wrong-message-id": 0.005}
    assert [rule.stall for rule in scenario.stalls] == [(60, 5, None), (10, 0.5, 10)]
    tables = tomllib.loads(EVERYTHING)
    assert {name for name in TargetScenario.__struct_fields__ if name in tables} == set(
        TargetScenario.__struct_fields__
    )
    for name in ("associations", "commitment"):
        assert set(tables[name]) == set(type(getattr(scenario, name)).__struct_fields__)


def test_nothing_is_a_well_behaved_pacs() -> None:
    assert convert_scenario({}) == TargetScenario()


@pytest.mark.parametrize(
    ("toml", "key", "what"),
    [
        ("sed = 1", "sed", "no such key: seed?"),
        ("seed = 'x'", "seed", "wanted a whole number, got text in quotes"),
        ("[associations]\nreject = '150%'", "associations.reject", '"2%" or 0.02'),
        ("[associations]\nreject = '70%'\nabort = '40%'", "associations", "more than 100%"),
        ("[associations]\ncontexts = 'some'", "associations", "contexts 'some': wanted one of proposed"),
        ("[associations]\nrejection = [1, 2]", "associations.rejection", "length"),
        ("[associations]\nrejection = [1, 2, 300]", "associations", "0 to 255"),
        ("[associations]\nmost = -1", "associations", "from 0 on"),
        ("[operations.store]\nlatency = 'quick'", "operations.store.latency", "'quick'"),
        ("[operations.stor]", "operations.stor", "no such key: store?"),
        ("[operations.all]\nstatuses = { A7 = '1%' }", "operations.all", "four hexadecimal digits"),
        ("[operations.all]\nstatuses = { FF00 = '1%' }", "operations.all", "wrong-status"),
        ("[operations.all]\nfaults = { sulk = '1%' }", "operations.all", "'sulk' is no fault: wanted one of never"),
        ("[operations.all]\nfaults = { never = '60%', abort = '60%' }", "operations.all", "more than 100%"),
        ("[[stalls]]\nfor = '1s'", "stalls[0]", "wanted at, every, or both"),
        ("[[stalls]]\nevry = '1s'", "stalls[0].evry", "no such key: every?"),
        ("[[stalls]]\nat = '1s'", "stalls[0].for", "wanted, and not there"),
        ("[[stalls]]\nfor = '2s'\nevery = '1s'", "stalls[0]", "no end"),
        ("[[stalls]]\nfor = 'long'\nevery = '1s'", "stalls[0].for", "wanted a duration"),
        ("matches = -1", "", "matches -1"),
        ("matches = 'many'", "", "matches 'many': wanted a number from 0 on, or"),
        ("read_rate = 0", "read_rate", "wanted a rate"),
        ("read_rate = 'slow'", "read_rate", "wanted a rate"),
        ("ae_title = 'MUCH TOO LONG A TITLE'", "", "AE title"),
        ("destinations = { WS1 = 'somewhere' }", "", "HOST:PORT"),
        ("max_pdu = 5", "", "max_pdu 5"),
        ("window = -5", "", "window -5"),
    ],
)
def test_what_is_wrong(toml: str, key: str, what: str) -> None:
    with pytest.raises(ValueError, match=r"\A[^\n]+\Z") as error:
        convert_scenario(tomllib.loads(toml))
    said = str(error.value)
    assert what in said
    assert not key or said.startswith(f"key `{key}`: ")


def test_no_toml(tmp_path: Path) -> None:
    path = tmp_path / "bad.toml"
    path.write_bytes(b"seed = \n\xff")
    with pytest.raises(ValueError, match=r"bad\.toml: no TOML: [^\n]+\Z"):
        read_tables(path)
