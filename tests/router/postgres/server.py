"""A PostgreSQL server of the tests' own, in a folder of its own, at a unix socket."""

from __future__ import annotations

import os
import pwd
import shutil
import signal
import subprocess
import tempfile
import time
from pathlib import Path

#: Seconds for the server to start.
PATIENCE = 30.0


def binaries() -> Path | None:
    """Where the server's programs are: on the path, or of the newest version that Debian has installed."""
    folders = [Path(folder) for folder in os.get_exec_path()]
    folders += sorted(Path("/usr/lib/postgresql").glob("*/bin"), key=lambda path: float(path.parent.name), reverse=True)
    wanted = ("postgres", "initdb", "pg_isready")
    return next((folder for folder in folders if all((folder / name).exists() for name in wanted)), None)


class PostgresServer:
    """Runs from `start` to `stop`; `kill` is what a fault does to it."""

    def __init__(self, programs: Path) -> None:
        self._programs = programs
        # Its folder must be short, as paths of sockets are, and belong to a user other than root.
        self.folder = Path(tempfile.mkdtemp(prefix="aiodicom-pg-"))
        self._user: dict[str, object] = {}
        if os.geteuid() == 0:
            owner = pwd.getpwnam("postgres")
            os.chown(self.folder, owner.pw_uid, owner.pw_gid)
            self._user = {"user": owner.pw_uid, "group": owner.pw_gid, "extra_groups": []}
        self._process: subprocess.Popen[bytes] | None = None
        self._run("initdb", "-D", str(self.folder / "data"), "-U", "postgres", "-A", "trust", "-E", "UTF8", "-N")

    @property
    def url(self) -> str:
        """Of its database."""
        return f"postgresql://postgres@/postgres?host={self.folder}"

    def start(self) -> None:
        """Returns when it takes connections. After a kill that may take several attempts: its own have to end first."""
        deadline = time.monotonic() + PATIENCE
        while not self._try():
            assert time.monotonic() < deadline, (self.folder / "log").read_text()

    def _try(self) -> bool:
        settings = [
            *("-k", str(self.folder), "-h", ""),
            *("-c", "fsync=off", "-c", "shared_buffers=32MB", "-c", "max_wal_size=256MB", "-c", "max_connections=60"),
        ]
        with (self.folder / "log").open("ab") as log:
            self._process = subprocess.Popen(
                [self._programs / "postgres", "-D", self.folder / "data", *settings],
                stdout=log,
                stderr=log,
                stdin=subprocess.DEVNULL,
                start_new_session=True,
                cwd=self.folder,
                **self._user,  # type: ignore[call-overload]
            )
        ready = [self._programs / "pg_isready", "-q", "-h", self.folder, "-U", "postgres"]
        while self._process.poll() is None:
            if subprocess.run(ready, check=False).returncode == 0:
                return True
            time.sleep(0.02)
        return False

    def kill(self) -> None:
        """Ends it and all its processes without a word."""
        assert self._process is not None
        os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait()
        self._process = None

    def stop(self) -> None:
        """Ends it, and removes what it had."""
        if self._process is not None:
            self._process.send_signal(signal.SIGQUIT)  # without a checkpoint: nobody needs what it has
            self._process.wait(PATIENCE)
        shutil.rmtree(self.folder)

    def _run(self, program: str, *arguments: str) -> None:
        subprocess.run(
            [self._programs / program, *arguments],
            check=True,
            stdout=subprocess.DEVNULL,
            cwd=self.folder,
            **self._user,  # type: ignore[call-overload]
        )
