"""All comparisons with DCMTK, Orthanc, pynetdicom and the limit in C; README.md beside this file has the rules."""

from __future__ import annotations

import sys

from benchmarks import clients, disk, many, servers, wan
from benchmarks.bench import Rows
from benchmarks.command import main

#: Each gives rows; one more module of them has its place here.
MODULES: tuple[Rows, ...] = (servers.rows, disk.rows, clients.rows, wan.rows, many.rows)

if __name__ == "__main__":
    sys.exit(main("python -m benchmarks", __doc__, MODULES))
