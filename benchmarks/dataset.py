"""Data sets against pydicom and DCMTK, in one run: python -m benchmarks.dataset [--json FILE] [--quick]

DCMTK takes part where its headers are installed (Debian: libdcmtk-dev) and a C++ compiler is; where they are not, its
times are reckoned from those of pydicom by the ratio between the two on another machine, and marked so.
"""

from __future__ import annotations

import argparse
import io
import json
import shutil
import subprocess
import sys
import tempfile
import time
import tracemalloc
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pydicom
from pydicom.filereader import _read_file_meta_info, read_preamble

import aiodicom
from aiodicom.dataset import Dataset

FILES = ("CT_small.dcm", "MR_small.dcm", "rtplan.dcm", "test-SR.dcm")

#: DCMTK's parse over pydicom's dcmread, both on one machine: what stands in for DCMTK where it is not installed.
DCMTK_TO_PYDICOM = {
    "CT_small.dcm": 198 / 580,
    "MR_small.dcm": 40 / 430,
    "rtplan.dcm": 77 / 250,
    "test-SR.dcm": 245 / 528,
}

#: What must be reached, by row: how many times faster than whom.
GOALS = {
    "index": ("pydicom", 30),
    "dcmread, index": ("pydicom", 30),
    "all values": ("pydicom", 25),
    "change, encode": ("pydicom", 50),
    "JSON": ("pydicom", 20),
}


def best(work: Callable[[], object], seconds: float) -> float:
    """Seconds of the fastest of as many runs as fit the time."""
    fastest = float("inf")
    until = time.perf_counter() + seconds
    while True:
        start = time.perf_counter()
        work()
        end = time.perf_counter()
        fastest = min(fastest, end - start)
        if end > until:
            return fastest


def split(path: Path) -> tuple[bytes, bytes, str]:
    content = path.read_bytes()
    file = io.BytesIO(content)
    read_preamble(file, force=False)
    syntax = str(_read_file_meta_info(file).TransferSyntaxUID)
    return content, content[file.tell() :], syntax


def index(data_set: Dataset) -> Any:
    """Counted, iterated to the last element, its value read."""
    count = len(data_set)
    for element in data_set:
        last = element
    return count, last.value


def all_values(data: bytes, syntax: str) -> None:
    for element in Dataset.from_bytes(data, syntax).iterall():
        _ = element.value


def pydicom_values(content: bytes) -> None:
    for element in pydicom.dcmread(io.BytesIO(content)).iterall():
        _ = element.value


def pydicom_write(data_set: pydicom.Dataset) -> None:
    data_set.save_as(io.BytesIO())


def dcmtk_times(path: Path, program: Path | None) -> tuple[float, float] | None:
    if program is None:
        return None
    result = subprocess.run([program, str(path), "300"], capture_output=True, text=True, check=True)
    parse, values = result.stdout.split()
    return float(parse), float(values)


def dcmtk_program(folder: Path) -> Path | None:
    """The compiled timing program, or None where DCMTK's headers or a compiler are missing."""
    compiler = shutil.which("c++") or shutil.which("g++")
    if compiler is None:
        return None
    program = folder / "dcmtk_parse"
    source = Path(__file__).with_name("dcmtk_parse.cc")
    command = [compiler, "-O2", "-o", str(program), str(source), "-ldcmdata", "-loflog", "-lofstd"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    return program if done.returncode == 0 else None


def compare(name: str, seconds: float, program: Path | None) -> list[dict[str, Any]]:
    path = Path(pydicom.__file__).parent / "data" / "test_files" / name
    content, data, syntax = split(path)
    changed = Dataset.from_bytes(data, syntax)
    changed.SOPInstanceUID = "1.2.826.0.1.3680043.8.498.1"
    theirs = pydicom.dcmread(io.BytesIO(content))
    theirs.SOPInstanceUID = "1.2.826.0.1.3680043.8.498.1"
    work: dict[str, tuple[Callable[[], object], Callable[[], object]]] = {
        "index": (lambda: index(Dataset.from_bytes(data, syntax)), lambda: pydicom.dcmread(io.BytesIO(content))),
        "dcmread, index": (
            lambda: index(aiodicom.dcmread(io.BytesIO(content))),
            lambda: pydicom.dcmread(io.BytesIO(content)),
        ),
        "all values": (lambda: all_values(data, syntax), lambda: pydicom_values(content)),
        "change, encode": (changed.to_bytes, lambda: pydicom_write(theirs)),
        "JSON": (
            lambda: Dataset.from_bytes(data, syntax).to_json(),
            lambda: pydicom.dcmread(io.BytesIO(content)).to_json(),
        ),
    }
    rows = []
    for row, (ours, peer) in work.items():
        mine, other = best(ours, seconds), best(peer, seconds)
        whom, goal = GOALS[row]
        rows.append(
            {"file": name, "work": row, "ours": mine, "peer": other, "ratio": other / mine, "of": whom, "goal": goal}
        )
    dcmtk = dcmtk_times(path, program)
    parse = dcmtk[0] if dcmtk else rows[0]["peer"] * DCMTK_TO_PYDICOM[name]
    label = "DCMTK" if dcmtk else "DCMTK (reckoned)"
    rows.insert(1, {**rows[0], "peer": parse, "ratio": parse / rows[0]["ours"], "of": label, "goal": 3})
    if dcmtk:
        place, values = next((place, row) for place, row in enumerate(rows) if row["work"] == "all values")
        ratio = dcmtk[1] / values["ours"]
        rows.insert(place + 1, {**values, "peer": dcmtk[1], "ratio": ratio, "of": "DCMTK", "goal": 1})
    return rows


def large(seconds: float) -> dict[str, Any]:
    """Decoding 525 kB, changing one UID, encoding, against copying the bytes."""
    path = Path(pydicom.__file__).parent / "data" / "test_files" / "CT_small.dcm"
    _, data, syntax = split(path)
    data_set = Dataset.from_bytes(data, syntax)
    data_set.PixelData = bytes(512 * 512 * 2)
    encoded = data_set.to_bytes()

    def work() -> bytes:
        decoded = Dataset.from_bytes(encoded, syntax)
        decoded.SOPInstanceUID = "1.2.826.0.1.3680043.8.498.1"
        return decoded.to_bytes()

    view = memoryview(encoded)
    mine, copy = best(work, seconds), best(lambda: bytes(view), seconds)
    return {
        "file": "525 kB CT",
        "work": "decode, change, encode",
        "ours": mine,
        "peer": copy,
        "ratio": mine / copy,
        "goal": 2,
    }


def memory() -> list[dict[str, Any]]:
    """Bytes that a decoded data set takes beyond its encoded ones, before a value is asked for."""
    rows = []
    for name in FILES:
        _, data, syntax = split(Path(pydicom.__file__).parent / "data" / "test_files" / name)
        Dataset.from_bytes(data, syntax)
        kept: list[Dataset | None] = [None] * 200
        tracemalloc.start()
        before = tracemalloc.get_traced_memory()[0]
        for place in range(len(kept)):
            kept[place] = Dataset.from_bytes(data, syntax)
        objects = (tracemalloc.get_traced_memory()[0] - before) / len(kept)
        tracemalloc.stop()
        # The index is malloc's, which tracemalloc does not see: 24 bytes an element.
        count = len(kept[0] or ())
        total = objects + 24 * count
        rows.append({"file": name, "elements": count, "bytes": total, "goal": 32 * count + 1024})
    return rows


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--json", type=Path, help="write the figures there")
    parser.add_argument("--quick", action="store_true", help="a tenth of the time")
    options = parser.parse_args()
    seconds = 0.03 if options.quick else 0.4
    with tempfile.TemporaryDirectory() as folder:
        program = dcmtk_program(Path(folder))
        rows = [row for name in FILES for row in compare(name, seconds, program)]
    print(f"{'file':<14} {'work':<16} {'aiodicom':>10} {'peer':>10}  {'ratio':>7}  goal")
    for row in rows:
        met = "met" if row["ratio"] >= row["goal"] else "NOT MET"
        print(
            f"{row['file']:<14} {row['work']:<16} {row['ours'] * 1e6:>7.1f} us {row['peer'] * 1e6:>7.0f} us "
            f"{row['ratio']:>7.1f}x  {row['goal']}x {row['of']}: {met}"
        )
    copy = large(seconds)
    print(
        f"\n{copy['file']}: {copy['work']} {copy['ours'] * 1e6:.1f} us, copying {copy['peer'] * 1e6:.1f} us: "
        f"{copy['ratio']:.2f}x (goal: at most 2x)"
    )
    sizes = memory()
    for size in sizes:
        print(f"{size['file']}: {size['elements']} elements, {size['bytes']:.0f} bytes (goal: at most {size['goal']})")
    if options.json:
        options.json.write_text(json.dumps({"rows": rows, "large": copy, "memory": sizes}, indent=1))


if __name__ == "__main__":
    sys.exit(main())
