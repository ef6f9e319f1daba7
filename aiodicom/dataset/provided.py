"""What packages that build on this one do for data sets, found by name when it is first asked for."""

from __future__ import annotations

from functools import cache
from importlib import import_module
from typing import Any

__all__ = ["provided"]


@cache
def provided(module: str, name: str) -> Any:
    """The object `name` of `module`: this package works without it, and imports nothing of it before."""
    return getattr(import_module(module), name)
