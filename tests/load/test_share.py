"""Shares of a run are together the whole."""

from __future__ import annotations

import math
from collections.abc import Iterator

import numpy as np
import pytest

from aiodicom.load.pacing import Arrivals, Leg
from aiodicom.load.share import WHOLE, Share

LEGS = [Leg(0.0, 1.0, 0.0, 700.0), Leg(1.0, 2.0, 700.0, 700.0), Leg(3.0, 1.0, 700.0, 10.0)]


def starts(arrivals: Arrivals) -> list[float]:
    def all_of() -> Iterator[float]:
        while (start := arrivals.next()) < math.inf:
            yield start

    return list(all_of())


@pytest.mark.parametrize("of", [1, 2, 3, 7])
def test_arrivals_are_split_exactly(of: int) -> None:
    parts = [starts(Arrivals(LEGS, 5.0, share=Share(number, of))) for number in range(of)]
    whole = starts(Arrivals(LEGS, 5.0))
    assert len(whole) > 2000
    assert sorted(start for part in parts for start in part) == pytest.approx(whole)
    assert max(map(len, parts)) - min(map(len, parts)) <= 1


def test_random_arrivals_have_their_part_of_the_rate() -> None:
    parts = [
        starts(Arrivals(LEGS, random=np.random.default_rng(number), share=Share(number, 3))) for number in range(3)
    ]
    wanted = 350 + 1400 + 355
    assert sum(map(len, parts)) == pytest.approx(wanted, abs=5 * wanted**0.5)
    assert Arrivals(LEGS, share=Share(1, 4)).rate(2.0) == 175


@pytest.mark.parametrize(("total", "of"), [(10, 3), (2, 5), (0, 2), (12, 4)])
def test_numbers(total: int, of: int) -> None:
    shares = [Share(number, of) for number in range(of)]
    assert sorted(number for share in shares for number in share.numbers(total)) == list(range(total))
    assert sum(share.part(total) for share in shares) == total


def test_seeds_differ() -> None:
    assert {Share(number, 3).seed("s") for number in range(3)} == {"s.0", "s.1", "s.2"}
    assert WHOLE.seed("s") == "s"
