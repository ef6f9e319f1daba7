"""Which way objects go: `Routing`. Does no IO, and knows no clock."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

from aiodicom.dataset import Dataset
from aiodicom.errors import AiodicomError, ConfigurationError, LocalError, RoutingFailed
from aiodicom.router.conditions.predicates import Test, all_of, negated
from aiodicom.router.config.root import Config, name_of
from aiodicom.router.config.routes import Completion, DeidentifyProfile, Route
from aiodicom.router.origin import Origin
from aiodicom.router.transformations.deidentifying import Deidentifies, deidentifier_of
from aiodicom.router.transformations.making import Maker
from aiodicom.router.transformations.pipeline import Pipeline

__all__ = ["CompiledRoute", "Plan", "Routing", "compile_route"]


@dataclass(frozen=True, slots=True)
class Plan:
    """One way that an object goes."""

    #: The name of the route.
    route: str
    #: Names of destinations.
    destinations: tuple[str, ...]
    #: What is made of the object before; None where it goes as it came.
    pipeline: Pipeline | None = None
    #: Larger ones go first.
    priority: int = 0
    #: What it waits for, together with the rest of its series or study.
    completion: Completion | None = None


class CompiledRoute(NamedTuple):
    """A route, and what it has in store for the objects that it means."""

    #: Whether it means an object; None where it means all.
    means: Test | None
    plan: Plan
    #: Whether no further route is asked.
    final: bool


def compile_route(route: Route, number: int, maker: Maker, problem: Callable[[str, str], None]) -> CompiledRoute:
    """A route made ready. `problem` is told what is wrong: the path of the key below the route, and a reason."""
    tests: list[Test] = []
    for key in ("when", "unless"):
        try:
            condition = maker.condition(getattr(route, key))
        except LocalError as error:
            problem(key, str(error))
        else:
            if condition is not None:
                tests.append(condition.test if key == "when" else negated(condition.test))
    pipeline = maker.pipeline(route.transformations, problem)
    plan = Plan(name_of(route, number), route.to, pipeline, route.priority, route.completion)
    return CompiledRoute(all_of(tests) if tests else None, plan, route.final)


def _noting(problems: list[str], number: int) -> Callable[[str, str], None]:
    return lambda path, reason: problems.append(f"routes[{number}].{path}: {reason}")


class Routing:
    """The routes of a configuration, compiled once.

    `deidentifier` makes what de-identifies by a profile; `functions` and `transformations` are plug-ins by name, those
    that are installed without. Raises `ConfigurationError` where files that the routes need, or plug-ins, have gone
    since the configuration was loaded.
    """

    __slots__ = ("_pipelines", "_routes")

    def __init__(
        self,
        config: Config,
        *,
        deidentifier: Callable[[DeidentifyProfile], Deidentifies] = deidentifier_of,
        functions: Mapping[str, Any] | None = None,
        transformations: Mapping[str, Any] | None = None,
    ) -> None:
        maker = Maker(
            config.tables,
            config.deidentify,
            deidentifier=deidentifier,
            functions=functions,
            transformations=transformations,
        )
        problems: list[str] = []
        self._routes = tuple(
            compile_route(route, number, maker, _noting(problems, number)) for number, route in enumerate(config.routes)
        )
        if problems:
            raise ConfigurationError(tuple(problems))
        self._pipelines = {plan.route: plan.pipeline for _, plan, _ in self._routes}

    def pipeline_of(self, route: str) -> Pipeline | None:
        """What a route makes of objects; None where they go as they came. Raises KeyError where there is no such
        route.
        """
        return self._pipelines[route]

    @property
    def completions(self) -> dict[str, Completion]:
        """What routes wait for, of those that wait."""
        return {plan.route: plan.completion for _, plan, _ in self._routes if plan.completion is not None}

    def plan(self, header: Dataset, origin: Origin) -> list[Plan]:
        """Returns the ways that an object goes, in the order of the routes; none where no route means it.

        `header` is the data set, of which nothing from pixel data on is looked at. Raises `RoutingFailed` where a
        condition came to nothing: the object must not go on, for nobody knows where.
        """
        plans: list[Plan] = []
        for means, plan, final in self._routes:
            try:
                if means is not None and not means(header, origin):
                    continue
            except Exception as error:
                reason = str(error) if isinstance(error, AiodicomError) else f"{type(error).__name__}: {error}"
                raise RoutingFailed(plan.route, " ".join(reason.split())) from error
            plans.append(plan)
            if final:
                break
        return plans
