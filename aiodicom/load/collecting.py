"""The garbage collector while loads run: it would look at all of thousands of associations, again and again."""

from __future__ import annotations

import gc
from collections.abc import Iterator
from contextlib import contextmanager

__all__ = ["leaving_alone"]

_runs = 0


@contextmanager
def leaving_alone() -> Iterator[None]:
    """What is there now is left alone by the collector meanwhile, until all who asked for that have ended."""
    global _runs
    _runs += 1
    if _runs == 1:
        gc.collect()
        gc.freeze()
    try:
        yield
    finally:
        _runs -= 1
        if not _runs:
            gc.unfreeze()
