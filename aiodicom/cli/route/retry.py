"""`aiodicom route retry FILE`."""

from __future__ import annotations

from aiodicom.cli.options import grouped
from aiodicom.cli.route.asking import ConfigFile, MeantOptions, change

__all__ = ["retry"]


@grouped
def retry(file: ConfigFile, meant: MeantOptions) -> None:
    """Have deliveries tried now that were given up, or are tried later.

    Example: aiodicom route retry router.toml --destination pacs --state dead
    """
    change("retry", file, meant)
