"""Scenarios in Python: a class whose methods are what an SCU does.

from aiodicom.load import User, task

class Scan(User):
    scenario = {"targets": [{"host": "127.0.0.1", "port": 11112}], "rate": "20/s", "duration": "1m"}

    @task(3)
    async def send(self):
        await self.store()

    @task
    async def ask(self):
        await self.find(PatientID="4711")
"""

from __future__ import annotations

import importlib.util
import inspect
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, TypeVar, overload

from aiodicom.errors import AiodicomError, LocalError
from aiodicom.load.operations.find import Find
from aiodicom.load.operations.identifiers import model_of, query_identifier
from aiodicom.load.operations.operation import Operation, Outcome, Waiting
from aiodicom.load.operations.store import StoreOf
from aiodicom.load.scenario import Query, ScenarioError
from aiodicom.net.sources import DataSource, Storable, open_source

if TYPE_CHECKING:
    from aiodicom.load.attempts import Attempt
    from aiodicom.load.scu import Scu
    from aiodicom.net.association import Association
    from aiodicom.net.connect import ContextProposal

__all__ = ["ScriptError", "Tasks", "User", "load_user", "task", "weights_of"]

Method = TypeVar("Method", bound=Callable[..., Any])


class ScriptError(LocalError):
    """A task has raised something that is no failure of an operation; ``__cause__`` is what."""


@overload
def task(weight: Method) -> Method: ...
@overload
def task(weight: float = 1) -> Callable[[Method], Method]: ...
def task(weight: Any = 1) -> Any:
    """Makes a method of a `User` a task, done in this proportion to the others: ``@task`` or ``@task(3)``."""
    if callable(weight):
        return task(1)(weight)

    def mark(method: Method) -> Method:
        method.task_weight = float(weight)  # type: ignore[attr-defined]
        return method

    return mark


class User:
    """What one SCU does. Each SCU of a run has one of its own, and does one task at a time.

    The methods below perform operations on the SCU's association, and count them under their own names; a task is
    counted under its name, from its planned start. What a task raises is counted as its failure.
    """

    #: The keys of a scenario, as in TOML; its mix is the tasks.
    scenario: ClassVar[Mapping[str, object]] = {}
    #: The operations that tasks use, so that an association proposes the contexts for them.
    operations: ClassVar[Sequence[str]] = ("echo", "store", "find")
    #: What an association proposes besides.
    contexts: ClassVar[Sequence[ContextProposal]] = ()

    #: Set while a task runs.
    _attempt: Attempt
    _catalogue: Mapping[str, Operation]

    async def on_start(self) -> None:
        """Called before the first task."""

    async def on_stop(self) -> None:
        """Called at the end of the run, where `on_start` was."""

    async def association(self) -> Association:
        """Returns the SCU's association, opening one where there is none. Raises what `aiodicom.connect` does."""
        return await self._attempt.associate()

    async def perform(self, operation: str) -> Outcome:
        """Performs one of `operations`, such as ``worklist``. Raises what it fails of."""
        try:
            known = self._catalogue[operation]
        except KeyError:
            raise LocalError(
                f"{operation!r} is none of the operations of {type(self).__name__}: name it there"
            ) from None
        return await self._attempt.part(known)

    async def echo(self) -> Outcome:
        """C-ECHO."""
        return await self.perform("echo")

    async def store(self, source: Storable | None = None) -> Outcome:
        """C-STORE of what is given, or of the next instance of the run's data."""
        if source is None:
            return await self.perform("store")
        opened: DataSource = open_source(source)
        try:
            return await self._attempt.part(StoreOf(opened))
        finally:
            opened.close()

    async def find(self, level: str = "STUDY", **keys: str) -> Outcome:
        """C-FIND for these keys by keyword, in the study root; without keys, what the scenario asks for."""
        if not keys:
            return await self.perform("find")
        query = Query(level=level, keys=keys)  # type: ignore[arg-type]
        return await self._attempt.part(Find("find", model_of(query), query_identifier(query)))


class _Task(Waiting):
    """A task of a user as an operation of the mix."""

    def __init__(self, tasks: Tasks, name: str, contexts: Sequence[ContextProposal], is_receiving: bool) -> None:
        self._tasks = tasks
        self.name = name
        self.contexts = contexts
        self.is_receiving = is_receiving

    async def __call__(self, attempt: Attempt) -> Outcome:
        try:
            await getattr(await self._tasks.user_of(attempt), self.name)()
        except (AiodicomError, OSError):
            raise
        except Exception as error:
            raise ScriptError(f"{type(error).__name__}: {error}") from error
        return Outcome()


class Tasks:
    """The tasks of a user class, and a user for each SCU that has begun one."""

    def __init__(self, kind: type[User], catalogue: Mapping[str, Operation]) -> None:
        self._kind = kind
        self._catalogue = catalogue
        self._users: dict[Scu, User] = {}

    def operations(self) -> dict[str, Operation]:
        """An operation for each task."""
        contexts = [context for each in self._catalogue.values() for context in each.contexts]
        proposed = tuple(dict.fromkeys((*contexts, *self._kind.contexts)))
        is_receiving = any(each.is_receiving for each in self._catalogue.values())
        return {name: _Task(self, name, proposed, is_receiving) for name in weights_of(self._kind)}

    async def user_of(self, attempt: Attempt) -> User:
        """The user of an SCU, begun."""
        user = self._users.get(attempt.scu)
        if user is None:
            user = self._kind()
            user._catalogue = self._catalogue
            user._attempt = attempt
            await user.on_start()
            self._users[attempt.scu] = user
        user._attempt = attempt
        return user

    async def stop(self) -> None:
        """Ends every user that has begun. What one raises is for nobody."""
        for user in self._users.values():
            try:
                await user.on_stop()
            except Exception:
                continue
        self._users.clear()


def weights_of(kind: type[User]) -> dict[str, float]:
    """The tasks of a user class with their weights, in the order of their definition."""
    weights: dict[str, float] = {}
    for base in reversed(kind.__mro__):
        for name, member in vars(base).items():
            if (weight := getattr(member, "task_weight", None)) is not None:
                weights[name] = weight
    return weights


def load_user(path: Path, name: str | None = None) -> type[User]:
    """Returns the user class of a Python file: the one of this name, or the only one that is defined there.

    Runs the file. Raises `ScenarioError` for one that has none, or that raises, and OSError.
    """
    path.stat()  # raises what is to be said of a file that is not there
    spec = importlib.util.spec_from_file_location(path.stem, path)
    if spec is None or spec.loader is None:
        raise ScenarioError(str(path), "no Python file")
    module = importlib.util.module_from_spec(spec)
    sys.modules[path.stem] = module
    sys.path.insert(0, str(path.parent))
    try:
        spec.loader.exec_module(module)
    except Exception as error:
        raise ScenarioError(str(path), f"{type(error).__name__}: {error}") from error
    finally:
        sys.path.remove(str(path.parent))
    found = {
        each.__name__: each
        for each in vars(module).values()
        if inspect.isclass(each) and issubclass(each, User) and each.__module__ == module.__name__
    }
    if name is not None and name not in found:
        raise ScenarioError(str(path), f"no class {name} that is a User; there is {', '.join(found) or 'none'}")
    if name is None and len(found) != 1:
        there = f"say which, as {path.name}:CLASS, of {', '.join(found)}" if found else "there is none"
        raise ScenarioError(str(path), f"wanted one class that is a User: {there}")
    kind = found[name or next(iter(found))]
    if not weights_of(kind):
        raise ScenarioError(str(path), f"{kind.__name__} has no @task")
    for each in weights_of(kind):
        if not inspect.iscoroutinefunction(getattr(kind, each)):
            raise ScenarioError(str(path), f"the task {kind.__name__}.{each} is to be an async method")
    return kind
