"""Data sets as they are sent and received: encoded anew as the peer accepts them, decoded when a handler asks."""

from __future__ import annotations

import asyncio
import os
import threading
import tracemalloc
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pydicom
import pytest
from pydicom.data import get_testdata_file

import aiodicom
from aiodicom import errors
from aiodicom.net import reencoding
from aiodicom.part10.meta import read_file_meta
from aiodicom.standard.uids import (
    DEFLATED_EXPLICIT_VR_LITTLE_ENDIAN,
    EXPLICIT_VR_BIG_ENDIAN,
    EXPLICIT_VR_LITTLE_ENDIAN,
    IMPLICIT_VR_LITTLE_ENDIAN,
)
from aiodicom.store.spool import SpoolFile
from tests.net.sides import until
from tests.oracle import meaning, read_data_set

CT = "1.2.840.10008.5.1.4.1.1.2"
NATIVE = {
    "explicit": EXPLICIT_VR_LITTLE_ENDIAN,
    "implicit": IMPLICIT_VR_LITTLE_ENDIAN,
    "deflated": DEFLATED_EXPLICIT_VR_LITTLE_ENDIAN,
    "big": EXPLICIT_VR_BIG_ENDIAN,
}
FILES = {
    "explicit": "CT_small.dcm",
    "implicit": "MR_small_implicit.dcm",
    "deflated": "image_dfl.dcm",
    "big": "MR_small_bigendian.dcm",
}


def file_of(name: str) -> Path:
    return Path(str(get_testdata_file(name)))


class Archive:
    """A server that accepts one transfer syntax, and what it has got: SOP class, instance, transfer syntax, data."""

    def __init__(self, *syntaxes: str) -> None:
        self.objects: list[tuple[str, str, str, bytes]] = []
        self.server = aiodicom.Server(contexts=aiodicom.Support({}, syntaxes), window=8)
        self.server.on_c_store(self.keep)

    def keep(self, request: aiodicom.StoreRequest) -> None:
        uids = request.affected_sop_class_uid, request.affected_sop_instance_uid, request.context.transfer_syntax
        self.objects.append((*uids, bytes(request.data)))


@asynccontextmanager
async def archive_of(*syntaxes: str, sop_class: str) -> AsyncIterator[tuple[Archive, aiodicom.Association]]:
    archive = Archive(*syntaxes)
    contexts = [(sop_class, [syntax]) for syntax in syntaxes]
    async with (
        archive.server.listen("127.0.0.1", 0) as listening,
        aiodicom.connect("127.0.0.1", listening.port, contexts=contexts, window=4) as association,
    ):
        yield archive, association


def as_path(path: Path) -> Any:
    return path


def as_bytes(path: Path) -> Any:
    return path.read_bytes()


def as_dataset(path: Path) -> Any:
    return aiodicom.dcmread(path)


def as_pydicom(path: Path) -> Any:
    return pydicom.dcmread(path)


FORMS: list[Callable[[Path], Any]] = [as_path, as_bytes, as_dataset, as_pydicom]


@pytest.mark.parametrize("target", NATIVE)
@pytest.mark.parametrize("own", FILES)
@pytest.mark.parametrize("form", FORMS)
async def test_native_data_sets_are_sent_as_the_peer_accepts_them(
    form: Callable[[Path], Any], own: str, target: str
) -> None:
    path = file_of(FILES[own])
    meta = read_file_meta(path.read_bytes())
    async with archive_of(NATIVE[target], sop_class=meta.sop_class_uid) as (archive, association):
        response = await association.c_store(form(path))
        assert response.status is aiodicom.Status.SUCCESS
    ((sop_class, instance, syntax, data),) = archive.objects
    assert (sop_class, instance, syntax) == (meta.sop_class_uid, meta.sop_instance_uid, NATIVE[target])
    assert meaning(read_data_set(data, syntax)) == meaning(pydicom.dcmread(path))
    if own == target:
        stored = path.read_bytes()[meta.data_offset :]
        assert data in (stored, stored + b"\0") or form is as_pydicom


@pytest.mark.parametrize("form", FORMS)
async def test_what_the_peer_accepts_is_not_parsed(
    form: Callable[[Path], Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    """In all four, each goes in its own."""

    def never(*_: object) -> bytes:
        raise AssertionError("it was parsed")

    if form in (as_path, as_bytes):
        monkeypatch.setattr(reencoding, "encode_file", never)
        monkeypatch.setattr(reencoding, "encode_memory", never)
    for own, name in FILES.items():
        path = file_of(name)
        meta = read_file_meta(path.read_bytes())
        async with archive_of(*NATIVE.values(), sop_class=meta.sop_class_uid) as (archive, association):
            await association.c_store(form(path))
        assert archive.objects[0][2] == NATIVE[own]


async def test_encoded_bytes_with_their_uids() -> None:
    data_set = aiodicom.Dataset(PatientName="A^B", Rows=512)
    async with archive_of(IMPLICIT_VR_LITTLE_ENDIAN, sop_class=CT) as (archive, association):
        await association.c_store(
            data_set.to_bytes(EXPLICIT_VR_BIG_ENDIAN),
            sop_class_uid=CT,
            sop_instance_uid="1.2.3",
            transfer_syntax=EXPLICIT_VR_BIG_ENDIAN,
        )
    assert archive.objects == [(CT, "1.2.3", IMPLICIT_VR_LITTLE_ENDIAN, data_set.to_bytes(IMPLICIT_VR_LITTLE_ENDIAN))]


@pytest.mark.parametrize("make", [aiodicom.Dataset, pydicom.Dataset])
async def test_a_data_set_made_anew(make: Any) -> None:
    data_set = make()
    data_set.SOPClassUID, data_set.SOPInstanceUID, data_set.PatientName = CT, "1.2.4", "A^B"
    async with archive_of(EXPLICIT_VR_BIG_ENDIAN, IMPLICIT_VR_LITTLE_ENDIAN, sop_class=CT) as (archive, association):
        await association.c_store(data_set)
        await association.c_store(data_set, sop_instance_uid="1.2.5")
    assert [each[:3] for each in archive.objects] == [
        (CT, "1.2.4", IMPLICIT_VR_LITTLE_ENDIAN),
        (CT, "1.2.5", IMPLICIT_VR_LITTLE_ENDIAN),
    ]
    assert read_data_set(archive.objects[0][3], IMPLICIT_VR_LITTLE_ENDIAN).PatientName == "A^B"


async def test_the_data_set_knows_its_uid_better_than_its_file_meta_information() -> None:
    data_set = aiodicom.dcmread(file_of("CT_small.dcm"))
    data_set.SOPInstanceUID = "1.2.3.4"
    bare = aiodicom.Dataset(PatientName="A^B")
    bare.file_meta = data_set.file_meta
    async with archive_of(EXPLICIT_VR_LITTLE_ENDIAN, sop_class=CT) as (archive, association):
        await association.c_store(data_set)
        await association.c_store(bare)
    assert data_set.file_meta is not None
    assert [each[1] for each in archive.objects] == ["1.2.3.4", data_set.file_meta.MediaStorageSOPInstanceUID]


@pytest.mark.parametrize("data_set", [aiodicom.Dataset(SOPClassUID=CT), pydicom.Dataset()])
async def test_a_data_set_that_does_not_say_what_it_is(data_set: Any) -> None:
    async with archive_of(EXPLICIT_VR_LITTLE_ENDIAN, sop_class=CT) as (_, association):
        with pytest.raises(errors.LocalError, match="the data set has no SOP"):
            await association.c_store(data_set)


@pytest.mark.parametrize("form", FORMS)
async def test_encapsulated_pixels_are_sent_as_they_stand(form: Callable[[Path], Any]) -> None:
    path = file_of("JPEG-lossy.dcm")
    meta = read_file_meta(path.read_bytes())
    async with archive_of(*NATIVE.values(), sop_class=meta.sop_class_uid) as (archive, association):
        with pytest.raises(errors.ContextNotAccepted, match="in JPEG Extended"):
            await association.c_store(form(path), transcode="never")
    assert archive.objects == []
    async with archive_of(meta.transfer_syntax, sop_class=meta.sop_class_uid) as (archive, association):
        await association.c_store(form(path))
    ((*_, data),) = archive.objects
    assert data == path.read_bytes()[meta.data_offset :] or form is as_pydicom


async def test_what_is_not_what_it_is_called(tmp_path: Path) -> None:
    """Fragments under a native label cannot be sent in another one; a file that was cut is not sent as if whole."""
    data_set = aiodicom.dcmread(file_of("CT_small.dcm"))
    whole = file_of("CT_small.dcm").read_bytes()
    (tmp_path / "cut").write_bytes(whole[:-1000])
    fragments = aiodicom.dcmread(file_of("JPEG-lossy.dcm"))
    fragments.SOPClassUID = CT
    assert fragments.file_meta is not None
    fragments.file_meta.TransferSyntaxUID = EXPLICIT_VR_LITTLE_ENDIAN
    async with archive_of(IMPLICIT_VR_LITTLE_ENDIAN, sop_class=CT) as (archive, association):
        with pytest.raises(errors.DecodeError):
            await association.c_store(tmp_path / "cut")
        with pytest.raises(errors.LocalError, match="encapsulated"):
            await association.c_store(fragments)
        broken = aiodicom.Dataset(SOPClassUID=CT, SOPInstanceUID="1.2")
        broken.Rows = 70_000
        with pytest.raises(errors.LocalError, match="cannot be encoded"):
            await association.c_store(broken)
        del broken.Rows
        broken.PatientName = "山田"
        with pytest.raises(errors.LocalError, match=r"PatientName .* cannot be encoded"):
            await association.c_store(broken)
        await association.c_store(data_set)
    assert len(archive.objects) == 1


# --- large files


def large_file(path: Path, syntax: str, size: int) -> aiodicom.Dataset:
    """A file with long values of several kinds in the middle and at the end, and short ones between and behind."""
    data_set = aiodicom.Dataset(SOPClassUID=CT, SOPInstanceUID="1.2.3", PatientName="A^B", PixelRepresentation=1)
    data_set.add_new(0x00090010, "LO", "CREATOR")
    data_set.add_new(0x00091001, "OB", os.urandom(100_001) + b"\0")
    data_set.add_new(0x00091002, "UN", os.urandom(100_000))
    data_set.add_new("TextValue", "UT", "text " * 20_001)
    data_set.add_new("SmallestImagePixelValue", "SS", -5)
    data_set.add_new("RedPaletteColorLookupTableData", "OW", os.urandom(80_000))
    data_set.add_new("FloatPixelData", "OF", os.urandom(80_000))
    data_set.add_new("PixelData", "OW", os.urandom(size))
    data_set.add_new("DataSetTrailingPadding", "OB", bytes(8))
    aiodicom.dcmwrite(path, data_set, transfer_syntax=syntax)
    return data_set


@pytest.mark.parametrize("target", NATIVE)
@pytest.mark.parametrize("own", NATIVE)
def test_a_large_file_is_encoded_as_a_small_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, own: str, target: str
) -> None:
    monkeypatch.setattr(reencoding, "IN_MEMORY", 1000)
    path = tmp_path / "large"
    large_file(path, NATIVE[own], 300_000)
    content = path.read_bytes()
    offset = read_file_meta(content).data_offset
    wanted = reencoding.encode_memory(memoryview(content)[offset:], NATIVE[own], NATIVE[target])
    encoded = reencoding.encode_file(os.open(path, os.O_RDONLY), offset, NATIVE[own], NATIVE[target])
    if own == "deflated":
        assert encoded == wanted
        return
    assert isinstance(encoded.data, SpoolFile)
    with encoded.data.file as file:
        assert encoded.data.size == os.fstat(file.fileno()).st_size
        made = file.read()
    if target == "deflated":
        assert aiodicom.Dataset.from_bytes(made, NATIVE[target], strict=True) == aiodicom.Dataset.from_bytes(
            bytes(wanted.data), NATIVE[target]
        )
    else:
        assert made == wanted.data


def test_values_too_long_for_their_vr(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """In explicit VR they are UN (PS3.5 6.2.2)."""
    monkeypatch.setattr(reencoding, "IN_MEMORY", 1000)
    path = tmp_path / "long"
    data_set = aiodicom.Dataset(SOPClassUID=CT, SOPInstanceUID="1.2.3")
    data_set.add_new("ContourData", "DS", ["1.5"] * 20_000)
    aiodicom.dcmwrite(path, data_set, transfer_syntax=IMPLICIT_VR_LITTLE_ENDIAN)
    content = path.read_bytes()
    offset = read_file_meta(content).data_offset
    encoded = reencoding.encode_file(
        os.open(path, os.O_RDONLY), offset, IMPLICIT_VR_LITTLE_ENDIAN, EXPLICIT_VR_LITTLE_ENDIAN
    )
    assert isinstance(encoded.data, SpoolFile)
    with encoded.data.file as file:
        made = file.read()
    assert made == aiodicom.Dataset.from_bytes(memoryview(content)[offset:], IMPLICIT_VR_LITTLE_ENDIAN).to_bytes(
        EXPLICIT_VR_LITTLE_ENDIAN
    )


async def test_a_large_file_needs_little_memory(tmp_path: Path) -> None:
    size = 48 << 20
    path = tmp_path / "large"
    large_file(path, EXPLICIT_VR_LITTLE_ENDIAN, size)
    received = 0
    server = aiodicom.Server(contexts=aiodicom.Support({}, (IMPLICIT_VR_LITTLE_ENDIAN,)))

    @server.on_c_store(body=aiodicom.Streamed())
    async def count(request: aiodicom.StoreRequest) -> None:
        nonlocal received
        async for fragment in request:
            received += len(fragment)

    contexts = [(CT, [IMPLICIT_VR_LITTLE_ENDIAN])]
    async with (
        server.listen("127.0.0.1", 0) as listening,
        aiodicom.connect("127.0.0.1", listening.port, contexts=contexts) as association,
    ):
        tracemalloc.start()
        try:
            await association.c_store(path)
            _, peak = tracemalloc.get_traced_memory()
        finally:
            tracemalloc.stop()
    assert received > size
    assert peak < 12 << 20


# --- while it is encoded


async def test_cancelled_while_it_is_encoded(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """The association stays usable, and what the thread makes is dropped."""
    loop = asyncio.get_running_loop()
    encoding, may_go_on = asyncio.Event(), threading.Event()
    made: list[Any] = []
    encode = reencoding.encode_file
    monkeypatch.setattr(reencoding, "IN_MEMORY", 1000)

    def held_up(*arguments: Any) -> Any:
        loop.call_soon_threadsafe(encoding.set)
        assert may_go_on.wait(60)
        made.append(encode(*arguments))
        return made[-1]

    monkeypatch.setattr(reencoding, "encode_file", held_up)
    path = file_of("CT_small.dcm")
    async with archive_of(IMPLICIT_VR_LITTLE_ENDIAN, sop_class=CT) as (archive, association):
        storing = asyncio.create_task(association.c_store(path))
        await encoding.wait()
        storing.cancel()
        with pytest.raises(asyncio.CancelledError):
            await storing
        may_go_on.set()
        await until(lambda: made and made[0].data.file.closed)
        assert association.is_open
        await association.c_store(path)
    assert len(archive.objects) == 1


async def test_the_association_ends_while_it_is_encoded(monkeypatch: pytest.MonkeyPatch) -> None:
    loop = asyncio.get_running_loop()
    encoding, may_go_on = asyncio.Event(), threading.Event()
    encode = reencoding.encode_file

    def held_up(*arguments: Any) -> Any:
        loop.call_soon_threadsafe(encoding.set)
        assert may_go_on.wait(60)
        return encode(*arguments)

    monkeypatch.setattr(reencoding, "encode_file", held_up)
    async with archive_of(IMPLICIT_VR_LITTLE_ENDIAN, sop_class=CT) as (archive, association):
        storing = asyncio.create_task(association.c_store(file_of("CT_small.dcm")))
        await encoding.wait()
        association.abort()
        may_go_on.set()
        with pytest.raises(errors.AssociationClosed):
            await storing
    assert archive.objects == []


# --- what a handler sees


@pytest.mark.parametrize("above", [1 << 20, 1000])
@pytest.mark.parametrize("own", FILES)
async def test_a_handler_gets_the_data_set(own: str, above: int) -> None:
    path = file_of(FILES[own])
    kept: list[aiodicom.Dataset] = []
    server = aiodicom.Server()

    @server.on_c_store(body=aiodicom.Spooled(above=above))
    def keep(request: aiodicom.StoreRequest) -> None:
        assert request.dataset is request.dataset
        assert request.dataset.SOPInstanceUID == request.affected_sop_instance_uid
        kept.append(request.dataset)

    meta = read_file_meta(path.read_bytes())
    contexts = [(meta.sop_class_uid, [meta.transfer_syntax])]
    async with (
        server.listen("127.0.0.1", 0) as listening,
        aiodicom.connect("127.0.0.1", listening.port, contexts=contexts) as association,
    ):
        for _ in range(2):
            await association.c_store(path)
    # Beyond the handler, and the next object of the association.
    assert kept == [aiodicom.dcmread(path)] * 2
    assert kept[0].transfer_syntax == meta.transfer_syntax


@pytest.mark.parametrize(
    ("body", "error"),
    [(aiodicom.Discarded(), errors.LocalError), (aiodicom.Streamed(), errors.LocalError), (None, errors.DecodeError)],
)
async def test_a_handler_that_cannot_have_it(body: Any, error: type[Exception]) -> None:
    seen: list[BaseException] = []
    server = aiodicom.Server()

    @server.on_c_store(body=body)
    async def look(request: aiodicom.StoreRequest) -> None:
        try:
            _ = request.dataset.PatientName
        except errors.AiodicomError as raised:
            seen.append(raised)

    uids = {"sop_class_uid": CT, "sop_instance_uid": "1.2.3", "transfer_syntax": DEFLATED_EXPLICIT_VR_LITTLE_ENDIAN}
    contexts = [(CT, [DEFLATED_EXPLICIT_VR_LITTLE_ENDIAN])]
    async with (
        server.listen("127.0.0.1", 0) as listening,
        aiodicom.connect("127.0.0.1", listening.port, contexts=contexts) as association,
    ):
        await association.c_store(b"\xff" * 100, **uids)
    assert [type(each) for each in seen] == [error]
