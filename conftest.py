"""How tests run: by how many processes, and what the commands that they start find."""

from __future__ import annotations

import os
import signal
import sys
import tempfile
from pathlib import Path

import pytest

#: More processes would start more servers and browsers than a machine's memory is sure to be good for.
MOST_PROCESSES = 8

_COMPILED = pytest.StashKey[tempfile.TemporaryDirectory[str]]()


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_auto_num_workers(config: pytest.Config) -> int:
    """One process for each processor, but not for less work than it takes to start them; 0 is this one alone."""
    if any(config.getoption(name, False) for name in ("benchmark_enable", "collectonly", "lf")):
        return 0
    paths = [Path(config.invocation_params.dir, argument.partition("::")[0]) for argument in config.args]
    processors = len(os.sched_getaffinity(0)) if sys.platform == "linux" else os.cpu_count() or 1
    count = min(processors, MOST_PROCESSES)
    if not any(path.is_dir() for path in paths):
        count = min(count, len(set(paths)))
    return count if count > 1 else 0


def pytest_configure(config: pytest.Config) -> None:
    # Where Python is not to write compiled modules to the checkout, they go elsewhere for as long as the tests run:
    # otherwise each of the hundreds of commands that tests start would compile the whole package anew.
    if os.environ.pop("PYTHONDONTWRITEBYTECODE", ""):
        folder = config.stash[_COMPILED] = tempfile.TemporaryDirectory(
            prefix="aiodicom-compiled-", ignore_cleanup_errors=True
        )
        os.environ["PYTHONPYCACHEPREFIX"] = sys.pycache_prefix = folder.name
        sys.dont_write_bytecode = False
    # A shell that starts something in the background has it ignore SIGINT, and so would all that it starts.
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)
    # Nobody looks at what commands print here; pytest-xdist tells its processes how wide its own terminal is.
    os.environ.pop("COLUMNS", None)


def pytest_unconfigure(config: pytest.Config) -> None:
    if folder := config.stash.get(_COMPILED, None):
        folder.cleanup()
