"""The clock of the measurements of small parts."""

from __future__ import annotations

import pytest

from benchmarks.micro import clock


def test_a_calibration_that_others_slow_down_makes_nothing_seem_faster(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(clock.time, "perf_counter", lambda: 1.0)
    monkeypatch.setattr(clock, "_loop", lambda runs: runs * 0.5e-6)
    measured_by = clock.LoopClock()
    measured_by.calibrate()
    assert measured_by() == pytest.approx(2.0)
    monkeypatch.setattr(clock, "_loop", lambda runs: runs * 0.9e-6)
    measured_by.calibrate()
    assert measured_by() == pytest.approx(2.0)
    monkeypatch.setattr(clock, "_loop", lambda runs: runs * 0.4e-6)
    measured_by.calibrate()
    assert measured_by() == pytest.approx(2.5)
