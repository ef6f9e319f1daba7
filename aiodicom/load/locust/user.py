"""A user of Locust that runs a scenario."""

from __future__ import annotations

import inspect
import logging
import secrets
from collections.abc import Mapping
from itertools import count
from pathlib import Path
from typing import Any, ClassVar, Final

import gevent  # type: ignore[import-untyped]
import msgspec
from gevent.event import AsyncResult  # type: ignore[import-untyped]
from locust import User, task
from locust.exception import StopUser
from locust.user.task import LOCUST_STATE_RUNNING

from aiodicom.errors import AiodicomError
from aiodicom.load import scripted
from aiodicom.load.data import supply_of
from aiodicom.load.locust.engine import Engine, Running
from aiodicom.load.locust.statistics import add_all
from aiodicom.load.scenario import Scenario, ScenarioError, read_scenario, scenario_from
from aiodicom.load.supply import Supply
from aiodicom.net.descriptors import allow_most_descriptors

__all__ = ["DicomUser"]

_log = logging.getLogger("aiodicom.load.locust")

#: How often a user looks whether its run is over, in seconds.
_LOOK: Final = 0.1
#: How long a run may take to end once it was asked to, in seconds.
_ENDING: Final = 5.0
#: What has no end lasts until Locust ends it.
_ENDLESS: Final = "8760h"
_DEFAULT_PORT: Final = 104
#: Operations that send what the data of a scenario is.
_STORING: Final = frozenset(("store", "study", "commitment"))


class DicomUser(User):
    """Runs a scenario, with all its associations, for as long as Locust has it be there.

    Each user is another run of it: with as many users the load is so many times that of the scenario, on whichever of
    Locust's workers they are. They have other UIDs and patients, and begin with other AE titles of the scenario. In the
    statistics each operation is an entry of its name; response times are latencies from the planned start. Those of the
    warm-up are left out, and so are the scenario's thresholds: Locust has its own.
    """

    abstract = True

    #: A scenario file, the keys of a scenario as TOML has them, or a class of tasks (`aiodicom.load.User`). Paths are
    #: relative to the locustfile. Keys that name no end, neither a duration nor another, last until Locust ends them.
    scenario: ClassVar[str | Path | Mapping[str, object] | type[scripted.User]] = {}

    _engine: ClassVar[Engine | None] = None
    _numbers: ClassVar[count[int]] = count()
    _supplies: ClassVar[dict[type[DicomUser], AsyncResult]] = {}
    _running: Running | None = None

    @task
    def run_scenario(self) -> None:
        """Begins the run, and stays until Locust wants it to end: it would replace a user that ends by itself."""
        failure: Exception | None
        try:
            running = self._running = self._begin()
        except (ScenarioError, AiodicomError, OSError) as error:
            failure = error
        else:
            self._wait_for(running)
            failure = running.failure
        if failure is not None:
            _log.error("%s: %s", type(self).__name__, failure)
            self.environment.events.user_error.fire(user_instance=self, exception=failure, tb=failure.__traceback__)
        while self._state == LOCUST_STATE_RUNNING:
            self._report()
            gevent.sleep(_LOOK)
        raise StopUser

    def _wait_for(self, running: Running) -> None:
        try:
            while not running.is_over:
                if self._state != LOCUST_STATE_RUNNING:
                    running.stop()
                self._report()
                gevent.sleep(_LOOK)
        finally:
            running.stop()

    def on_stop(self) -> None:
        """Waits for the end of the run, which has been asked for, so that its last figures are counted."""
        with gevent.Timeout(_ENDING, False):
            while self._running is not None and not self._running.is_over:
                gevent.sleep(_LOOK)
        self._report()

    def _report(self) -> None:
        if DicomUser._engine is not None:
            add_all(DicomUser._engine.batches, self.environment.stats)

    def _begin(self) -> Running:
        if DicomUser._engine is None:
            allow_most_descriptors()
            DicomUser._engine = Engine()
        script = self.scenario if inspect.isclass(self.scenario) else None
        scenario = self._own(self._read(script))
        stores = script is None and scenario.trace is None and bool(_STORING & scenario.mix.keys())
        return DicomUser._engine.begin(scenario, script, self._supply(scenario) if stores else None)

    def _supply(self, scenario: Scenario) -> Supply:
        """What is stored: made once for all users of the class in this process; none gets what another has got."""
        made = self._supplies.get(type(self))
        if made is None:
            made = self._supplies[type(self)] = AsyncResult()
            try:
                # In a thread: pixels are made and encoded, and Locust's master wants to hear from this process.
                made.set(gevent.get_hub().threadpool.apply(supply_of, (scenario.data, scenario.seed)))
            except Exception as error:
                made.set_exception(error)
        supply: Supply = made.get()
        return supply

    def _read(self, script: type[scripted.User] | None) -> Scenario:
        """The scenario as it is written, at the host that Locust was told. Raises `ScenarioError` and OSError."""
        said: dict[str, object] = {}
        if host := self.environment.host or self.host:
            # Locust's page asks for one with a scheme, which DICOM has not.
            address = host.rpartition("//")[2].rstrip("/")
            name, _, port = address.rpartition(":")
            if not name or not port.isdigit():
                name, port = address, str(_DEFAULT_PORT)
            said["targets"] = [{"host": name.removeprefix("[").removesuffix("]"), "port": int(port)}]
        where = f"{type(self).__name__}.scenario"
        folder = Path(inspect.getfile(type(self))).parent
        if script is not None:
            weights = scripted.weights_of(script)
            return scenario_from({**_endless(script.scenario), **said, "mix": weights}, where, tuple(weights))
        if isinstance(self.scenario, Mapping):
            return scenario_from({**_endless(self.scenario), **said}, where)
        path = folder / str(self.scenario)
        return read_scenario(path, said)

    def _own(self, scenario: Scenario) -> Scenario:
        """The scenario of this user among others."""
        number = next(DicomUser._numbers)
        place = getattr(self.environment.runner, "client_id", None) or 0
        seed = f"{secrets.token_hex(4) if scenario.seed is None else scenario.seed}.{place}.{number}"
        turn = number * scenario.associations % len(scenario.calling_aets)
        titles = scenario.calling_aets[turn:] + scenario.calling_aets[:turn]
        return msgspec.structs.replace(
            scenario, seed=seed, calling_aets=titles, thresholds=(), abort_on_fail=False, workers=1
        )


def _endless(values: Mapping[str, object]) -> dict[str, Any]:
    ends = {"duration", "stages", "operations", "trace"} & values.keys()
    return dict(values) if ends else {**values, "duration": _ENDLESS}
