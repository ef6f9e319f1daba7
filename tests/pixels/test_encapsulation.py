"""`aiodicom.pixels.encapsulation`: which fragments are a frame, by tables and without."""

from __future__ import annotations

import struct

import pytest

from aiodicom.dataset import Dataset
from aiodicom.errors import PixelDataError
from aiodicom.pixels import encapsulation
from aiodicom.pixels.encapsulation import Encapsulated, FragmentTable, encapsulate, lone_fragment

FRAMES = [b"\xff\xd8one!", b"\xff\xd8two", b"\xff\xd8three?"]


def item(content: bytes) -> bytes:
    return struct.pack("<HHI", 0xFFFE, 0xE000, len(content)) + content


def table(value: bytes, frames: int, extended: Encapsulated | None = None) -> FragmentTable:
    def read(start: int, length: int) -> bytes:
        return value[start : start + length]

    offsets, lengths = (extended.offsets, extended.lengths) if extended else (None, None)
    begins = lambda data: bytes(data[:2]) == b"\xff\xd8"  # noqa: E731
    return FragmentTable(read, len(value), frames, offsets=offsets, lengths=lengths, begins=begins)


def contents(value: bytes, frames: int, extended: Encapsulated | None = None) -> list[bytes]:
    made = table(value, frames, extended)
    return [b"".join(value[at : at + size] for at, size in made.fragments(each)) for each in range(frames)]


def test_a_basic_offset_table() -> None:
    made = encapsulate(FRAMES)
    assert made.value[8:20] == struct.pack("<3I", 0, 14, 28)
    assert (made.offsets, made.lengths) == (None, None)
    assert contents(made.value, 3) == [FRAMES[0], FRAMES[1] + b"\0", FRAMES[2]]


def test_an_extended_offset_table_knows_the_length_without_padding() -> None:
    made = encapsulate(FRAMES, table="extended")
    assert made.value[:8] == item(b"")
    assert (made.offsets, made.lengths) == (struct.pack("<3Q", 0, 14, 28), struct.pack("<3Q", 6, 5, 8))
    assert contents(made.value, 3, made) == FRAMES


@pytest.mark.parametrize("kind", ["basic", "empty"])
def test_frames_of_several_fragments(kind: str) -> None:
    made = encapsulate(FRAMES, table=kind, max_fragment=4)  # type: ignore[arg-type]
    assert len(table(made.value, 3).fragments(2)) == 2
    # Without a table, a frame begins where the codec's stream does.
    assert contents(made.value, 3) == [FRAMES[0], FRAMES[1] + b"\0", FRAMES[2]]


def test_a_fragment_for_each_frame_without_a_table() -> None:
    value = item(b"") + b"".join(item(each) for each in (b"ab", b"cd", b"ef"))
    assert contents(value, 3) == [b"ab", b"cd", b"ef"]


def test_one_frame_has_all_fragments_whatever_the_table_says() -> None:
    value = item(struct.pack("<2I", 0, 77)) + item(b"ab") + item(b"") + item(b"cd")
    assert contents(value, 1) == [b"abcd"]


@pytest.mark.parametrize("head", [item(b""), item(bytes(4)), item(struct.pack("<2I", 0, 77))])
def test_a_fragment_alone_is_found_just_where_the_table_finds_it(head: bytes) -> None:
    whole = head + item(b"frame!")
    assert lone_fragment(memoryview(whole)) == (len(head) + 8, 6) == table(whole, 1).fragments(0)[0]
    changed = [whole[:size] for size in range(len(whole))] + [whole + item(b"xy"), whole + b"\0"]
    for at in range(len(whole)):
        changed += [whole[:at] + bytes([whole[at] ^ bit]) + whole[at + 1 :] for bit in (1, 4, 128)]
    for value in changed:
        try:
            found = table(value, 1).fragments(0)
        except PixelDataError:
            found = []
        assert lone_fragment(memoryview(value)) == (found[0] if len(found) == 1 else None)


def test_a_frame_is_found_without_looking_at_the_others() -> None:
    made = encapsulate([bytes(1000) for _ in range(50)])
    looked: list[int] = []

    def read(start: int, length: int) -> bytes:
        looked.append(start)
        return made.value[start : start + length]

    found = FragmentTable(read, len(made.value), 50).fragments(30)
    assert found == [(8 + 200 + 30 * 1008 + 8, 1000)]
    assert len(looked) == 3  # the table's header, the table, the fragment's header


def test_into_a_data_set_and_out_of_it() -> None:
    data_set = Dataset(ExtendedOffsetTable=b"old tabl", ExtendedOffsetTableLengths=b"old leng", Rows=1)
    encapsulate(FRAMES).put_into(data_set)
    assert data_set.keys() == [0x00280010, 0x7FE00010]
    made = encapsulate(FRAMES, table="extended")
    made.put_into(data_set)
    syntax = "1.2.840.10008.1.2.4.50"
    again = Dataset.from_bytes(data_set.to_bytes(syntax), syntax)
    assert again["PixelData"].undefined_length
    assert bytes(again["PixelData"].raw) == made.value
    assert (again.ExtendedOffsetTable, again.ExtendedOffsetTableLengths) == (made.offsets, made.lengths)


@pytest.mark.parametrize(
    ("value", "frames", "why"),
    [
        (b"", 1, "without a basic offset table"),
        (item(b"")[:7], 1, "without a basic offset table"),
        (struct.pack("<HHI", 0x7FE0, 0x10, 0), 1, "without a basic offset table"),
        (struct.pack("<HHI", 0xFFFE, 0xE000, 0xFFFFFFFF), 1, "4294967295 bytes of 0"),
        (item(b""), 1, "no fragments"),
        (item(bytes(4)) + item(b"ab"), 2, "basic offset table has 1 offsets for 2 frames"),
        (item(bytes(7)) + item(b"ab"), 2, "basic offset table has 1.75 offsets for 2 frames"),
        (item(b"") + item(b"ab"), 3, "3 frames cannot be in 1 fragments"),
        (item(b"") + item(b"ab") * 3, 2, "3 fragments, 1 of which begin a frame, for 2 frames"),
        (item(b"") + item(b"ab") + b"\xfe\xff\x00", 1, "end within a fragment's header"),
        (item(b"") + struct.pack("<HHI", 0xFFFE, 0xE000, 9) + b"ab", 1, "fragment of 9 bytes, of which there are 2"),
        (item(b"") + struct.pack("<HHI", 0xFFFE, 0xE0DD, 0), 1, r"\(FFFE,E0DD\) where a fragment must begin"),
        (item(struct.pack("<2I", 0, 0)) + item(b"ab") * 2, 2, "does not lead to the frame's fragments"),
        (item(struct.pack("<2I", 0, 0xFFFFFFFE)) + item(b"ab") * 2, 2, "does not lead to the frame's fragments"),
        (item(struct.pack("<2I", 0, 9)) + item(b"ab") * 2, 2, "a fragment of 2 bytes, of which there are 1"),
        (item(struct.pack("<2I", 10, 0)) + item(b"ab") * 2, 2, "does not lead to the frame's fragments"),
        (item(struct.pack("<2I", 10, 20)) + item(b"ab") * 3, 2, "does not lead to the frame's fragments"),
    ],
)
def test_what_is_not_whole_or_does_not_fit(value: bytes, frames: int, why: str) -> None:
    with pytest.raises(PixelDataError, match=why):
        contents(value, frames)


@pytest.mark.parametrize(
    ("offsets", "lengths", "why"),
    [
        ((0, 14, 28), (6, 5), "not a length for each offset"),
        ((0, 14), (6, 5), "extended offset table has 2 offsets for 3 frames"),
        ((0, 14, 1 << 63), (6, 5, 8), "does not lead"),
        ((0, 14, 28), (6, 5, 1 << 63), "is not so long"),
        ((0, 14, 28), (6, 5, 6), "is not so long"),
        ((0, 14, 28), (0, 5, 8), "is not so long"),
        ((0, 14, 29), (6, 5, 8), "where a fragment must begin|fragment's header|fragment of"),
    ],
)
def test_extended_tables_that_are_wrong(offsets: tuple[int, ...], lengths: tuple[int, ...], why: str) -> None:
    made = encapsulate(FRAMES, table="extended")
    wrong = Encapsulated(
        made.value, struct.pack(f"<{len(offsets)}Q", *offsets), struct.pack(f"<{len(lengths)}Q", *lengths)
    )
    with pytest.raises(PixelDataError, match=why):
        contents(made.value, 3, wrong)


def test_fragments_without_end(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(encapsulation, "MAX_FRAGMENTS", 100)
    with pytest.raises(PixelDataError, match="more than 100 fragments"):
        contents(item(b"") * 200, 1)


def test_a_frame_of_others_is_none() -> None:
    made = table(encapsulate(FRAMES).value, 3)
    for number in (-1, 3):
        with pytest.raises(IndexError):
            made.fragments(number)


def test_what_cannot_be_encapsulated(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(ValueError, match="empty frame"):
        encapsulate([b"ab", b""])
    for size in (0, 3):
        with pytest.raises(ValueError, match="even length"):
            encapsulate([b"abcd"], max_fragment=size)
    with pytest.raises(ValueError, match="one fragment each"):
        encapsulate([b"abcd"], table="extended", max_fragment=2)
