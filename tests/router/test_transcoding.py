"""Pixels that get another form on their way through a router that runs, and stay what they were."""

from __future__ import annotations

from pathlib import Path

import numpy
import pytest

import aiodicom
from aiodicom.dataset import Dataset
from aiodicom.standard.transfer_syntaxes import SHORT_NAMES
from tests.router.running import EXPLICIT, Archive, destination, image, routing, store, uid_of, write


def noise(number: int) -> Dataset:
    """A CT of 16 bit whose pixels no codec could guess."""
    one = image(number, BitsStored=16, HighBit=15, PixelRepresentation=1)
    pixels = numpy.random.default_rng(number).integers(-32768, 32767, (64, 64), "<i2", endpoint=True)
    one.PixelData = pixels.tobytes()
    return Dataset.from_bytes(one.to_bytes())


@pytest.mark.parametrize(
    "syntax", ["jpeg-lossless", "jpeg-ls-lossless", "jpeg-2000-lossless", "htj2k-lossless", "rle-lossless"]
)
async def test_pixels_are_bit_for_bit_those_that_came(syntax: str, tmp_path: Path) -> None:
    received: list[tuple[str, bytes]] = []

    def keep(request: aiodicom.StoreRequest) -> int:
        received.append((request.context.transfer_syntax, bytes(request.data)))
        return 0

    text = f'---\n[[routes]]\nto = ["pacs"]\ntransformations = [{{ type = "transcode", to = "{syntax}" }}]\n'
    one = noise(1)
    async with Archive(keep) as pacs, routing(write(tmp_path, destination("pacs", pacs.port) + text)) as running:
        await store(running.port, [one])
        await pacs.got(uid_of(1))
    ((transfer_syntax, data),) = received
    assert transfer_syntax == SHORT_NAMES[syntax] != EXPLICIT
    after = Dataset.from_bytes(data, transfer_syntax)
    assert after.SOPInstanceUID == one.SOPInstanceUID
    assert numpy.array_equal(after.frames.to_numpy(), one.frames.to_numpy())
