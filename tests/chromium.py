"""A real browser, headless: pages as people's browsers make them."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest

#: Seconds that it may take.
_PATIENCE = 60.0


def dumped(url: str, folder: Path) -> str:
    """The document at `url` as it is once its scripts have run; `folder` is where the browser keeps its things.

    Where there is none the test is skipped, or fails with AIODICOM_REQUIRE_PEERS=1.
    """
    program = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    if program is None:
        if os.environ.get("AIODICOM_REQUIRE_PEERS") == "1":
            pytest.fail("chromium is not installed, and AIODICOM_REQUIRE_PEERS is set", pytrace=False)
        pytest.skip("chromium is not installed")
    options = ["--headless", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", f"--user-data-dir={folder}"]
    done = subprocess.run(
        [program, *options, "--virtual-time-budget=10000", "--dump-dom", url],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=_PATIENCE,
        check=True,
    )
    return done.stdout
