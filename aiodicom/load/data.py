"""What a scenario stores, made from what it says."""

from __future__ import annotations

from collections.abc import Callable
from datetime import date, datetime

from aiodicom.errors import LocalError
from aiodicom.load.renewing import Identity, Renewed, read_objects
from aiodicom.load.scenario import Data
from aiodicom.load.synthesis import KINDS, Shape, synthetic
from aiodicom.services.scan import Unusable

__all__ = ["supply_of"]


def supply_of(data: Data, seed: int | str, on_unusable: Callable[[Unusable], object] | None = None) -> Renewed:
    """Returns what gives the objects of a scenario; takes its time: files are read, pixels are made and encoded.

    `on_unusable` is told of files that cannot be used. Raises `LocalError` for what cannot be made, and OSError.
    """
    identity = Identity(data.patient_id, data.patient_name, _dates(data.dates))
    try:
        if data.input is None:
            return synthetic(_shape(data), seed=seed, identity=identity)
        objects = read_objects([data.input], identity)
        for unusable in objects.unusable:
            if on_unusable is not None:
                on_unusable(unusable)
        return Renewed(objects.templates, seed=seed, identity=identity)
    except ValueError as error:
        raise LocalError(f"{data.input}: {error}" if data.input else str(error)) from None


def _shape(data: Data) -> Shape:
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


def _dates(text: str | None) -> tuple[date, date] | None:
    if text is None:
        return None
    first, _, last = text.partition("-")
    try:
        days = [datetime.strptime(day, "%Y%m%d").date() for day in (first, last or first)]
    except ValueError:
        raise LocalError(f"[data] dates: {text!r} is no date such as 20260131, nor a range of two") from None
    return days[0], days[1]
