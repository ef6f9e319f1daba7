"""Runs one target under atheris: ``python -m tests.fuzz.fuzz TARGET [options of libFuzzer] [folders]`` (README.md)."""

from __future__ import annotations

import os
import sys
import traceback
from collections.abc import Callable
from hashlib import sha1
from pathlib import Path

import atheris

with atheris.instrument_imports(include=["aiodicom"]):
    from tests.fuzz.targets import TARGETS, seeds


def collecting(target: Callable[[bytes], None], folder: Path) -> Callable[[bytes], None]:
    """Keeps the first input of each kind of exception in `folder` and goes on; what kills the process still does."""
    known: set[str] = set()
    folder.mkdir(parents=True, exist_ok=True)

    def run(data: bytes) -> None:
        try:
            target(data)
        except Exception as error:
            frames = traceback.extract_tb(error.__traceback__)
            kind = repr((type(error), [(frame.filename, frame.lineno) for frame in frames]))
            if kind in known:
                return
            known.add(kind)
            name = sha1(kind.encode()).hexdigest()[:12]
            (folder / name).write_bytes(data)
            (folder / f"{name}.txt").write_text(traceback.format_exc())

    return run


def main() -> None:
    name = sys.argv.pop(1)
    if name == "seeds":
        for target, contents in seeds().items():
            folder = Path(sys.argv[1]) / target
            folder.mkdir(parents=True, exist_ok=True)
            for number, content in enumerate(contents):
                (folder / f"seed-{number}").write_bytes(content)
        return
    function = TARGETS[name]
    if findings := os.environ.get("FUZZ_FINDINGS"):
        function = collecting(function, Path(findings) / name)
    # By its first argument libFuzzer starts itself again for a merge.
    command = f"{sys.executable} -m tests.fuzz.fuzz {name}"
    atheris.Setup([command, *sys.argv[1:], "-timeout=20", "-rss_limit_mb=2048"], function)
    atheris.Fuzz()


if __name__ == "__main__":
    main()
