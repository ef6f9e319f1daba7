"""Latencies in microseconds from 1 to an hour, to three digits, in HdrHistogram's layout.

Values come in arrays, so that one costs nanoseconds; what is read of it and its encoding are HdrHistogram's own.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final, cast

import numpy as np
import numpy.typing as npt
from hdrh.histogram import HdrHistogram  # type: ignore[import-untyped]

from aiodicom.load.results import Percentiles

__all__ = ["HIGHEST", "Histogram"]

#: Microseconds: an hour. What takes longer is counted as that.
HIGHEST: Final = 3600 * 1_000_000

_DIGITS: Final = 3
#: Of the layout for three digits: values below 2,048 have a count each, every doubling above has 1,024.
_HALF_BITS: Final = 10
_LENGTH: Final = int(HdrHistogram(1, HIGHEST, _DIGITS).counts_len)


class Histogram:
    """Counts of latencies.

    Invariants: `counts` has the layout of ``HdrHistogram(1, HIGHEST, 3)``; `count` is its sum; `longest` is the longest
    latency as it was recorded, or the top of its class where it comes from an encoded histogram.
    """

    __slots__ = ("count", "counts", "longest", "total")

    def __init__(self) -> None:
        self.counts: npt.NDArray[np.int64] = np.zeros(_LENGTH, np.int64)
        self.count = 0
        #: Microseconds.
        self.longest = 0.0
        #: The sum of all, in microseconds.
        self.total = 0.0

    def record_all(self, seconds: npt.NDArray[np.float64]) -> None:
        """Counts latencies in seconds."""
        if not len(seconds):
            return
        microseconds = np.clip(seconds * 1e6, 0.0, HIGHEST)
        values = np.maximum(np.rint(microseconds).astype(np.int64), 1)
        self.counts += np.bincount(_indices(values), minlength=_LENGTH)
        self.count += len(values)
        self.longest = max(self.longest, float(microseconds.max()))
        self.total += float(microseconds.sum())

    def merge(self, other: Histogram) -> None:
        """Adds another one's counts, exactly."""
        self.counts += other.counts
        self.count += other.count
        self.longest = max(self.longest, other.longest)
        self.total += other.total

    def since(self, earlier: Histogram) -> Histogram:
        """Returns what has been counted since this was as `earlier`; its longest is that of all."""
        new = Histogram()
        new.counts = self.counts - earlier.counts
        new.count, new.total, new.longest = self.count - earlier.count, self.total - earlier.total, self.longest
        return new

    def clear(self) -> None:
        """Forgets everything."""
        self.counts[:] = 0
        self.count = 0
        self.longest = self.total = 0.0

    def percentile(self, percentile: float) -> float:
        """The latency in microseconds that `percentile` per cent did not exceed, as HdrHistogram says it; 0 of none."""
        return self._percentiles((percentile,))[0]

    def _percentiles(self, percentiles: tuple[float, ...]) -> list[float]:
        if not self.count:
            return [0.0] * len(percentiles)
        # HdrHistogram's rank: rounded half up, at least the first.
        ranks = [max(int(min(each, 100.0) / 100 * self.count + 0.5), 1) for each in percentiles]
        found = np.searchsorted(np.cumsum(self.counts), ranks, side="left")
        return [min(float(_highest(int(index))), max(self.longest, 1.0)) for index in found]

    def milliseconds(self) -> Percentiles:
        """The percentiles that reports have."""
        p50, p90, p95, p99, p99_9 = (each / 1000 for each in self._percentiles((50.0, 90.0, 95.0, 99.0, 99.9)))
        mean = self.total / self.count / 1000 if self.count else 0.0
        return Percentiles(p50=p50, p90=p90, p95=p95, p99=p99, p99_9=p99_9, max=self.longest / 1000, mean=mean)

    def recorded(self) -> Iterator[tuple[int, int]]:
        """The lowest value in microseconds of each class that has any, and how many it has."""
        for index in map(int, np.flatnonzero(self.counts)):
            yield _lowest(index)[0], int(self.counts[index])

    def encode(self) -> str:
        """HdrHistogram's V2 encoding, base64; empty of none."""
        if not self.count:
            return ""
        encoder = HdrHistogram(1, HIGHEST, _DIGITS)
        np.frombuffer(encoder.counts, np.uint64)[:] = self.counts
        used = np.flatnonzero(self.counts)
        encoder.set_internal_tacking_values(int(used[0]), int(used[-1]), self.count)
        return cast(bytes, encoder.encode()).decode("ascii")

    @classmethod
    def decode(cls, text: str) -> Histogram:
        """Reads what `encode` gave. Raises ValueError for what is none, or has another layout."""
        histogram = cls()
        if not text:
            return histogram
        try:
            decoded = HdrHistogram.decode(text)
        except Exception as error:  # the library raises what its decompressor and ctypes do
            raise ValueError(f"no encoded histogram: {error}") from None
        if decoded.counts_len != _LENGTH or decoded.significant_figures != _DIGITS:
            raise ValueError(f"a histogram of {decoded.significant_figures} digits: wanted one of {_DIGITS} to an hour")
        histogram.counts += np.frombuffer(decoded.counts, np.uint64).astype(np.int64)
        histogram.count = int(histogram.counts.sum())
        used = np.flatnonzero(histogram.counts)
        histogram.longest = float(_highest(int(used[-1]))) if len(used) else 0.0
        histogram.total = float(histogram.counts[used] @ _middles(used))
        return histogram


def _indices(values: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
    """Where each value is counted."""
    # The exponent of a float64 is the position of the highest bit, exactly for numbers below 2**53.
    bits = np.frexp(values.astype(np.float64))[1].astype(np.int64)
    bucket = np.maximum(bits - (_HALF_BITS + 1), 0)
    return (bucket << _HALF_BITS) + (values >> bucket)


def _lowest(index: int) -> tuple[int, int]:
    """The lowest value that is counted at an index, and how many values are."""
    bucket = max((index >> _HALF_BITS) - 1, 0)
    return (index - (bucket << _HALF_BITS)) << bucket, 1 << bucket


def _highest(index: int) -> int:
    lowest, width = _lowest(index)
    return lowest + width - 1


def _middles(indices: npt.NDArray[np.int64]) -> npt.NDArray[np.float64]:
    """The middle of what is counted at each index."""
    bucket = np.maximum((indices >> _HALF_BITS) - 1, 0)
    middles: npt.NDArray[np.float64] = (((indices - (bucket << _HALF_BITS)) << bucket) + ((1 << bucket) >> 1)) * 1.0
    return middles
