"""Synthetic objects are valid, and no two are the same instance."""

from __future__ import annotations

import io

import pydicom
import pytest

from aiodicom.load.synthetic import CT_IMAGE_STORAGE, SyntheticCT
from aiodicom.part10.meta import encode_file_meta
from aiodicom.standard.uids import is_valid_uid


@pytest.mark.parametrize(("rows", "columns"), [(512, 512), (1, 1), (7, 3), (64, 128)])
def test_pydicom_reads_them(rows: int, columns: int) -> None:
    instance = SyntheticCT(rows, columns).next()
    body = b"".join(instance.buffers)
    head = encode_file_meta(instance.sop_class_uid, instance.sop_instance_uid, instance.transfer_syntax)
    data_set = pydicom.dcmread(io.BytesIO(head + body))
    assert data_set.SOPClassUID == CT_IMAGE_STORAGE == instance.sop_class_uid
    assert data_set.SOPInstanceUID == instance.sop_instance_uid
    assert (data_set.Rows, data_set.Columns) == (rows, columns)
    assert data_set.pixel_array.shape == (rows, columns)
    assert data_set.pixel_array.max() < 4096
    assert list(data_set.keys()) == sorted(data_set.keys())
    assert all(is_valid_uid(uid) for uid in (data_set.StudyInstanceUID, data_set.SeriesInstanceUID))
    for element in data_set:
        assert element.value is not None or element.VR in ("PN", "SH", "DA", "LO")


def test_every_instance_is_another() -> None:
    series = SyntheticCT(8, 8)
    other = SyntheticCT(8, 8)
    made = [series.next() for _ in range(1000)] + [other.next() for _ in range(1000)]
    assert len({instance.sop_instance_uid for instance in made}) == 2000
    assert all(is_valid_uid(instance.sop_instance_uid) for instance in made)
    assert {sum(map(len, instance.buffers)) for instance in made[:1000]} == {series.size}
    assert all(len(b"".join(instance.buffers)) % 2 == 0 for instance in made[::100])


def test_the_pixels_are_shared() -> None:
    series = SyntheticCT()
    first, second = series.next(), series.next()
    assert first.buffers[0] is second.buffers[0]
    assert first.buffers[2] is second.buffers[2]
    assert 524_288 < series.size < 526_000


@pytest.mark.parametrize("size", [0, -1, 65536])
def test_impossible_sizes(size: int) -> None:
    with pytest.raises(ValueError, match="Rows"):
        SyntheticCT(size, 10)
