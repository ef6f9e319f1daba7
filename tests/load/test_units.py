"""Durations, rates and sizes in words."""

from __future__ import annotations

import pytest

from aiodicom.load.units import parse_bytes, parse_rate, parse_seconds


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("60s", 60), ("1m30s", 90), ("250ms", 0.25), ("2h", 7200), ("1.5s", 1.5), (".5s", 0.5), ("7", 7), (3, 3), (0, 0)],
)
def test_durations(text: object, seconds: float) -> None:
    assert parse_seconds(text) == pytest.approx(seconds)


@pytest.mark.parametrize("text", ["", "s", "1x", "1s2", "-1s", -1, True, None, float("nan"), float("inf"), "1 s s"])
def test_what_is_no_duration(text: object) -> None:
    with pytest.raises(ValueError, match="wanted a duration such as"):
        parse_seconds(text)


@pytest.mark.parametrize(
    ("text", "rate"),
    [("500/s", 500), ("30/m", 0.5), ("7200/h", 2), ("1/ms", 1000), ("5", 5), (0.5, 0.5), ("10 / s", 10)],
)
def test_rates(text: object, rate: float) -> None:
    assert parse_rate(text) == pytest.approx(rate)


@pytest.mark.parametrize("text", ["", "/s", "5/x", "-5/s", -5, False, [], "5/s/s"])
def test_what_is_no_rate(text: object) -> None:
    with pytest.raises(ValueError, match="wanted a rate such as"):
        parse_rate(text)


@pytest.mark.parametrize(
    ("text", "size"),
    [("16MB", 16_000_000), ("512KiB", 524_288), ("1k", 1000), ("2GiB", 1 << 31), (7, 7), ("1.5MB", 1_500_000)],
)
def test_sizes(text: object, size: int) -> None:
    assert parse_bytes(text) == size


@pytest.mark.parametrize("text", ["", "MB", "1XB", "1i", -1, 1.5, True])
def test_what_is_no_size(text: object) -> None:
    with pytest.raises(ValueError, match="wanted a size such as"):
        parse_bytes(text)
