"""Images of every kind that codecs are asked about, and data sets that have them."""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy

from aiodicom.dataset import Dataset
from aiodicom.pixels.codecs.codec import Array
from aiodicom.pixels.description import Description
from aiodicom.pixels.encapsulation import encapsulate

ROWS, COLUMNS = 33, 47

#: What a description has beside rows and columns, by the name of the kind.
KINDS: dict[str, dict[str, Any]] = {
    "bit": {"bits_allocated": 1, "bits_stored": 1, "high_bit": 0},
    "8": {},
    "signed 8": {"signed": True},
    "6 of 16": {"bits_allocated": 16, "bits_stored": 6, "high_bit": 5},
    "12 of 16": {"bits_allocated": 16, "bits_stored": 12, "high_bit": 11},
    "signed 12 of 16": {"bits_allocated": 16, "bits_stored": 12, "high_bit": 11, "signed": True},
    "16": {"bits_allocated": 16, "bits_stored": 16, "high_bit": 15},
    "signed 16": {"bits_allocated": 16, "bits_stored": 16, "high_bit": 15, "signed": True},
    "32": {"bits_allocated": 32, "bits_stored": 32, "high_bit": 31},
    "RGB": {"samples": 3, "photometric_interpretation": "RGB"},
    "RGB 16": {
        "samples": 3,
        "photometric_interpretation": "RGB",
        "bits_allocated": 16,
        "bits_stored": 16,
        "high_bit": 15,
    },
    "YBR_FULL": {"samples": 3, "photometric_interpretation": "YBR_FULL"},
    "palette": {"photometric_interpretation": "PALETTE COLOR"},
}


def describe(kind: str, rows: int = ROWS, columns: int = COLUMNS, **values: Any) -> Description:
    return Description(rows=rows, columns=columns, **{**KINDS[kind], **values})


@cache
def image(kind: str, seed: int = 1) -> Array:
    """Waves with some noise, over nearly the whole range of stored values; the same each time, and read-only."""
    described = describe(kind)
    y, x = numpy.mgrid[0:ROWS, 0:COLUMNS]
    noise = numpy.random.default_rng(seed).random((ROWS, COLUMNS))
    wave = (numpy.sin(x / 9) + numpy.cos(y / 7) + 2) / 4 * 0.97 + 0.02 * noise
    if described.samples == 3:
        wave = numpy.stack([wave, wave / 2, 1 - wave], -1)
    values = numpy.floor(wave * (1 << described.bits_stored))
    if described.signed:
        values -= 1 << described.bits_stored - 1
    cells: Array = values.astype(f"{'i' if described.signed else 'u'}{described.width}")
    cells.flags.writeable = False
    return cells


def data_set(described: Description, value: bytes | list[bytes], transfer_syntax: str, **elements: Any) -> Dataset:
    """A data set with native pixel data, or with a list of frames encapsulated."""
    made = Dataset(
        Rows=described.rows,
        Columns=described.columns,
        SamplesPerPixel=described.samples,
        BitsAllocated=described.bits_allocated,
        BitsStored=described.bits_stored,
        HighBit=described.high_bit,
        PixelRepresentation=int(described.signed),
        PhotometricInterpretation=described.photometric_interpretation,
        NumberOfFrames=described.number_of_frames,
    )
    if described.samples > 1:
        made.PlanarConfiguration = described.planar_configuration
    if isinstance(value, list):
        encapsulate(value).put_into(made)
    else:
        made.add_new("PixelData", "OW" if described.bits_allocated > 8 else "OB", value)
    for keyword, element in elements.items():
        setattr(made, keyword, element)
    made.transfer_syntax = transfer_syntax
    return made
