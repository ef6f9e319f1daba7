"""Scenarios under Locust: its master and workers on as many machines as it takes, and its web page.

Importing this imports Locust, which patches the standard library for gevent.
"""

from __future__ import annotations

from aiodicom.load.locust.user import DicomUser

__all__ = ["DicomUser"]
