"""Objects of a size: whole data sets of their kind, each a new instance."""

from __future__ import annotations

import itertools

import pytest

import aiodicom
from aiodicom.load.sized import SizedObjects

CT, SR = "1.2.840.10008.5.1.4.1.1.2", "1.2.840.10008.5.1.4.1.1.88.11"
IMPLICIT, EXPLICIT, BIG, DEFLATED, JPEG_2000 = (
    "1.2.840.10008.1.2",
    "1.2.840.10008.1.2.1",
    "1.2.840.10008.1.2.2",
    "1.2.840.10008.1.2.1.99",
    "1.2.840.10008.1.2.4.90",
)


@pytest.mark.parametrize("transfer_syntax", [IMPLICIT, EXPLICIT, BIG, DEFLATED, JPEG_2000])
def test_size(transfer_syntax: str) -> None:
    objects = SizedObjects(1)
    for sop_class, size in itertools.product((CT, SR), (500, 4096, 5002, 525_000, 3_000_001)):
        instance = objects.instance(sop_class, transfer_syntax, size, 7)
        data = b"".join(instance.buffers)
        assert len(data) == instance.size
        wanted = size // 2 * 2
        if transfer_syntax == DEFLATED:
            assert wanted <= instance.size <= wanted * 1.0001 + 8
        else:
            assert instance.size == wanted
        data_set = aiodicom.Dataset.from_bytes(data, transfer_syntax, strict=True)
        assert (data_set.SOPClassUID, data_set.SOPInstanceUID) == (sop_class, instance.sop_instance_uid)
        assert data_set.PatientID == "LOADTEST"
        has_pixels = sop_class == CT and transfer_syntax != JPEG_2000 and size >= 4096
        assert ("PixelData" in data_set) == has_pixels
        if has_pixels:
            assert len(data_set.PixelData) == 2 * data_set.Rows * data_set.Columns > 0.5 * size


def test_what_is_too_small_is_as_small_as_can_be() -> None:
    assert SizedObjects(1).instance(CT, EXPLICIT, 0, 1).size < 400


def test_uids() -> None:
    objects = SizedObjects(1)
    made = [objects.instance(CT, EXPLICIT, 1000, study) for study in (1, 1, 2)]
    read = [aiodicom.Dataset.from_bytes(b"".join(each.buffers), EXPLICIT) for each in made]
    assert len({each.SOPInstanceUID for each in read}) == 3
    assert read[0].StudyInstanceUID == read[1].StudyInstanceUID == objects.study_instance_uid(1)
    assert read[0].SeriesInstanceUID == read[1].SeriesInstanceUID
    assert read[2].StudyInstanceUID != read[0].StudyInstanceUID
    assert SizedObjects(1).instance(CT, EXPLICIT, 1000, 1).sop_instance_uid == made[0].sop_instance_uid
    assert SizedObjects(2).instance(CT, EXPLICIT, 1000, 1).sop_instance_uid != made[0].sop_instance_uid


def test_nothing_large_is_copied() -> None:
    objects = SizedObjects(1)
    one, other = (objects.instance(CT, JPEG_2000, 500_000_000, 1).buffers for _ in range(2))
    assert sum(len(each) for each in one if isinstance(each, bytes)) < 1000
    assert {id(each.obj) for each in (*one, *other) if isinstance(each, memoryview)} == {id(one[-1].obj)}  # type: ignore[union-attr]
