"""Pixels like the real thing: shapes of the body, and noise as detectors and reconstruction have it.

What matters is how they compress. The noise of each kind of image is such that JPEG-LS gets about the ratios that
D. Clunie found for it in thousands of images ("Lossless compression of grayscale medical images", SPIE 3980, 2000:
CT 4.0, MR 3.6, US 3.4, CR 3.6, DX 2.4, MG 2.6 to 4.0).
"""

from __future__ import annotations

from typing import Any

import numpy
from numpy.random import Generator
from numpy.typing import NDArray

__all__ = ["computed_radiograph", "ct_slice", "digital_radiograph", "mammogram", "mr_slice", "screen", "ultrasound"]

Plane = NDArray[numpy.float32]


def _grid(rows: int, columns: int) -> tuple[Plane, Plane]:
    """The coordinates of pixels: from -1 to 1 down, and across."""
    down = numpy.linspace(-1, 1, rows, dtype=numpy.float32)[:, None]
    across = numpy.linspace(-1, 1, columns, dtype=numpy.float32)[None, :]
    return down, across


def _noise(random: Generator, rows: int, columns: int, smoothing: int = 0) -> Plane:
    """Noise of standard deviation 1, white, or correlated over some pixels more with each smoothing."""
    plane = random.standard_normal((rows, columns), dtype=numpy.float32)
    for _ in range(smoothing):
        plane = plane + numpy.roll(plane, 1, 0)
        plane = plane + numpy.roll(plane, 1, 1)
        plane /= plane.std() or 1
    return plane


def _waves(random: Generator, rows: int, columns: int, count: int = 6) -> Plane:
    """Something smooth, from about -1 to 1: tissue that is not the same everywhere."""
    down, across = _grid(rows, columns)
    (a, b), phases = random.uniform(1, 9, (2, count)).astype(numpy.float32), random.uniform(0, 6.3, count)
    waves = numpy.sin(a * down + phases) @ numpy.cos(b[:, None] * across - phases[:, None])
    tissue: Plane = (waves / count).astype(numpy.float32)
    return tissue


def _disc(rows: int, columns: int, centre: tuple[float, float], radii: tuple[float, float]) -> Plane:
    """How far out each pixel is of an ellipse: less than 1 within it."""
    down, across = _grid(rows, columns)
    return ((down - centre[0]) / radii[0]) ** 2 + ((across - centre[1]) / radii[1]) ** 2


def _clipped(plane: Plane, bits: int) -> NDArray[numpy.uint16]:
    return numpy.clip(numpy.rint(plane), 0, (1 << bits) - 1).astype(numpy.uint16)


def ct_slice(random: Generator, rows: int, columns: int) -> NDArray[numpy.uint16]:
    """A trunk in the round field of view of a scanner: CT numbers + 1024, in 12 bits; 0 is outside the field."""
    shift = float(random.uniform(-0.03, 0.03))
    body = _disc(rows, columns, (0, shift), (0.62, 0.85))
    plane = numpy.full((rows, columns), 24, numpy.float32)
    plane[body < 1] = 924  # fat
    plane[body < 0.82] = 1074  # muscle
    for side in (-1, 1):
        plane[_disc(rows, columns, (-0.1, shift + side * 0.42), (0.34, 0.24)) < 1] = 180  # lung
    plane[_disc(rows, columns, (0.42, shift), (0.09, 0.1)) < 1] = 1500  # spine
    plane[_disc(rows, columns, (0.05, shift + 0.02), (0.2, 0.16)) < 1] = 1090  # heart
    plane += numpy.where(body < 1, 12 * _waves(random, rows, columns), 0)
    plane += numpy.where(body < 1, 14, 6) * _noise(random, rows, columns, 2)
    plane[_disc(rows, columns, (0, 0), (1, 1)) >= 1] = 0
    return _clipped(plane, 12)


def mr_slice(random: Generator, rows: int, columns: int) -> NDArray[numpy.uint16]:
    """A head: the magnitude of a complex signal, whose noise is Rician, in 12 bits."""
    head = _disc(rows, columns, (0, float(random.uniform(-0.03, 0.03))), (0.85, 0.7))
    signal = numpy.zeros((rows, columns), numpy.float32)
    signal[head < 1] = 900  # fat of the scalp
    signal[head < 0.87] = 80  # skull
    brain = head < 0.78
    folds = _waves(random, rows, columns, 12)
    signal[brain] = (520 + 700 * folds)[brain]
    for side in (-1, 1):
        signal[_disc(rows, columns, (-0.05, side * 0.13), (0.22, 0.07)) < 1] = 140  # ventricles
    real = signal + 5 * _noise(random, rows, columns, 2)
    return _clipped(numpy.hypot(real, 5 * _noise(random, rows, columns, 2)), 12)


def ultrasound(random: Generator, rows: int, columns: int) -> NDArray[numpy.uint8]:
    """A sector of speckle, 8 bits, in RGB: grey but for a scale of colours beside it."""
    down, across = _grid(rows, columns)
    depth = numpy.hypot(down + 1, across)
    sector = (depth > 0.25) & (depth < 1.9) & (numpy.abs(across) < 0.8 * (down + 1))
    echoes = 0.55 + 0.35 * _waves(random, rows, columns) - 0.12 * depth
    echoes[_disc(rows, columns, (0.1, 0.05), (0.22, 0.16)) < 1] = 0.05  # something that holds liquid
    speckle = numpy.hypot(_noise(random, rows, columns, 6), _noise(random, rows, columns, 6))
    grey = numpy.where(sector, 150 * numpy.clip(echoes, 0.02, 1) + 14 * numpy.log(speckle + 0.05), 0)
    image = numpy.repeat(numpy.clip(grey, 0, 255).astype(numpy.uint8)[:, :, None], 3, 2)
    bar = image[rows // 4 : rows // 2, columns - max(columns // 40, 1) :]
    ramp = numpy.linspace(255, 0, bar.shape[0]).astype(numpy.uint8)[:, None]
    bar[:, :, 0], bar[:, :, 1], bar[:, :, 2] = ramp, ramp // 2, 255 - ramp
    return image


def mammogram(random: Generator, rows: int, columns: int, is_right: bool = False) -> NDArray[numpy.uint16]:
    """A breast at one edge, in 12 bits, and nothing around it."""
    breast = _disc(rows, columns, (0, -1), (0.8, 1.3))
    glands = _waves(random, rows, columns, 10) * numpy.clip(1 - breast, 0, 1)
    plane = 700 + 1500 * numpy.sqrt(numpy.clip(1 - breast, 0, 1)) + 500 * glands
    plane += numpy.sqrt(plane) * 3.2 * _noise(random, rows, columns)  # of counted photons
    plane[breast >= 1] = 0
    return _clipped(plane[:, ::-1] if is_right else plane, 12)


def computed_radiograph(random: Generator, rows: int, columns: int) -> NDArray[numpy.uint16]:
    """A chest on a storage phosphor plate, whose read-out blurs the noise, in 12 bits."""
    return _clipped(_chest(random, rows, columns) + 6 * _noise(random, rows, columns, 1), 12)


def digital_radiograph(random: Generator, rows: int, columns: int) -> NDArray[numpy.uint16]:
    """A chest on a flat detector, whose pixels have noise of their own, in 14 bits."""
    return _clipped(4 * _chest(random, rows, columns) + 21 * _noise(random, rows, columns), 14)


def _chest(random: Generator, rows: int, columns: int) -> Plane:
    down, across = _grid(rows, columns)
    plane = 2600 - 500 * across**2 + 150 * _waves(random, rows, columns)
    for side in (-1, 1):
        lung = numpy.clip(1 - _disc(rows, columns, (-0.1, side * 0.42), (0.72, 0.36)), 0, 1)
        plane -= 1500 * numpy.sqrt(lung) + 90 * numpy.sin(22 * down + 5 * across**2) * lung  # with ribs
    plane += 700 * numpy.clip(1 - numpy.abs(across) / 0.12, 0, 1)  # spine
    return plane.astype(numpy.float32)


def screen(random: Generator, rows: int, columns: int) -> NDArray[numpy.uint8]:
    """A page of a workstation in RGB: areas of one colour, lines of text, a coloured rendering."""
    image = numpy.full((rows, columns, 3), (24, 26, 34), numpy.uint8)
    image[: max(rows // 16, 1)] = (52, 84, 130)
    for line in range(rows // 8, rows - rows // 8, 14):
        words = random.random((1, columns // 6)).repeat(4, 1) < 0.6
        ink = random.random((9, words.shape[1])) < 0.4
        text: Any = image[line : line + 9, 8 : 8 + words.shape[1]]
        text[(words & ink)[: text.shape[0], : text.shape[1]]] = (220, 220, 220)
    rendering = _disc(rows, columns, (0.05, 0.5), (0.7, 0.4))
    shade = numpy.sqrt(numpy.clip(1 - rendering, 0, 1)) * (0.8 + 0.2 * _waves(random, rows, columns, 9))
    shade += 0.006 * _noise(random, rows, columns)
    for channel, strength in enumerate((235, 180, 140)):
        coloured = numpy.clip(strength * shade, 0, 255).astype(numpy.uint8)
        image[:, :, channel] = numpy.where(rendering < 1, coloured, image[:, :, channel])
    return image
