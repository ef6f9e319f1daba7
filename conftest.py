"""What the commands that tests start need not compile."""

from __future__ import annotations

import os
import sys
import tempfile

import pytest

_COMPILED = pytest.StashKey[tempfile.TemporaryDirectory[str]]()


def pytest_configure(config: pytest.Config) -> None:
    """Where Python is not to write compiled modules to the checkout, they go elsewhere for as long as the tests run.

    Otherwise each of the hundreds of commands that tests start would compile the whole package anew.
    """
    if os.environ.pop("PYTHONDONTWRITEBYTECODE", ""):
        folder = config.stash[_COMPILED] = tempfile.TemporaryDirectory(prefix="aiodicom-compiled-")
        os.environ["PYTHONPYCACHEPREFIX"] = sys.pycache_prefix = folder.name
        sys.dont_write_bytecode = False


def pytest_unconfigure(config: pytest.Config) -> None:
    if folder := config.stash.get(_COMPILED, None):
        folder.cleanup()
