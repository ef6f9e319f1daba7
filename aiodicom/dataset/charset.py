"""Specific Character Set (0008,0005): its defined terms, text to and from bytes (PS3.5 6.1, PS3.3 C.12.1.1.2).

Everything works with a tuple of *encodings*, names of Python codecs, which `encodings_for` makes of the attribute's
values. One encoding alone means that there are no code extensions: unless a value holds an escape character, it is
``bytes.decode(encodings[0])``; only ``"ascii"``, the default repertoire, is read as Latin-1, for that is what files
without the attribute hold when they hold more than they may. Faults in the attribute or in the text are warned about
(`UserWarning`) and worked around; nothing here raises for data that came from outside. Who
wants to know of them otherwise gives a function to `report` them to.
"""

from __future__ import annotations

import codecs
import re
import warnings
from collections.abc import Callable, Sequence
from functools import cache, lru_cache
from typing import TypeAlias

__all__ = ["can_encode", "decode_person_name", "decode_text", "encode_person_name", "encode_text", "encodings_for"]

#: ISO registration numbers (PS3.3 tables C.12-2 to C.12-4) and the codecs that know them. JIS X 0201 (13) is the
#: single-byte part of Shift JIS.
_REGISTRATIONS = {
    6: "ascii",
    13: "shift_jis",
    58: "gb2312",
    87: "iso2022_jp",
    100: "latin_1",
    101: "iso8859_2",
    109: "iso8859_3",
    110: "iso8859_4",
    126: "iso8859_7",
    127: "iso8859_6",
    138: "iso8859_8",
    144: "iso8859_5",
    148: "iso8859_9",
    149: "euc_kr",
    159: "iso2022_jp_2",
    166: "iso8859_11",
    192: "utf_8",
    203: "iso8859_15",
}
_WITHOUT_SINGLE_BYTE_FORM = {58, 87, 149, 159}
_STANDALONE = {"utf_8", "gb18030", "gbk"}

_TERMS = {f"ISO_IR {number}": codec for number, codec in _REGISTRATIONS.items()}
for _number in _WITHOUT_SINGLE_BYTE_FORM:
    del _TERMS[f"ISO_IR {_number}"]
_TERMS |= {f"ISO 2022 IR {number}": codec for number, codec in _REGISTRATIONS.items() if number != 192}
_TERMS |= {"": "ascii", "GB18030": "gb18030", "GBK": "gbk"}

#: Escape sequences (PS3.3 tables C.12-3, C.12-4) without the escape character: which code element they load, G0 (seven
#: bits) or G1 (eight), with what. ``$@`` is the older form of JIS X 0208, which PS3.5 lacks and devices send.
_ESCAPES: dict[bytes, tuple[int, str]] = {
    b"(B": (0, "ascii"),
    b"(J": (0, "shift_jis"),
    b"$B": (0, "iso2022_jp"),
    b"$@": (0, "iso2022_jp"),
    b"$(D": (0, "iso2022_jp_2"),
    b")I": (1, "shift_jis"),
    b"$)C": (1, "euc_kr"),
    b"$)A": (1, "gb2312"),
    b"-A": (1, "latin_1"),
    b"-B": (1, "iso8859_2"),
    b"-C": (1, "iso8859_3"),
    b"-D": (1, "iso8859_4"),
    b"-F": (1, "iso8859_7"),
    b"-G": (1, "iso8859_6"),
    b"-H": (1, "iso8859_8"),
    b"-L": (1, "iso8859_5"),
    b"-M": (1, "iso8859_9"),
    b"-T": (1, "iso8859_11"),
    b"-b": (1, "iso8859_15"),
}
_G1_ESCAPES = {codec: b"\x1b" + escape for escape, (element, codec) in _ESCAPES.items() if element == 1}
#: Two bytes a character in G0: how the codec of each wants its escape sequence.
_TWO_BYTE_G0 = {"iso2022_jp": b"\x1b$B", "iso2022_jp_2": b"\x1b$(D"}
_ESC = 0x1B

#: PS3.5 6.1.2.5.3: before any of these the character sets of value 1 are active again.
_CONTROLS = frozenset(range(0x20)) - {_ESC}
_RESET_IN_TEXT = _CONTROLS
_RESET_IN_VALUES = _CONTROLS | frozenset(b"\\")
_RESET_IN_NAMES = _CONTROLS | frozenset(b"\\^=")


def _resets(vr: str) -> frozenset[int]:
    if vr == "PN":
        return _RESET_IN_NAMES
    return _RESET_IN_TEXT if vr in ("LT", "ST", "UT") else _RESET_IN_VALUES


def _warn(message: str) -> None:
    warnings.warn(message, UserWarning, stacklevel=4)


#: Takes what was wrong and had to be worked around.
Report: TypeAlias = Callable[[str], object]


def encodings_for(values: Sequence[str] | str | None, report: Report = _warn) -> tuple[str, ...]:
    """The encodings of a Specific Character Set attribute with these values.

    None, or no value, is the default repertoire. Terms that are misspelt, unknown, or that may not stand together are
    warned about; unknown ones count as the default repertoire.
    """
    if not values:
        return ("ascii",)
    terms = [values] if isinstance(values, str) else list(values)
    encodings = [_TERMS.get(term.strip()) or _mended(term.strip(), report) for term in terms]
    if len(encodings) > 1:
        encodings = _without_standalone(terms, encodings, report)
    if encodings[0] in _TWO_BYTE_G0:
        encodings.insert(0, "ascii")
    return tuple(dict.fromkeys(encodings))


def _mended(term: str, report: Report) -> str:
    match = re.fullmatch(r"ISO[ _-]*(2022)?[ _-]*(?:IR)?[ _-]*(\d+)", term, re.IGNORECASE)
    number = int(match[2]) if match and len(match[2]) <= 3 else 0
    if match and number in _REGISTRATIONS:
        extension = match[1] or number in _WITHOUT_SINGLE_BYTE_FORM
        meant = f"ISO 2022 IR {number}" if extension and number != 192 else f"ISO_IR {number}"
        report(f"Incorrect value for Specific Character Set '{term}' - assuming '{meant}'")
        return _TERMS[meant]
    # What other software calls its encoding, such as "UTF-8" or "latin1".
    try:
        name = codecs.lookup(term).name
    except (LookupError, ValueError):
        name = ""
    for defined, codec in _TERMS.items():
        if name and codecs.lookup(codec).name == name:
            report(f"Incorrect value for Specific Character Set '{term}' - assuming '{defined or 'ISO_IR 6'}'")
            return codec
    report(f"Unknown encoding '{term}' - using default encoding instead")
    return "ascii"


def _without_standalone(terms: list[str], encodings: list[str], report: Report) -> list[str]:
    """PS3.3 C.12.1.1.2: ISO_IR 192, GB18030 and GBK stand alone."""
    if encodings[0] in _STANDALONE:
        others = ", ".join(terms[1:])
        report(f"Value '{terms[0]}' for Specific Character Set does not allow code extensions, ignoring: {others}")
        return encodings[:1]
    for term, encoding in zip(terms, encodings, strict=True):
        if encoding in _STANDALONE:
            report(f"Value '{term}' cannot be used as code extension, ignoring it")
    return [encoding for encoding in encodings if encoding not in _STANDALONE]


def decode_text(raw: bytes, encodings: Sequence[str], vr: str, report: Report = _warn) -> str:
    """The text of `raw`, all values of it, delimiters and padding included.

    Split values afterwards: a byte that looks like a backslash may be half of a character. `vr` says which delimiters
    bring back the first encoding.
    """
    first = encodings[0]
    if _ESC in raw and first not in _STANDALONE:
        return _decode_extended(raw, encodings, _resets(vr), report)
    return _decode_single(raw, first, report)


def decode_person_name(raw: bytes, encodings: Sequence[str]) -> str:
    """`decode_text` of a value of VR PN."""
    return decode_text(raw, encodings, "PN")


def _decode_single(raw: bytes, encoding: str, report: Report) -> str:
    if encoding == "ascii":
        return raw.decode("latin_1")
    try:
        return raw.decode(encoding)
    except UnicodeDecodeError:
        report(
            f"Failed to decode byte string with encoding '{encoding}' - using replacement characters in decoded string"
        )
        return raw.decode(encoding, "replace")


@cache
def _pairs() -> re.Pattern[bytes]:
    return re.compile(rb"(?:[\x21-\x7e]{2})+")


def _decode_extended(raw: bytes, encodings: Sequence[str], resets: frozenset[int], report: Report) -> str:
    """Text with code extensions (PS3.5 6.1.2.5): walks the bytes with the state of G0 and G1."""
    initial = ("shift_jis" if encodings[0] == "shift_jis" else "ascii", encodings[0])
    g0, g1 = initial
    parts: list[str] = []
    position, end = 0, len(raw)
    while position < end:
        if raw[position] == _ESC:
            length, element, codec = _designation(raw, position + 1, encodings, report)
            if not length:
                parts.append("\x1b")
            elif element:
                g1 = codec
            else:
                g0 = codec
            position += 1 + length
            continue
        if g0 in _TWO_BYTE_G0:
            run = _pairs().match(raw, position)
            if run:
                parts.append(_decode_two_byte(run[0], g0, report))
                position = run.end()
                continue
            stop = position + 1
        else:
            stop = _end_of_run(raw, position, resets if (g0, g1) != initial else None)
        if raw[position] in resets:
            g0, g1 = initial
        parts.append(_decode_single(raw[position:stop], g1, report))
        position = stop
    return "".join(parts)


def _end_of_run(raw: bytes, position: int, resets: frozenset[int] | None) -> int:
    stop = raw.find(_ESC, position)
    stop = len(raw) if stop < 0 else stop
    if resets is not None and raw[position] not in resets:
        return next((place for place in range(position, stop) if raw[place] in resets), stop)
    return stop


def _decode_two_byte(run: bytes, codec: str, report: Report) -> str:
    try:
        return (_TWO_BYTE_G0[codec] + run).decode(codec)
    except UnicodeDecodeError:
        report(f"Failed to decode byte string with encoding '{codec}' - using replacement characters in decoded string")
        return (_TWO_BYTE_G0[codec] + run).decode(codec, "replace")


def _designation(raw: bytes, position: int, encodings: Sequence[str], report: Report) -> tuple[int, int, str]:
    """Length (0 where it is none that is known), code element and codec of the escape sequence at `position`."""
    for length in (2, 3):
        found = _ESCAPES.get(raw[position : position + length])
        if found:
            element, codec = found
            # Going back to ASCII, or to the Roman letters of JIS X 0201, needs no term of its own in practice.
            if codec not in encodings and (element or codec in _TWO_BYTE_G0):
                report(
                    f"Found an escape sequence of '{codec}', which Specific Character Set does not name - following it"
                )
            return length, element, codec
    report(f"Found unknown escape sequence in encoded string value - using encoding {encodings[0]}")
    return 0, 0, ""


def can_encode(text: str, encodings: Sequence[str]) -> bool:
    """Whether the encodings have every character of a text."""
    return text.isascii() or all(
        character.isascii() or any(_encode_character(character, codec) is not None for codec in encodings)
        for character in text
    )


def encode_text(text: str, encodings: Sequence[str], vr: str, *, lossless: bool = False) -> bytes:
    """The bytes of `text`, without padding; escape sequences as PS3.5 6.1.2.5 wants them for `vr`.

    What none of the encodings has becomes ``?``, with a warning; `lossless`, it is a ValueError. In the default
    repertoire text of Latin 1 is that, with a warning, as what was decoded there is taken for it.
    """
    if text.isascii():
        return text.encode("ascii")
    first = encodings[0]
    if len(encodings) == 1 and first not in ("euc_kr", "gb2312"):
        encoded = _encode_single(text, first)
        if encoded is not None:
            return encoded
        if not lossless or (first == "ascii" and _encode_single(text, "latin_1") is not None):
            return _encode_replacing(text, encodings)
    if lossless:
        _refuse_loss(text, encodings)
    return _encode_extended(text, encodings, _resets(vr))


def encode_person_name(text: str, encodings: Sequence[str], *, lossless: bool = False) -> bytes:
    """`encode_text` of a value of VR PN."""
    return encode_text(text, encodings, "PN", lossless=lossless)


def _refuse_loss(text: str, encodings: Sequence[str]) -> None:
    for character in text:
        if not can_encode(character, encodings):
            raise ValueError(
                f"Specific Character Set (0008,0005) names none that has {character!r}: "
                'set SpecificCharacterSet="ISO_IR 192"'
            )


def _encode_single(text: str, encoding: str) -> bytes | None:
    """`text` in one encoding, or None where that lacks a character."""
    try:
        encoded = text.encode(encoding)
    except UnicodeEncodeError:
        return None
    # Shift JIS has two-byte characters, JIS X 0201 has not.
    return None if encoding == "shift_jis" and len(encoded) != len(text) else encoded


def _warn_of_loss(encodings: Sequence[str]) -> None:
    names = ", ".join(encodings)
    _warn(f"Failed to encode value with encodings: {names} - using replacement characters in encoded string")


def _encode_replacing(text: str, encodings: Sequence[str]) -> bytes:
    if encodings[0] == "ascii":
        latin = _encode_single(text, "latin_1")
        if latin is not None:
            _warn("Text beyond ASCII without a Specific Character Set - encoding it as ISO_IR 100")
            return latin
    _warn_of_loss(encodings)
    return b"".join(_encode_single(character, encodings[0]) or b"?" for character in text)


@lru_cache(maxsize=4096)
def _encode_character(character: str, codec: str) -> bytes | None:
    """A character beyond ASCII in the code element of `codec`, without escape sequences; None where that lacks it."""
    encoded = _encode_single(character, codec)
    escape = _TWO_BYTE_G0.get(codec)
    if encoded is None or escape is None:
        return None if codec == "ascii" else encoded
    return encoded[len(escape) : len(escape) + 2] if encoded.startswith(escape) else None


def _encode_extended(text: str, encodings: Sequence[str], resets: frozenset[int]) -> bytes:
    """Text with code extensions: switches as seldom as it can, and back to value 1 before every delimiter.

    G1 needs no switching back, for a delimiter resets it; G0 does, for the delimiter itself is read with it.
    """
    home_g1 = encodings[0] if encodings[0] not in ("euc_kr", "gb2312") else "ascii"
    back = b"\x1b(J" if home_g1 == "shift_jis" else b"\x1b(B"
    output = bytearray()
    g0, g1 = "", home_g1
    for character in text:
        if character.isascii():
            if g0:
                output += back
                g0 = ""
            if ord(character) in resets:
                g1 = home_g1
            output += character.encode("ascii")
            continue
        for codec in (g0 or g1, g1, *encodings):
            encoded = _encode_character(character, codec)
            if encoded is not None:
                break
        else:
            _warn_of_loss(encodings)
            codec, encoded = "", b"?"
        if codec in _TWO_BYTE_G0:
            if g0 != codec:
                output += _TWO_BYTE_G0[codec]
                g0 = codec
        else:
            if g0:
                output += back
                g0 = ""
            if codec and g1 != codec:
                output += _G1_ESCAPES[codec]
                g1 = codec
        output += encoded
    if g0:
        output += back
    return bytes(output)
