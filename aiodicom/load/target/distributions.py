"""How long things take: a constant, a distribution with a name, or a table of percentiles.

A distribution is written in words, such as ``lognormal 20ms 200ms``, with spaces or commas between them:

    20ms                              always
    uniform 10ms 50ms                 anything between the two
    normal 50ms 10ms                  mean and standard deviation; never below 0
    lognormal 20ms 200ms              median and 99th percentile
    exponential 30ms                  mean
    percentiles p50=10ms p99=1s max=3s   in a straight line from each to the next, from p0 (0 unless given)
"""

from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Callable, Sequence
from itertools import pairwise
from math import exp, log
from statistics import NormalDist

from aiodicom.load.units import parse_seconds

__all__ = ["Distribution"]

_STANDARD = NormalDist()
_Z99 = _STANDARD.inv_cdf(0.99)
#: Where the quantiles of some distributions have no end.
_LEAST = 2.0**-54

Quantile = Callable[[float], float]


class Distribution:
    """A distribution of durations, from its words. Raises ValueError for what is none."""

    __slots__ = ("_quantile", "text")

    def __init__(self, text: str) -> None:
        self.text = text
        name, *words = [word for word in re.split(r"[\s,]+", text.strip()) if word] or [""]
        if name[:1].isdigit() or name == "constant":
            self._quantile = _constant(*_durations(text, words if name == "constant" else [name, *words], "DURATION"))
            return
        if name not in _NAMED:
            raise ValueError(f"{text!r} is no distribution: wanted a duration, or {', '.join(_NAMED)}")
        if name == "percentiles":
            self._quantile = _percentiles(text, words)
        else:
            make, parameters = _NAMED[name]
            self._quantile = make(*_durations(text, words, parameters))

    def quantile(self, share: float) -> float:
        """Returns the seconds that this share of all durations, from 0 up to but not including 1, does not exceed."""
        return self._quantile(share)

    def __repr__(self) -> str:
        return f"Distribution({self.text!r})"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Distribution) and other.text == self.text

    def __hash__(self) -> int:
        return hash(self.text)


def _durations(text: str, words: Sequence[str], parameters: str) -> list[float]:
    if len(words) != len(parameters.split()):
        raise ValueError(f"{text!r}: wanted {parameters} after the name, such as 20ms")
    return [parse_seconds(word) for word in words]


def _constant(value: float) -> Quantile:
    return lambda share: value


def _uniform(least: float, most: float) -> Quantile:
    if least > most:
        raise ValueError(f"a uniform distribution from {least:g} s to {most:g} s: wanted the smaller one first")
    return lambda share: least + (most - least) * share


def _normal(mean: float, deviation: float) -> Quantile:
    return lambda share: max(0.0, mean + deviation * _STANDARD.inv_cdf(max(share, _LEAST)))


def _lognormal(median: float, p99: float) -> Quantile:
    if not 0 < median <= p99:
        raise ValueError(f"a lognormal distribution of median {median:g} s and p99 {p99:g} s: wanted 0 < median <= p99")
    sigma = log(p99 / median) / _Z99
    return lambda share: median * exp(sigma * _STANDARD.inv_cdf(max(share, _LEAST)))


def _exponential(mean: float) -> Quantile:
    return lambda share: -mean * log(1.0 - share)


def _percentiles(text: str, words: Sequence[str]) -> Quantile:
    points = {0.0: 0.0}
    for word in words:
        name, equals, duration = word.partition("=")
        percentile = "100" if name == "max" else name.removeprefix("p").replace("_", ".")
        if not equals or (name[:1] != "p" and name != "max") or not re.fullmatch(r"\d+(\.\d+)?", percentile):
            raise ValueError(f"{text!r}: wanted percentiles such as p50=10ms p99.9=1s max=3s, got {word!r}")
        points[float(percentile) / 100] = parse_seconds(duration)
    shares = sorted(points)
    durations = [points[share] for share in shares]
    if len(points) < 2 or shares[-1] > 1:
        raise ValueError(f"{text!r}: wanted percentiles up to 100, such as p50=10ms p99=1s max=3s")
    if any(first > second for first, second in pairwise(durations)):
        raise ValueError(f"{text!r}: a higher percentile cannot be a shorter time")

    def quantile(share: float) -> float:
        place = bisect_right(shares, share)
        if place == len(shares):
            return durations[-1]
        before, after = shares[place - 1], shares[place]
        part = (share - before) / (after - before)
        return durations[place - 1] + (durations[place] - durations[place - 1]) * part

    return quantile


_NAMED: dict[str, tuple[Callable[..., Quantile], str]] = {
    "uniform": (_uniform, "LEAST MOST"),
    "normal": (_normal, "MEAN DEVIATION"),
    "lognormal": (_lognormal, "MEDIAN P99"),
    "exponential": (_exponential, "MEAN"),
    "percentiles": (_percentiles, ""),
}
