"""What tests with worker processes share."""

from __future__ import annotations

import sys

import pytest


@pytest.fixture
def bare_workers(monkeypatch: pytest.MonkeyPatch) -> None:
    """Worker processes do not import the main module, which is pytest: they start in half the time."""
    main = sys.modules["__main__"]
    monkeypatch.setattr(main, "__spec__", None)
    monkeypatch.delattr(main, "__file__", raising=False)
