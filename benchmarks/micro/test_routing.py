"""The routes of a router, held against a CT image: with its header decoded, and with decoding it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from aiodicom.dataset import Dataset
from aiodicom.router.config.reading import from_values
from aiodicom.router.routing import Routing
from tests.router.objects import ORIGIN, ct

#: As sites have them: most say no with their first words.
CONDITIONS = (
    'Modality == "MR"',
    'Modality == "CT" and "CINE" in SeriesDescription and calling_aet ~ "ER*"',
    'Modality in ["US", "XA"]',
    'SOPClassUID == "MRImageStorage"',
    'calling_aet ~ "US*"',
    'Modality == "CT" and StudyDescription ~ "*Thorax*"',
    'Modality == "PT" or Modality == "NM"',
    'StationName == "CT2"',
    'InstitutionName == "General" and Modality == "MG"',
    '"LOCALIZER" in ImageType',
    'Rows > 1000 and Modality == "DX"',
    'PatientAge < "018Y"',
    'calling_aet in ["A", "B", "C"]',
    "not exists(AccessionNumber)",
    'Modality == "SR"',
    'peer ~ "10.2.*"',
    'SliceThickness <= 1 and Modality == "CT"',
    'SeriesDescription ~ "*LUNG*"',
    'Modality == "CT" and calling_aet != "ER_CT1"',
    'lower(StudyDescription) ~ "*trauma*"',
)


def routing() -> Routing:
    return Routing(
        from_values(
            {
                "listen": {"port": 11112},
                "queue": {"directory": "queue"},
                "destinations": {"pacs": {"type": "dimse", "host": "pacs", "port": 104, "called_aet": "PACS"}},
                "routes": [{"when": condition, "to": ["pacs"]} for condition in CONDITIONS],
            },
            Path("/"),
        )
    )


@pytest.mark.parametrize("is_decoded", [True, False])
def test_twenty_routes(benchmark: Any, is_decoded: bool) -> None:
    routes, encoded = routing(), ct().to_bytes()
    header = Dataset.from_bytes(encoded)

    def plan() -> int:
        return len(routes.plan(header if is_decoded else Dataset.from_bytes(encoded), ORIGIN))

    assert benchmark(plan) == 2
