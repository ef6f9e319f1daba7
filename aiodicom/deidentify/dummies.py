"""Dummy values (PS3.15 E.1.1): valid by their VR (PS3.5 6.2), saying nothing."""

from __future__ import annotations

from typing import Any, Final

from .dates import DUMMY_DATE

__all__ = ["DATES", "TEXTS", "WORD", "dummy"]

#: What stands for texts.
WORD: Final = "ANONYMIZED"

#: VRs of free text, which may have anything in it.
TEXTS: Final = frozenset(("LO", "LT", "SH", "ST", "UC", "UR", "UT"))
DATES: Final = frozenset(("DA", "DT", "TM"))

_DUMMIES: Final[dict[str, Any]] = {
    "AE": WORD,
    "AS": "000Y",
    "CS": WORD,
    "DA": DUMMY_DATE,
    "DS": "0",
    "DT": f"{DUMMY_DATE}000000",
    "IS": "0",
    "PN": "ANONYMOUS",
    "TM": "000000",
    "UR": "urn:anonymized",
    "AT": 0,
    "SL": 0,
    "SS": 0,
    "SV": 0,
    "UL": 0,
    "US": 0,
    "UV": 0,
    "FD": 0.0,
    "FL": 0.0,
    **dict.fromkeys(("LO", "LT", "SH", "ST", "UC", "UT"), WORD),
    **dict.fromkeys(("OB", "OW", "UN"), bytes(2)),
    **dict.fromkeys(("OF", "OL"), bytes(4)),
    **dict.fromkeys(("OD", "OV"), bytes(8)),
}


def dummy(vr: str) -> Any:
    """A value of `vr`, which is neither SQ nor UI."""
    return _DUMMIES[vr]
