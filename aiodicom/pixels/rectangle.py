"""A part of a frame."""

from __future__ import annotations

from typing import NamedTuple

__all__ = ["Rectangle"]


class Rectangle(NamedTuple):
    """A part of each frame, in pixels; what is beyond the frame's edges counts for nothing."""

    column: int
    row: int
    width: int
    height: int
