"""Durations, rates and sizes as people write them: "60s", "500/s", "16MB"."""

from __future__ import annotations

import math
import re

__all__ = ["Bytes", "Factor", "PerSecond", "Seconds", "parse_bytes", "parse_factor", "parse_rate", "parse_seconds"]

_SECONDS = {"ms": 0.001, "s": 1.0, "m": 60.0, "min": 60.0, "h": 3600.0, "": 1.0}
_BYTES = {"": 1, "B": 1, "KB": 10**3, "MB": 10**6, "GB": 10**9, "KIB": 1 << 10, "MIB": 1 << 20, "GIB": 1 << 30}

_NUMBER = r"(\d+(?:\.\d+)?|\.\d+)"
_DURATION = re.compile(rf"{_NUMBER}\s*(ms|min|s|m|h)")
_RATE = re.compile(rf"{_NUMBER}\s*(?:/\s*(ms|min|s|m|h))?", re.IGNORECASE)
_SIZE = re.compile(rf"{_NUMBER}\s*([kmg]?i?b?)", re.IGNORECASE)


class Seconds(float):
    """A duration in seconds."""


class PerSecond(float):
    """A rate in events a second."""


class Bytes(int):
    """A number of bytes."""


class Factor(float):
    """How many times as much."""


def parse_seconds(value: object) -> Seconds:
    """Returns a duration such as ``"90s"``, ``"1m30s"``, ``"250ms"`` or the number of its seconds.

    Raises ValueError that says what would be right.
    """
    if (number := _number(value)) is not None:
        return Seconds(number)
    if isinstance(value, str):
        text, total, position = value.strip(), 0.0, 0
        for part in _DURATION.finditer(text):
            if part.start() != position:
                break
            total += float(part[1]) * _SECONDS[part[2]]
            position = part.end()
        if text and position == len(text):
            return Seconds(total)
        if re.fullmatch(_NUMBER, text):
            return Seconds(text)
    raise ValueError(f'wanted a duration such as "90s", "1m30s" or "250ms", got {value!r}')


def parse_rate(value: object) -> PerSecond:
    """Returns a rate such as ``"500/s"``, ``"30/m"``, ``"2000/h"`` or the number of events a second.

    Raises ValueError that says what would be right.
    """
    if (number := _number(value)) is not None:
        return PerSecond(number)
    if isinstance(value, str) and (match := _RATE.fullmatch(value.strip())):
        return PerSecond(float(match[1]) / _SECONDS[(match[2] or "").lower()])
    raise ValueError(f'wanted a rate such as "500/s", "30/m" or "2000/h", got {value!r}')


def parse_factor(value: object) -> Factor:
    """Returns a factor such as ``"2x"`` or 0.5, which is above 0.

    Raises ValueError that says what would be right.
    """
    if isinstance(value, str) and re.fullmatch(_NUMBER, text := value.strip().removesuffix("x")):
        value = float(text)
    if isinstance(value, (int, float)) and not isinstance(value, bool) and 0 < value < math.inf:
        return Factor(value)
    raise ValueError(f'wanted a factor such as "2x" or 0.5, got {value!r}')


def parse_bytes(value: object) -> Bytes:
    """Returns a size such as ``"16MB"``, ``"512KiB"`` or the number of its bytes.

    Raises ValueError that says what would be right.
    """
    if isinstance(value, int) and not isinstance(value, bool) and value >= 0:
        return Bytes(value)
    if isinstance(value, str) and (match := _SIZE.fullmatch(value.strip())):
        unit = match[2].upper()
        factor = _BYTES.get(unit) or _BYTES.get(f"{unit}B")
        if factor is not None:
            return Bytes(float(match[1]) * factor)
    raise ValueError(f'wanted a size such as "16MB", "512KiB" or a number of bytes, got {value!r}')


def _number(value: object) -> float | None:
    if isinstance(value, (int, float)) and not isinstance(value, bool) and math.isfinite(value) and value >= 0:
        return float(value)
    return None
