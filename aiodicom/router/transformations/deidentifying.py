"""De-identification by the profiles of a configuration: `deidentifier_of`."""

from __future__ import annotations

from typing import Protocol

from aiodicom.dataset import Dataset
from aiodicom.deidentify import Deidentifier, DeviceRules, Options, read_key
from aiodicom.router.config.routes import DeidentifyProfile

__all__ = ["Deidentifies", "deidentifier_of"]


class Deidentifies(Protocol):
    """What de-identifies objects."""

    def apply(self, data_set: Dataset) -> Dataset:
        """The data set without what identifies, another one than that given."""


def deidentifier_of(profile: DeidentifyProfile) -> Deidentifies:
    """What de-identifies by a profile. Raises `LocalError` for one that cannot be, OSError."""
    options = Options.named(
        profile.retain,
        profile.clean,
        pseudonyms=profile.pseudonyms,
        max_shift_days=profile.max_shift_days,
        burned_in=profile.burned_in,
    )
    devices = None
    if profile.device_rules is not None:
        with open(profile.device_rules, encoding="utf-8") as file:
            devices = DeviceRules.from_toml(file.read())
    return Deidentifier(options, key=read_key(profile.key_file), devices=devices)
