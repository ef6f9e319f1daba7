"""Which way objects go, and plug-ins that have a say in it."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from aiodicom.dataset import Dataset
from aiodicom.errors import ConfigurationError, RoutingFailed, TransformationFailed
from aiodicom.router.config.reading import parse
from aiodicom.router.routing import Routing
from tests.router.objects import ORIGIN, ct
from tests.router.test_transformations import MINIMAL

DESTINATIONS = f"""{MINIMAL}
[destinations.research]
type = "folder"
path = "{{SOPInstanceUID}}"
"""


def routing(routes: str, folder: Path) -> Routing:
    return Routing(parse(DESTINATIONS + routes, folder))


def test_every_route_that_means_an_object(tmp_path: Path) -> None:
    made = routing(
        """
        [[routes]]
        name = "research"
        when = 'Modality == "CT"'
        unless = 'PatientAge < "018Y"'
        to = ["research"]
        priority = -5
        transformations = [{ type = "remove", private = true }]
        completion = { quiet = "1m" }
        [[routes]]
        to = ["pacs", "research"]
        [[routes]]
        unless = 'Modality in ["CT", "MR"]'
        to = ["pacs"]
        """,
        tmp_path,
    )
    first, second = made.plan(ct(), ORIGIN)
    assert (first.route, first.destinations, first.priority) == ("research", ("research",), -5)
    assert first.pipeline is not None
    assert first.completion is not None
    assert first.completion.quiet == 60
    assert (second.route, second.destinations, second.priority) == ("route 2", ("pacs", "research"), 0)
    assert (second.pipeline, second.completion) == (None, None)
    assert [plan.route for plan in made.plan(ct(PatientAge="003M"), ORIGIN)] == ["route 2"]
    assert [plan.route for plan in made.plan(ct(Modality="US"), ORIGIN)] == ["route 2", "route 3"]


def test_a_final_route(tmp_path: Path) -> None:
    made = routing(
        """
        [[routes]]
        when = 'Modality == "MR"'
        to = []
        final = true
        transformations = [{ type = "drop" }]
        [[routes]]
        to = ["pacs"]
        """,
        tmp_path,
    )
    assert [plan.destinations for plan in made.plan(ct(Modality="MR"), ORIGIN)] == [()]
    assert [plan.destinations for plan in made.plan(ct(), ORIGIN)] == [("pacs",)]


def test_an_object_that_no_route_means(tmp_path: Path) -> None:
    assert routing("[[routes]]\nto = ['pacs']\nwhen = 'Modality == \"MR\"'", tmp_path).plan(ct(), ORIGIN) == []


def test_a_header_that_is_broken(tmp_path: Path) -> None:
    made = routing(
        """[[routes]]
        name = "nested"
        when = 'any(RequestAttributesSequence, ScheduledProcedureStepID == "S1")'
        to = ["pacs"]""",
        tmp_path,
    )
    encoded = ct().to_bytes()
    broken = encoded.replace(b"\x40\x00\x09\x00SH\x02\x00S1", b"\x40\x00\x09\x00SH\xff\x00S1")
    with pytest.raises(RoutingFailed, match=r"^route nested: .* in \(0040,0275\)"):
        made.plan(Dataset.from_bytes(broken), ORIGIN)


# --- plug-ins --------------------------------------------------------------------------------------------------------

PLUG_IN = '''
"""Rules of a hospital."""

from aiodicom.dataset import Dataset


def is_ours(header, origin, *institutions):
    if header.get("PatientID") == "crash":
        raise KeyError("no such patient")
    return header.get("InstitutionName") in institutions and origin.called_aet == "ROUTER"


def initials(options):
    if "letters" not in options:
        raise ValueError("letters is missing")

    def change(data_set, origin):
        name = str(data_set.get("PatientName") or "")
        if name == "Nobody":
            return None
        if name == "Wrong":
            return "wrong"
        data_set.PatientName = "".join(part[: options["letters"]] for part in name.split("^"))
        return data_set

    return change


constant = 5
'''

ENTRY_POINTS = """
[aiodicom.router.conditions]
is_ours = hospital_rules:is_ours
constant = hospital_rules:constant
broken = hospital_rules_missing:f

[aiodicom.router.transformations]
initials = hospital_rules:initials
broken = hospital_rules_missing:f
"""


@pytest.fixture
def distribution(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A distribution with entry points, installed for this test."""
    site = tmp_path / "site"
    information = site / "hospital_rules-1.0.dist-info"
    information.mkdir(parents=True)
    (site / "hospital_rules.py").write_text(PLUG_IN)
    (information / "METADATA").write_text("Metadata-Version: 2.1\nName: hospital-rules\nVersion: 1.0\n")
    (information / "entry_points.txt").write_text(ENTRY_POINTS)
    monkeypatch.syspath_prepend(str(site))
    importlib.invalidate_caches()
    yield
    sys.modules.pop("hospital_rules", None)


@pytest.mark.usefixtures("distribution")
def test_plug_ins(tmp_path: Path) -> None:
    made = routing(
        """[[routes]]
        when = 'Modality == "CT" and is_ours("General", "Special")'
        to = ["pacs"]
        transformations = [{ type = "plugin", name = "initials", options = { letters = 2 } }]""",
        tmp_path,
    )
    (plan,) = made.plan(ct(), ORIGIN)
    assert made.plan(ct(InstitutionName="Other"), ORIGIN) == []
    assert plan.pipeline is not None
    outcome = plan.pipeline.apply(ct(), ORIGIN)
    assert outcome is not None
    assert outcome.header.PatientName == "DoJa"
    assert plan.pipeline.apply(ct(PatientName="Nobody"), ORIGIN) is None
    with pytest.raises(TransformationFailed, match=r"^initials: TypeError: it gave no data set, but str$"):
        plan.pipeline.apply(ct(PatientName="Wrong"), ORIGIN)
    with pytest.raises(RoutingFailed, match=r"^route route 1: KeyError: 'no such patient'$"):
        made.plan(ct(PatientID="crash"), ORIGIN)


@pytest.mark.usefixtures("distribution")
def test_plug_ins_that_cannot_be_used(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError) as raised:
        routing(
            """
            [[routes]]
            when = 'broken()'
            unless = 'constant()'
            to = ["pacs"]
            [[routes.transformations]]
            type = "plugin"
            name = "initals"
            [[routes.transformations]]
            type = "plugin"
            name = "initials"
            [[routes.transformations]]
            type = "plugin"
            name = "broken"
            [[routes]]
            when = "is_our()"
            to = ["pacs"]
            """,
            tmp_path,
        )
    assert raised.value.problems == (
        "routes[0].when: the plug-in broken (hospital_rules_missing:f) cannot be imported: "
        "No module named 'hospital_rules_missing'",
        "routes[0].unless: the plug-in constant (hospital_rules:constant) is no function, but int",
        "routes[0].transformations[0]: there is no plug-in 'initals' (did you mean initials?)",
        "routes[0].transformations[1]: the plug-in initials refuses its options: letters is missing",
        "routes[0].transformations[2]: the plug-in broken (hospital_rules_missing:f) cannot be imported: "
        "No module named 'hospital_rules_missing'",
        "routes[1].when: column 1: there is no function is_our (did you mean is_ours?)",
    )


def test_files_that_have_gone_since(tmp_path: Path) -> None:
    (tmp_path / "rooms.csv").write_text("a,b\nCT1,Room 1\n")
    text = """
        [tables.rooms]
        file = "rooms.csv"
        [[routes]]
        to = ["pacs"]
        transformations = [{ type = "map", tag = "StationName", table = "rooms" }]
    """
    config = parse(DESTINATIONS + text, tmp_path)
    (tmp_path / "rooms.csv").unlink()
    with pytest.raises(ConfigurationError, match=r"^routes\[0\].transformations\[0\]: .*rooms.csv: No such file"):
        Routing(config)
