"""Figures as people read them."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from aiodicom.load import formatting


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0, "0"),
        (0.00001, "0.0000100"),
        (0.0666, "0.0666"),
        (0.3, "0.300"),
        (0.9996, "1.00"),
        (9.996, "10.0"),
        (99.96, "100"),
        (123.4, "123"),
        (12345.6, "12,346"),
    ],
)
def test_numbers(value: float, text: str) -> None:
    assert formatting.number(value) == text


@pytest.mark.parametrize(
    ("form", "value", "text"),
    [
        (formatting.milliseconds, 0.25, "0.250 ms"),
        (formatting.milliseconds, 0.001, "0.001 ms"),
        (formatting.in_milliseconds, 1234.5, "1,234"),
        (formatting.milliseconds, 999.4, "999 ms"),
        (formatting.milliseconds, 999.6, "1.00 s"),
        (formatting.milliseconds, 61_500, "61.5 s"),
        (formatting.seconds, 59.97, "60.0 s"),
        (formatting.seconds, 125, "2 min 5 s"),
        (formatting.seconds, 3600, "1 h"),
        (formatting.seconds, 4205, "1 h 10 min"),
        (formatting.per_second, 498, "498/s"),
        (formatting.size, 512, "512 B"),
        (formatting.size, 525_000, "525 kB"),
        (formatting.size, 999_999, "1.00 MB"),
        (formatting.size, 2.5e12, "2.50 TB"),
        (formatting.percent, 0.001234, "0.123 %"),
    ],
)
def test_with_units(form: Callable[[float], str], value: float, text: str) -> None:
    assert form(value) == text
