"""A recording from its beginning to its files: the trace, and the scenario that replays it."""

from __future__ import annotations

import json
import logging
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from aiodicom.load.recording.observing import Keep
from aiodicom.load.recording.proxy import Counts, RecordingProxy, Titles
from aiodicom.load.recording.trace import Record, TraceWriter

__all__ = ["Files", "Recording"]

_log = logging.getLogger("aiodicom.record")


@dataclass(frozen=True)
class Files:
    """Where a recording goes: NAME.toml and NAME.jsonl, whichever of the two was named, or neither."""

    scenario: Path
    trace: Path

    @classmethod
    def of(cls, path: Path) -> Files:
        """The files of a recording that is called so."""
        stem = path.with_suffix("") if path.suffix in (".toml", ".jsonl") else path
        return cls(stem.with_name(f"{stem.name}.toml"), stem.with_name(f"{stem.name}.jsonl"))


class Recording:
    """Records what passes between those who connect and the PACS at `host` and `port`.

    The trace is written as things happen, the scenario at the end. Raises OSError for files that cannot be written.
    """

    def __init__(
        self, host: str, port: int, files: Files, *, with_titles: bool = False, keep: Keep | None = None
    ) -> None:
        self._host = host
        self._port = port
        self._files = files
        self._started = datetime.now(UTC)
        files.scenario.touch()
        self._trace = TraceWriter(files.trace, self._started.isoformat(timespec="seconds").replace("+00:00", "Z"))
        self._error: OSError | None = None
        self._proxy = RecordingProxy(host, port, self._write, Titles(are_recorded=with_titles), keep)

    @property
    def counts(self) -> Counts:
        """What has passed so far."""
        return self._proxy.counts

    async def listen(self, host: str | None, port: int) -> list[tuple[str, int]]:
        """Begins to listen; returns where. Raises OSError, `LocalError` for a port that is none."""
        return await self._proxy.listen(host, port)

    async def drain(self, timeout: float | None = 30.0) -> None:
        """Listens no more, and waits until those who are connected have ended, so many seconds at most."""
        await self._proxy.drain(timeout)

    async def close(self) -> None:
        """Cuts what is open, and writes what there is to write.

        Raises OSError for what could not be written, now or before: from then on nothing was recorded.
        """
        await self._proxy.close()
        self._trace.close()
        if self._error is not None:
            raise self._error
        self._files.scenario.write_text(self._scenario(), encoding="utf-8")

    def _write(self, record: Record) -> None:
        if self._error is None:
            try:
                self._trace.write(record)
            except OSError as error:
                # Those who are recorded are not to suffer from a full disk.
                self._error = error
                error.filename = error.filename or str(self._files.trace)
                _log.error("nothing more is recorded: %s", error)

    def _scenario(self) -> str:
        counts = self.counts
        day = self._started.strftime("%Y-%m-%d %H:%M")
        what = f"{day} UTC: associations {counts.associations:,}, operations {counts.operations:,}"
        return (
            f'title = "{what}"\n'
            "# What happened and when: beside this file. aiodicom load replays it, at its speed or another.\n"
            f"trace = {json.dumps(self._files.trace.name)}\n"
            "speed = 1.0\n"
            "\n"
            "[[targets]]\n"
            f"host = {json.dumps(self._host)}\n"
            f"port = {self._port}\n"
        )
