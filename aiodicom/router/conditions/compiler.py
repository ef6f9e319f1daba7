"""Nodes to a function of a header and its origin: `compile_condition`.

Nothing is evaluated that is not made here: a condition can look at values, and do nothing else.
"""

from __future__ import annotations

import operator
from collections.abc import Callable, Mapping
from typing import Any, Final

from aiodicom.dataset import Dataset
from aiodicom.errors import ConditionError
from aiodicom.router.conditions.kinds import Kind, comparable, kind_of
from aiodicom.router.conditions.parser import parse
from aiodicom.router.conditions.predicates import (
    ConditionFunction,
    Operand,
    Test,
    all_of,
    any_item,
    counted,
    exists,
    holds,
    is_in,
    is_like,
    named,
    negated,
    one_of,
    plugged,
    some_pair,
    top_level,
    values,
)
from aiodicom.router.conditions.reading import values_at
from aiodicom.router.conditions.syntax import And, Call, Compare, List, Literal, Name, Node, Not, Or, Path
from aiodicom.router.origin import Origin
from aiodicom.services.matching import wild_cards

__all__ = ["Condition", "compile_condition"]

_SIGNS: Final[Mapping[str, Callable[[Any, Any], bool]]] = {
    "==": operator.eq,
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
}
_TURNED: Final = {"<": ">", "<=": ">=", ">": "<", ">=": "<=", "==": "=="}
_NEGATED: Final = {"!=": "==", "!~": "~", "not in": "in"}
_TEXTS: Final = (Kind.TEXT, Kind.UID, Kind.ANY)
_FUNCTIONS: Final = ("any", "count", "exists", "lower")


class Condition:
    """A condition that has been compiled; `source` is how it was written.

    Called with a header, and where the object came from, it says whether it holds. The header is the data set up to
    pixel data. Raises `DecodeError` where a sequence that it looks into is malformed, and what a plug-in raises.
    """

    __slots__ = ("source", "test")

    def __init__(self, source: str, test: Test) -> None:
        self.source = source
        #: What is called; for who calls it often.
        self.test = test

    def __call__(self, header: Dataset, origin: Origin) -> bool:
        return self.test(header, origin)

    def __repr__(self) -> str:
        return f"Condition({self.source!r})"


def compile_condition(source: str, functions: Mapping[str, ConditionFunction] | None = None) -> Condition:
    """The condition that `source` is. `functions` are those that plug-ins add, by name.

    Raises `ConditionError`, with the column, for what is no condition, or one that could never hold.
    """
    return Condition(source, _Compiler(functions or {}).test(parse(source)))


class _Compiler:
    def __init__(self, functions: Mapping[str, ConditionFunction]) -> None:
        self._functions = functions

    # Conditions

    def test(self, node: Node) -> Test:
        match node:
            case Or(operands):
                return one_of([self.test(operand) for operand in operands])
            case And(operands):
                return all_of([self.test(operand) for operand in operands])
            case Not(operand):
                return negated(self.test(operand))
            case Compare(sign) if sign in _NEGATED:
                return negated(self._compare(node, _NEGATED[sign]))
            case Compare(sign):
                return self._compare(node, sign)
            case Call(name) if name not in ("count", "lower"):
                return self._call(node)
            case Path():
                raise ConditionError(
                    node.column, f"{node} alone is no condition: compare it, as with ==, or write exists({node})"
                )
        hint = ', or write ATTRIBUTE in ["CT", "MR"]' if isinstance(node, Literal) else ""
        raise ConditionError(node.column, f"{node} alone is no condition: compare it, as with =={hint}")

    def _call(self, node: Call) -> Test:
        if node.name == "exists":
            (what,) = self._arguments(node, 1)
            if not isinstance(what, Path):
                raise ConditionError(what.column, "exists(...) is asked of an attribute, such as exists(PatientID)")
            return exists(self._operand(what).read)
        if node.name == "any":
            sequence, condition = self._arguments(node, 2)
            if not isinstance(sequence, Path) or kind_of(sequence.steps[-1].tag) not in (Kind.ITEMS, Kind.ANY):
                raise ConditionError(sequence.column, f"{sequence} is no sequence: any(SEQUENCE, CONDITION IN AN ITEM)")
            return any_item(self._operand(sequence).read, self.test(condition))
        function = self._functions.get(node.name)
        if function is None:
            raise ConditionError(node.column, f"there is no function {node.name}{self._meant(node.name)}")
        return plugged(function, tuple(_constant(argument) for argument in node.arguments))

    def _meant(self, name: str) -> str:
        from difflib import get_close_matches

        known = [*_FUNCTIONS, *self._functions]
        close = get_close_matches(name.lower(), known, 1, 0.7)
        return f" (did you mean {close[0]}?)" if close else f": {', '.join(known)}"

    def _arguments(self, node: Call, count: int) -> tuple[Node, ...]:
        if len(node.arguments) != count:
            wanted = "one argument" if count == 1 else f"{count} arguments"
            raise ConditionError(node.column, f"{node.name}(...) has {wanted}, not {len(node.arguments)}")
        return node.arguments

    # Comparisons

    def _compare(self, node: Compare, sign: str) -> Test:
        left, right = node.left, node.right
        if isinstance(left, (Literal, List)) and isinstance(right, (Literal, List)):
            raise ConditionError(node.column, "both sides are constants: one has to be an attribute")
        if sign == "in":
            return self._in(left, right)
        if sign == "~":
            return self._like(left, right)
        if isinstance(left, Literal):
            left, right, sign = right, left, _TURNED[sign]
        for side in (left, right):
            if isinstance(side, List):
                raise ConditionError(side.column, "a list stands behind in: write ATTRIBUTE in [...]")
        operand = self._operand(left)
        if isinstance(right, Literal):
            kind = _kind_with(operand, right, left)
            _check_order(sign, kind, node)
            constant = _parsed(kind, right, left, operand.is_lower)
            return holds(operand, kind, _SIGNS[sign], constant)
        other = self._operand(right)
        kind = _common_kind(operand, left, other, right)
        _check_order(sign, kind, node)
        return some_pair(values(operand, kind), _SIGNS[sign], values(other, kind))

    def _in(self, left: Node, right: Node) -> Test:
        if isinstance(right, List):
            operand = self._operand(left)
            if not right.items:
                raise ConditionError(right.column, "nothing is in an empty list")
            kind = _kind_with(operand, right.items[0], left)
            constants = frozenset(_parsed(kind, item, left, operand.is_lower) for item in right.items)
            return holds(operand, kind, is_in, constants)
        if isinstance(right, Literal):
            raise ConditionError(right.column, 'what is behind in is a list, such as ["CT", "MR"], or an attribute')
        whole = self._operand(right)
        _check_text(whole, right, "a part of it is looked for by in, and it is")
        if isinstance(left, Literal):
            part = _parsed(Kind.TEXT, left, right, whole.is_lower)
            return holds(whole, Kind.TEXT, operator.contains, part)
        inner = self._operand(left)
        _check_text(inner, left, "it is looked for in a text by in, and it is")
        return some_pair(values(whole, Kind.TEXT), operator.contains, values(inner, Kind.TEXT))

    def _like(self, left: Node, right: Node) -> Test:
        if not isinstance(right, Literal) or not isinstance(right.value, str):
            raise ConditionError(right.column, 'behind ~ stands a pattern, such as "ER*"')
        operand = self._operand(left)
        _check_text(operand, left, "patterns are for text, and it is")
        text = _parsed(Kind.TEXT, right, left, operand.is_lower)
        try:
            pattern = wild_cards(text)
        except ValueError as error:
            raise ConditionError(right.column, f"a pattern of {error}") from None
        return holds(operand, Kind.TEXT, is_like, pattern.match)

    # Operands

    def _operand(self, node: Node) -> Operand:
        match node:
            case Path(steps):
                self._check_steps(node)
                tag = steps[0].tag if len(steps) == 1 else None
                if isinstance(tag, int):
                    return Operand(kind_of(tag), top_level(tag), tag)
                return Operand(kind_of(steps[-1].tag), lambda header, origin: values_at(header, node))
            case Name(name):
                return named(name)
            case Call("lower"):
                (argument,) = self._arguments(node, 1)
                operand = self._operand(argument)
                _check_text(operand, argument, "lower(...) is for text, and it is")
                return operand._replace(kind=Kind.TEXT, is_lower=True)
            case Call("count"):
                (argument,) = self._arguments(node, 1)
                if not isinstance(argument, Path):
                    raise ConditionError(argument.column, "count(...) is asked of an attribute")
                return Operand(Kind.NUMBER, counted(self._operand(argument).read))
            case Literal() | List():
                raise ConditionError(node.column, f"{node} is a constant where an attribute is wanted")
        raise ConditionError(node.column, f"{node} is a condition where an attribute is wanted")

    def _check_steps(self, path: Path) -> None:
        for step in path.steps[:-1]:
            if kind_of(step.tag) not in (Kind.ITEMS, Kind.ANY):
                name = str(step._replace(item=None))
                raise ConditionError(path.column, f"{name} is {kind_of(step.tag).value}: nothing is in it")


# --- what is allowed with what ---------------------------------------------------------------------------------------


def _kind_with(operand: Operand, literal: Literal, node: Node) -> Kind:
    """The kind that an operand has beside a constant."""
    if operand.kind is Kind.ANY:
        return Kind.TEXT if isinstance(literal.value, str) else Kind.NUMBER
    _check_comparable(operand, node)
    return operand.kind


def _common_kind(left: Operand, left_node: Node, right: Operand, right_node: Node) -> Kind:
    _check_comparable(left, left_node)
    _check_comparable(right, right_node)
    kinds = {left.kind, right.kind} - {Kind.ANY}
    if kinds <= {Kind.TEXT, Kind.UID}:
        return Kind.TEXT
    if len(kinds) > 1:
        raise ConditionError(
            right_node.column, f"{right_node} is {right.kind.value}, and {left_node} {left.kind.value}: never the same"
        )
    return kinds.pop()


def _check_comparable(operand: Operand, node: Node) -> None:
    if operand.kind is Kind.ITEMS:
        raise ConditionError(
            node.column,
            f"{node} is a sequence: look into it, as with {node}[0].KEYWORD, any({node}, ...) or exists({node})",
        )
    if operand.kind is Kind.BYTES:
        raise ConditionError(node.column, f"{node} has binary values, which only exists({node}) can be asked of")


def _check_order(sign: str, kind: Kind, node: Compare) -> None:
    if sign != "==" and (kind is Kind.ANY or not comparable(kind).has_order):
        raise ConditionError(
            node.column, f"{kind.value} has no order: {node.sign} is for numbers, dates, times and ages"
        )


def _check_text(operand: Operand, node: Node, why: str) -> None:
    if operand.kind not in _TEXTS:
        raise ConditionError(node.column, f"{node}: {why} {operand.kind.value}")


def _parsed(kind: Kind, literal: Literal, beside: Node, is_lower: bool) -> Any:
    """What a constant is compared as."""
    try:
        if not isinstance(literal.value, str):
            return comparable(kind).of_number(literal.value)
        value = comparable(kind).of_text(literal.value)
    except ValueError as error:
        raise ConditionError(literal.column, f"{beside} is {kind.value}, and {error}") from None
    if is_lower and value != value.lower():
        raise ConditionError(literal.column, f"{beside} has small letters alone: write {value.lower()!r}")
    return value


def _constant(node: Node) -> Any:
    match node:
        case Literal(value):
            return value
        case List(items):
            return [item.value for item in items]
    raise ConditionError(node.column, "a plug-in is given texts, numbers and lists; it sees the header by itself")
