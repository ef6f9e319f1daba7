"""De-identification by the profiles of a configuration: `deidentifier_of`."""

from __future__ import annotations

from importlib import import_module
from typing import Protocol

from aiodicom.dataset import Dataset
from aiodicom.errors import LocalError
from aiodicom.router.config.routes import DeidentifyProfile

__all__ = ["Deidentifies", "deidentifier_of"]


class Deidentifies(Protocol):
    """What de-identifies objects."""

    def apply(self, data_set: Dataset) -> Dataset:
        """The data set without what identifies, another one than that given."""


def deidentifier_of(profile: DeidentifyProfile) -> Deidentifies:
    """What de-identifies by a profile. Raises `LocalError` for one that cannot be, OSError."""
    try:
        package = import_module("aiodicom.deidentify")
    except ModuleNotFoundError:
        raise LocalError("this version of aiodicom does not de-identify") from None
    options = package.Options.named(
        profile.retain,
        profile.clean,
        pseudonyms=profile.pseudonyms,
        max_shift_days=profile.max_shift_days,
        burned_in=profile.burned_in,
    )
    devices = None
    if profile.device_rules is not None:
        with open(profile.device_rules, encoding="utf-8") as file:
            devices = package.DeviceRules.from_toml(file.read())
    found: Deidentifies = package.Deidentifier(options, key=package.read_key(profile.key_file), devices=devices)
    return found
