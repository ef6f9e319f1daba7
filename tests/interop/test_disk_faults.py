"""What becomes of files when the kernel refuses something, as strace has it do."""

from __future__ import annotations

import errno
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.interop.processes import PeerMissing

SIZE = 300_001

#: Writes a file from memory that lies on pages, and prints the errno.
SCRIPT = f"""
import os, sys, mmap
from aiodicom.store._writers import FileJob
data = mmap.mmap(-1, {SIZE})
data.write((bytes(range(251)) * 1200)[:{SIZE}])
folder = os.open(sys.argv[1], os.O_RDONLY)
job = FileJob(folder, b".part", (b"name",), data=data, past_cache=True, sync=True)
job.run()
print(job.result)
"""
CONTENT = (bytes(range(251)) * 1200)[:SIZE]


def written(tmp_path: Path, *faults: str) -> tuple[int, str]:
    """The errno that the job ends with, and what the kernel was asked for; these calls on the file are faulty."""
    strace = shutil.which("strace")
    if strace is None:
        raise PeerMissing("strace is not installed")
    trace = tmp_path / "trace"
    folder = tmp_path / "folder"
    folder.mkdir()
    tampering = [argument for fault in faults for argument in ("-e", f"inject={fault}")]
    command = [strace, "-f", "-o", trace, "-P", folder / ".part", "-e", "trace=fcntl,pwrite64,fdatasync", *tampering]
    command += [sys.executable, "-c", SCRIPT, folder]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=True, stdin=subprocess.DEVNULL)
    return int(done.stdout), trace.read_text()


@pytest.mark.parametrize(
    ("faults", "through_the_cache"),
    [
        ([], SIZE % 4096),
        (["fcntl:error=EINVAL"], SIZE),  # a file system that knows no way past the cache
        (["pwrite64:error=EINVAL:when=1"], SIZE),  # one that wants other sizes
        (["pwrite64:error=EINTR:when=1"], SIZE % 4096),
    ],
)
def test_the_file_is_whole(tmp_path: Path, faults: list[str], through_the_cache: int) -> None:
    number, trace = written(tmp_path, *faults)
    assert number == 0
    assert os.listdir(tmp_path / "folder") == ["name"]
    assert (tmp_path / "folder" / "name").read_bytes() == CONTENT
    (last,) = (line for line in trace.splitlines()[::-1] if "pwrite64(" in line and f"= {through_the_cache}" in line)
    assert f", {through_the_cache}, {SIZE - through_the_cache})" in last


@pytest.mark.parametrize(
    ("fault", "number"),
    [
        ("pwrite64:error=ENOSPC:when=1", errno.ENOSPC),
        ("pwrite64:error=ENOSPC:when=2", errno.ENOSPC),
        ("pwrite64:retval=0:when=2", errno.EIO),
        ("fcntl:error=EPERM:when=2", errno.EPERM),
        ("fdatasync:error=EIO", errno.EIO),
    ],
)
def test_nothing_is_left(tmp_path: Path, fault: str, number: int) -> None:
    assert written(tmp_path, fault)[0] == number
    assert os.listdir(tmp_path / "folder") == []
