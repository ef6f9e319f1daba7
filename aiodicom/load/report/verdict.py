"""How a run ended, in words."""

from __future__ import annotations

from aiodicom.load import figures
from aiodicom.load.results import Result

__all__ = ["headline", "verdict"]


def headline(result: Result) -> str:
    """What the run is called."""
    return result.title or f"Load test of {', '.join(result.targets) or 'a DICOM server'}"


def verdict(result: Result) -> tuple[str, str]:
    """In a word how the run ended, and why that is so."""
    crossed, of = sum(threshold.crossed for threshold in result.thresholds), len(result.thresholds)
    early = "the run ended before its time"
    if crossed:
        why = f"{crossed} of {of} threshold{'' if of == 1 else 's'} crossed"
        return "Failed", f"{why}; {early}" if result.interrupted else why
    if not figures.has_succeeded(result):
        return "Failed", f"no operation succeeded; {early}" if result.interrupted else "no operation succeeded"
    if result.interrupted:
        return "Interrupted", f"{early}; these are the figures so far"
    if of:
        return "Passed", "the threshold holds" if of == 1 else f"all {of} thresholds hold"
    return "Done", "no thresholds were given"
