"""Objects that DCMTK does not accept in their own transfer syntax, encoded anew on their way to it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pydicom
import pytest
from pydicom.data import get_testdata_file

import aiodicom
from tests.interop import objects, ours, peers
from tests.oracle import meaning

IMPLICIT, EXPLICIT = "1.2.840.10008.1.2", "1.2.840.10008.1.2.1"
DEFLATED, BIG = "1.2.840.10008.1.2.1.99", "1.2.840.10008.1.2.2"

FILES = {
    "CT_small.dcm": EXPLICIT,
    "MR_small_implicit.dcm": IMPLICIT,
    "MR_small_bigendian.dcm": BIG,
    "ExplVR_BigEnd.dcm": BIG,
    "image_dfl.dcm": DEFLATED,
    "reportsi.dcm": EXPLICIT,
}
#: The option with which DCMTK's storescp prefers a transfer syntax.
PREFERRED = {"+xi": IMPLICIT, "+x=": EXPLICIT, "+xd": DEFLATED, "+xb": BIG}

# reportsi.dcm has some.
pytestmark = pytest.mark.filterwarnings("ignore:Invalid value for VR UI")


def file_of(name: str) -> Path:
    return Path(str(get_testdata_file(name)))


def same(received: Path, sent: Path) -> bool:
    peers.dcmtk_command("dcmftest", received)
    return meaning(pydicom.dcmread(received)) == meaning(pydicom.dcmread(sent))


def test_storescu_to_a_peer_that_takes_implicit_vr_alone(tmp_path: Path, start: Any) -> None:
    server = start(peers.storescp(tmp_path / "received", "+B", "+xi"))
    files = [file_of(name) for name in FILES if name != "MR_small_implicit.dcm"]  # an instance that is there already
    done = ours.command("storescu", "127.0.0.1", str(server.port), *files)
    assert done.stdout.startswith(f"{len(files)} objects sent, 0 failed")
    received = {each.sop_instance_uid: each for each in map(objects.part10, (tmp_path / "received").iterdir())}
    assert {each.transfer_syntax for each in received.values()} == {IMPLICIT}
    for file in files:
        assert same(received[objects.part10(file).sop_instance_uid].path, file)


@pytest.mark.parametrize(
    ("name", "option"),
    [(name, option) for name, own in FILES.items() for option, preferred in PREFERRED.items() if own != preferred],
)
async def test_what_dcmtk_chooses_of_what_is_proposed(name: str, option: str, tmp_path: Path, start: Any) -> None:
    file = file_of(name)
    syntax = PREFERRED[option]
    server = start(peers.storescp(tmp_path / "received", "+B", option))
    own = objects.part10(file)
    proposed = [each for each in (IMPLICIT, EXPLICIT, DEFLATED, BIG) if option != "+x=" or each in (IMPLICIT, EXPLICIT)]
    async with aiodicom.connect("127.0.0.1", server.port, contexts=[(own.sop_class_uid, proposed)]) as association:
        (context,) = association.accepted(own.sop_class_uid)
        assert context.transfer_syntax == syntax
        await association.c_store(file)
        await association.c_store(aiodicom.dcmread(file))
        await association.c_store(pydicom.dcmread(file))
    (received,) = (tmp_path / "received").iterdir()
    assert objects.part10(received).transfer_syntax == syntax
    assert same(received, file)


def test_compressed_pixels_stay_what_they_are_where_that_is_wanted(tmp_path: Path, start: Any) -> None:
    server = start(peers.storescp(tmp_path / "received", "+B", "+xi"))
    arguments = "--transcode", "never", "127.0.0.1", str(server.port)
    done = ours.command("storescu", *arguments, file_of("JPEG-lossy.dcm"), exit_code=1)
    assert "the peer accepted no presentation context" in done.stderr
    assert not list((tmp_path / "received").iterdir())
