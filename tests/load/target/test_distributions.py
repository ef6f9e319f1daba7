"""Distributions in words: their quantiles, and what is none."""

from __future__ import annotations

from math import log
from statistics import fmean

import pytest

from aiodicom.load.target.chance import Matter, variate
from aiodicom.load.target.distributions import Distribution


@pytest.mark.parametrize(
    ("text", "share", "seconds"),
    [
        ("20ms", 0.7, 0.02),
        ("constant 1m30s", 0.0, 90),
        ("uniform 10ms 50ms", 0.25, 0.02),
        ("uniform,10ms,50ms", 0.5, 0.03),
        ("normal 50ms 10ms", 0.5, 0.05),
        ("normal 50ms 10ms", 0.8413447, 0.06),
        ("normal 1ms 10ms", 0.0, 0.0),
        ("lognormal 20ms 200ms", 0.5, 0.02),
        ("lognormal 20ms 200ms", 0.99, 0.2),
        ("exponential 30ms", 0.5, 0.03 * log(2)),
        ("percentiles p50=10ms p99=1s max=3s", 0.0, 0.0),
        ("percentiles p50=10ms p99=1s max=3s", 0.25, 0.005),
        ("percentiles p50=10ms p99=1s max=3s", 0.5, 0.01),
        ("percentiles p50=10ms p99=1s max=3s", 0.995, 2.0),
        ("percentiles p0=5ms p50=10ms p99.9=1s", 0.9995, 1.0),
        ("percentiles p0=5ms p50=10ms p99_9=1s", 0.25, 0.0075),
    ],
)
def test_quantile(text: str, share: float, seconds: float) -> None:
    assert Distribution(text).quantile(share) == pytest.approx(seconds, rel=1e-6, abs=1e-9)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "poisson 3ms",
        "normal 50ms",
        "uniform 50ms 10ms",
        "lognormal 200ms 20ms",
        "lognormal 0s 20ms",
        "20ms 30ms",
        "percentiles",
        "percentiles 10ms",
        "percentiles p50=10ms p99=5ms",
        "percentiles p101=10ms",
        "percentiles p=10ms",
    ],
)
def test_what_is_none_says_so_in_one_line(text: str) -> None:
    with pytest.raises(ValueError, match=r"\A[^\n]+\Z"):
        Distribution(text)


@pytest.mark.parametrize("text", ["exponential 1s", "lognormal 1s 5s", "normal 1s 1s", "percentiles p50=1s"])
def test_no_quantile_is_endless(text: str) -> None:
    distribution = Distribution(text)
    assert all(0 <= distribution.quantile(share) < 1000 for share in (0.0, 1 - 2**-53))


def test_chance_is_uniform_and_comes_out_alike() -> None:
    chances = [
        variate(7, Matter.LATENCY, association, operation) for association in range(50) for operation in range(200)
    ]
    assert chances == [variate(7, Matter.LATENCY, *divmod(number, 200)) for number in range(10_000)]
    assert fmean(chances) == pytest.approx(0.5, abs=0.01)
    assert fmean(chance < 0.02 for chance in chances) == pytest.approx(0.02, abs=0.005)
    assert len(set(chances)) == len(chances)
    assert variate(8, Matter.LATENCY, 0, 0) != variate(7, Matter.LATENCY, 0, 0) != variate(7, Matter.STATUS, 0, 0)
