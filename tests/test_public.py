"""What `import aiodicom` gives, and what it costs."""

from __future__ import annotations

import subprocess
import sys

import pytest

import aiodicom


@pytest.mark.parametrize("name", aiodicom.__all__)
def test_every_public_name_is_there(name: str) -> None:
    assert getattr(aiodicom, name) is not None
    assert name in dir(aiodicom)


def test_a_name_that_is_none() -> None:
    with pytest.raises(AttributeError, match="has no attribute 'nothing'"):
        _ = aiodicom.nothing


@pytest.mark.parametrize(
    ("code", "absent"),
    [
        ("", ["asyncio", "numpy", "pydicom", "aiodicom.dataset", "aiodicom.net", "aiodicom.standard._dictionary"]),
        ("aiodicom.connect, aiodicom.Server", ["numpy", "pydicom", "aiodicom.dataset", "aiodicom.part10.reader"]),
        ("aiodicom.Dataset, aiodicom.dcmread, aiodicom.dcmwrite, aiodicom.from_pydicom", ["numpy", "pydicom"]),
        ("aiodicom.Dataset(PatientName='A^B').to_bytes()", ["asyncio", "numpy", "pydicom", "aiodicom.net"]),
    ],
)
def test_an_import_brings_no_more_than_it_must(code: str, absent: list[str]) -> None:
    check = f"import sys, aiodicom; {code}\nassert not (set({absent}) & set(sys.modules))"
    subprocess.run([sys.executable, "-c", check], check=True)
