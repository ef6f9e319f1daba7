"""What a scenario stores, made from what it says."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Sequence
from datetime import date, datetime
from typing import Protocol

from aiodicom.errors import LocalError
from aiodicom.load.renewing import Identity, Renewed, read_objects
from aiodicom.load.synthesis import KINDS, Shape, synthetic
from aiodicom.services.scan import Unusable

__all__ = ["Wanted", "dates_of", "identity_of", "shape_of", "supply_of"]

_DATES = re.compile(r"(\d{8})(?:-(\d{8}))?", re.ASCII)


class Wanted(Protocol):
    """What objects there are to be, as scenarios and options say it: see `scenario.Data`."""

    @property
    def input(self) -> str | os.PathLike[str] | None: ...
    @property
    def modality(self) -> Sequence[str]: ...
    @property
    def series(self) -> int: ...
    @property
    def images(self) -> int | None: ...
    @property
    def rows(self) -> int | None: ...
    @property
    def columns(self) -> int | None: ...
    @property
    def frames(self) -> int | None: ...
    @property
    def transfer_syntax(self) -> str: ...
    @property
    def distinct(self) -> int: ...
    @property
    def patient_id(self) -> str | None: ...
    @property
    def patient_name(self) -> str | None: ...
    @property
    def dates(self) -> str | None: ...


def supply_of(data: Wanted, seed: int | str, on_unusable: Callable[[Unusable], object] | None = None) -> Renewed:
    """Returns what gives these objects; takes its time: files are read, pixels are made and encoded.

    `on_unusable` is told of files that cannot be used. Raises `LocalError` for what cannot be made, and OSError.
    """
    try:
        identity = identity_of(data)
        if data.input is None:
            return synthetic(shape_of(data), seed=seed, identity=identity)
        objects = read_objects([data.input], identity)
        for unusable in objects.unusable:
            if on_unusable is not None:
                on_unusable(unusable)
        return Renewed(objects.templates, seed=seed, identity=identity)
    except ValueError as error:
        raise LocalError(f"{data.input}: {error}" if data.input else str(error)) from None


def shape_of(data: Wanted) -> Shape:
    """What synthetic studies are to be like; modalities may be written in lower case."""
    names = {name.lower(): name for name in KINDS}
    return Shape(
        kinds=tuple(names.get(name.lower(), name) for name in data.modality),
        series=data.series,
        images=data.images,
        rows=data.rows,
        columns=data.columns,
        frames=data.frames,
        transfer_syntax=data.transfer_syntax,
        distinct=data.distinct,
    )


def identity_of(data: Wanted) -> Identity:
    """What studies are to say of their patient and date. Raises ValueError for dates that are none."""
    return Identity(data.patient_id, data.patient_name, dates_of(data.dates))


def dates_of(text: str | None) -> tuple[date, date] | None:
    """The first and the last of the dates that are written so: "20260131", "20260101-20260131". Raises ValueError."""
    if text is None:
        return None
    try:
        if (found := _DATES.fullmatch(text)) is None:
            raise ValueError
        first, last = (datetime.strptime(day, "%Y%m%d").date() for day in (found[1], found[2] or found[1]))
        if last < first:
            raise ValueError
    except ValueError:
        raise ValueError(f"{text!r} is no date, such as 20260131, nor a range of two in order") from None
    return first, last
