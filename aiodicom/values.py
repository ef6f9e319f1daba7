"""Values: classes that are what their fields are. Frozen dataclasses with slots, but for how they come about.

A frozen dataclass has six methods compiled for it when it is imported. The hundred that a command needs took a fifth of
its start; values have these methods in common (``ext/values.pyx``).
"""

from __future__ import annotations

from dataclasses import MISSING, dataclass, field, fields
from typing import TypeVar, dataclass_transform

from aiodicom._values import Layout, Value

__all__ = ["Value", "frozen"]

_Value = TypeVar("_Value", bound=Value)


@dataclass_transform(frozen_default=True, field_specifiers=(field,))
def frozen(cls: type[_Value]) -> type[_Value]:
    """Has the fields of a class of `Value` be those that it names, as `dataclasses.dataclass` does.

    Defaults are themselves immutable: there are no factories, and all fields are arguments.
    """
    cls = dataclass(init=False, repr=False, eq=False, slots=True)(cls)
    for each in fields(cls):
        if each.default_factory is not MISSING or each.kw_only or not each.init:
            raise TypeError(f"{cls.__name__}.{each.name} is no field of a value: those are arguments without a factory")
    cls.__layout__ = Layout(cls, fields(cls))
    return cls
