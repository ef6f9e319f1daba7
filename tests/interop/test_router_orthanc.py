"""A router that sends to Orthanc by STOW-RS."""

from __future__ import annotations

import asyncio
import os
from pathlib import Path

import pytest

from tests.interop import peers
from tests.router.running import image, routing, store, uid_of, write

PLUGIN = Path("/usr/share/orthanc/plugins/libOrthancDicomWeb.so")


@pytest.fixture
def plugin() -> Path:
    """Orthanc's DICOMweb plugin; where there is none the test is skipped, or fails with AIODICOM_REQUIRE_PEERS=1."""
    if not PLUGIN.exists():
        missing = "Orthanc's DICOMweb plugin is not installed (Debian: orthanc-dicomweb)"
        if os.environ.get("AIODICOM_REQUIRE_PEERS") == "1":
            pytest.fail(f"{missing}, and AIODICOM_REQUIRE_PEERS is set", pytrace=False)
        pytest.skip(missing)
    return PLUGIN


async def test_objects_arrive_by_stow(tmp_path: Path, plugin: Path) -> None:
    with peers.orthanc(tmp_path / "orthanc", Plugins=[str(plugin)]) as orthanc:
        line = f'destinations.web = {{ type = "stow", url = "http://127.0.0.1:{orthanc.http_port}/dicom-web" }}\n'
        async with routing(write(tmp_path, line + '---\n[[routes]]\nto = ["web"]\n')) as running:
            assert await store(running.port, [image(number) for number in range(1, 13)]) == [0] * 12
            await running.watch.until(lambda: running.watch.count("delivered") == 12)
            assert not running.watch.count("failed")
        for number in range(1, 13):
            assert bytes(image(number).PixelData) in await asyncio.to_thread(orthanc.file, uid_of(number))
