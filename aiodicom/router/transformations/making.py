"""Steps of what a configuration says: `Maker`."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Any

from aiodicom.dataset import Dataset
from aiodicom.deidentify import read_key
from aiodicom.errors import ConditionError, LocalError
from aiodicom.router.conditions.compiler import Condition, compile_condition
from aiodicom.router.conditions.parser import parse_path
from aiodicom.router.conditions.syntax import Path
from aiodicom.router.config.routes import DeidentifyProfile, Table
from aiodicom.router.config.transformations import (
    Deidentify,
    Drop,
    Hash,
    MapValues,
    PlugIn,
    Prefix,
    Remove,
    SetValues,
    Split,
    Transcode,
    Transformation,
)
from aiodicom.router.config.values import Expression
from aiodicom.router.origin import ORIGIN_NAMES, Origin
from aiodicom.router.plugins import CONDITIONS, TRANSFORMATIONS, PlugIns
from aiodicom.router.transformations.attributes import prefixing, removing, setting
from aiodicom.router.transformations.deidentifying import Deidentifies, deidentifier_of
from aiodicom.router.transformations.hashing import hashing
from aiodicom.router.transformations.pipeline import Change, Pipeline, Step, TranscodeStep
from aiodicom.router.transformations.splitting import splitting
from aiodicom.router.transformations.tables import mapping, read_table

__all__ = ["Maker", "unknown"]


class Maker:
    """Makes conditions and pipelines, with what they share: tables and profiles, each made once; plug-ins.

    Sections that are None are wrong, and what refers to them is left out in silence.
    """

    def __init__(
        self,
        tables: Mapping[str, Table | None],
        profiles: Mapping[str, DeidentifyProfile | None],
        *,
        deidentifier: Callable[[DeidentifyProfile], Deidentifies] = deidentifier_of,
        functions: Mapping[str, Any] | None = None,
        transformations: Mapping[str, Any] | None = None,
    ) -> None:
        self._tables = tables
        self._profiles = profiles
        self._deidentifier = deidentifier
        self._functions = PlugIns(CONDITIONS) if functions is None else functions
        self._transformations = PlugIns(TRANSFORMATIONS) if transformations is None else transformations
        self._read: dict[str, Mapping[str, str] | None] = {}
        self._deidentifiers: dict[str, Deidentifies | None] = {}

    def condition(self, source: Expression | None) -> Condition | None:
        """Raises `ConditionError`, and `LocalError` for a plug-in that cannot be imported."""
        return None if source is None else compile_condition(source, self._functions)

    def table(self, name: str) -> Mapping[str, str] | None:
        """A table by its name. Raises ValueError for one that cannot be read, once."""
        found = self._tables[name]
        if name not in self._read:
            self._read[name] = None
            if found is not None:
                self._read[name] = _readable(read_table, found)
        return self._read[name]

    def profile(self, name: str) -> Deidentifies | None:
        """A profile of de-identification by its name. Raises ValueError or LocalError for one that cannot be, once."""
        found = self._profiles[name]
        if name not in self._deidentifiers:
            self._deidentifiers[name] = None
            if found is not None:
                self._deidentifiers[name] = _readable(self._deidentifier, found)
        return self._deidentifiers[name]

    def pipeline(
        self, transformations: Sequence[Transformation], problem: Callable[[str, str], None]
    ) -> Pipeline | None:
        """The pipeline of a route; None where it does nothing. `problem` is told what is wrong: the path of the key
        below the route, and a reason.
        """
        steps: list[Step] = []
        transcode = None
        is_heavy = False
        for number, transformation in enumerate(transformations):
            path = f"transformations[{number}]"
            when = None
            try:
                when = self.condition(transformation.when)
            except LocalError as error:
                problem(f"{path}.when", str(error))
            if isinstance(transformation, Transcode):
                if number < len(transformations) - 1:
                    problem(path, "transcode is the last transformation of a route: put it behind the others")
                must = transformation.otherwise == "fail"
                transcode = TranscodeStep(transformation.to, transformation.quality, must, when)
                continue
            is_heavy |= self._looks_at_pixels(transformation)
            try:
                made = self._step(transformation, when)
            except (ValueError, LocalError, ConditionError) as error:
                problem(path, str(error))
            else:
                steps += () if made is None else (made,)
        return Pipeline(steps, transcode, is_heavy=is_heavy) if steps or transcode is not None else None

    def _looks_at_pixels(self, transformation: Transformation) -> bool:
        profile = self._profiles.get(transformation.profile) if isinstance(transformation, Deidentify) else None
        return profile is not None and not {"pixels", "visual-features"}.isdisjoint(profile.clean)

    def _step(self, made_of: Transformation, when: Condition | None) -> Step | None:
        match made_of:
            case SetValues():
                values = {parse_path(tag): value for tag, value in made_of.values.items()}
                return Step(_name("set", values), setting(values, made_of.missing_only), when)
            case Remove():
                paths = _paths(made_of.tags)
                return Step(_name("remove", paths), removing(paths, made_of.private, made_of.everywhere), when)
            case Hash():
                paths = _paths(made_of.tags)
                key = _readable(read_key, made_of.key_file)
                return Step(_name("hash", paths), hashing(paths, key, made_of.length, made_of.everywhere), when)
            case MapValues():
                return self._mapping(made_of, when)
            case Prefix():
                path = parse_path(made_of.tag)
                return Step(_name("prefix", [path]), prefixing(path, made_of.text), when)
            case Split():
                paths = _paths(made_of.by)
                return Step(_name("split by", paths), splitting(paths, made_of.level), when)
            case Drop():
                return Step("drop", lambda data_set, origin: None, when)
            case Deidentify():
                if made_of.profile not in self._profiles:
                    raise ValueError(unknown("profile", made_of.profile, self._profiles))
                deidentifier = self.profile(made_of.profile)
                return None if deidentifier is None else Step("deidentify", _deidentifying(deidentifier), when)
            case PlugIn():
                return Step(made_of.name, self._plugged(made_of), when)
        raise AssertionError(made_of)

    def _mapping(self, made_of: MapValues, when: Condition | None) -> Step | None:
        if made_of.table not in self._tables:
            raise ValueError(unknown("table", made_of.table, self._tables))
        table = self.table(made_of.table)
        path = parse_path(made_of.tag)
        source: Path | str | None = made_of.source
        if source is not None and source not in ORIGIN_NAMES:
            source = parse_path(made_of.source or "")
        return (
            None if table is None else Step(_name("map", [path]), mapping(path, table, source, made_of.otherwise), when)
        )

    def _plugged(self, made_of: PlugIn) -> Change:
        factory = self._transformations.get(made_of.name)
        if factory is None:
            raise ValueError(unknown("plug-in", made_of.name, self._transformations))
        try:
            change: Change = factory(dict(made_of.options))
        except Exception as error:
            raise ValueError(f"the plug-in {made_of.name} refuses its options: {error}") from error
        if not callable(change):
            raise ValueError(f"the plug-in {made_of.name} gives no function, but {type(change).__name__}")

        def checked(data_set: Dataset, origin: Origin) -> Dataset | None:
            outcome = change(data_set, origin)
            if outcome is not None and not isinstance(outcome, Dataset):
                raise TypeError(f"it gave no data set, but {type(outcome).__name__}")
            return outcome

        return checked


def _deidentifying(deidentifier: Deidentifies) -> Change:
    return lambda data_set, origin: deidentifier.apply(data_set)


def _readable(read: Callable[[Any], Any], what: Any) -> Any:
    try:
        return read(what)
    except OSError as error:
        raise ValueError(f"{error.filename}: {error.strerror}") from None


def _paths(tags: Sequence[str]) -> list[Path]:
    return [parse_path(tag) for tag in tags]


def _name(what: str, paths: Any) -> str:
    return f"{what} {', '.join(map(str, paths))}".strip()


def unknown(what: str, name: str, known: Collection[str]) -> str:
    """Says that there is nothing of that name, and what most likely was meant."""
    from difflib import get_close_matches

    close = get_close_matches(name, list(known), 1, 0.5)
    if close:
        return f"there is no {what} {name!r} (did you mean {close[0]}?)"
    return f"there is no {what} {name!r}: {', '.join(known) if known else 'none at all'}"
