"""`aiodicom worklist`, with an SCP of ours."""

from __future__ import annotations

import datetime
import json
from collections.abc import Iterator

import pytest

import aiodicom
from aiodicom import Dataset
from aiodicom.services.worklist import Worklist
from tests.cli.conftest import Invoke
from tests.cli.serving import Served, serving

TODAY = f"{datetime.date.today():%Y%m%d}"


def item(number: int, modality: str, date: str, station: str) -> Dataset:
    """A worklist item."""
    return Dataset(
        SpecificCharacterSet="ISO_IR 192",
        AccessionNumber=f"A{number}",
        PatientName=f"Müller^Jane {number}",
        PatientID=f"ID{number}",
        StudyInstanceUID=f"1.2.{number}",
        RequestedProcedureID=f"R{number}",
        ScheduledProcedureStepSequence=[
            Dataset(
                Modality=modality,
                ScheduledStationAETitle=station,
                ScheduledProcedureStepStartDate=date,
                ScheduledProcedureStepStartTime="0930",
                ScheduledProcedureStepDescription="Head",
                ScheduledProcedureStepID=f"S{number}",
            )
        ],
    )


ITEMS = [item(1, "CT", "20240131", "CT1"), item(2, "MR", "20240131", "MR1"), item(3, "CT", TODAY, "CT2")]


@pytest.fixture
def served() -> Iterator[Served]:
    """A server with a worklist."""

    def make() -> aiodicom.Server:
        server = aiodicom.Server()
        Worklist(ITEMS).attach(server)
        return server

    with serving(make) as served:
        yield served


def test_a_table(invoke: Invoke, served: Served) -> None:
    outcome = invoke("worklist", "127.0.0.1", served.port, "--date", "2024-01-31")
    assert (outcome.code, outcome.err) == (0, "")
    *rows, last = outcome.out.splitlines()
    assert rows == [
        "Date        Time      Modality  Station  PatientName     PatientID  Accession  Description",
        "2024-01-31  09:30:00  CT        CT1      Müller, Jane 1  ID1        A1         Head",
        "2024-01-31  09:30:00  MR        MR1      Müller, Jane 2  ID2        A2         Head",
    ]
    assert last.startswith("2 matches in ")


@pytest.mark.parametrize(
    ("arguments", "numbers"),
    [
        ([], [1, 2, 3]),
        (["--date", "today"], [3]),
        (["--date", "tomorrow"], []),
        (["--date", "20240101-20240201"], [1, 2]),
        (["--date", "2024-01-01-2024-02-01"], [1, 2]),
        (["--modality", "CT"], [1, 3]),
        (["--station", "MR1"], [2]),
        (["--modality", "CT", "--station", "MR1"], []),
        (["-k", "PatientID=ID2"], [2]),
        (["-k", "PatientName=*3", "--modality", "CT"], [3]),
        (["--max-results", "1"], [1]),
    ],
)
def test_what_is_asked_for(invoke: Invoke, served: Served, arguments: list[str], numbers: list[int]) -> None:
    outcome = invoke("worklist", "127.0.0.1", served.port, "--json", *arguments)
    assert outcome.code == 0
    found = [json.loads(line) for line in outcome.out.splitlines()]
    assert [match["0020000D"]["Value"] for match in found] == [[f"1.2.{number}"] for number in numbers]
    # What a performed procedure step says of the scheduled one.
    assert all(match["00401001"]["Value"] for match in found)
    assert all(match["00400100"]["Value"][0]["00400009"]["Value"] for match in found)


def test_what_else_is_returned_is_shown(invoke: Invoke, served: Served) -> None:
    step = "ScheduledProcedureStepSequence[0]"
    arguments = ("-k", "PatientID=ID1", "-k", f"{step}.ScheduledProcedureStepID", "-k", "RequestedProcedureID")
    outcome = invoke("worklist", "127.0.0.1", served.port, "--modality", "CT", *arguments)
    assert outcome.out.splitlines()[:2] == [
        "Modality  PatientID  ScheduledProcedureStepID  RequestedProcedureID",
        "CT        ID1        S1                        R1",
    ]


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (
            ["--date", "soon"],
            "'--date': 'soon' is no date, such as 20240131, or a range of them such as 20240101-20240131; "
            "or yesterday, today, tomorrow.",
        ),
        (["--date", "20240301-20240201"], "'--date': '20240301-20240201' ends before it begins. See: "),
        (["--modality", "ct"], "'--modality': "),
        (["--modality", "CT", "-k", "0040,0100[0].Modality=MR"], "is given by an option already"),
    ],
)
def test_arguments_that_cannot_be(invoke: Invoke, arguments: list[str], said: str) -> None:
    outcome = invoke("worklist", "127.0.0.1", "104", *arguments)
    assert (outcome.code, outcome.out) == (2, "")
    (line,) = outcome.errors
    assert said in line
