"""The habits of a data set: access, changes, private blocks, sequences, copies; and what is understood though wrong."""

from __future__ import annotations

import datetime
import subprocess
import sys
from collections.abc import MutableSequence
from decimal import Decimal

import pytest
from pydicom_files import sample

from aiodicom.dataset import DA, DS, DT, IS, TM, UID, DataElement, Dataset, PersonName, Sequence, Tag
from aiodicom.dataset._dataset import decimal_text
from aiodicom.errors import DecodeError
from aiodicom.standard.transfer_syntaxes import (
    EXPLICIT_VR_BIG_ENDIAN,
    EXPLICIT_VR_LITTLE_ENDIAN,
    IMPLICIT_VR_LITTLE_ENDIAN,
)

JPEG = "1.2.840.10008.1.2.4.50"


def ct() -> Dataset:
    one = sample("test_files/CT_small.dcm")
    return Dataset.from_bytes(one.data, one.transfer_syntax)


def oracle_pixels(name: str) -> bytes:
    return bytes(sample(f"test_files/{name}").oracle().PixelData)


def round_trip(data_set: Dataset, syntax: str = EXPLICIT_VR_LITTLE_ENDIAN) -> Dataset:
    return Dataset.from_bytes(data_set.to_bytes(syntax), syntax, strict=True)


class TestAccess:
    def test_by_every_name(self) -> None:
        data_set = ct()
        assert data_set.PatientName == "CompressedSamples^CT1"
        keys = ("PatientName", 0x00100010, (0x0010, 0x0010), ("0010", "0010"), "0010,0010", "(0010,0010)", "00100010")
        for key in keys:
            assert data_set[key].value == "CompressedSamples^CT1"
            assert key in data_set
        element = data_set["PatientName"]
        assert (element.tag, element.vr, element.VR, element.keyword) == (0x00100010, "PN", "PN", "PatientName")
        assert (element.VM, element.name) == (1, "Patient's Name")
        assert str(element.tag) == "(0010,0010)"
        assert bytes(element.raw) == b"CompressedSamples^CT1 "

    def test_absent_and_empty(self) -> None:
        data_set = ct()
        assert "PatientAddress" not in data_set
        assert "NoSuchThing" not in data_set
        assert data_set.get("PatientAddress") is None
        assert data_set.get("PatientAddress", "?") == "?"
        assert data_set.get(0x00100040, "?") == data_set["PatientSex"]
        with pytest.raises(AttributeError, match="PatientAddress"):
            _ = data_set.PatientAddress
        with pytest.raises(KeyError):
            data_set["PatientAddress"]
        with pytest.raises(KeyError):
            data_set["NoSuchThing"]
        with pytest.raises(KeyError):
            del data_set["PatientAddress"]
        assert "ReferringPhysicianName" in data_set
        assert data_set["ReferringPhysicianName"].is_empty
        assert data_set.ReferringPhysicianName == ""
        for vr, keyword, empty in (("US", "Rows", None), ("DS", "SliceThickness", None), ("OW", "PixelData", None)):
            assert round_trip(Dataset([DataElement(keyword, vr, None)]))[keyword].value == empty

    @pytest.mark.parametrize("number", [-1, 1 << 32, 1 << 40, -(1 << 70)])
    def test_numbers_that_are_no_tags(self, number: int) -> None:
        data_set = Dataset(PatientName="A^B")
        with pytest.raises(KeyError):
            data_set[number]
        with pytest.raises(KeyError):
            del data_set[number]
        assert number not in data_set
        assert data_set.get(number) is None
        assert data_set.get(number, 5) == 5
        assert data_set.pop(number, 6) == 6

    def test_in_tag_order(self) -> None:
        data_set = ct()
        data_set.PatientComments = "x"
        data_set.add_new(0x00080001, "UL", 1)
        del data_set.PatientSex
        tags = [element.tag for element in data_set]
        assert tags == sorted(tags) == data_set.keys()
        assert len(data_set) == len(tags) == 258 + 1
        assert tags[0] == 0x00080001
        assert "PatientSex" not in data_set

    def test_dir_get_pop_and_their_like(self) -> None:
        data_set = ct()
        assert data_set.dir("patientn") == ["PatientName"]
        assert "PatientName" in dir(data_set)
        assert data_set.pop("PatientName").value == "CompressedSamples^CT1"
        assert data_set.pop("PatientName", None) is None
        assert data_set.setdefault("PatientName", "New").value == "New"
        assert data_set.data_element("PatientName") == DataElement(0x00100010, "PN", "New")
        assert [element.tag.group for element in data_set.group_dataset(0x10)] == [0x10] * len(
            data_set[0x00100000:0x00110000]
        )
        data_set.clear()
        assert len(data_set) == 0

    def test_other_attributes_are_just_that(self) -> None:
        data_set = Dataset()
        data_set.anything = 5
        assert data_set.anything == 5
        assert len(data_set) == 0
        assert data_set.file_meta is None
        data_set.file_meta = Dataset(TransferSyntaxUID="1.2")
        assert data_set.file_meta.TransferSyntaxUID == "1.2"

    def test_numpy_is_not_imported_by_reading(self) -> None:
        code = (
            "import sys; from aiodicom.dataset import Dataset; ds = Dataset(Rows=[1, 2]);"
            "ds = Dataset.from_bytes(ds.to_bytes()); assert ds.Rows == [1, 2]; sys.exit('numpy' in sys.modules)"
        )
        assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


class TestChanges:
    def test_only_what_changed_is_new(self) -> None:
        one = sample("test_files/CT_small.dcm")
        data_set = ct()
        uid = data_set.SOPInstanceUID
        data_set.SOPInstanceUID = uid[:-1] + "9"
        assert data_set.to_bytes() == one.data.replace(uid.encode(), uid[:-1].encode() + b"9", 1)
        data_set.SOPInstanceUID = uid
        del data_set.PatientName
        assert data_set.to_bytes() == one.data.replace(b"\x10\0\x10\0PN\x16\0CompressedSamples^CT1 ", b"", 1)

    @pytest.mark.parametrize("name", ["CT_small.dcm", "test-SR.dcm", "MR_small_RLE.dcm", "image_dfl.dcm"])
    def test_parts_are_the_bytes(self, name: str) -> None:
        one = sample(f"test_files/{name}")
        for buffer in (one.data, bytearray(one.data), memoryview(b"xx" + one.data)[2:]):
            data_set = Dataset.from_bytes(buffer, one.transfer_syntax)
            assert b"".join(data_set.to_parts()) == one.data
            data_set.SOPInstanceUID = "1.2.3"
            parts = data_set.to_parts()
            assert b"".join(parts) == data_set.to_bytes()
            if name == "CT_small.dcm":
                assert [type(part) for part in parts] == [bytes, memoryview]
                assert data_set.PixelData == bytes(data_set["PixelData"].raw) == oracle_pixels(name)

    def test_lists_and_items_may_be_changed_in_place(self) -> None:
        data_set = ct()
        data_set.ImageType.append("NEW")
        data_set.OtherPatientIDsSequence[0].PatientID = "CHANGED"
        data_set["OtherPatientIDsSequence"].value.append(Dataset(PatientID="THIRD"))
        again = Dataset.from_bytes(data_set.to_bytes(), strict=True)
        assert again.ImageType == ["ORIGINAL", "PRIMARY", "AXIAL", "NEW"]
        assert [item.PatientID for item in again.OtherPatientIDsSequence] == ["CHANGED", "1234ABCD", "THIRD"]
        assert again == data_set

    def test_an_element_is_a_view_until_it_is_given_a_value(self) -> None:
        data_set = ct()
        element = data_set["PatientID"]
        element.value = "NEW"
        assert data_set.PatientID == "NEW"
        element.value = "NEWER"
        assert data_set.PatientID == "NEWER"
        element.vr = "SH"
        assert data_set["PatientID"].vr == "SH"
        assert b"\x10\0\x20\0SH\x06\0NEWER " in data_set.to_bytes()

    def test_values_are_brought_into_their_type(self) -> None:
        data_set = Dataset(PatientName="A^B", InstanceNumber="7", PixelSpacing=[1, "2.50"], SOPInstanceUID="1.2")
        data_set.StudyDate = datetime.date(2026, 1, 2)
        data_set.StudyTime = datetime.time(3, 4, 5, 60)
        data_set.ImageType = "A\\B"
        data_set.FrameIncrementPointer = (0x0018, 0x1063)
        assert data_set.FrameIncrementPointer == 0x00181063
        data_set.FrameIncrementPointer = ("FrameTime", (0x0028, 0x0010))
        assert data_set.FrameIncrementPointer == [0x00181063, 0x00280010]
        data_set.FrameIncrementPointer = "Rows"
        assert isinstance(data_set.PatientName, PersonName)
        assert isinstance(data_set.InstanceNumber, IS)
        assert [str(value) for value in data_set.PixelSpacing] == ["1", "2.50"]
        assert isinstance(data_set.SOPInstanceUID, UID)
        assert (data_set.StudyDate, data_set.StudyTime) == ("20260102", "030405.000060")
        assert data_set.ImageType == ["A", "B"]
        assert data_set.FrameIncrementPointer == 0x00280010
        data_set.ImageType = ["ONE"]
        assert data_set.ImageType == "ONE"
        assert round_trip(data_set) == data_set

    @pytest.mark.parametrize(
        ("keyword", "value"),
        [
            ("Rows", "many"),
            ("PatientID", 5),
            ("PixelData", "text"),
            ("InstanceNumber", 1.5),
            ("PixelSpacing", float("nan")),
        ],
    )
    def test_values_that_cannot_be(self, keyword: str, value: object) -> None:
        with pytest.raises((TypeError, ValueError)):
            setattr(Dataset(), keyword, value)
        with pytest.raises(TypeError):
            Dataset().ReferencedImageSequence = [5]

    def test_a_misspelt_keyword_is_told_of(self) -> None:
        data_set = Dataset()
        with pytest.warns(UserWarning, match="PatientNmae is no keyword") as caught:
            data_set.PatientNmae = "Doe^Jane"
        assert [each.filename for each in caught] == [__file__]
        assert len(data_set) == 0
        assert data_set.PatientNmae == "Doe^Jane"
        data_set.patient_name = data_set.URL = data_set._Private = 1  # nobody's keywords

    def test_numbers_out_of_range_are_named(self) -> None:
        for keyword, value in (("Rows", 65536), ("Rows", -1), ("ReferencePixelX0", 2**31), ("SelectorUVValue", -1)):
            with pytest.raises(ValueError, match=r"\([0-9A-F]{4},[0-9A-F]{4}\)"):
                Dataset(**{keyword: value}).to_bytes()

    def test_group_lengths_go_when_something_changes(self) -> None:
        data = bytes.fromhex("0800000055 4c0400 0a000000 080060004353 0200 4354".replace(" ", ""))
        data_set = Dataset.from_bytes(data)
        assert data_set.to_bytes() == data
        data_set.PatientID = "1"
        assert Tag(0x00080000) not in Dataset.from_bytes(data_set.to_bytes())


class TestSequences:
    def test_lengths_as_wished(self) -> None:
        data_set = Dataset(ReferencedImageSequence=[Dataset(ReferencedSOPInstanceUID="1.2"), Dataset()])
        explicit, undefined = data_set.to_bytes(), data_set.to_bytes(lengths="undefined")
        assert b"\xff\xff\xff\xff" not in explicit
        assert undefined.count(b"\xff\xff\xff\xff") == 3
        assert Dataset.from_bytes(undefined).to_bytes(lengths="explicit") == explicit
        assert Dataset.from_bytes(explicit).to_bytes(lengths="undefined") == undefined
        changed = Dataset.from_bytes(undefined)
        changed.ReferencedImageSequence[0].ReferencedSOPInstanceUID = "1.3"
        assert changed.to_bytes() == undefined.replace(b"1.2", b"1.3")
        with pytest.raises(ValueError, match="lengths"):
            data_set.to_bytes(lengths="any")

    def test_walk_and_iterall(self) -> None:
        one = sample("test_files/test-SR.dcm")
        data_set = Dataset.from_bytes(one.data, one.transfer_syntax)
        seen: list[Tag] = []
        data_set.walk(lambda _, element: seen.append(element.tag))
        assert len(seen) == len(list(data_set.iterall())) == sum(1 for _ in one.oracle().iterall())

        def remove(where: Dataset, element: DataElement) -> None:
            if element.vr == "PN":
                del where[element.tag]

        data_set.walk(remove)
        again = Dataset.from_bytes(data_set.to_bytes())
        assert not [element for element in again.iterall() if element.vr == "PN"]

    def test_a_sequence_that_holds_itself_is_refused(self) -> None:
        data_set = Dataset()
        data_set.ReferencedImageSequence = Sequence([data_set])
        with pytest.raises(ValueError, match="nested too deeply") as caught:
            data_set.to_bytes()
        assert len(str(caught.value)) < 100

    def test_a_sequence_has_the_methods_of_a_list(self) -> None:
        one, two, three = (Dataset(Rows=number) for number in (1, 2, 3))
        made = Dataset(ReferencedImageSequence=[one, two])
        for sequence in (made.ReferencedImageSequence, Dataset.from_bytes(made.to_bytes()).ReferencedImageSequence):
            assert isinstance(sequence, MutableSequence)
            assert sequence == [one, two] == list(sequence)
            assert sequence != Sequence()
            assert (sequence[-1], sequence[:1], len(sequence)) == (two, [one], 2)
            assert sequence[0] is sequence[0]
            with pytest.raises(IndexError):
                _ = sequence[2]
            assert two in sequence
            assert (sequence.index(two), sequence.count(two)) == (1, 1)
            sequence.append(three)
            sequence.insert(0, three)
            sequence.reverse()
            sequence += [one]
            sequence.extend([two])
            assert [item.Rows for item in sequence] == [3, 2, 1, 3, 1, 2]
            sequence.sort(key=lambda item: item.Rows)
            assert sequence.pop() is three
            sequence.remove(one)
            del sequence[0]
            sequence[0] = three
            assert [item.Rows for item in sequence] == [3, 2, 3]
            sequence[:] = [two]
            assert sequence == [two]
            sequence.clear()
            assert not sequence
            for method, arguments in (("append", (5,)), ("extend", ([5],)), ("insert", (0, 5))):
                with pytest.raises(TypeError, match="items of a sequence are data sets"):
                    getattr(sequence, method)(*arguments)
            assert len(sequence) == 0

    def test_changes_of_a_decoded_sequence_are_encoded(self) -> None:
        made = Dataset(ReferencedImageSequence=[Dataset(Rows=number) for number in range(3)])
        for change in (
            lambda sequence: sequence.pop(),
            lambda sequence: sequence.reverse(),
            lambda sequence: sequence.__setitem__(1, Dataset(Rows=9)),
            lambda sequence: setattr(sequence[2], "Rows", 7),
            lambda sequence: sequence.insert(0, Dataset(Rows=5)),
        ):
            data_set = Dataset.from_bytes(made.to_bytes())
            change(data_set.ReferencedImageSequence)
            rows = [item.Rows for item in data_set.ReferencedImageSequence]
            assert rows != [0, 1, 2]
            again = Dataset.from_bytes(data_set.to_bytes())
            assert [item.Rows for item in again.ReferencedImageSequence] == rows


class TestPrivate:
    def test_blocks(self) -> None:
        data_set = Dataset()
        block = data_set.private_block(0x0041, "ACME 3.2", create=True)
        block.add_new(0x42, "SH", "hello")
        data_set.private_block(0x0041, "OTHER", create=True).add_new(0x42, "US", 7)
        again = round_trip(data_set)
        assert again.get_private_item(0x0041, 0x42, "ACME 3.2").value == "hello"
        assert again.private_block(0x0041, "OTHER").get_tag(0x42) == 0x00411142
        assert again.private_creators(0x0041) == ["ACME 3.2", "OTHER"]
        assert 0x42 in again.private_block(0x0041, "OTHER")
        with pytest.raises(KeyError):
            again.private_block(0x0041, "NOBODY")
        with pytest.raises(ValueError, match="private group"):
            again.private_block(0x0040, "ACME 3.2")
        again.remove_private_tags()
        assert len(again) == 0

    def test_vr_by_creator_in_implicit_vr(self) -> None:
        data_set = Dataset()
        data_set.private_block(0x0009, "GEMS_IDEN_01", create=True).add_new(0x01, "LO", "GE")
        data_set.private_block(0x0009, "NOBODY", create=True).add_new(0x01, "LO", "raw ")
        again = round_trip(data_set, IMPLICIT_VR_LITTLE_ENDIAN)
        assert again.get_private_item(0x0009, 0x01, "GEMS_IDEN_01").vr == "LO"
        assert again.get_private_item(0x0009, 0x01, "NOBODY").value == b"raw "

    def test_a_private_sequence_survives_implicit_vr(self) -> None:
        data_set = Dataset()
        data_set.private_block(0x0009, "NOBODY", create=True).add_new(0x01, "SQ", [Dataset(PatientID="1")])
        for lengths in ("kept", "explicit", "undefined"):
            encoded = data_set.to_bytes(IMPLICIT_VR_LITTLE_ENDIAN, lengths=lengths)
            assert Dataset.from_bytes(encoded, IMPLICIT_VR_LITTLE_ENDIAN, strict=True) == data_set


class TestContext:
    @pytest.mark.parametrize(("representation", "vr"), [(0, "US"), (1, "SS"), (None, "US")])
    def test_us_or_ss(self, representation: int | None, vr: str) -> None:
        value = 5 if representation is None else -5 if representation else 65000
        data_set = Dataset(SmallestImagePixelValue=value, ModalityLUTSequence=[Dataset(LUTDescriptor=[2, value, 16])])
        if representation is not None:
            data_set.PixelRepresentation = representation
        for syntax in (IMPLICIT_VR_LITTLE_ENDIAN, EXPLICIT_VR_LITTLE_ENDIAN, EXPLICIT_VR_BIG_ENDIAN):
            again = round_trip(data_set, syntax)
            assert (again["SmallestImagePixelValue"].vr, again.SmallestImagePixelValue) == (vr, value)

    def test_lut_data(self) -> None:
        one = Dataset(LUTDescriptor=[1, 0, 16], LUTData=[7])
        many = Dataset(LUTDescriptor=[2, 0, 16], LUTData=b"\1\0\2\0")
        for data_set, vr in ((one, "US"), (many, "OW")):
            again = round_trip(data_set, IMPLICIT_VR_LITTLE_ENDIAN)
            assert again["LUTData"].vr == vr
            assert again.LUTData == data_set.LUTData

    def test_pixel_data(self) -> None:
        data_set = Dataset(BitsAllocated=16, PixelData=b"\1\2\3\4", OverlayData=b"\5\6")
        for syntax in (IMPLICIT_VR_LITTLE_ENDIAN, EXPLICIT_VR_LITTLE_ENDIAN, EXPLICIT_VR_BIG_ENDIAN):
            again = round_trip(data_set, syntax)
            assert [again[key].vr for key in ("PixelData", "OverlayData")] == ["OW", "OW"]
            assert (again.PixelData, again.OverlayData) == (b"\1\2\3\4", b"\5\6")
        assert bytes(again["PixelData"].raw) == b"\2\1\4\3"
        assert again["PixelData"].to_numpy().tolist() == [0x0201, 0x0403]
        data_set.BitsAllocated = 8
        assert round_trip(data_set)["PixelData"].vr == "OB"

    def test_encapsulated_pixel_data(self) -> None:
        fragments = bytes.fromhex("feff00e000000000 feff00e004000000 01020304".replace(" ", ""))
        data_set = Dataset(PixelData=fragments)
        encoded = data_set.to_bytes(JPEG)
        assert encoded.endswith(b"\xff\xff\xff\xff" + fragments + bytes.fromhex("feffdde000000000"))
        again = Dataset.from_bytes(encoded, JPEG, strict=True)
        assert again.PixelData == fragments
        assert again["PixelData"].undefined_length
        assert [bytes(one) for one in again["PixelData"].fragments] == [b"", b"\1\2\3\4"]
        again.PatientID = "1"
        assert again.to_bytes().endswith(encoded)
        data_set["PixelData"].is_undefined_length = True
        for one in (again, data_set):
            with pytest.raises(ValueError, match="encapsulated"):
                one.to_bytes(EXPLICIT_VR_LITTLE_ENDIAN)
        with pytest.raises(ValueError, match="not encapsulated"):
            Dataset(PixelData=b"\1\2").to_bytes(JPEG)

    def test_un_with_a_known_tag(self) -> None:
        item = Dataset(ReferencedSOPInstanceUID="1.2").to_bytes(IMPLICIT_VR_LITTLE_ENDIAN)
        sequence = b"\xfe\xff\x00\xe0" + len(item).to_bytes(4, "little") + item
        data = (
            b"\x08\0\x40\x11UN\0\0" + len(sequence).to_bytes(4, "little") + sequence
            + b"\x28\0\x10\0UN\0\0\2\0\0\0\7\0"
            + b"\x29\0\x10\0UN\0\0\2\0\0\0\7\0"
        )  # fmt: skip
        data_set = Dataset.from_bytes(data)
        assert data_set.ReferencedImageSequence[0].ReferencedSOPInstanceUID == "1.2"
        assert data_set.Rows == 7
        again = Dataset.from_bytes(data_set.to_bytes(EXPLICIT_VR_BIG_ENDIAN), EXPLICIT_VR_BIG_ENDIAN)
        assert again == data_set
        assert again.Rows == 7

    def test_another_character_set_encodes_text_anew(self) -> None:
        data_set = Dataset(SpecificCharacterSet="ISO_IR 100", PatientName="Ä^Ö")
        data_set.ReferencedPatientSequence = [Dataset(PatientName="Ü"), Dataset(PatientID="plain")]
        decoded = round_trip(data_set)
        decoded.SpecificCharacterSet = "ISO_IR 192"
        encoded = decoded.to_bytes()
        assert "Ä^Ö".encode() in encoded
        assert "Ü".encode() in encoded
        again = Dataset.from_bytes(encoded)
        assert (again.PatientName, again.ReferencedPatientSequence[0].PatientName) == ("Ä^Ö", "Ü")


class TestTolerance:
    def test_implicit_under_an_explicit_label_and_the_reverse(self) -> None:
        data_set = Dataset(
            Modality="CT", PatientName="A", ReferencedImageSequence=[Dataset(ReferencedSOPInstanceUID="1")]
        )
        implicit, explicit = data_set.to_bytes(IMPLICIT_VR_LITTLE_ENDIAN), data_set.to_bytes()
        big = data_set.to_bytes(EXPLICIT_VR_BIG_ENDIAN)
        for data, label, good in (
            (implicit, EXPLICIT_VR_LITTLE_ENDIAN, explicit),
            (explicit, IMPLICIT_VR_LITTLE_ENDIAN, implicit),
            (big, EXPLICIT_VR_LITTLE_ENDIAN, explicit),
            (explicit, EXPLICIT_VR_BIG_ENDIAN, big),
        ):
            wrong = Dataset.from_bytes(data, label)
            assert wrong == data_set
            assert wrong.to_bytes() == data
            assert wrong.to_bytes(label) == good

    def test_one_element_in_implicit_vr(self) -> None:
        good = Dataset(Modality="CT").to_bytes()
        data = good + Dataset(PatientID="1234").to_bytes(IMPLICIT_VR_LITTLE_ENDIAN)
        data_set = Dataset.from_bytes(data)
        assert (data_set.PatientID, data_set["PatientID"].vr) == ("1234", "LO")
        assert data_set.to_bytes() == data
        data_set.Modality = "MR"
        assert Dataset.from_bytes(data_set.to_bytes(), strict=True).PatientID == "1234"
        with pytest.raises(DecodeError, match="VR"):
            Dataset.from_bytes(data, strict=True)

    def test_out_of_order_and_repeated(self) -> None:
        first, second = Dataset(PatientID="1").to_bytes(), Dataset(Modality="CT").to_bytes()
        data_set = Dataset.from_bytes(first + second + first.replace(b"1", b"2"))
        assert [str(element.value) for element in data_set] == ["CT", "2"]
        assert data_set.to_bytes() == first + second + first.replace(b"1", b"2")
        with pytest.raises(DecodeError, match="order"):
            Dataset.from_bytes(first + second, strict=True)

    def test_odd_length(self) -> None:
        data = b"\x08\0\x60\0CS\3\0CT1" + b"\x10\0\x20\0LO\2\0ab"
        data_set = Dataset.from_bytes(data)
        assert (data_set.Modality, data_set.PatientID) == ("CT1", "ab")
        data_set.PatientID = "x"
        assert data_set.to_bytes() == b"\x08\0\x60\0CS\4\0CT1 " + b"\x10\0\x20\0LO\2\0x "
        with pytest.raises(DecodeError, match="odd"):
            Dataset.from_bytes(data, strict=True)

    @pytest.mark.parametrize("padding", [b"\0", b"\0" * 7, b"\0" * 1000])
    def test_padding(self, padding: bytes) -> None:
        data = Dataset(PatientID="1").to_bytes() + padding
        data_set = Dataset.from_bytes(data)
        assert (len(data_set), data_set.truncated, data_set.to_bytes()) == (1, None, data)

    def test_delimiters_that_are_wrong(self) -> None:
        item_end, sequence_end = bytes.fromhex("feff0de000000000"), bytes.fromhex("feffdde000000000")
        good = Dataset(ReferencedImageSequence=[Dataset(ReferencedSOPInstanceUID="1.2")]).to_bytes(lengths="undefined")
        rest = Dataset(PatientID="1").to_bytes()
        for wrong in (
            good.replace(item_end, b""),
            good.replace(item_end, item_end + item_end),
            good.replace(sequence_end, b""),
            good + sequence_end,
            good + item_end,
        ):
            data_set = Dataset.from_bytes(wrong + rest)
            assert data_set.ReferencedImageSequence[0].ReferencedSOPInstanceUID == "1.2"
            assert data_set.PatientID == "1"
            with pytest.raises(DecodeError):
                list(Dataset.from_bytes(wrong + rest, strict=True).iterall())

    def test_stop_before(self) -> None:
        one = sample("test_files/CT_small.dcm")
        data_set = Dataset.from_bytes(one.data, one.transfer_syntax, stop_before="PixelData")
        assert "PixelData" not in data_set
        assert data_set.to_bytes() == one.data[: ct()["PixelData"].offset - 12]
        assert len(Dataset.from_bytes(one.data, one.transfer_syntax, stop_before=0x00100000)) < len(data_set)
        stored = Dataset.from_file(one.path, one.transfer_syntax, offset=one.offset, stop_before="PixelData")
        assert stored == data_set


class TestValues:
    def test_decimal_strings(self) -> None:
        value = round_trip(Dataset([DataElement("SliceThickness", "DS", " 1.50 ")])).SliceThickness
        assert (value, str(value), value.text, value.decimal) == (1.5, "1.50", "1.50", Decimal("1.50"))
        assert value + 1 == 2.5
        for text in ("0.1", "-1e-5", "123456789012345", "1234567890123456", ".5", "5.", "+3", "1e22", "1E+300", "-0"):
            decoded = Dataset.from_bytes(Dataset([DataElement("SliceThickness", "DS", text)]).to_bytes())
            assert decoded.SliceThickness == float(text)
            assert str(decoded.SliceThickness) == text
        for text in ("abc", "1_0", "1,5", "--1"):
            raw = Dataset([DataElement("SliceThickness", "LO", text)]).to_bytes().replace(b"LO", b"DS")
            assert Dataset.from_bytes(raw).SliceThickness == text

    def test_integer_strings(self) -> None:
        for text, number in (
            ("7", 7),
            ("+07", 7),
            ("-12", -12),
            ("0", 0),
            ("2147483647", 2147483647),
            ("1.0", 1),
            ("00", 0),
        ):
            raw = Dataset([DataElement("InstanceNumber", "LO", text)]).to_bytes().replace(b"LO", b"IS")
            value = Dataset.from_bytes(raw).InstanceNumber
            assert (int(value), str(value), type(value).__mro__[-2]) == (number, text, int)

    @pytest.mark.parametrize(
        "number", [1 / 3, -1 / 3, 1e-300 / 3, 123456789.123456789, 0.1, 5e-324, -1.7976931348623157e308]
    )
    def test_decimal_text_fits(self, number: float) -> None:
        text = decimal_text(number)
        assert len(text) <= 16
        assert float(text) == pytest.approx(number, rel=1e-8)

    def test_dates_and_times(self) -> None:
        assert DA("20260102").date == datetime.date(2026, 1, 2)
        assert DA("2026.01.02").date == datetime.date(2026, 1, 2)
        assert DA("20260230").date is None
        assert DA("").date is None
        assert TM("0304").time == datetime.time(3, 4)
        assert TM("030405.6").time == datetime.time(3, 4, 5, 600_000)
        assert TM("235960").time == datetime.time(23, 59, 59, 999_999)
        assert TM("99").time is None
        zone = datetime.timezone(datetime.timedelta(hours=-5, minutes=-30))
        assert DT("20260102030405.5-0530").datetime == datetime.datetime(2026, 1, 2, 3, 4, 5, 500_000, zone)
        assert DT("2026").datetime == datetime.datetime(2026, 1, 1)
        assert DT("2026010203").datetime == datetime.datetime(2026, 1, 2, 3)
        assert DT("x").datetime is None

    def test_names(self) -> None:
        name = PersonName("Yamada^Tarou^M^Dr^Jr=山田^太郎=やまだ^たろう")
        assert (name.family_name, name.given_name, name.middle_name) == ("Yamada", "Tarou", "M")
        assert (name.name_prefix, name.name_suffix) == ("Dr", "Jr")
        assert (name.ideographic, name.phonetic) == ("山田^太郎", "やまだ^たろう")
        assert name.formatted("%(family_name)s, %(given_name)s") == name.family_comma_given() == "Yamada, Tarou"
        assert PersonName.from_named_components(family_name="A", given_name="B") == "A^B"

    def test_several_values_and_multiplicity(self) -> None:
        data_set = ct()
        assert data_set["ImageType"].VM == 3
        assert data_set["PatientName"].VM == 1
        assert data_set["ReferringPhysicianName"].VM == 0
        assert data_set["OtherPatientIDsSequence"].VM == 1
        assert data_set["ReferringPhysicianName"].values == []
        assert data_set["Rows"].values == [128]
        assert data_set["ImageType"].text == "ORIGINAL\\PRIMARY\\AXIAL"

    def test_numbers_of_no_whole_length_are_bytes(self) -> None:
        data_set = Dataset.from_bytes(b"\x28\0\x10\0US\3\0\1\2\3")
        assert data_set.Rows == b"\1\2\3"

    def test_exact_types(self) -> None:
        assert DS("1.0").text == "1.0"
        assert UID("1.2.840").is_valid
        assert not UID("1.02").is_valid
        assert not UID("..").is_valid
        assert Tag(0x00091001).is_private
        assert Tag(0x00091001).private_creator == 0x00090010


def test_a_specific_character_set_that_is_none() -> None:
    data_set = Dataset(PatientName="A^B")
    data_set.add_new("SpecificCharacterSet", "SQ", [Dataset(PatientID="1")])
    assert Dataset.from_bytes(data_set.to_bytes()).PatientName == "A^B"
    data_set.add_new("SpecificCharacterSet", "US", 5)
    assert Dataset.from_bytes(data_set.to_bytes()).PatientName == "A^B"
