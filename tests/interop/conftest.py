"""Fixtures that give running peers. A missing one skips the test; with AIODICOM_REQUIRE_PEERS=1 it fails."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack
from pathlib import Path
from typing import NamedTuple, NoReturn, TypeVar

import pytest

from tests.interop import objects, ours, peers
from tests.interop.processes import PeerMissing, Running

REQUIRED = os.environ.get("AIODICOM_REQUIRE_PEERS", "") not in ("", "0")

Peer = TypeVar("Peer")


def _missing(peer: PeerMissing) -> NoReturn:
    if REQUIRED:
        pytest.fail(f"{peer}, and AIODICOM_REQUIRE_PEERS is set", pytrace=False)
    pytest.skip(str(peer))


@pytest.hookimpl(wrapper=True)
def pytest_runtest_call() -> Iterator[None]:
    try:
        return (yield)
    except PeerMissing as missing:
        _missing(missing)


@pytest.fixture
def start() -> Iterator[Callable[[AbstractContextManager[Peer]], Peer]]:
    """`start(peers.storescp(...))`: enters a peer's context for the rest of the test."""
    with ExitStack() as stack:

        def enter(context: AbstractContextManager[Peer]) -> Peer:
            try:
                return stack.enter_context(context)
            except PeerMissing as missing:
                _missing(missing)

        yield enter


class Shared(NamedTuple):
    """A server for all tests, and the folder that it writes to."""

    server: Running
    folder: Path

    def emptied(self, link: Path) -> Running:
        """Gives it to a test: empty, and its folder at `link` for as long as the test's own folder is there."""
        for path in self.folder.iterdir():
            path.unlink()
        link.symlink_to(self.folder)
        return self.server


@pytest.fixture(scope="session")
def shared_storescp(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shared]:
    """DCMTK's storescp, writing what it receives as it came."""
    folder = tmp_path_factory.mktemp("dcmtk") / "received"
    try:
        with peers.storescp(folder, "+B") as server:
            yield Shared(server, folder)
    except PeerMissing as missing:
        _missing(missing)


@pytest.fixture
def storescp(shared_storescp: Shared, tmp_path: Path) -> Running:
    """DCMTK's storescp, writing what it receives as it came to tmp_path/received."""
    return shared_storescp.emptied(tmp_path / "received")


@pytest.fixture(scope="session")
def our_shared_storescp(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shared]:
    """`aiodicom storescp`."""
    folder = tmp_path_factory.mktemp("aiodicom") / "received"
    with ours.storescp(folder) as server:
        yield Shared(server, folder)


@pytest.fixture
def our_storescp(our_shared_storescp: Shared, tmp_path: Path) -> Running:
    """`aiodicom storescp`, writing to tmp_path/ours."""
    return our_shared_storescp.emptied(tmp_path / "ours")


@pytest.fixture(scope="session")
def pynetdicom_negotiating(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Running, Path]]:
    """A pynetdicom SCP that negotiates everything, and the file with what it has been told."""
    seen = tmp_path_factory.mktemp("negotiation") / "seen"
    try:
        with peers.pynetdicom_negotiation_scp(seen) as server:
            yield server, seen
    except PeerMissing as missing:
        _missing(missing)


@pytest.fixture(scope="session")
def orthanc(tmp_path_factory: pytest.TempPathFactory) -> Iterator[peers.Orthanc]:
    """One Orthanc for all tests (it takes a second to start); `empty_orthanc` is the same without instances."""
    try:
        with peers.orthanc(tmp_path_factory.mktemp("orthanc")) as server:
            yield server
    except PeerMissing as missing:
        _missing(missing)


@pytest.fixture
def moto(tmp_path: Path, start: Callable[[AbstractContextManager[Running]], Running]) -> str:
    """The URL of a server that speaks S3."""
    return f"http://127.0.0.1:{start(peers.moto(tmp_path / 'moto')).port}"


@pytest.fixture
def empty_orthanc(orthanc: peers.Orthanc) -> peers.Orthanc:
    orthanc.clear()
    return orthanc


_OBJECTS = list(objects.one_of_each_transfer_syntax().values())
_KEPT = [each for each in _OBJECTS if each.element(0x0020, 0x000D) and each.element(0x0020, 0x000E)]


@pytest.fixture(params=_OBJECTS, ids=lambda each: each.path.name)
def real_object(request: pytest.FixtureRequest) -> objects.Part10:
    """A real object of pydicom's test data, one for each transfer syntax that is there."""
    chosen: objects.Part10 = request.param
    return chosen


@pytest.fixture(params=_KEPT, ids=lambda each: each.path.name)
def kept_object(request: pytest.FixtureRequest) -> objects.Part10:
    """A real object that archives keep: one that says where it belongs.

    dcmqrscp refuses the others; Orthanc drops them, and some with status Success.
    """
    chosen: objects.Part10 = request.param
    return chosen


@pytest.fixture
def ct(tmp_path: Path) -> objects.Part10:
    """A CT of 525 kB in a file."""
    return objects.write_ct(tmp_path / "ct.dcm")
