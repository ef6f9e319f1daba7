"""Queries and retrievals between us and DCMTK, Orthanc and pynetdicom, each side asking; objects byte by byte."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from typing import Any

import pytest

import aiodicom
from aiodicom import Dataset, Destination, MemoryIndex, PatientRoot, QueryRetrieve, Server, Status, StudyRoot
from aiodicom.errors import StatusError
from aiodicom.standard.models import InformationModel
from tests.interop import objects, ours, peers
from tests.interop.objects import CT_IMAGE_STORAGE, EXPLICIT_VR_LITTLE_ENDIAN, Part10
from tests.interop.processes import Running, run_command
from tests.ports import free_port

#: Of the slices that `objects.write_cts` writes.
PATIENT, STUDY, SERIES = "NOISE1", f"{objects.ROOT}.3", f"{objects.ROOT}.4"
COUNT = 5
RECEIVED = [(CT_IMAGE_STORAGE, [EXPLICIT_VR_LITTLE_ENDIAN])]
FILM_SESSION = "1.2.840.10008.5.1.1.1"

models = pytest.mark.parametrize("model", [PatientRoot, StudyRoot], ids=["patient root", "study root"])


@pytest.fixture(scope="module")
def slices(tmp_path_factory: pytest.TempPathFactory) -> list[Part10]:
    """A series of small CTs, in a folder of their own."""
    return list(objects.write_cts(tmp_path_factory.mktemp("slices"), COUNT, objects.SMALL))


def sent(slices: list[Part10]) -> dict[str, ours.Arrived]:
    return {each.sop_instance_uid: ours.as_it_is(each) for each in slices}


def files_in(folder: Path) -> dict[str, ours.Arrived]:
    return {each.sop_instance_uid: ours.as_it_is(each) for each in map(objects.part10, folder.iterdir())}


def query(model: InformationModel, level: str = "STUDY", **keys: Any) -> Dataset:
    """With the unique keys that the model wants above and at the level."""
    unique = {"PATIENT": PATIENT, "STUDY": STUDY, "SERIES": SERIES}
    names = {"PATIENT": "PatientID", "STUDY": "StudyInstanceUID", "SERIES": "SeriesInstanceUID"}
    above = ["PATIENT", "STUDY", "SERIES", "IMAGE"]
    above = above[0 if model is PatientRoot else 1 : above.index(level) + 1]
    return Dataset(QueryRetrieveLevel=level, **{names[each]: unique[each] for each in above if each in names} | keys)


# --- ours answers -----------------------------------------------------------------------------------------------------


@asynccontextmanager
async def archive(slices: list[Part10], **destinations: int) -> AsyncIterator[int]:
    """Our archive with these objects; C-MOVE knows these AE titles with their ports. Gives its port."""
    index = MemoryIndex()
    assert not await index.add_files([os.fspath(each.path) for each in slices])
    server = Server(destinations={title: Destination("127.0.0.1", port) for title, port in destinations.items()})
    service = QueryRetrieve(index)
    service.attach(server)
    async with server.listen("127.0.0.1", 0) as listening:
        yield listening.port


def dcmtk_options(model: InformationModel, level: str) -> list[str]:
    keys = [f"{element.keyword}={element.value}" for element in query(model, level)]
    return ["-P" if model is PatientRoot else "-S", *(part for key in keys for part in ("-k", key))]


@models
@pytest.mark.parametrize("level", ["STUDY", "SERIES"])
async def test_getscu(model: InformationModel, level: str, slices: list[Part10], tmp_path: Path) -> None:
    async with archive(slices) as port:
        options = ["+B", "-od", os.fspath(tmp_path), *dcmtk_options(model, level)]
        await asyncio.to_thread(peers.dcmtk_command, "getscu", *options, "127.0.0.1", str(port))
    assert files_in(tmp_path) == sent(slices)


@models
@pytest.mark.parametrize("level", ["STUDY", "SERIES"])
async def test_movescu(
    model: InformationModel, level: str, slices: list[Part10], storescp: Running, tmp_path: Path
) -> None:
    async with archive(slices, THERE=storescp.port) as port:
        options = ["-aem", "THERE", *dcmtk_options(model, level)]
        await asyncio.to_thread(peers.dcmtk_command, "movescu", *options, "127.0.0.1", str(port))
    assert files_in(tmp_path / "received") == sent(slices)


async def test_movescu_receives_itself(slices: list[Part10], tmp_path: Path) -> None:
    receiving = free_port()
    async with archive(slices, MOVESCU=receiving) as port:
        options = ["+P", str(receiving), "-od", os.fspath(tmp_path), *dcmtk_options(StudyRoot, "STUDY")]
        await asyncio.to_thread(peers.dcmtk_command, "movescu", *options, "127.0.0.1", str(port))
    assert files_in(tmp_path) == sent(slices)


async def test_movescu_to_where_nobody_is(slices: list[Part10]) -> None:
    async with archive(slices) as port:
        options = ["-v", "-aem", "NOWHERE", *dcmtk_options(StudyRoot, "STUDY")]
        done = await asyncio.to_thread(peers.dcmtk_command, "movescu", *options, "127.0.0.1", str(port), exit_code=None)
    assert "MoveDestinationUnknown" in done.stdout + done.stderr


async def test_every_transfer_syntax_by_getscu(kept_object: Part10, tmp_path: Path) -> None:
    """getscu proposes one transfer syntax at a time beside the native ones."""
    preferred = {
        "1.2.840.10008.1.2.4.50": "+xy",
        "1.2.840.10008.1.2.4.51": "+xx",
        "1.2.840.10008.1.2.4.70": "+xs",
        "1.2.840.10008.1.2.4.80": "+xt",
        "1.2.840.10008.1.2.4.81": "+xu",
        "1.2.840.10008.1.2.4.90": "+xv",
        "1.2.840.10008.1.2.4.91": "+xw",
        "1.2.840.10008.1.2.5": "+xr",
        "1.2.840.10008.1.2.1.99": "+xd",
        "1.2.840.10008.1.2.1": "+xe",
        "1.2.840.10008.1.2.2": "+xb",
        # What is implicit comes as explicit, which getscu proposes first in any case: see the tests of re-encoding.
    }.get(kept_object.transfer_syntax)
    if preferred is None:
        pytest.skip("getscu has no option for it")
    study = kept_object.element(0x0020, 0x000D)
    async with archive([kept_object]) as port:
        keys = ["-S", "-k", "QueryRetrieveLevel=STUDY", "-k", f"StudyInstanceUID={study}"]
        options = [preferred, "+B", "-od", os.fspath(tmp_path), *keys]
        await asyncio.to_thread(peers.dcmtk_command, "getscu", *options, "127.0.0.1", str(port))
    assert files_in(tmp_path) == {kept_object.sop_instance_uid: ours.sent(kept_object)}


# --- dcmqrscp answers -------------------------------------------------------------------------------------------------


@contextmanager
def dcmqrscp(slices: list[Part10], folder: Path, **destinations: int) -> Iterator[Running]:
    """DCMTK's archive with these objects in its index."""
    storage = {(CT_IMAGE_STORAGE, EXPLICIT_VR_LITTLE_ENDIAN)}
    with peers.dcmqrscp(folder, storage, destinations=destinations) as server:
        run_command([peers.dcmtk("dcmqridx"), folder / "ARCHIVE", *(each.path for each in slices)])
        yield server


def connect(port: int, *contexts: str | None, **options: Any) -> Any:
    proposed = [uid for uid in contexts if uid is not None]
    return aiodicom.connect("127.0.0.1", port, called_aet="ARCHIVE", contexts=proposed, **options)


@models
async def test_we_query_dcmqrscp(model: InformationModel, slices: list[Part10], tmp_path: Path, start: Any) -> None:
    server = start(dcmqrscp(slices, tmp_path / "archive"))
    async with connect(server.port, model.find) as association:
        (study,) = [match async for match in association.c_find(query(model, PatientName=""), model)]
        assert (study.StudyInstanceUID, study.PatientName) == (STUDY, "TEST^NOISE")
        (series,) = [match async for match in association.c_find(query(model, "SERIES", Modality=""), model)]
        assert (series.SeriesInstanceUID, series.Modality) == (SERIES, "CT")
        wanted = query(model, "IMAGE", SOPInstanceUID="", InstanceNumber="")
        images = [match async for match in association.c_find(wanted, model)]
        assert {image.SOPInstanceUID for image in images} == {each.sop_instance_uid for each in slices}
        none = query(model)
        none.StudyInstanceUID = "1.2.3.4"
        assert [match async for match in association.c_find(none, model)] == []


@models
async def test_we_get_from_dcmqrscp(model: InformationModel, slices: list[Part10], tmp_path: Path, start: Any) -> None:
    server = start(dcmqrscp(slices, tmp_path / "archive"))
    async with connect(server.port, model.get, receives=RECEIVED) as association:
        retrieved = association.c_get(query(model), model)
        got = {each.affected_sop_instance_uid: ours.DataSet(each.data) async for each in retrieved}
        assert got == {each.sop_instance_uid: ours.DataSet(each.data_set()) for each in slices}
        assert retrieved.result is not None
        assert (retrieved.result.status, retrieved.result.completed, retrieved.result.failed) == (0, COUNT, 0)


@models
async def test_we_have_dcmqrscp_move(model: InformationModel, slices: list[Part10], tmp_path: Path, start: Any) -> None:
    told: list[Any] = []
    async with ours.receiving() as receiving:
        server = start(dcmqrscp(slices, tmp_path / "archive", OURS=receiving.port))
        async with connect(server.port, model.move) as association:
            result = await association.c_move(query(model), "OURS", model, on_progress=told.append)
            assert (result.status, result.completed, result.failed, result.warning) == (0, COUNT, 0, 0)
            with pytest.raises(StatusError) as caught:
                await association.c_move(query(model), "NOWHERE", model)
            assert caught.value.status == Status.MOVE_DESTINATION_UNKNOWN
    assert receiving.objects == sent(slices)
    assert all(each.status == 0xFF00 and each.completed + each.remaining == COUNT for each in told)


async def test_dcmqrscp_is_cancelled(slices: list[Part10], tmp_path: Path, start: Any) -> None:
    """Whether it has heard of that before it had sent all: the association goes on."""
    server = start(dcmqrscp(slices, tmp_path / "archive"))
    async with connect(server.port, StudyRoot.find, StudyRoot.get, receives=RECEIVED) as association:
        async with association.c_find(query(StudyRoot, "IMAGE", SOPInstanceUID="")) as matches:
            await anext(matches)
        async with association.c_get(query(StudyRoot)) as retrieved:
            await anext(retrieved)
        assert len([match async for match in association.c_find(query(StudyRoot, PatientName=""))]) == 1


# --- Orthanc ----------------------------------------------------------------------------------------------------------


def modality(orthanc: peers.Orthanc, name: str, port: int) -> None:
    orthanc.request("PUT", f"/modalities/{name}", {"AET": name.upper(), "Host": "127.0.0.1", "Port": port})


@pytest.fixture
def filled_orthanc(empty_orthanc: peers.Orthanc, slices: list[Part10]) -> peers.Orthanc:
    for each in slices:
        empty_orthanc.request("POST", "/instances", each.path.read_bytes())
    return empty_orthanc


@models
async def test_we_query_orthanc(model: InformationModel, filled_orthanc: peers.Orthanc) -> None:
    async with connect(filled_orthanc.port, model.find) as association:
        (study,) = [match async for match in association.c_find(query(model, PatientName=""), model)]
        assert (study.StudyInstanceUID, study.PatientName) == (STUDY, "TEST^NOISE")
        images = association.c_find(query(model, "IMAGE", SOPInstanceUID=""), model)
        assert len([match async for match in images]) == COUNT


@models
async def test_we_get_from_orthanc(
    model: InformationModel, filled_orthanc: peers.Orthanc, slices: list[Part10]
) -> None:
    async with connect(filled_orthanc.port, model.get, receives=RECEIVED) as association:
        retrieved = association.c_get(query(model), model)
        got = {each.affected_sop_instance_uid: ours.DataSet(each.data) async for each in retrieved}
        assert got == {each.sop_instance_uid: ours.DataSet(each.data_set()) for each in slices}
        assert retrieved.result is not None
        assert (retrieved.result.status, retrieved.result.completed) == (0, COUNT)


@models
async def test_we_have_orthanc_move(
    model: InformationModel, filled_orthanc: peers.Orthanc, slices: list[Part10]
) -> None:
    async with ours.receiving() as receiving:
        await asyncio.to_thread(modality, filled_orthanc, "ours", receiving.port)
        async with connect(filled_orthanc.port, model.move) as association:
            result = await association.c_move(query(model), "OURS", model)
    assert (result.status, result.completed) == (0, COUNT)
    assert receiving.objects == sent(slices)


async def test_orthanc_queries_and_has_us_move(empty_orthanc: peers.Orthanc, slices: list[Part10]) -> None:
    """By its REST interface: a query, its answers, and a retrieval to itself."""

    def ask(port: int) -> tuple[list[Any], list[str]]:
        modality(empty_orthanc, "archive", port)
        wanted = {"Level": "Study", "Query": {"PatientID": PATIENT, "StudyDescription": ""}}
        path = empty_orthanc.json("POST", "/modalities/archive/query", wanted)["Path"]
        answers = [
            empty_orthanc.json("GET", f"{path}/answers/{number}/content?simplify")
            for number in empty_orthanc.json("GET", f"{path}/answers")
        ]
        empty_orthanc.json("POST", f"{path}/retrieve", {"TargetAet": "ORTHANC", "Synchronous": True})
        return answers, empty_orthanc.json("GET", "/instances")

    async with archive(slices, ORTHANC=empty_orthanc.port) as port:
        answers, instances = await asyncio.to_thread(ask, port)
    (study,) = answers
    assert (study["StudyInstanceUID"], study["PatientID"]) == (STUDY, PATIENT)
    assert len(instances) == COUNT
    for each in slices:
        assert objects.data_set_of(empty_orthanc.file(each.sop_instance_uid)) == each.data_set()


# --- pynetdicom answers -----------------------------------------------------------------------------------------------


@models
async def test_we_query_and_get_from_pynetdicom(
    model: InformationModel, slices: list[Part10], tmp_path: Path, start: Any
) -> None:
    server = start(peers.pynetdicom_archive(slices[0].path.parent, tmp_path / "log"))
    async with connect(server.port, model.find, model.get, receives=RECEIVED) as association:
        found = [match async for match in association.c_find(query(model, "IMAGE", SOPInstanceUID=""), model)]
        assert {match.SOPInstanceUID for match in found} == {each.sop_instance_uid for each in slices}
        retrieved = association.c_get(query(model), model)
        got = {each.affected_sop_instance_uid: ours.DataSet(each.data) async for each in retrieved}
        assert got == {each.sop_instance_uid: ours.DataSet(each.data_set()) for each in slices}
        assert retrieved.result is not None
        assert (retrieved.result.status, retrieved.result.completed) == (0, COUNT)


@models
async def test_we_have_pynetdicom_move(
    model: InformationModel, slices: list[Part10], tmp_path: Path, start: Any
) -> None:
    async with ours.receiving() as receiving:
        server = start(peers.pynetdicom_archive(slices[0].path.parent, tmp_path / "log", receiving.port))
        async with connect(server.port, model.move) as association:
            # Between two of its requests pynetdicom 3.0 may think its reactor still paused that goes on: it then takes
            # the response to the second one itself, which has failed after 30 s.
            for _ in range(3):
                result = await association.c_move(query(model), "SINK", model)
                if result.status != 0xB000:
                    break
            assert (result.status, result.completed) == (0, COUNT)
            with pytest.raises(StatusError, match="A801"):
                await association.c_move(query(model), "NOWHERE", model)
    assert receiving.objects == sent(slices)


async def test_every_n_service_of_pynetdicom(slices: list[Part10], tmp_path: Path, start: Any) -> None:
    server = start(peers.pynetdicom_archive(slices[0].path.parent, tmp_path / "log"))
    session = Dataset(NumberOfCopies=1, PrintPriority="LOW")
    async with connect(server.port, FILM_SESSION, roles={FILM_SESSION: (True, True)}) as association:
        created = await association.n_create(FILM_SESSION, session, "1.2.3")
        assert (created.status, created.sop_instance_uid, created.dataset) == (0, "1.2.3", session)
        with pytest.raises(StatusError) as caught:
            await association.n_create(FILM_SESSION, session, "1.2.3")
        assert caught.value.status == Status.DUPLICATE_SOP_INSTANCE
        changed = await association.n_set(FILM_SESSION, "1.2.3", Dataset(PrintPriority="HIGH"))
        assert changed.dataset == Dataset(NumberOfCopies=1, PrintPriority="HIGH")
        everything = await association.n_get(FILM_SESSION, "1.2.3")
        assert everything.dataset == changed.dataset
        some = await association.n_get(FILM_SESSION, "1.2.3", ["PrintPriority"])
        assert some.dataset == Dataset(PrintPriority="HIGH")
        part = await association.n_get(FILM_SESSION, "1.2.3", ["PrintPriority", "FilmSessionLabel"])
        assert (part.status, part.dataset) == (0x0107, some.dataset)
        acted = await association.n_action(FILM_SESSION, "1.2.3", 7, Dataset(FilmSessionLabel="A"))
        assert acted.dataset == Dataset(NumberOfCopies=7, FilmSessionLabel="A")
        heard = await association.n_event_report(FILM_SESSION, "1.2.3", 2, Dataset(FilmSessionLabel="B"))
        assert heard.dataset == Dataset(NumberOfCopies=2, FilmSessionLabel="B")
        deleted = await association.n_delete(FILM_SESSION, "1.2.3")
        assert deleted.status is Status.SUCCESS
        for operation in (
            association.n_delete(FILM_SESSION, "1.2.3"),
            association.n_get(FILM_SESSION, "1.2.3"),
            association.n_set(FILM_SESSION, "1.2.3", session),
        ):
            with pytest.raises(StatusError) as caught:
                await operation
            assert caught.value.status == Status.NO_SUCH_SOP_INSTANCE
