"""What makers of rows are given: the C programs, a folder to write to, how much work a row is to be."""

from __future__ import annotations

import os
import subprocess
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple, TypeVar

from benchmarks.comparison import Row
from tests.interop import objects

T = TypeVar("T")

#: C programs that are handed to the benchmarks, and what each is for.
TOOLS = {
    "dimseblast": "a load generator for servers",
    "dimsesink": "a server that throws away what it receives",
}


class Image(NamedTuple):
    """A CT of `side` x `side` pixels, named after the size of its data set."""

    name: str
    side: int


LARGE, SMALL, HUGE = Image("525 kB", objects.SIZE), Image("9 kB", objects.SMALL), Image("10 MB", 2236)


class Planned(NamedTuple):
    """A row that can be asked for by its title; `make` does what it takes to have it, such as writing files."""

    title: str
    make: Callable[[], Row]
    #: The names of the C programs without which there is no such row.
    tools: tuple[str, ...] = ()


class Tools:
    """The programs of a folder of C files, each compiled when it is first used (`gcc -O2`)."""

    def __init__(self, sources: Path | None, programs: Path) -> None:
        self._sources, self._programs = sources, programs

    def __contains__(self, name: str) -> bool:
        return self._sources is not None and (self._sources / f"{name}.c").is_file()

    def __getitem__(self, name: str) -> Path:
        program = self._programs / name
        if not program.exists():
            if self._sources is None:
                raise KeyError(name)
            source = self._sources / f"{name}.c"
            subprocess.run(["gcc", "-O2", "-o", program, source], check=True, timeout=120, stdin=subprocess.DEVNULL)
        return program


@dataclass(frozen=True)
class Bench:
    """`folder`: everything is written below it. `quick`: a fraction of the work, to see whether it runs."""

    tools: Tools
    folder: Path
    quick: bool = False

    def size(self, full: T, quick: T) -> T:
        """How much work a row is."""
        return quick if self.quick else full

    def in_folder(self, work: Callable[[Path], T]) -> Callable[[], T]:
        """Runs `work` in a folder of its own, and empties what it leaves there.

        Nothing is deleted before the end, when all folders go: for minutes after that, ext4 without a journal looks at
        every inode that was freed before it makes a new file, which would cost whoever is next more than its work.
        """

        def run() -> T:
            folder = Path(tempfile.mkdtemp(dir=self.folder))
            try:
                return work(folder)
            finally:
                for path in folder.rglob("*"):
                    if path.is_file():
                        os.truncate(path, 0)

        return run

    def data_set(self, image: Image) -> Path:
        """A file with the encoded data set of one CT."""
        path = self.folder / f"{image.name}.dataset"
        if not path.exists():
            path.write_bytes(objects.ct_data_set(1, image.side)[0])
        return path

    def files(self, count: int, image: Image) -> Path:
        """A folder of so many Part 10 files."""
        folder = self.folder / f"{image.name}-{count}"
        if not folder.exists():
            for _ in objects.write_cts(folder, count, image.side):
                pass
        return folder


#: Gives the rows of one module, in their order.
Rows = Callable[[Bench], Iterator[Planned]]
