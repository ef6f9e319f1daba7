"""What others think of the studies that we make: dicom3tools' dciodvfy, which knows the IODs, DCMTK and pydicom."""

from __future__ import annotations

from pathlib import Path

import pydicom
import pytest

from aiodicom.load.synthesis import KINDS, Shape, synthetic
from aiodicom.part10.meta import encode_file_meta
from tests.interop import peers

SYNTAXES = ["implicit-le", "jpeg-ls", "jpeg-2000", "rle"]


CASES = [(kind, "explicit-le") for kind in KINDS]
CASES += [("CT", syntax) for syntax in SYNTAXES] + [("US", "jpeg-baseline")]


@pytest.mark.parametrize(("kind", "syntax"), CASES)
def test_others_find_no_error(kind: str, syntax: str, tmp_path: Path) -> None:
    before = kind if syntax == "jpeg-baseline" else "CT"  # what a report refers to
    frames = 3 if KINDS[kind].is_multi_frame else None
    shape = Shape((before, kind), images=2, rows=64, columns=96, frames=frames, transfer_syntax=syntax)
    path = tmp_path / "object.dcm"
    for instance in synthetic(shape, seed=1).study(1).series[1].instances:
        head = encode_file_meta(instance.sop_class_uid, instance.sop_instance_uid, instance.transfer_syntax)
        path.write_bytes(head + b"".join(instance.buffers))
        found = [line for line in peers.dciodvfy(path) if line.startswith("Error")]
        assert not found
        assert peers.dcmtk_command("dcmftest", path).stdout.startswith("yes:")
        peers.dcmtk_command("dcmdump", "-q", path)
        data_set = pydicom.dcmread(path)
        assert "PixelData" not in data_set or data_set.pixel_array.any()
