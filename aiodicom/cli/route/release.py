"""`aiodicom route release FILE`."""

from __future__ import annotations

from aiodicom.cli.options import grouped
from aiodicom.cli.route.asking import ConfigFile, MeantOptions, change

__all__ = ["release"]


@grouped
def release(file: ConfigFile, meant: MeantOptions) -> None:
    """Have deliveries go that were held.

    Example: aiodicom route release router.toml --destination pacs
    """
    change("release", file, meant)
