"""Counters that the network layer and those above report to."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["Counters"]


@dataclass(slots=True)
class Counters:
    """What has happened on the associations of one server, or of whoever shares the counters."""

    #: Associations established since the start.
    associations: int = 0
    #: Associations established now, and the most at any time.
    associations_open: int = 0
    associations_peak: int = 0
    #: Answered with A-ASSOCIATE-RJ.
    rejections: int = 0
    #: Ended without A-RELEASE.
    aborts: int = 0
    #: Operations answered, and those of them with a failure status: also requests that were refused without a handler.
    operations: int = 0
    failures: int = 0

    def association_opened(self) -> None:
        """An association has been established."""
        self.associations += 1
        self.associations_open += 1
        self.associations_peak = max(self.associations_peak, self.associations_open)
