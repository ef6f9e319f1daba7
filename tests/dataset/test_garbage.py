"""Data sets in reference cycles."""

from __future__ import annotations

import gc

from aiodicom.dataset import Dataset


def test_a_cycle_with_a_buffer_is_collected() -> None:
    data = Dataset(PatientName="A^B", PatientID="1").to_bytes()
    gc.collect()
    for _ in range(50):
        # In a cycle with the data set, made before and after it.
        view = memoryview(bytearray(data))[:]
        data_set = Dataset.from_bytes(view)
        data_set.itself = [data_set, view]
        assert data_set.PatientID == "1"
        del view, data_set
    gc.collect()
    assert not gc.garbage
