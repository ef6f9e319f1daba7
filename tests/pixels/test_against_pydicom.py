"""pydicom's real files, pixel by pixel, and our frames in its decoders: pydicom and its plugins are the oracle."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any

import numpy
import pydicom
import pytest
from pydicom.pixels import apply_color_lut, pixel_array

import aiodicom
from aiodicom.dataset.interop import to_pydicom
from aiodicom.pixels.codecs import codec_for, transfer_syntaxes
from aiodicom.standard.transfer_syntaxes import transfer_syntax

from .images import data_set, describe, image

data_store = pytest.importorskip("data_store", reason="pydicom-data is not installed")
pytest.importorskip("openjpeg", reason="pylibjpeg-openjpeg is not installed")
pytest.importorskip("libjpeg", reason="pylibjpeg-libjpeg is not installed")

pytestmark = pytest.mark.filterwarnings("ignore")

FOLDERS = (Path(pydicom.__file__).parent / "data" / "test_files", Path(data_store.__file__).parent / "data")

#: The same image as a smaller file's, for time's sake.
SLOW = {
    "RG1_J2KR.dcm",
    "RG1_J2KI.dcm",
    "RG3_J2KR.dcm",
    "RG3_UNCI.dcm",
    "MR2_J2KR.dcm",
    "MR2_UNCI.dcm",
    "RG1_UNCR.dcm",
    "RG3_UNCR.dcm",
    "MR2_UNCR.dcm",
    "RG1_UNCI.dcm",
    "color3d_jpeg_baseline.dcm",
}

#: pydicom's plugins want more of the stream's end, the file ends too early for both, or says "1A" frames.
OTHERWISE = {"JPEG-lossy.dcm", "MR_truncated.dcm", "badVR.dcm"}

#: Made to be so.
CORRUPT = {"JPEG2000-embedded-sequence-delimiter.dcm", "emri_small_jpeg_2k_lossless_too_short.dcm"}

#: Of lossy JPEG each decoder rounds as it likes (ISO/IEC 10918-2): by 1 as stored, and as RGB up to 2 x 1.772 more.
ROUNDED = {"1.2.840.10008.1.2.4.50", "1.2.840.10008.1.2.4.51"}


def files() -> list[Path]:
    """Those with pixel data, each name once."""
    found: dict[str, Path] = {}
    for folder in FOLDERS:
        for path in sorted(folder.rglob("*.dcm")):
            if path.name not in SLOW | OTHERWISE and "Pixel" in str(aiodicom.dcmread(path, force=True).dir("Pixel")):
                found.setdefault(path.name, path)
    return list(found.values())


def test_real_files() -> None:
    """As they are stored, and as RGB."""
    syntaxes = set()
    compared = 0
    for path in files():
        theirs = pydicom.dcmread(path, force=True)
        if "PixelData" not in theirs or "BitsAllocated" not in theirs or "TransferSyntaxUID" not in theirs.file_meta:
            continue
        if path.name in CORRUPT:
            with pytest.raises(aiodicom.errors.PixelDataError):
                aiodicom.dcmread(path, force=True).frames.to_numpy()
            continue
        raw = pixel_array(theirs, raw=True)
        expectations = [(False, raw), (True, pixel_array(theirs))]
        if theirs.get("PhotometricInterpretation") == "PALETTE COLOR":
            expectations.pop()
            if theirs.original_encoding[1]:  # of big endian, it reads palettes as little
                expectations.append((True, apply_color_lut(raw, theirs)))
        for rgb, expected in expectations:
            frames = aiodicom.dcmread(path, force=True).frames
            ours = frames.to_numpy(rgb=rgb, clamp=True)
            ours = ours[0] if len(frames) == 1 else ours
            assert ours.shape == expected.shape, path.name
            assert ours.dtype == expected.dtype.newbyteorder("="), path.name
            worst = int(numpy.abs(ours.astype("i8") - expected.astype("i8")).max())
            bound = (4 if rgb else 1) if frames.transfer_syntax in ROUNDED else 0
            assert worst <= bound, (path.name, rgb, worst)
            compared += 1
        syntaxes.add(frames.transfer_syntax)
    assert compared > 170
    assert len(syntaxes) >= 12


#: pydicom has no decoder for these, or not one that its plugins bring.
UNKNOWN = (
    "1.2.840.10008.1.2.4.53",
    "1.2.840.10008.1.2.4.55",
    "1.2.840.10008.1.2.4.92",
    "1.2.840.10008.1.2.4.93",
    "1.2.840.10008.1.2.8.1",
)


@pytest.mark.parametrize(
    "uid",
    [
        uid
        for uid in transfer_syntaxes()
        if uid not in UNKNOWN and transfer_syntax(uid).codec not in ("jpeg-xl", "") and not uid.endswith(".81")
    ],
)
def test_pydicom_decodes_what_we_encode(uid: str) -> None:
    compared = 0
    for kind in ("8", "12 of 16", "16", "signed 16", "signed 12 of 16", "RGB", "palette", "bit"):
        described, cells = describe(kind), image(kind)
        try:
            encoded = codec_for(uid).encode(cells, described)
        except ValueError:
            continue
        described = described.changed(
            photometric_interpretation=encoded.photometric_interpretation,
            **({"bits_stored": bits, "high_bit": bits - 1} if (bits := encoded.bits_stored) else {}),
        )
        made = data_set(described, [encoded.data], uid, SOPClassUID="1.2", SOPInstanceUID="1.3")
        expected: Any = made.frames[0].to_numpy()
        theirs = to_pydicom(made)
        theirs.file_meta = pydicom.dataset.FileMetaDataset()
        theirs.file_meta.TransferSyntaxUID = pydicom.uid.UID(uid)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            found = pixel_array(theirs, raw=True)
        assert found.dtype == expected.dtype
        worst = numpy.abs(found.astype("i8") - expected.astype("i8")).max()
        # Decoders of lossy streams may round, and OpenJPEG clips another way at the ends.
        assert worst <= (0 if transfer_syntax(uid).lossless else 3), (kind, worst)
        compared += 1
    assert compared >= 1
