"""Specific Character Set: terms, code extensions and their resets; the examples of PS3.5 annexes H to K."""

from __future__ import annotations

import warnings

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydicom import charset as theirs
from pydicom.charset import PersonName
from pydicom.valuerep import TEXT_VR_DELIMS

from aiodicom.dataset.charset import decode_person_name, decode_text, encode_person_name, encode_text, encodings_for

TERMS = [term for term in theirs.python_encoding if term and term not in ("ISO 2022 58", "ISO 2022 GBK")]

#: Specific Character Set, the bytes as the standard prints them, the text.
EXAMPLES = [
    # PS3.5 H.3.1, H.3.2: Japanese
    (
        ("", "ISO 2022 IR 87"),
        b"Yamada^Tarou=\x1b$B;3ED\x1b(B^\x1b$BB@O:\x1b(B=\x1b$B$d$^$@\x1b(B^\x1b$B$?$m$&\x1b(B",
        "Yamada^Tarou=山田^太郎=やまだ^たろう",
    ),
    (
        ("ISO 2022 IR 13", "ISO 2022 IR 87"),
        b"\xd4\xcf\xc0\xde^\xc0\xdb\xb3=\x1b$B;3ED\x1b(J^\x1b$BB@O:\x1b(J=\x1b$B$d$^$@\x1b(J^\x1b$B$?$m$&\x1b(J",
        "ﾔﾏﾀﾞ^ﾀﾛｳ=山田^太郎=やまだ^たろう",
    ),
    # I.2: Korean
    (
        ("", "ISO 2022 IR 149"),
        b"Hong^Gildong=\x1b$)C\xfb\xf3^\x1b$)C\xd1\xce\xd4\xd7=\x1b$)C\xc8\xab^\x1b$)C\xb1\xe6\xb5\xbf",
        "Hong^Gildong=洪^吉洞=홍^길동",
    ),
    # J.3: Chinese in UTF-8 and GB18030
    (
        ("ISO_IR 192",),
        b"Wang^XiaoDong=\xe7\x8e\x8b^\xe5\xb0\x8f\xe6\x9d\xb1=",
        "Wang^XiaoDong=王^小東=",
    ),
    (("GB18030",), b"Wang^XiaoDong=\xcd\xf5^\xd0\xa1\xb6\xab=", "Wang^XiaoDong=王^小东="),
    (("GBK",), b"Wang^XiaoDong=\xcd\xf5^\xd0\xa1\xb6\xab=", "Wang^XiaoDong=王^小东="),
    # K.2: Chinese in GB 2312
    (
        ("", "ISO 2022 IR 58"),
        b"Zhang^XiaoDong=\x1b$)A\xd5\xc5^\x1b$)A\xd0\xa1\xb6\xab=",
        "Zhang^XiaoDong=张^小东=",
    ),
    (("ISO_IR 100",), b"Buc^J\xe9r\xf4me", "Buc^Jérôme"),
    (("ISO_IR 144",), b"\xbb\xee\xdace\xdc\xd1yp\xd3", "Люкceмбypг"),  # noqa: RUF001
    (("ISO_IR 203",), b"\xa4uro", "€uro"),
]


@pytest.mark.parametrize(("terms", "raw", "text"), EXAMPLES)
def test_the_standards_examples(terms: tuple[str, ...], raw: bytes, text: str) -> None:
    encodings = encodings_for(terms)
    assert decode_person_name(raw, encodings) == text
    assert encode_person_name(text, encodings) == raw


@pytest.mark.parametrize("term", TERMS)
def test_every_term_that_pydicom_knows(term: str) -> None:
    (ours,) = encodings_for([term])[-1:]
    text = "".join(chr(code) for code in range(0x20, 0x7F)).replace("\\", "")
    assert text.encode("ascii").decode(ours).replace("¥", "\\") == text
    known = theirs.python_encoding[term]
    for byte in range(0xA1, 0x100):
        raw = bytes([byte])
        if term.endswith(("58", "87", "149", "159", "192")) or term.startswith("GB"):
            continue
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", "Failed to decode")
            assert decode_text(raw, (ours,), "LO").replace("\ufffd", "") == raw.decode(known, "ignore")


@pytest.mark.parametrize(
    ("values", "encodings"),
    [
        (None, ("ascii",)),
        ([], ("ascii",)),
        ("", ("ascii",)),
        ([""], ("ascii",)),
        ("ISO_IR 100", ("latin_1",)),
        (["ISO_IR 100 "], ("latin_1",)),
        (["ISO 2022 IR 87"], ("ascii", "iso2022_jp")),
        (["", "ISO 2022 IR 87", "ISO 2022 IR 159"], ("ascii", "iso2022_jp", "iso2022_jp_2")),
        (["ISO 2022 IR 6", "ISO 2022 IR 6"], ("ascii",)),
        (["ISO 2022 IR 149"], ("euc_kr",)),
    ],
)
def test_terms(values: list[str] | str | None, encodings: tuple[str, ...]) -> None:
    assert encodings_for(values) == encodings


@pytest.mark.parametrize(
    ("values", "encodings", "warning"),
    [
        (
            ["ISO-IR 144"],
            ("iso8859_5",),
            "Incorrect value for Specific Character Set 'ISO-IR 144' - assuming 'ISO_IR 144'",
        ),
        (["ISO IR 100"], ("latin_1",), "assuming 'ISO_IR 100'"),
        (["ISO_IR_192"], ("utf_8",), "assuming 'ISO_IR 192'"),
        (["", "ISO-2022 IR 58"], ("ascii", "gb2312"), "assuming 'ISO 2022 IR 58'"),
        (["ISO 2022 IR 192"], ("utf_8",), "assuming 'ISO_IR 192'"),
        (["UTF-8"], ("utf_8",), "assuming 'ISO_IR 192'"),
        (["ISO_IR 9999"], ("ascii",), "Unknown encoding 'ISO_IR 9999' - using default encoding instead"),
        (["nonsense\0"], ("ascii",), "Unknown encoding"),
        (["ISO_IR 192", "ISO 2022 IR 100"], ("utf_8",), "does not allow code extensions, ignoring: ISO 2022 IR 100"),
        (["ISO 2022 IR 100", "GBK"], ("latin_1",), "Value 'GBK' cannot be used as code extension, ignoring it"),
    ],
)
def test_wrong_terms_are_warned_about(values: list[str], encodings: tuple[str, ...], warning: str) -> None:
    with pytest.warns(UserWarning, match=warning):
        assert encodings_for(values) == encodings


#: After the delimiter the byte 0xE4 is read with value 1, Latin-1, not with Greek.
@pytest.mark.parametrize(
    ("vr", "delimiter", "reset"),
    [
        *(("LO", delimiter, True) for delimiter in ("\\", "\r\n", "\t", "\f")),
        *(("LO", delimiter, False) for delimiter in ("^", "=", " ")),
        *(("LT", delimiter, True) for delimiter in ("\r\n", "\n", "\f", "\t")),
        *(("UT", delimiter, False) for delimiter in ("\\", "^", "=")),
        *(("PN", delimiter, True) for delimiter in ("\\", "^", "=")),
        ("PN", " ", False),
    ],
)
def test_delimiters_reset_by_vr(vr: str, delimiter: str, reset: bool) -> None:
    encodings = encodings_for(["ISO 2022 IR 100", "ISO 2022 IR 126"])
    raw = b"\xe4\x1b-F\xe4" + delimiter.encode() + b"\xe4"
    assert decode_text(raw, encodings, vr) == "äδ" + delimiter + ("ä" if reset else "δ")
    assert encode_text(decode_text(raw, encodings, vr), encodings, vr) == raw


def test_halves_of_characters_that_look_like_delimiters() -> None:
    # In JIS X 0208 these two-byte characters hold 5C, 5E and 3D; in GB18030 and Shift JIS the second byte may be 5C.
    encodings = encodings_for(["", "ISO 2022 IR 87"])
    for text in ("ソ\\能", "表^予", "申=構"):
        assert decode_person_name(encode_person_name(text, encodings), encodings) == text
    gb = encodings_for(["GB18030"])
    assert decode_text("昞\\誠".encode("gb18030"), gb, "LO").split("\\") == ["昞", "誠"]


def test_a_writer_that_forgot_to_switch_back() -> None:
    encodings = encodings_for(["", "ISO 2022 IR 87"])
    assert decode_person_name(b"\x1b$B;3ED^\x1b$BB@O:", encodings) == "山田^太郎"
    assert decode_text(b"\x1b$B;3ED\r\nabc", encodings, "LT") == "山田\r\nabc"


def test_escape_sequences_that_should_not_be_there() -> None:
    with pytest.warns(UserWarning, match="does not name"):
        assert decode_text(b"\x1b-F\xe4", ("latin_1",), "LO") == "δ"
    with pytest.warns(UserWarning, match="unknown escape sequence"):
        assert decode_text(b"\x1b-F\xe4\x1b%G", ("latin_1", "iso8859_7"), "LO") == "δ\x1b%G"
    assert decode_text(b"abc\x1b(Bdef", ("ascii",), "LO") == "abcdef"


def test_bytes_that_the_encoding_lacks() -> None:
    assert decode_text(b"M\xfcller", ("ascii",), "LO") == "Müller"
    with pytest.warns(UserWarning, match="using replacement characters"):
        assert decode_text(b"M\xfcller", ("utf_8",), "LO") == "M\ufffdller"


def test_text_that_the_encoding_lacks() -> None:
    with pytest.warns(UserWarning, match="without a Specific Character Set"):
        assert encode_text("Müller", ("ascii",), "LO") == b"M\xfcller"
    with pytest.warns(UserWarning, match="Failed to encode value with encodings: latin_1"):
        assert encode_text("Mü山", ("latin_1",), "LO") == b"M\xfc?"
    with pytest.warns(UserWarning, match="Failed to encode"):
        assert encode_text("山é", encodings_for(["", "ISO 2022 IR 87"]), "LO") == b"\x1b$B;3\x1b(B?"
    with pytest.warns(UserWarning, match="Failed to encode"):
        assert encode_text("ﾔ山", ("shift_jis",), "LO") == b"\xd4?"


@pytest.mark.parametrize("values", [None, "ISO_IR 100", "ISO_IR 13", ["", "ISO 2022 IR 87"], "ISO 2022 IR 149", "GBK"])
def test_text_that_the_encoding_lacks_is_refused_where_nothing_may_be_lost(values: list[str] | str | None) -> None:
    encodings = encodings_for(values)
    with pytest.raises(
        ValueError, match="\\(0008,0005\\) names none that has 'ț': set SpecificCharacterSet=\"ISO_IR 192\""
    ):
        encode_person_name("Doe țx", encodings, lossless=True)
    assert encode_text("Doe", encodings, "LO", lossless=True) == b"Doe"


@pytest.mark.parametrize(("terms", "raw", "text"), EXAMPLES)
def test_where_nothing_may_be_lost_nothing_else_changes(terms: tuple[str, ...], raw: bytes, text: str) -> None:
    assert encode_person_name(text, encodings_for(terms), lossless=True) == raw


@pytest.mark.parametrize(
    ("values", "letters"),
    [
        (["ISO 2022 IR 100", "ISO 2022 IR 126", "ISO 2022 IR 144"], "äéδΩЛю"),
        (["", "ISO 2022 IR 149"], "홍길洪"),
        (["", "ISO 2022 IR 58"], "张小"),
        (["", "ISO 2022 IR 87", "ISO 2022 IR 159"], "山やソ丂仚"),
        (["ISO 2022 IR 13", "ISO 2022 IR 87"], "ﾔﾏ山田"),
        (["ISO_IR 192"], "äδ山홍😀"),
        (["GB18030"], "äδ山홍😀"),
        (["GBK"], "山昞"),
    ],
)
@pytest.mark.parametrize("vr", ["LO", "LT", "PN"])
@given(data=st.data())
def test_what_can_be_encoded_comes_back(values: list[str], letters: str, vr: str, data: st.DataObject) -> None:
    encodings = encodings_for(values)
    text = data.draw(st.text("aZ 09^=\\\r\n" + letters))
    assert decode_text(encode_text(text, encodings, vr), encodings, vr) == text


@given(raw=st.binary(max_size=40), values=st.lists(st.sampled_from(TERMS), min_size=1, max_size=3))
def test_any_bytes_decode_to_something(raw: bytes, values: list[str]) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        encodings = encodings_for(values)
        for vr in ("LO", "LT", "PN"):
            text = decode_text(raw.replace(b"a", b"\x1b"), encodings, vr)
            encode_text(text, encodings, vr)


@pytest.mark.parametrize(("terms", "raw", "text"), EXAMPLES)
def test_pydicom_reads_what_we_write(terms: tuple[str, ...], raw: bytes, text: str) -> None:
    if terms[-1] in ("ISO_IR 203", "ISO 2022 IR 58"):
        pytest.skip("pydicom does not know ISO_IR 203, and leaves the escape sequences of ISO 2022 IR 58 in the text")
    encodings = theirs.convert_encodings(list(terms))
    name = PersonName(encode_person_name(text, encodings_for(terms)), encodings)
    assert str(name.decode(encodings)).rstrip("=") == text.rstrip("=")
    if "=" not in text:
        assert theirs.decode_bytes(raw, encodings, TEXT_VR_DELIMS) == text
