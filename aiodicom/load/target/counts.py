"""What a bad PACS has done."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field, fields

__all__ = ["Counts"]


@dataclass(slots=True)
class Counts:
    """Numbers since the start."""

    #: Associations that asked: by what became of them.
    asked: int = 0
    accepted: int = 0
    rejected: int = 0
    aborted: int = 0
    closed: int = 0
    ignored: int = 0
    #: Operations by kind; final statuses that were answered, such as "A700H"; faults in place of answers.
    operations: Counter[str] = field(default_factory=Counter)
    statuses: Counter[str] = field(default_factory=Counter)
    faults: Counter[str] = field(default_factory=Counter)
    #: Bytes of data sets received, pending responses to queries, stalls begun.
    bytes_received: int = 0
    matches: int = 0
    stalls: int = 0
    #: Of storage commitment transactions.
    reports: Counter[str] = field(default_factory=Counter)

    def to_dict(self) -> dict[str, object]:
        """All of them by their names, for JSON."""
        # Not dataclasses.asdict, which makes a Counter of a Counter's pairs.
        values = {each.name: getattr(self, each.name) for each in fields(self)}
        return {name: dict(value) if isinstance(value, Counter) else value for name, value in values.items()}
