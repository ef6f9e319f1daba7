"""Figures as people read them: three significant digits and the unit that suits them."""

from __future__ import annotations

import math
from typing import Final

__all__ = ["in_milliseconds", "milliseconds", "number", "per_second", "percent", "seconds", "size"]

_SIZES: Final = ((1e12, "TB"), (1e9, "GB"), (1e6, "MB"), (1e3, "kB"))


def number(value: float, most: int = 12) -> str:
    """A number with three significant digits or more, such as ``0.0123``, ``12.3`` or ``12,345``, and at most so many
    decimal places.
    """
    if value == 0:
        return "0"
    # Of what rounding makes of it: 9.996 is 10.0.
    exponent = math.floor(math.log10(float(f"{abs(value):.2e}")))
    return f"{value:,.{min(max(2 - exponent, 0), most)}f}"


def in_milliseconds(value: float) -> str:
    """A latency in milliseconds without the unit, to the microsecond that it is measured to."""
    return number(value, 3)


def milliseconds(value: float) -> str:
    """A latency, such as ``0.25 ms``, ``12.3 ms`` or ``1.20 s``."""
    return f"{in_milliseconds(value)} ms" if value < 999.5 else f"{number(value / 1e3)} s"


def seconds(value: float) -> str:
    """A duration, such as ``12.3 s``, ``2 min 5 s`` or ``1 h 10 min``."""
    if value < 119.5:
        return f"{number(value)} s"
    whole = round(value)
    parts = ((whole // 3600, "h"), (whole // 60 % 60, "min"), (whole % 60, "s"))
    return " ".join([f"{amount} {unit}" for amount, unit in parts if amount][:2])


def per_second(value: float) -> str:
    """A rate, such as ``498/s``."""
    return f"{number(value)}/s"


def size(value: float) -> str:
    """A number of bytes in units of 1,000, such as ``525 kB``."""
    for unit, name in _SIZES:
        if value >= 0.9995 * unit:
            return f"{number(value / unit)} {name}"
    return f"{value:,.0f} B"


def percent(share: float) -> str:
    """A part of 1 as per cent, such as ``0.12 %``."""
    return f"{number(share * 100)} %"
