"""The studies themselves: how many series of what, and the objects of one of them, from which all are made."""

from __future__ import annotations

import os
from collections.abc import Iterator
from copy import deepcopy
from dataclasses import dataclass
from hashlib import blake2b
from typing import Final

import numpy
from numpy.random import Generator

from aiodicom.dataset import Dataset
from aiodicom.load.renewing import MADE_UP, MOST_BYTES, Identity, Renewed, template_of
from aiodicom.load.template import Template
from aiodicom.pixels.transcode import transcode
from aiodicom.standard.transfer_syntaxes import named_transfer_syntax
from aiodicom.standard.uids import EXPLICIT_VR_LITTLE_ENDIAN

from .colour import SC, US
from .enhanced import ENHANCED_CT
from .profile import Place, Profile, Reference, Size, common
from .projections import CR, DX, MG
from .report import SR
from .slices import CT, MR

__all__ = ["KINDS", "Shape", "synthetic"]

#: What can be made, by its name.
KINDS: Final = {profile.name: profile for profile in (CT, MR, US, MG, CR, DX, SC, SR, ENHANCED_CT)}

#: Objects of a study, at most: all are in memory but for their pixels.
_MOST_OBJECTS: Final = 100_000


@dataclass(frozen=True)
class Shape:
    """What a study is made of. What is None, each kind of object has its own usual number of."""

    #: Names of `KINDS`: the study has series of each, in this order. Reports refer to the images of the series before.
    kinds: tuple[str, ...] = ("CT",)
    #: Series of each kind.
    series: int = 1
    #: Objects of a series.
    images: int | None = None
    rows: int | None = None
    columns: int | None = None
    #: Of the kinds that have several.
    frames: int | None = None
    #: UID, or short name. Objects without pixels are explicit VR little endian where it is one for those alone.
    transfer_syntax: str = EXPLICIT_VR_LITTLE_ENDIAN
    #: Objects of a kind whose pixels differ, and frames of each of those; further ones have the same pixels in turn.
    distinct: int = 4

    def profiles(self) -> list[Profile]:
        """The kinds of objects. Raises ValueError for names that are none, and numbers that cannot be."""
        try:
            profiles = [KINDS[name] for name in self.kinds]
        except KeyError as unknown:
            raise ValueError(f"no synthetic objects of {unknown.args[0]!r}: {', '.join(KINDS)}") from None
        if not profiles:
            raise ValueError(f"a study has series of something: {', '.join(KINDS)}")
        for name in ("series", "images", "frames", "distinct"):
            number = getattr(self, name)
            if number is not None and number < 1:
                raise ValueError(f"{number} {name}: there is at least 1")
        for name in ("rows", "columns"):
            number = getattr(self, name)
            if number is not None and not 1 <= number <= 65535:
                raise ValueError(f"{number} {name} are not what an image can have: 1 to 65535 (PS3.3 C.7.6.3)")
        if self.frames is not None and not any(profile.is_multi_frame for profile in profiles):
            several = ", ".join(name for name, profile in KINDS.items() if profile.is_multi_frame)
            raise ValueError(f"one frame is all that {' and '.join(self.kinds)} objects have; several: {several}")
        objects = self.series * sum(map(self.images_of, profiles))
        if objects > _MOST_OBJECTS:
            raise ValueError(f"{objects:,} objects in a study are more than the {_MOST_OBJECTS:,} that can be made")
        held = sum(min(self.distinct, self.images_of(each)) * _bytes_of(self.size_of(each)) for each in profiles)
        if held > MOST_BYTES:
            raise ValueError(f"pixels of {held:,} bytes are more than the {MOST_BYTES:,} that are held in memory")
        return profiles

    def images_of(self, profile: Profile) -> int:
        """How many objects a series of that kind has."""
        return profile.images if self.images is None else self.images

    def size_of(self, profile: Profile) -> Size:
        """Of the pixel data of an object of that kind; nothing for reports."""
        usual = profile.size
        if usual is None:
            return Size(0, 0, 0)
        frames = self.frames if self.frames is not None and profile.is_multi_frame else usual.frames
        return Size(self.rows or usual.rows, self.columns or usual.columns, frames)


def synthetic(shape: Shape, *, seed: int | str | None = None, identity: Identity = MADE_UP) -> Renewed:
    """Studies of that shape, without end: one is made and encoded, and all are copies of it (`Renewed`).

    Another shape has other UIDs, patients and numbers for the same seed. Takes the time to make and encode
    `shape.distinct` pixel data of each kind, in as many threads as there are cores. Raises ValueError for a shape that
    cannot be, and LocalError where it cannot be encoded.
    """
    profiles = shape.profiles()
    templates = _templates(shape, profiles, seed, identity)
    return Renewed(templates, seed=None if seed is None else f"{seed} {shape}", identity=identity)


def _templates(shape: Shape, profiles: list[Profile], seed: int | str | None, identity: Identity) -> Iterator[Template]:
    asked = named_transfer_syntax(shape.transfer_syntax)
    random = numpy.random.default_rng(list(blake2b(str(seed).encode(), digest_size=16).digest()))
    images: list[Reference] = []
    study = "2.25.1"
    series = 0
    for kind, profile in enumerate(profiles):
        count, size = shape.images_of(profile), shape.size_of(profile)
        # What encapsulates pixels is for what has some (PS3.5 A.4).
        has_pixels = profile.size is not None
        transfer_syntax = asked.uid if has_pixels or not asked.encapsulated else EXPLICIT_VR_LITTLE_ENDIAN
        made = [
            _made(profile, size, f"2.25.3.{kind}.{variant}", transfer_syntax, shape.distinct, variant, random)
            for variant in range(min(shape.distinct, count))
        ]
        for _ in range(shape.series):
            before = tuple(images)
            for index in range(count):
                data_set = deepcopy(made[index % len(made)])
                self = Reference(profile.sop_class_uid, f"2.25.2.{series}.{index}", f"2.25.2.{series}")
                data_set.SOPInstanceUID = self.sop_instance_uid
                data_set.SeriesInstanceUID = self.series_instance_uid
                data_set.StudyInstanceUID = study
                data_set.SeriesNumber = str(series + 1)
                data_set.InstanceNumber = str(index + 1)
                if "FrameOfReferenceUID" in data_set:
                    data_set.FrameOfReferenceUID = f"2.25.4.{kind}"
                profile.place(data_set, Place(index, study, before))
                if has_pixels:
                    images.append(self)
                yield template_of(data_set, transfer_syntax, identity)
            series += 1


def _made(
    profile: Profile, size: Size, uid: str, transfer_syntax: str, distinct: int, variant: int, random: Generator
) -> Dataset:
    """What the objects with the same pixels have in common, encoded in the transfer syntax."""
    data_set = common(profile)
    data_set.SOPInstanceUID = uid
    profile.describe(data_set, size)
    if profile.frame is not None:
        made = [profile.frame(random, size.rows, size.columns, variant) for _ in range(min(distinct, size.frames))]
        word, vr = ("<u2", "OW") if made[0].itemsize == 2 else ("u1", "OB")
        data = b"".join(made[number % len(made)].astype(word).tobytes() for number in range(size.frames))
        data_set.add_new("PixelData", vr, data + b"\0" * (len(data) % 2))
    return transcode(data_set, transfer_syntax, threads=os.cpu_count() or 1)


def _bytes_of(size: Size) -> int:
    return size.rows * size.columns * size.frames * 3  # RGB; 16 bits take less
