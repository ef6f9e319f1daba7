"""The DICOM software of others that aiodicom is tested and measured against: DCMTK, Orthanc, pynetdicom,
moto.

Nothing here imports aiodicom. What is not installed raises `PeerMissing`.
"""

from __future__ import annotations

import contextlib
import importlib.util
import json
import os
import shutil
import signal
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.interop.processes import PeerFailed, PeerMissing, Running, run_command, running
from tests.ports import free_port

HERE = Path(__file__).parent


# ---- DCMTK


def dcmtk(name: str) -> str:
    """The path of a program of DCMTK.

    pynetdicom installs Python scripts of the same names (`storescp`, `echoscu` ...) beside the interpreter, where they
    are found first; DCMTK's are no scripts.
    """
    for directory in os.get_exec_path():
        path = shutil.which(name, path=directory)
        if path is None:
            continue
        with open(path, "rb") as program:
            if program.read(2) != b"#!":
                return path
    raise PeerMissing(f"DCMTK's {name} is not installed (Debian: dcmtk)")


def environment(*, nodelay: bool) -> dict[str, str]:
    """Our environment with or without TCP_NODELAY=1, by which DCMTK (and Orthanc, built on it) turn Nagle's off."""
    values = {name: value for name, value in os.environ.items() if name != "TCP_NODELAY"}
    return values | {"TCP_NODELAY": "1"} if nodelay else values


def dcmtk_command(
    name: str,
    *arguments: str | os.PathLike[str],
    nodelay: bool = True,
    exit_code: int | None = 0,
    timeout: float = 60.0,
) -> subprocess.CompletedProcess[str]:
    """Runs `echoscu`, `storescu`, `dcmsend`, `movescu` ... to its end."""
    return run_command(
        [dcmtk(name), *arguments], exit_code=exit_code, timeout=timeout, environment=environment(nodelay=nodelay)
    )


def dciodvfy(path: Path) -> list[str]:
    """What dicom3tools' dciodvfy says of a file: lines that begin with Error, Warning or the name of an IOD."""
    program = shutil.which("dciodvfy")
    if program is None:
        raise PeerMissing("dciodvfy is not installed (Debian: dicom3tools)")
    done = run_command([program, "-new", os.fspath(path)], exit_code=None)
    return [*done.stdout.splitlines(), *done.stderr.splitlines()]


@contextlib.contextmanager
def storescp(folder: Path, *options: str, nodelay: bool = True, log: Path | None = None) -> Iterator[Running]:
    """DCMTK's storescp, accepting every transfer syntax that it knows, writing to `folder`.

    `+B` writes what was received as it came; `-B`, in spite of the letter, is the default: parse and write anew.
    """
    port = free_port()
    folder.mkdir(parents=True, exist_ok=True)
    arguments = [dcmtk("storescp"), "+xa", "-pm", "-od", os.fspath(folder), *options, str(port)]
    log = log or folder.with_name(folder.name + ".log")
    with running(arguments, port, log=log, environment=environment(nodelay=nodelay)) as server:
        yield server


@contextlib.contextmanager
def storescp_of(folder: Path, storage: Collection[tuple[str, str]], *options: str) -> Iterator[Running]:
    """DCMTK's storescp that accepts these SOP classes, each in these transfer syntaxes and in no other."""
    port = free_port()
    folder.mkdir(parents=True, exist_ok=True)
    profile = folder.with_name(folder.name + ".cfg")
    profile.write_text(_association_profile(storage))
    arguments = [dcmtk("storescp"), "-xf", os.fspath(profile), "IN", "-od", os.fspath(folder), *options]
    log = folder.with_name(folder.name + ".log")
    with running([*arguments, str(port)], port, log=log, environment=environment(nodelay=True)) as server:
        yield server


VERIFICATION = "1.2.840.10008.1.1"
_QUERY_RETRIEVE = [f"1.2.840.10008.5.1.4.1.2.{model}.{service}" for model in (1, 2) for service in (1, 2, 3)]


def _association_profile(storage: Collection[tuple[str, str]]) -> str:
    """DCMTK's association configuration: profile IN accepts these (SOP class, transfer syntax), OUT proposes them."""
    classes = sorted({sop_class for sop_class, _ in storage})
    syntaxes = sorted({syntax for _, syntax in storage})

    def section(name: str, key: str, values: Sequence[str]) -> str:
        return f"[{name}]\n" + "".join(f"{key}{n} = {value}\n" for n, value in enumerate(values, 1))

    lists = [section("PLAIN", "TransferSyntax", ["LittleEndianExplicit", "LittleEndianImplicit"])]
    lists += [section("ANY", "TransferSyntax", syntaxes)]
    lists += [section(f"ONE{n}", "TransferSyntax", [syntax]) for n, syntax in enumerate(syntaxes)]
    accepted = [f"{uid}\\PLAIN" for uid in (VERIFICATION, *_QUERY_RETRIEVE)] + [f"{uid}\\ANY" for uid in classes]
    proposed = [f"{sop_class}\\ONE{syntaxes.index(syntax)}" for sop_class, syntax in sorted(storage)]
    return (
        "[[TransferSyntaxes]]\n" + "".join(lists) + "[[PresentationContexts]]\n"
        + section("ACCEPTED", "PresentationContext", accepted) + section("PROPOSED", "PresentationContext", proposed)
        # Both roles for what C-GET may send.
        + "[[SCPSCURoleSelection]]\n" + section("ROLES", "Role", [f"{uid}\\BOTH" for uid in classes])
        + "[[Profiles]]\n[IN]\nPresentationContexts = ACCEPTED\nSCPSCURoleSelection = ROLES\n"
        + "[OUT]\nPresentationContexts = PROPOSED\n"
    )  # fmt: skip


@contextlib.contextmanager
def dcmqrscp(
    folder: Path,
    storage: Collection[tuple[str, str]] | None,
    *options: str,
    destinations: Mapping[str, int] | None = None,
    nodelay: bool = True,
) -> Iterator[Running]:
    """DCMTK's archive with one storage area, AE title ARCHIVE.

    `storage`: the SOP classes with transfer syntaxes that it takes and passes on; None leaves it its own, uncompressed,
    with the roles that C-GET needs. `destinations` of C-MOVE: AE titles and their ports.
    """
    port = free_port()
    area = folder / "ARCHIVE"
    area.mkdir(parents=True)
    hosts = [f"host{n} = ({title}, localhost, {to})\n" for n, (title, to) in enumerate((destinations or {}).items())]
    configuration = folder / "dcmqrscp.cfg"
    configuration.write_text(
        f"NetworkTCPPort = {port}\nMaxPDUSize = 16384\nMaxAssociations = 64\n"
        f"HostTable BEGIN\n{''.join(hosts)}HostTable END\n"
        "VendorTable BEGIN\nVendorTable END\n"
        f"AETable BEGIN\nARCHIVE {area} RW (1000, 1024mb) ANY\nAETable END\n"
    )
    files = ["-c", os.fspath(configuration)]
    if storage is not None:
        profile = folder / "associations.cfg"
        profile.write_text(_association_profile(storage))
        files += ["-xf", os.fspath(profile), "IN", "OUT"]
    with running(
        [dcmtk("dcmqrscp"), *files, *options],
        port,
        log=folder / "dcmqrscp.log",
        environment=environment(nodelay=nodelay),
        directory=folder,
    ) as server:
        yield server


# ---- Orthanc


@dataclass(frozen=True)
class Orthanc:
    """A running Orthanc: its DICOM server, and its REST interface."""

    server: Running
    http_port: int
    ae_title: str = "ORTHANC"
    _opener: urllib.request.OpenerDirector = field(
        default_factory=lambda: urllib.request.build_opener(urllib.request.ProxyHandler({})), repr=False
    )

    @property
    def port(self) -> int:
        return self.server.port

    def request(self, method: str, path: str, body: bytes | object | None = None) -> bytes:
        """One request of the REST interface; a body that is not bytes is sent as JSON."""
        data = body if body is None or isinstance(body, bytes) else json.dumps(body).encode()
        request = urllib.request.Request(f"http://127.0.0.1:{self.http_port}{path}", data=data, method=method)
        try:
            with self._opener.open(request, timeout=60) as response:
                content: bytes = response.read()
                return content
        except urllib.error.HTTPError as error:
            with error:
                raise PeerFailed(f"Orthanc answers {error.code} to {method} {path}: {error.read()!r}") from None

    def json(self, method: str, path: str, body: bytes | object | None = None) -> Any:
        return json.loads(self.request(method, path, body))

    def instance(self, sop_instance_uid: str) -> str:
        """Orthanc's own id of an instance that it holds."""
        found = self.json("POST", "/tools/lookup", sop_instance_uid.encode())
        instances = [entry["ID"] for entry in found if entry["Type"] == "Instance"]
        if not instances:
            raise PeerFailed(f"Orthanc holds no instance {sop_instance_uid}")
        return str(instances[0])

    def file(self, sop_instance_uid: str) -> bytes:
        """The Part 10 file that Orthanc keeps for an instance."""
        return self.request("GET", f"/instances/{self.instance(sop_instance_uid)}/file")

    def clear(self) -> None:
        for instance in self.json("GET", "/instances"):
            self.request("DELETE", f"/instances/{instance}")

    def store_to(self, port: int, *instances: str, ae_title: str = "AIODICOM") -> Any:
        """Has Orthanc send instances (its own ids) by C-STORE to a port of 127.0.0.1, and waits for the end."""
        self.request("PUT", "/modalities/destination", {"AET": ae_title, "Host": "127.0.0.1", "Port": port})
        return self.json("POST", "/modalities/destination/store", {"Resources": instances, "Synchronous": True})


def orthanc_program() -> str:
    path = shutil.which("Orthanc", path=os.pathsep.join([*os.get_exec_path(), "/usr/sbin", "/usr/local/sbin"]))
    if path is None:
        raise PeerMissing("Orthanc is not installed (Debian: orthanc)")
    return path


@contextlib.contextmanager
def orthanc(folder: Path, *, nodelay: bool = True, **settings: object) -> Iterator[Orthanc]:
    """Orthanc with its database in `folder`, without plugins and passwords, open to every AE title and SOP class."""
    program = orthanc_program()
    port, http_port = free_port(), free_port()
    folder.mkdir(parents=True, exist_ok=True)
    configuration = folder / "orthanc.json"
    configuration.write_text(
        json.dumps(
            {
                "Name": "interop",
                "StorageDirectory": os.fspath(folder / "storage"),
                "IndexDirectory": os.fspath(folder / "storage"),
                "Plugins": [],
                "HttpPort": http_port,
                "RemoteAccessAllowed": False,
                "AuthenticationEnabled": False,
                "DicomAet": "ORTHANC",
                "DicomPort": port,
                "DicomCheckCalledAet": False,
                "DicomCheckModalityHost": False,
                "DicomAlwaysAllowEcho": True,
                "DicomAlwaysAllowStore": True,
                "DicomAlwaysAllowFind": True,
                "DicomAlwaysAllowGet": True,
                "DicomAlwaysAllowMove": True,
                "UnknownSopClassAccepted": True,
                "AcceptedTransferSyntaxes": ["1.2.840.10008.1.*"],
                "TranscodeDicomProtocol": False,
                "OverwriteInstances": True,
                "SyncStorageArea": False,
                "SaveJobs": False,
                **settings,
            }
        )
    )
    with running(
        [program, os.fspath(configuration)],
        port,
        http_port,
        log=folder / "orthanc.log",
        environment=environment(nodelay=nodelay),
        directory=folder,
        end=signal.SIGKILL,  # it takes seconds to put its house in order, which nobody will see
    ) as server:
        yield Orthanc(server, http_port)


# ---- S3


@contextlib.contextmanager
def moto(folder: Path) -> Iterator[Running]:
    """A server that speaks S3, from the package moto; without buckets."""
    if importlib.util.find_spec("moto") is None or importlib.util.find_spec("flask") is None:
        raise PeerMissing("moto is not installed (pip install moto flask)")
    port = free_port()
    folder.mkdir(parents=True, exist_ok=True)
    arguments = [sys.executable, "-m", "moto.server", "-H", "127.0.0.1", "-p", str(port)]
    with running(arguments, port, log=folder / "moto.log", environment=environment(nodelay=True)) as server:
        yield server


# ---- pynetdicom


def pynetdicom_script(name: str) -> list[str]:
    if importlib.util.find_spec("pynetdicom") is None:
        raise PeerMissing("pynetdicom is not installed")
    return [sys.executable, os.fspath(HERE / name)]


@contextlib.contextmanager
def pynetdicom_scp(folder: Path, *options: str) -> Iterator[Running]:
    """A pynetdicom SCP that keeps what it receives as it came, in folder/SOPInstanceUID.dcm (`--discard`: nothing)."""
    port = free_port()
    folder.mkdir(parents=True, exist_ok=True)
    arguments = [*pynetdicom_script("pynetdicom_scp.py"), str(port), os.fspath(folder), *options]
    with running(arguments, port, log=folder.with_name(folder.name + ".log")) as server:
        yield server


@contextlib.contextmanager
def pynetdicom_archive(folder: Path, log: Path, destination: int = 0) -> Iterator[Running]:
    """A pynetdicom archive of the files of a folder, AE title ARCHIVE; it moves to the AE title SINK at a port."""
    port = free_port()
    script = [*pynetdicom_script("pynetdicom_archive.py"), str(port), os.fspath(folder), str(destination)]
    with running(script, port, log=log) as server:
        yield server


def pynetdicom_scu(port: int, operation: str, *files: str | os.PathLike[str], timeout: float = 60.0) -> list[int]:
    """Runs `echo` or `store` with pynetdicom and gives the status of each operation."""
    arguments = [*pynetdicom_script("pynetdicom_scu.py"), str(port), operation, *files]
    done = run_command(arguments, timeout=timeout)
    statuses: list[int] = json.loads(done.stdout)
    return statuses


@contextlib.contextmanager
def pynetdicom_negotiation_scp(seen: Path) -> Iterator[Running]:
    """A pynetdicom SCP that negotiates everything, and writes what it has been told to `seen`."""
    port = free_port()
    arguments = [*pynetdicom_script("pynetdicom_negotiation.py"), str(port), "scp", os.fspath(seen)]
    with running(arguments, port, log=seen.with_suffix(".log")) as server:
        yield server


def pynetdicom_negotiation_scu(port: int, identity_type: int, user: str) -> dict[str, Any]:
    """Has pynetdicom propose all that can be negotiated, and gives what it was answered."""
    arguments = [*pynetdicom_script("pynetdicom_negotiation.py"), str(port), "scu", str(int(identity_type)), user]
    answer: dict[str, Any] = json.loads(run_command(arguments, timeout=60.0).stdout)
    return answer
