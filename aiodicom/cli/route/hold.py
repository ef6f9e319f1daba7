"""`aiodicom route hold FILE`."""

from __future__ import annotations

from aiodicom.cli.options import grouped
from aiodicom.cli.route.asking import ConfigFile, MeantOptions, change

__all__ = ["hold"]


@grouped
def hold(file: ConfigFile, meant: MeantOptions) -> None:
    """Have deliveries wait until they are released; a destination alone is held with what will come for it.

    Example: aiodicom route hold router.toml --destination pacs
    """
    change("hold", file, meant)
