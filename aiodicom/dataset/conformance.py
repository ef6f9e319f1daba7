"""What PS3.5 6.1 and 6.2 forbid about encoded text values: for strict reading."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from typing import Final

from aiodicom.dataset.charset import decode_text, encodings_for
from aiodicom.dataset.values import DA, DT, TM

__all__ = ["forbidden_repertoire", "forbidden_value"]

_NUMBER: Final = r"[+-]?(?:\d+\.?\d*|\.\d+)(?:[Ee][+-]?\d+)?"
_TIME: Final = r"\d\d(?:[0-5]\d(?:[0-6]\d(?:\.\d{1,6})?)?)?"
_DATETIME: Final = r"\d{4}(?:\d\d(?:\d\d(?:" + _TIME + r")?)?)?(?:[+-]\d{4})?"


def _or_range(value: str) -> str:
    """A value as it stands in an object, or a range as it stands in a query (PS3.4 C.2.2.2.5): a group for each."""
    return rf"({value})|({value}) ?- ?({value})?|- ?({value})"


#: What a value without padding looks like, by VR (PS3.5 table 6.2-1), with the wildcards and ranges that queries have.
_PATTERNS: Final = {
    vr: re.compile(rf"(?:{pattern})\Z", re.ASCII)
    for vr, pattern in {
        "AE": r"(?=.*[^ ])[ -\[\]-~]+",
        "AS": r"\d{3}[DWMY]",
        "CS": r"[A-Z0-9 _*?]+",
        "DA": _or_range(r"\d{8}"),
        "DS": rf" *{_NUMBER} *",
        "DT": _or_range(_DATETIME),
        "IS": r" *[+-]?\d+ *",
        "TM": _or_range(_TIME),
        "UI": r"(?:0|[1-9]\d*)(?:\.(?:0|[1-9]\d*))*",
        "UR": r"[!-~]*",
    }.items()
}
#: Characters of a value; of a name's component group.
_LONGEST: Final = {
    "AE": 16, "CS": 16, "DS": 16, "IS": 12, "LO": 64, "LT": 10240, "PN": 64, "SH": 16, "ST": 1024, "UI": 64
}  # fmt: skip
_ONE_VALUE: Final = frozenset(("LT", "ST", "UR", "UT"))

_CONTROLS: Final = re.compile("[\0-\x1a\x1c-\x1f\x7f]")
_CONTROLS_IN_TEXT: Final = re.compile("[\0-\x08\x0b\x0e-\x1a\x1c-\x1f\x7f]")

#: What is to have a meaning besides its pattern.
_MEANINGS: Final[dict[str, Callable[[str], object]]] = {
    "DA": lambda text: DA(text).date,
    "DT": lambda text: DT(text).datetime,
    "TM": lambda text: TM(text).time,
}


class _Fault(Exception):
    """What decoding text had to work around."""


def _refuse(message: str) -> None:
    raise _Fault(message)


def forbidden_repertoire(value: bytes) -> str | None:
    """What is wrong with an encoded Specific Character Set (0008,0005); None where nothing is."""
    terms = [term.strip(" ") for term in value.decode("latin_1").split("\\")] if value else []
    try:
        encodings_for(terms, _refuse)
    except _Fault as fault:
        return str(fault)
    return None


def forbidden_value(vr: str, value: bytes, encodings: Sequence[str]) -> str | None:
    """What is wrong with the encoded value of a text VR, padding included; None where nothing is."""
    pattern = _PATTERNS.get(vr)
    if pattern is None:
        return _forbidden_text(vr, value, encodings)
    # One character makes the length even.
    text = value.decode("latin_1").removesuffix("\0" if vr == "UI" else " ")
    for one in [text] if vr in _ONE_VALUE else text.split("\\"):
        # Spaces behind a value are padding, but of UIDs; the patterns of some have them.
        reason = _forbidden(vr, one if vr in ("AE", "DS", "IS", "UI") else one.rstrip(" "), pattern)
        if reason:
            return reason
    return None


def _forbidden(vr: str, text: str, pattern: re.Pattern[str]) -> str | None:
    if not text:
        return None
    if len(text) > _LONGEST.get(vr, len(text)):
        return _too_long(vr, len(text))
    match = pattern.match(text)
    if match is None:
        return f"{text[:80]!r} is no {vr} (PS3.5 {'9.1' if vr == 'UI' else '6.2'})"
    if vr == "IS" and not -(2**31) <= int(text) < 2**31:
        return f"{text.strip()} is beyond what an IS may be (PS3.5 6.2)"
    meaning = _MEANINGS.get(vr)
    if meaning is not None and any(part is not None and meaning(part) is None for part in match.groups()):
        return f"{text!r} is no {vr}, for there is no such day or time"
    return None


def _forbidden_text(vr: str, value: bytes, encodings: Sequence[str]) -> str | None:
    if encodings[0] == "ascii" and len(encodings) == 1 and not value.isascii():
        return "characters beyond the default repertoire, and no Specific Character Set that has them (PS3.5 6.1.2.1)"
    try:
        text = decode_text(value, encodings, vr, _refuse)
    except _Fault as fault:
        return str(fault)
    controls = _CONTROLS_IN_TEXT if vr in ("LT", "ST", "UT") else _CONTROLS
    if controls.search(text):
        return f"a control character that {vr} may not have (PS3.5 6.2)"
    longest = _LONGEST.get(vr)
    if longest is None:
        return None
    for one in [text] if vr in _ONE_VALUE else text.split("\\"):
        groups = one.split("=") if vr == "PN" else [one]
        if len(groups) > 3:
            return "a name of more than three component groups (PS3.5 6.2.1)"
        for group in groups:
            if len(group.rstrip(" ")) > longest:
                return _too_long(vr, len(group.rstrip(" ")))
            if vr == "PN" and group.count("^") > 4:
                return "a name of more than five components (PS3.5 6.2.1)"
    return None


def _too_long(vr: str, length: int) -> str:
    return f"a value of {length} characters, more than the {_LONGEST[vr]} of {vr} (PS3.5 6.2)"
