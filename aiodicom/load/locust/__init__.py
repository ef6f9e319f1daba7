"""Scenarios under Locust: its master and workers on as many machines as it takes, and its web page.

Importing this imports Locust, which patches the standard library for gevent.
"""

from __future__ import annotations

try:
    import locust  # noqa: F401 (before all else: it patches what others import)
except ModuleNotFoundError as error:
    raise ModuleNotFoundError(f"{error}: pip install 'aiodicom[locust]'", name=error.name) from None

from aiodicom.load.locust.user import DicomUser

__all__ = ["DicomUser"]
