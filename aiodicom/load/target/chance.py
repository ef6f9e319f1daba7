"""Chance that comes out alike each time: a number for each decision, made of the seed and of what is decided about.

A generator of random numbers would give them in the order in which associations happen to ask. So the tenth operation
of the third association has the same fate in every run, whatever the others do meanwhile.
"""

from __future__ import annotations

from enum import IntEnum

__all__ = ["Matter", "variate"]

_MASK = (1 << 64) - 1


class Matter(IntEnum):
    """What is decided."""

    ASSOCIATION = 1
    ASSOCIATION_DELAY = 2
    STATUS = 3
    FAULT = 4
    LATENCY = 5
    INTERVAL = 6
    FORGETTING = 7
    REPORT_DELAY = 8
    COMMITMENT = 9


def variate(seed: int, matter: Matter, *about: int) -> float:
    """Returns a number from 0 up to but not including 1, uniformly distributed over what it is `about`."""
    state = seed & _MASK
    for number in (matter, *about):
        # SplitMix64 (Steele, Lea, Flood 2014): a step of its Weyl sequence for each number, then its finalizer.
        state = (state + (number + 1) * 0x9E3779B97F4A7C15) & _MASK
        state = ((state ^ (state >> 30)) * 0xBF58476D1CE4E5B9) & _MASK
        state = ((state ^ (state >> 27)) * 0x94D049BB133111EB) & _MASK
        state ^= state >> 31
    return (state >> 11) * 2.0**-53
