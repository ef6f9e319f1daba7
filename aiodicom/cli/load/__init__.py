"""`aiodicom load`: a module of this package for the run, and one for each subcommand."""

from __future__ import annotations

from typing import Any

__all__ = ["load"]


def __getattr__(name: str) -> Any:
    # When it is asked for: a subcommand is not to wait for the imports of the run.
    if name == "load":
        from aiodicom.cli.load.running import load

        return load
    raise AttributeError(name)
