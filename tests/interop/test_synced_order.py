"""What the kernel is asked for before a peer hears Success, as strace sees it."""

from __future__ import annotations

import os
import re
import shutil
import sys
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import pytest

import aiodicom
from tests.interop.processes import PeerMissing, running

CT, EXPLICIT = "1.2.840.10008.5.1.4.1.1.2", "1.2.840.10008.1.2.1"
CALLS = "fdatasync,fsync,linkat,rename,renameat,renameat2,write,writev,sendto,sendmsg"


class Call(NamedTuple):
    """A system call: its name and arguments, and the lines of the trace where it began and ended."""

    text: str
    began: int
    ended: int


def calls_of(trace: str) -> list[Call]:
    """The calls that have ended, those of all threads, in the order in which they began."""
    calls: list[Call] = []
    unfinished: dict[str, tuple[str, int]] = {}
    for number, line in enumerate(trace.splitlines()):
        thread, _, text = line.partition(" ")
        text = text.strip()
        if text.endswith("<unfinished ...>"):
            unfinished[thread] = text, number
        elif text.startswith("<... "):
            begun, began = unfinished.pop(thread)
            calls.append(Call(begun, began, number))
        else:
            calls.append(Call(text, number, number))
    return sorted(calls, key=lambda call: call.began)


def the_call(calls: list[Call], pattern: str) -> Call:
    (found,) = (call for call in calls if re.match(pattern, call.text))
    return found


@pytest.mark.parametrize("size", [1_000, 600_000])
@pytest.mark.parametrize("template", ["", "{Modality}/{SOPInstanceUID}"])
async def test_synced_is_data_name_folder_success(
    tmp_path: Path, free_port: Callable[[], int], size: int, template: str
) -> None:
    strace = shutil.which("strace")
    if strace is None:
        raise PeerMissing("strace is not installed")
    trace, folder, port = tmp_path / "trace", tmp_path / "received", free_port()
    tracing = [strace, "-f", "-y", "-s", "16", "-e", f"trace={CALLS}", "-o", trace]
    storing = ["storescp", str(port), "-od", folder / template, "--durability", "synced"]
    command = [*tracing, sys.executable, "-m", "aiodicom", *storing]
    data = b"\x08\x00\x60\x00CS\x02\x00CT" + b"\xe0\x7f\x10\x00OB\x00\x00" + size.to_bytes(4, "little") + bytes(size)
    uids = [f"1.2.3.{number}" for number in range(3)]
    with running(command, port, log=tmp_path / "log", environment=dict(os.environ)):
        async with aiodicom.connect("127.0.0.1", port, contexts=[(CT, [EXPLICIT])]) as association:
            for uid in uids:
                await association.c_store(data, sop_class_uid=CT, sop_instance_uid=uid, transfer_syntax=EXPLICIT)
    calls = calls_of(trace.read_text())
    # A P-DATA-TF (PS3.8 9.3.5) to the peer's socket: nothing but responses.
    responses = [call for call in calls if re.match(r'(write|writev|sendto|sendmsg)\(\d+<\D.*"\\4\\0', call.text)]
    # One object after another: the calls on their files, which may have no name yet, come in that order.
    data_syncs = [call for call in calls if re.match(rf"fdatasync\(\d+<{re.escape(str(folder))}/", call.text)]
    assert len(responses) == len(data_syncs) == len(uids)
    for uid, data_synced, response in zip(uids, data_syncs, responses, strict=True):
        named = the_call(calls, rf'(linkat|rename\w*)\(.*"[^"]*{re.escape(uid)}(\.dcm)?".* = 0')
        folders = [folder / "CT", folder] if template else [folder]
        between = [call for call in calls if call.began > named.ended and call.ended < response.began]
        synced = [the_call(between, rf"fsync\(\d+<{re.escape(str(each))}>") for each in folders]
        assert data_synced.ended < named.began
        assert [call.began for call in synced] == sorted(call.began for call in synced)
