"""What a data set of a stranger may be: every outcome is a data set or a DecodeError, soon, in little memory."""

from __future__ import annotations

import io
import pickle
import random
import struct
import threading
import tracemalloc
import zlib
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import pytest
from pydicom_files import names, sample

from aiodicom.dataset import Dataset
from aiodicom.errors import DecodeError
from aiodicom.standard.transfer_syntaxes import (
    DEFLATED_EXPLICIT_VR_LITTLE_ENDIAN,
    EXPLICIT_VR_BIG_ENDIAN,
    EXPLICIT_VR_LITTLE_ENDIAN,
    IMPLICIT_VR_LITTLE_ENDIAN,
)

SYNTAXES = (
    IMPLICIT_VR_LITTLE_ENDIAN,
    EXPLICIT_VR_LITTLE_ENDIAN,
    EXPLICIT_VR_BIG_ENDIAN,
)


def element(tag: int, vr: str, value: bytes, length: int | None = None) -> bytes:
    length = len(value) if length is None else length
    head = struct.pack("<HH", tag >> 16, tag & 0xFFFF) + vr.encode()
    if vr in ("OB", "OD", "OF", "OL", "OV", "OW", "SQ", "SV", "UC", "UN", "UR", "UT", "UV"):
        return head + struct.pack("<HI", 0, length) + value
    return head + struct.pack("<H", length) + value


def item(value: bytes, length: int | None = None) -> bytes:
    return struct.pack("<HHI", 0xFFFE, 0xE000, len(value) if length is None else length) + value


ITEM_END = bytes.fromhex("feff0de000000000")
SEQUENCE_END = bytes.fromhex("feffdde000000000")
UNDEFINED = 0xFFFFFFFF


def nested(levels: int, undefined: bool, innermost: bytes = b"") -> bytes:
    data = innermost
    for _ in range(levels):
        if undefined:
            data = element(0x00081140, "SQ", item(data + ITEM_END, UNDEFINED) + SEQUENCE_END, UNDEFINED)
        else:
            data = element(0x00081140, "SQ", item(data))
    return data


def read_everything(data_set: Dataset) -> None:
    for each in data_set.iterall():
        _ = (each.value, each.vr, each.raw, each.VM, each.keyword, each.text, str(each))


def attempt(data: bytes, syntax: str, **options: object) -> None:
    """Reads, changes, encodes; only a DecodeError may come out."""
    try:
        data_set = Dataset.from_bytes(data, syntax, **options)  # type: ignore[arg-type]
        read_everything(data_set)
        assert data_set.to_bytes() == data or syntax == DEFLATED_EXPLICIT_VR_LITTLE_ENDIAN
        data_set.SOPInstanceUID = "1.2.3"
        for lengths in ("kept", "explicit", "undefined"):
            encoded = data_set.to_bytes(syntax, lengths=lengths)
            assert "SOPInstanceUID" in Dataset.from_bytes(encoded, syntax)
    except ValueError as error:
        if "encapsulated" not in str(error):
            raise
    except DecodeError as error:
        if not error.reason or not (error.offset is None or 0 <= error.offset <= max(len(data), 1 << 20)):
            raise AssertionError(f"{error.reason!r} at {error.offset}") from error


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("name", [name for name in names() if sample(name).path.stat().st_size < 60_000])
def test_mutated(name: str) -> None:
    one = sample(name)
    generator = random.Random(name)
    for turn in range(40):
        data = bytearray(one.data[:12_000])
        for _ in range(generator.choice((1, 1, 2, 8, 40))):
            place = generator.randrange(len(data))
            kind = generator.randrange(5)
            if kind == 0:
                data[place] = generator.randrange(256)
            elif kind == 1:
                data[place : place + 4] = generator.choice((b"\xff\xff\xff\xff", b"\0\0\0\0", b"\xfe\xff\x00\xe0"))
            elif kind == 2:
                del data[place : place + generator.randrange(1, 40)]
                if not data:
                    data = bytearray(b"\0")
            elif kind == 3:
                data[place:place] = generator.choice(
                    (ITEM_END, SEQUENCE_END, b"SQ\0\0\xff\xff\xff\xff", item(b"", UNDEFINED))
                )
            else:
                data = data[: place + 1]
        attempt(bytes(data), one.transfer_syntax, strict=turn % 4 == 3, max_depth=generator.choice((2, 64)))


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize(
    "name", ["CT_small.dcm", "rtplan.dcm", "693_J2KI.dcm", "UN_sequence.dcm", "MR_small_bigendian.dcm"]
)
def test_a_mutated_file_reads_as_its_bytes_do(name: str) -> None:
    """Leaving long values in the file changes nothing about what is read, nor about what fails."""
    one = sample(f"test_files/{name}")
    generator = random.Random(name)
    for _ in range(60):
        data = bytearray(one.data[:8_000])
        for _ in range(generator.choice((1, 2, 8))):
            place = generator.randrange(len(data) - 4)
            data[place : place + 4] = generator.choice(
                (b"\xff\xff\xff\xff", b"\0\0\0\0", b"SQ\0\0", generator.randbytes(4))
            )
        outcomes = []
        for read in (
            Dataset.from_bytes,
            lambda data, syntax: Dataset.from_file(io.BytesIO(data), syntax, defer_size=16),
        ):
            try:
                data_set = read(bytes(data), one.transfer_syntax)
                outcome: object = data_set.to_bytes(), [bytes(each.raw) for each in data_set], str(data_set.truncated)
            except DecodeError as error:
                outcome = str(error)
            outcomes.append(outcome)
        assert outcomes[0] == outcomes[1]


@pytest.mark.parametrize("syntax", SYNTAXES)
def test_noise(syntax: str) -> None:
    generator = random.Random(7)
    for size in range(300):
        attempt(generator.randbytes(size), syntax)
        attempt(bytes(generator.choice(b"\0\0\0\x08\x10\xfe\xff\xe0OBSQUN\xff\xff") for _ in range(size)), syntax)


def test_cut_anywhere() -> None:
    whole = (
        element(0x00080018, "UI", b"1.2.3.4\0")
        + nested(3, True, element(0x00080060, "CS", b"CT"))
        + nested(2, False).replace(b"\x08\x00\x40\x11", b"\x08\x00\x99\x11")
        + element(0x7FE00010, "OB", item(b"") + item(b"\1\2\3\4") + SEQUENCE_END, UNDEFINED)
    )
    assert Dataset.from_bytes(whole).truncated is None
    boundaries = {each.offset + each.length + (8 if each.undefined_length else 0) for each in Dataset.from_bytes(whole)}
    for size in range(1, len(whole)):
        data_set = Dataset.from_bytes(whole[:size])
        read_everything(data_set)
        if size in boundaries:
            assert data_set.truncated is None
            continue
        assert data_set.truncated is not None or whole[:size][-7:].strip(b"\0") == b""
        if data_set.truncated is not None:
            with pytest.raises(DecodeError):
                Dataset.from_bytes(whole[:size], strict=True)


@pytest.mark.parametrize("undefined", [True, False])
def test_nesting_has_a_limit(undefined: bool) -> None:
    """1,100 nested sequences in 40 kB must not bring a recursive reader down."""
    with pytest.raises(DecodeError, match="nested too deeply"):
        read_everything(Dataset.from_bytes(nested(1100, undefined)))
    data_set = Dataset.from_bytes(nested(64, undefined, element(0x00080060, "CS", b"CT")))
    read_everything(data_set)
    with pytest.raises(DecodeError, match="nested too deeply") as caught:
        read_everything(Dataset.from_bytes(nested(4, undefined), max_depth=3))
    assert caught.value.path.startswith("(0008,1140)")
    read_everything(Dataset.from_bytes(nested(512, undefined), max_depth=512))
    with pytest.raises(ValueError, match="max_depth"):
        Dataset.from_bytes(b"", max_depth=513)


def built(levels: int) -> Dataset:
    """A data set that a program has nested."""
    data_set = Dataset(PatientID="1")
    for _ in range(levels):
        data_set = Dataset(ReferencedImageSequence=[data_set])
    return data_set


def cyclic() -> Dataset:
    data_set = Dataset(PatientID="1", ReferencedImageSequence=[])
    data_set.ReferencedImageSequence.append(data_set)
    return data_set


def decoded_and_nested_on() -> Dataset:
    data_set = Dataset.from_bytes(nested(300, False, element(0x00080060, "CS", b"CT")), max_depth=512)
    innermost = data_set
    while "ReferencedImageSequence" in innermost:
        innermost = innermost.ReferencedImageSequence[0]
    innermost.ReferencedImageSequence = [built(10_000)]
    return data_set


@pytest.mark.parametrize("make", [lambda: built(10_000), cyclic, decoded_and_nested_on])
def test_what_a_program_nests_has_a_limit_too(make: Callable[[], Dataset]) -> None:
    data_set = make()
    for encode in (
        data_set.to_bytes,
        data_set.to_parts,
        data_set.to_json,
        lambda: data_set.to_bytes(IMPLICIT_VR_LITTLE_ENDIAN, lengths="undefined"),
        lambda: list(data_set.iterall()),
    ):
        with pytest.raises(ValueError, match="nested too deeply"):
            encode()
    for recurse in (lambda: str(data_set), lambda: data_set == make(), lambda: pickle.dumps(data_set)):
        with pytest.raises((RecursionError, ValueError)):
            recurse()


def test_encoding_the_deepest_nesting_takes_less_than_a_mebibyte_of_stack() -> None:
    """A thread's stack may be that small; where it is not enough, the process dies here."""

    def encode() -> bytes:
        data_set = Dataset.from_bytes(built(512).to_bytes(), max_depth=512)
        data_set.PatientID = "2"
        data_set.to_json()
        return data_set.to_bytes(EXPLICIT_VR_BIG_ENDIAN, lengths="undefined")

    before = threading.stack_size(1 << 20)
    try:
        with ThreadPoolExecutor(1) as pool:
            encoded = pool.submit(encode).result()
    finally:
        threading.stack_size(before)
    assert sum(1 for _ in Dataset.from_bytes(encoded, EXPLICIT_VR_BIG_ENDIAN, max_depth=512).iterall()) == 514


def test_the_path_of_an_error_leads_to_its_place() -> None:
    inner = element(0x00080060, "CS", b"CT") + element(0x00081150, "UI", b"1.2\0", 400)
    data = element(0x00081140, "SQ", item(b"") + item(inner)) + element(0x00100010, "PN", b"A^B ")
    data_set = Dataset.from_bytes(data)
    assert data_set.PatientName == "A^B"
    with pytest.raises(DecodeError) as caught:
        list(data_set.ReferencedImageSequence[1])
    assert caught.value.path == "(0008,1140)[1].(0008,1150)"
    assert caught.value.offset == 12 + 8 + 8 + 10
    assert Dataset.from_bytes(data, offset=1000)[0x00081140].offset == 1012


@pytest.mark.parametrize("vr", ["OB", "UN", "UT", "SQ", "OW"])
@pytest.mark.parametrize("length", [0xFFFFFFFE, 0x7FFFFFFF, 0x80000000, 100])
def test_a_stated_length_allocates_nothing(vr: str, length: int) -> None:
    data = element(0x00080060, "CS", b"CT") + element(0x00091010, vr, b"abc ", length)
    tracemalloc.start()
    try:
        data_set = Dataset.from_bytes(data)
        assert data_set.Modality == "CT"
        assert data_set.truncated is not None
        assert data_set.truncated.path == "(0009,1010)"
        assert data_set[0x00091010].truncated
        assert bytes(data_set[0x00091010].raw) == b"abc "
        assert tracemalloc.get_traced_memory()[1] < 100_000
    finally:
        tracemalloc.stop()
    with pytest.raises(DecodeError) as caught:
        Dataset.from_bytes(data, strict=True)
    assert caught.value.offset == 10


def test_elements_and_items_have_a_limit() -> None:
    data = b"".join(element(0x00090010 + number, "LO", b"") for number in range(100))
    with pytest.raises(DecodeError, match="more than 99 elements"):
        Dataset.from_bytes(data, max_elements=99)
    assert len(Dataset.from_bytes(data, max_elements=100)) == 100
    data_set = Dataset.from_bytes(element(0x00081140, "SQ", item(b"") * 100), max_elements=99)
    with pytest.raises(DecodeError, match="more than 99 items"):
        _ = data_set.ReferencedImageSequence


def test_items_take_little_until_they_are_asked_for() -> None:
    data = element(0x00081140, "SQ", item(b"") * 100_000)
    data_set = Dataset.from_bytes(data)
    tracemalloc.start()
    try:
        sequence = data_set.ReferencedImageSequence
        assert len(sequence) == 100_000
        assert len(sequence[99_999]) == 0
        # A place for each in a list; what tracemalloc does not see is 24 bytes an item.
        assert tracemalloc.get_traced_memory()[1] < 1_000_000
        data_set.PatientID = "1234"
        assert data_set.to_bytes().startswith(data)
        assert len(Dataset.from_bytes(data, strict=True)) == 1
        assert tracemalloc.get_traced_memory()[1] < 6_000_000
    finally:
        tracemalloc.stop()


def test_zeros_are_looked_at_once() -> None:
    """A run of zeros may be padding or a great many empty elements; finding out must not take its square."""
    data = bytes(4_000_000) + element(0x00080060, "CS", b"CT")
    data_set = Dataset.from_bytes(data, IMPLICIT_VR_LITTLE_ENDIAN)
    assert len(data_set) <= 2


@pytest.mark.parametrize("text", [b"1e999 ", b"inf ", b"nan ", b"9" * 5000, b"1_0 ", b"", b"- ", b"1.5 "])
@pytest.mark.parametrize("vr", ["IS", "DS"])
def test_numbers_that_are_none(vr: str, text: bytes) -> None:
    value = Dataset.from_bytes(element(0x00280008, vr, text)).NumberOfFrames
    assert value is None or str(value) == text.decode().strip()


@pytest.mark.parametrize("overrun", [item(b"", 20), item(element(0x00080060, "CS", b"CT"), 11), b"\xfe\xff\0\xe0"])
@pytest.mark.parametrize("levels", [0, 1, 3])
@pytest.mark.parametrize("touched", [False, True])
def test_items_that_overrun_the_end(overrun: bytes, levels: int, touched: bool) -> None:
    """What the data end with is understood, and is told apart from what follows once something does."""
    data = nested(levels, False, element(0x00081140, "SQ", overrun))
    data_set = Dataset.from_bytes(data)
    if touched:
        inner = data_set
        for _ in range(levels):
            inner = inner.ReferencedImageSequence[0]
        before = len(inner.ReferencedImageSequence)
        assert inner.truncated is not None
        assert inner["ReferencedImageSequence"].truncated
        assert before == overrun[4:].startswith((b"\x14", b"\x0b"))
    assert data_set.to_bytes() == data
    data_set.PatientID = "1234"
    again = Dataset.from_bytes(data_set.to_bytes())
    read_everything(again)
    assert again.PatientID == "1234"
    with pytest.raises(DecodeError):
        read_everything(Dataset.from_bytes(data, strict=True))


def test_threads_that_index_the_same_item() -> None:
    """Whoever comes second throws its index away: elements that were handed out stay valid."""
    inner = b"".join(element(0x00090000 | number, "UN", b"") for number in range(0x1000, 0xFFFF))
    whole = Dataset.from_bytes(element(0x00081140, "SQ", item(inner)))
    with ThreadPoolExecutor(8) as pool:
        for _ in range(20):
            one = whole.ReferencedImageSequence[0]
            found = list(pool.map(lambda _, one=one: one[0x0009FFFE], range(8)))
            assert {each.offset for each in found} == {found[0].offset}
            whole = Dataset.from_bytes(whole.to_bytes())


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (element(0x00020010, "UI", b"1.2\0"), "file meta"),
        (element(0x00000010, "UI", b"1.2\0"), "command"),
        (element(0x00186020, "UL", b"ab"), "multiple"),
        (element(0x00280009, "AT", b"ab"), "multiple"),
        (element(0x00660016, "OF", b"abcdef"), "multiple"),
        (element(0x00420011, "OB", b"ab").replace(b"OB\0\0", b"OB\0\1"), "reserved"),
    ],
)
def test_strict_refuses_a_header(data: bytes, reason: str) -> None:
    assert len(Dataset.from_bytes(data)) == 1
    with pytest.raises(DecodeError, match=reason):
        Dataset.from_bytes(data, strict=True)
    with pytest.raises(DecodeError, match=reason) as caught:
        Dataset.from_bytes(element(0x00081140, "SQ", item(b"") + item(data)), strict=True)
    assert caught.value.path.startswith("(0008,1140)[1].(")


def test_strict_looks_into_implicit_vr_and_undefined_lengths() -> None:
    data = struct.pack("<HHI", 0x0018, 0x6020, 2) + b"ab"
    with pytest.raises(DecodeError, match="multiple of 4"):
        Dataset.from_bytes(data, IMPLICIT_VR_LITTLE_ENDIAN, strict=True)
    with pytest.raises(DecodeError, match="no UI") as caught:
        Dataset.from_bytes(nested(60, True, element(0x00080018, "UI", b"1.02")), strict=True)
    assert caught.value.path.endswith("(0008,1140)[0].(0008,0018)")
    fragments = element(0x7FE00010, "OB", item(b"") + item(b"\1\2\3") + SEQUENCE_END, UNDEFINED)
    assert Dataset.from_bytes(fragments)["PixelData"].fragments[1] == b"\1\2\3"
    with pytest.raises(DecodeError, match="odd length"):
        Dataset.from_bytes(fragments, strict=True)


def test_a_bomb_does_not_go_off() -> None:
    bomb = zlib.compress(bytes(50_000_000), 9)[2:-4]
    tracemalloc.start()
    try:
        with pytest.raises(DecodeError, match="inflate to more than 1000000"):
            Dataset.from_bytes(bomb, DEFLATED_EXPLICIT_VR_LITTLE_ENDIAN, max_inflated=1_000_000)
        assert tracemalloc.get_traced_memory()[1] < 3_000_000
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize("syntax", SYNTAXES)
def test_what_was_never_deflated_is_read_as_it_is(syntax: str) -> None:
    data = Dataset(Modality="CT", PatientName="A^B").to_bytes(syntax)
    with pytest.warns(UserWarning, match="deflated, which it is not"):
        data_set = Dataset.from_bytes(data, DEFLATED_EXPLICIT_VR_LITTLE_ENDIAN)
    assert data_set.PatientName == "A^B"
    again = data_set.to_bytes(DEFLATED_EXPLICIT_VR_LITTLE_ENDIAN)
    assert Dataset.from_bytes(again, DEFLATED_EXPLICIT_VR_LITTLE_ENDIAN, strict=True) == data_set
    with pytest.raises(DecodeError, match="corrupt"):
        Dataset.from_bytes(data, DEFLATED_EXPLICIT_VR_LITTLE_ENDIAN, strict=True)


def test_deflated_with_a_header_of_zlibs() -> None:
    data = zlib.compress(Dataset(Modality="CT").to_bytes())
    with pytest.warns(UserWarning, match=r"zlib's"):
        data_set = Dataset.from_bytes(data, DEFLATED_EXPLICIT_VR_LITTLE_ENDIAN)
    assert data_set.Modality == "CT"
    assert data_set.to_bytes() == data
    with pytest.raises(DecodeError, match="corrupt"):
        Dataset.from_bytes(data, DEFLATED_EXPLICIT_VR_LITTLE_ENDIAN, strict=True)


@pytest.mark.parametrize("data", [b"\xff" * 40, b"\1", b"no deflated data at all"])
def test_corrupt_deflated_data(data: bytes) -> None:
    with pytest.raises(DecodeError):
        Dataset.from_bytes(data, DEFLATED_EXPLICIT_VR_LITTLE_ENDIAN, strict=True)
    if len(data) > 1:  # else it only ends too early
        with pytest.raises(DecodeError):
            Dataset.from_bytes(data, DEFLATED_EXPLICIT_VR_LITTLE_ENDIAN)


def test_deflated_data_cut() -> None:
    plain = b"".join(
        element(0x00100010 + number, "LO", random.Random(1).randbytes(20).hex().encode()) for number in range(20)
    )
    compressor = zlib.compressobj(wbits=-15)
    data = compressor.compress(plain) + compressor.flush()
    for size in range(1, len(data) - 1):
        attempt(data[:size], DEFLATED_EXPLICIT_VR_LITTLE_ENDIAN)
        assert Dataset.from_bytes(data[:size], DEFLATED_EXPLICIT_VR_LITTLE_ENDIAN).truncated is not None
    assert len(Dataset.from_bytes(data + b"\0", DEFLATED_EXPLICIT_VR_LITTLE_ENDIAN, strict=True)) == 20
