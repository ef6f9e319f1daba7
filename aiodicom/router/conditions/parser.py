"""Tokens to nodes, in one pass.

    condition   = conjunction { "or" conjunction }
    conjunction = negation { "and" negation }
    negation    = { "not" } comparison
    comparison  = operand [ sign operand ]
    operand     = text | number | list | path | name | name "(" [ condition { "," condition } ] ")" | "(" condition ")"
    path        = attribute { "[" ( number | "*" ) "]" "." attribute }

Whether an operand is of a kind that can stand where it does is for the compiler to say.
"""

from __future__ import annotations

from typing import Final

from aiodicom.errors import ConditionError
from aiodicom.router.conditions.lexer import WORDS, Token, tokens
from aiodicom.router.conditions.syntax import (
    EVERY,
    And,
    Call,
    Compare,
    List,
    Literal,
    Name,
    Node,
    Not,
    Or,
    Path,
    PrivateTag,
    Step,
)
from aiodicom.router.origin import ORIGIN_NAMES
from aiodicom.standard.dictionary import similar_keyword, tag_for_keyword

__all__ = ["DEEPEST", "parse", "parse_path"]

#: How deep parentheses, negations and functions may be nested, and how long a path may be.
DEEPEST: Final = 50
_LONGEST_PATH: Final = 32

_SIGNS: Final = frozenset(("==", "!=", "<", "<=", ">", ">=", "~", "!~"))
#: Pixel data and what is behind it: no condition sees more of an object than its header.
_BEHIND_HEADER: Final = 0x7FE00000


def parse(source: str) -> Node:
    """The condition that `source` is. Raises `ConditionError` for what is none."""
    parser = _Parser(source)
    node = parser.condition()
    parser.end()
    return node


def parse_path(source: str) -> Path:
    """The path of an attribute, such as ``RequestAttributesSequence[0].ScheduledProcedureStepID``.

    Raises `ConditionError` for what is none.
    """
    parser = _Parser(source)
    path = parser.path()
    parser.end()
    return path


class _Parser:
    def __init__(self, source: str) -> None:
        self._tokens = list(tokens(source))
        self._next = 0
        self._depth = 0

    @property
    def _token(self) -> Token:
        return self._tokens[self._next]

    def _take(self) -> Token:
        token = self._tokens[self._next]
        self._next += token.kind != "end"
        return token

    def _is(self, *texts: str) -> bool:
        token = self._token
        return token.kind in ("sign", "name") and token.text in texts

    def _expect(self, sign: str, why: str) -> None:
        if not self._is(sign):
            raise self._unexpected(f"{sign!r} {why}")
        self._take()

    def _unexpected(self, wanted: str) -> ConditionError:
        token = self._token
        what = "the condition ends" if token.kind == "end" else f"{token.text!r} stands"
        return ConditionError(token.column, f"{what} where {wanted} is wanted")

    def _deeper(self, by: int, column: int) -> None:
        self._depth += by
        if self._depth > DEEPEST:
            raise ConditionError(column, f"more than {DEEPEST} parentheses, negations and functions in one another")

    def end(self) -> None:
        """Nothing follows."""
        if self._token.kind == "end":
            return
        meant = self._token.text.lower()
        raise self._unexpected(f"{meant} (in small letters)" if meant in WORDS else "and, or, or the end")

    def condition(self) -> Node:
        column = self._token.column
        operands = [self._conjunction()]
        while self._is("or"):
            self._take()
            operands.append(self._conjunction())
        return operands[0] if len(operands) == 1 else Or(tuple(operands), column=column)

    def _conjunction(self) -> Node:
        column = self._token.column
        operands = [self._negation()]
        while self._is("and"):
            self._take()
            operands.append(self._negation())
        return operands[0] if len(operands) == 1 else And(tuple(operands), column=column)

    def _negation(self) -> Node:
        columns = []
        while self._is("not"):
            columns.append(self._take().column)
            self._deeper(1, columns[-1])
        node = self._comparison()
        for column in reversed(columns):
            node = Not(node, column=column)
        self._depth -= len(columns)
        return node

    def _comparison(self) -> Node:
        left = self._operand()
        token = self._token
        if self._is(*_SIGNS, "in"):
            sign = self._take().text
        elif self._is("not"):
            self._take()
            self._expect("in", "after not")
            sign = "not in"
        else:
            return left
        return Compare(sign, left, self._operand(), column=token.column)

    def _operand(self) -> Node:
        token = self._token
        if token.kind in ("string", "number"):
            return self._literal()
        if token.kind in ("tag", "private"):
            return self.path()
        if self._is("["):
            return self._list()
        if self._is("("):
            self._take()
            self._deeper(1, token.column)
            node = self.condition()
            self._expect(")", "to the parenthesis")
            self._depth -= 1
            return node
        if token.kind == "name" and token.text not in WORDS:
            if self._tokens[self._next + 1].text == "(":
                return self._call()
            if token.text in ORIGIN_NAMES:
                self._take()
                return Name(token.text, column=token.column)
            return self.path()
        raise self._unexpected("an attribute, a text, a number or a function")

    def _literal(self) -> Literal:
        token = self._take()
        if token.kind not in ("string", "number"):
            raise ConditionError(token.column, "a list has texts or numbers in it")
        return Literal(token.value, column=token.column)

    def _list(self) -> List:
        column = self._take().column
        items = []
        while not self._is("]"):
            items.append(self._literal())
            if not self._is("]"):
                self._expect(",", "or ] after an item of the list")
        self._take()
        return List(tuple(items), column=column)

    def _call(self) -> Call:
        token = self._take()
        self._take()
        self._deeper(1, token.column)
        arguments = []
        while not self._is(")"):
            arguments.append(self.condition())
            if not self._is(")"):
                self._expect(",", "or ) after an argument")
        self._take()
        self._depth -= 1
        return Call(token.text, tuple(arguments), column=token.column)

    def path(self) -> Path:
        column = self._token.column
        steps: list[Step] = []
        while True:
            tag = self._tag()
            if not self._is("["):
                return Path((*steps, Step(tag)), column=column)
            self._take()
            item = self._item()
            self._expect("]", "after the number of an item")
            if not self._is("."):
                raise self._unexpected(". and what is looked at in the item")
            self._take()
            steps.append(Step(tag, item))
            if len(steps) >= _LONGEST_PATH:
                raise ConditionError(column, f"a path of more than {_LONGEST_PATH} attributes")

    def _item(self) -> int:
        token = self._take()
        if token.text == "*":
            return EVERY
        if token.kind != "number" or not token.text.isdigit() or token.value > 0xFFFF:
            raise ConditionError(token.column, f"{token.text!r} is no number of an item: 0 is the first, * every one")
        return int(token.value)

    def _tag(self) -> int | PrivateTag:
        token = self._token
        if token.kind == "private":
            self._take()
            return _private(token)
        if token.kind == "tag":
            self._take()
            return _checked(token.value, token)
        if token.kind != "name":
            raise self._unexpected("an attribute, such as PatientID or (0010,0020)")
        self._take()
        tag = tag_for_keyword(token.text)
        if tag is None:
            raise ConditionError(token.column, f"{token.text} is no keyword of PS3.6{_meant(token.text)}")
        return _checked(tag, token)


def _meant(text: str) -> str:
    if text.lower() in ORIGIN_NAMES:
        return f" (did you mean {text.lower()}?)"
    similar = similar_keyword(text)
    if similar is None:
        from difflib import get_close_matches

        similar = next(iter(get_close_matches(text, ORIGIN_NAMES, 1, 0.8)), None)
    return f' (a text stands in quotation marks: "{text}")' if similar is None else f" (did you mean {similar}?)"


def _checked(tag: int, token: Token) -> int:
    if tag >> 16 < 8 or not tag & 0xFFFF:
        raise ConditionError(token.column, f"{token.text} is in no data set: conditions see what is from group 0008 on")
    if tag >= _BEHIND_HEADER:
        raise ConditionError(token.column, f"{token.text} is not in the header, which ends before pixel data")
    return tag


def _private(token: Token) -> PrivateTag:
    group, creator, element = token.value
    if not group & 1 or group < 9 or group << 16 >= _BEHIND_HEADER:
        raise ConditionError(token.column, f"{group:04X} is no private group: an odd number from 0009 to 7FDF")
    creator = creator.strip(" ")
    if not creator:
        raise ConditionError(token.column, "a private creator has a name")
    return PrivateTag(group, creator, element)
