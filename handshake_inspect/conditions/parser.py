"""The language of `--where`, from text to the tree that `condition` evaluates.

In: `teardown.kind == "aborted" and octets.originator > 0`. Out: a `Condition` that is true or false for a contract
object. The grammar, from loosest to tightest binding:

    or_      = and_ ("or" and_)*
    and_     = not_ ("and" not_)*
    not_     = "not" not_ | comparison
    comparison = operand [("==" | "!=" | "<" | "<=" | ">" | ">=" | "in" | "not" "in") operand]
    operand  = number | string | "true" | "false" | "null" | field | "[" operand, ... "]" | "(" or_ ")"

Numbers may have a unit: ns, us, ms, s, min, h convert to nanoseconds; k, M, G multiply by powers of 1000.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Any, NoReturn

from handshake_inspect.conditions.condition import (
    COMPARISONS,
    And,
    Compare,
    Condition,
    Field,
    Listing,
    Literal,
    Node,
    Not,
    Or,
    kind_of,
)
from handshake_inspect.conditions.known import KNOWN, advice, bare, never
from handshake_inspect.quantities import listed
from handshake_inspect.views.fields import CHOICES, Kind, subfields
from handshake_inspect.views.words import nearest

UNITS = {
    "": 1, "ns": 1, "us": 1_000, "µs": 1_000, "ms": 1_000_000, "s": 1_000_000_000,
    "min": 60_000_000_000, "h": 3_600_000_000_000, "k": 1_000, "M": 1_000_000, "G": 1_000_000_000,
}  # fmt: skip
CONSTANTS = {"true": True, "false": False, "null": None}
KEYWORDS = ("and", "or", "not", "in")
#: Most allowed words of a field that an error message lists in full.
CHOICES_TOLD = 13
#: Greatest nesting of parentheses and nots; more is a mistake, and would exhaust Python's stack.
DEEPEST = 64

#: The same comparison from the other side.
MIRRORED = {"<": ">", ">": "<", "<=": ">=", ">=": "<="}
#: What is meant by signs of other languages.
OTHER_SIGNS = {"=": ", == compares", "&": ", write and", "|": ", write or", "!": ", write not"}

_TOKEN = re.compile(
    r"""\s*(?:
      (?P<number>-?\d+(?:\.\d+)?(?P<unit>[A-Za-zµ]*))
    | (?P<string>"(?:[^"\\]|\\.)*" | '(?:[^'\\]|\\.)*')
    | (?P<word>[A-Za-z_]\w*(?:\.\w+)*)
    | (?P<sign>==|!=|<=|>=|<|>|\(|\)|\[|\]|,)
    )""",
    re.VERBOSE,
)


class WhereError(ValueError):
    """An expression cannot be used. The message is one line, with the place marked »so«."""


def parse(text: str) -> Condition:
    """Parse an expression. Raises WhereError."""
    parser = _Parser(text)
    node = parser.either()
    if parser.token.kind != "end":
        parser.fail(f"cannot go on here{' (compare two values at a time, joined by and)' * parser.at_sign()}")
    return Condition(text, node)


def field_path(name: str, *, may_be_text: bool = False) -> tuple[str, ...]:
    """Return the path of a field by its dotted name. Raises WhereError with the nearest names.

    `may_be_text`: text could stand there, too, if it had quotes.
    """
    if name in KNOWN:
        return tuple(name.split("."))
    below = subfields(name)
    if below:
        names = listed([f"{name}.{field}" for field in below], "or")
        raise WhereError(f"{name} is an object; its fields are {names}")
    raise WhereError(f"there is no field {name}{advice(name, may_be_text=may_be_text)}")


@dataclass(frozen=True)
class _Token:
    kind: str  # number, string, word, sign or end
    text: str
    start: int
    end: int


class _Parser:
    """Recursive descent over the tokens, one method per line of the grammar."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.depth = 0
        self.tokens = self._tokens()
        self.token = next(self.tokens)

    def fail(self, message: str, start: int | None = None, end: int | None = None) -> NoReturn:
        """Raise the error, with the place marked in the text of the expression."""
        start = self.token.start if start is None else start
        end = self.token.end if end is None else end
        marked = f"{self.text[:start]}»{self.text[start:end]}«{self.text[end:]}"
        raise WhereError(f"{message}: {' '.join(marked.split())}")

    def at_sign(self) -> bool:
        """Is the next token a comparison sign?"""
        return self.token.text in (*COMPARISONS, "in")

    def either(self) -> Node:
        node = self.both()
        while self.take("or"):
            node = Or(node, self.both())
        return node

    def both(self) -> Node:
        node = self.negation()
        while self.take("and"):
            node = And(node, self.negation())
        return node

    def negation(self) -> Node:
        if not self.take("not"):
            return self.comparison()
        return Not(self.deeper(self.negation))

    def comparison(self) -> Node:
        start = self.token.start
        left = self.operand()
        sign = self.sign()
        if sign is None:
            return left
        place = self.token.start
        right = self.operand(left)
        self.check_kinds(sign, left, right, start, place)
        return Compare(sign, left, right)

    def sign(self) -> str | None:
        for sign in (*COMPARISONS, "in"):
            if self.take(sign):
                return sign
        if self.take("not"):
            if not self.take("in"):
                self.fail('expected "in" after "not"')
            return "not in"
        return None

    def operand(self, beside: Node | None = None) -> Node:
        """Read an operand; `beside` is what it is compared with, if that stands before it."""
        token = self.token
        self.check_quotes(token, beside)
        if self.take("("):
            node: Node = self.deeper(self.either)
            self.expect(")")
            return node
        if self.take("["):
            return Listing(tuple(self.deeper(lambda: self.items(beside))))
        if token.kind == "number":
            self.advance()
            return Literal(self.number(token))
        if token.kind == "string":
            self.advance()
            return Literal(re.sub(r"\\(.)", r"\1", token.text[1:-1], flags=re.DOTALL))
        if token.kind != "word" or token.text in KEYWORDS:
            self.fail("expected a field, a number or a string" + " at the end" * (token.kind == "end"))
        self.advance()
        if token.text in CONSTANTS:
            return Literal(CONSTANTS[token.text])
        try:
            return Field(field_path(token.text, may_be_text=True))
        except WhereError as error:
            self.fail(str(error).rstrip("?"), token.start, token.end)

    def items(self, beside: Node | None) -> list[Node]:
        items: list[Node] = []
        while not self.take("]"):
            items.append(self.operand(beside))
            if not self.take(","):
                self.expect("]")
                break
        return items

    def number(self, token: _Token) -> int | Fraction:
        digits = token.text.rstrip("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZµ")
        unit = token.text[len(digits) :]
        if unit not in UNITS:
            self.fail(f"{unit} is no unit; known are {listed([u for u in UNITS if u])}", token.start, token.end)
        value = Fraction(digits) * UNITS[unit]
        return value.numerator if value.denominator == 1 else value

    def deeper(self, rule: Callable[[], Any]) -> Any:
        """Call `rule` one level further down."""
        self.depth += 1
        if self.depth > DEEPEST:
            self.fail(f"nested more than {DEEPEST} deep")
        node = rule()
        self.depth -= 1
        return node

    def check_kinds(self, sign: str, left: Node, right: Node, start: int, place: int) -> None:
        """Reject comparisons that could never be true: they are mistakes, and would silently match nothing."""
        if sign in ("in", "not in"):
            if isinstance(right, Listing):
                self.check_list(sign, left, right.items, start)
                for item in right.items:
                    self.check_value(left, item, place)
                    self.check_never("==" if sign == "in" else sign, left, item, place)
            elif kind_of_node(right) in ("number", "flag"):
                self.fail(f'"{sign}" needs a list or a text on its right', place)
            self.check_objects(right, place, self.end_before(place))
            self.check_choice(right, left, place, "never has")
            return
        for one, other, at in ((left, right, place), (right, left, start)):
            self.check_list(sign, one, (other,), start)
            self.check_value(one, other, at)
            self.check_never(sign if one is left else MIRRORED.get(sign, sign), one, other, at)

    def check_list(self, sign: str, field: Node, values: Sequence[Node], start: int) -> None:
        """Reject a comparison of a list with values, and suggest the form that tests whether it has one of them."""
        given = [one for one in values if isinstance(one, Literal) and one.value is not None]
        if not isinstance(field, Field) or KNOWN[name := ".".join(field.path)] != "list" or not given:
            return
        end = self.end_before(start)
        self.check_objects(field, start, end)
        has, joined = ("not in", " and ") if sign in ("!=", "not in") else ("in", " or ")
        meant = joined.join(f"{spelled(one)} {has} {name}" for one in given)
        self.fail(f"{name} is a list: write {meant}", start, end)

    def check_quotes(self, token: _Token, beside: Node | None) -> None:
        """Reject text without quotes, and write the expression with them."""
        if token.kind not in ("word", "number") or token.text in (*KEYWORDS, *CONSTANTS):
            return
        name = ".".join(beside.path) if isinstance(beside, Field) else ""
        text = bare(self.text, token.start, token.text, name)
        if not text:
            return
        end = token.start + len(text)
        if name in CHOICES and text not in CHOICES[name]:
            self.check_choice(Field(tuple(name.split("."))), Literal(text), token.start, "is never", end)
        meant = " ".join(f'{self.text[: token.start]}"{text}"{self.text[end:]}'.split())
        self.fail(f"text stands in quotes; write {meant}", token.start, end)

    def end_before(self, start: int) -> int:
        """Return where what begins at `start` ends, before the next token."""
        return start + len(self.text[start : self.token.start].rstrip())

    def check_objects(self, field: Node, start: int, end: int) -> None:
        """Reject a list of objects where one of values is meant: no value is ever equal to an object."""
        name = ".".join(field.path) if isinstance(field, Field) else ""
        if KNOWN.get(name) == "list" and (below := subfields(name)):
            names = listed([f"{name}.{one}" for one in below], "or")
            self.fail(f"{name} is a list of objects; what they hold is in {names}", start, end)

    def check_value(self, field: Node, value: Node, place: int) -> None:
        """Reject a value of another kind than the field, and a word that the field never has."""
        if not isinstance(field, Field) or not isinstance(value, Literal) or value.value is None:
            return
        name = ".".join(field.path)
        kind, given = KNOWN[name], kind_of(value.value)
        if kind not in ("any", given):
            self.fail(f"{name} is a {kind}, not a {given}", place, self.token.start)
        self.check_choice(field, value, place, "is never")

    def check_never(self, sign: str, field: Node, value: Node, place: int) -> None:
        """Reject a comparison that is true of no value that the field can have."""
        if not isinstance(field, Field) or not isinstance(value, Literal):
            return
        if why := never(".".join(field.path), sign, value.value):
            self.fail(why, place, self.end_before(place))

    def check_choice(self, field: Node, value: Node, place: int, says: str, end: int | None = None) -> None:
        """Reject a word that a field, or a list of words, never has."""
        if not isinstance(field, Field) or not isinstance(value, Literal) or value.value is None:
            return
        name = ".".join(field.path)
        if name in CHOICES and value.value not in CHOICES[name]:
            choices = list(CHOICES[name])
            if says == "never has" and KNOWN[name] == "text" and any(str(value.value) in one for one in choices):
                return  # a part of a word is in it
            if len(choices) <= CHOICES_TOLD:
                hint = f"; it is {listed(choices, 'or')}"
            else:
                hint = nearest(str(value.value), choices).replace(" Did", "; did").rstrip("?")
            self.fail(f"{name} {says} {value.value}{hint}", place, self.token.start if end is None else end)

    def take(self, text: str) -> bool:
        """Consume the next token if it is this sign or keyword; return whether it was."""
        if self.token.kind in ("sign", "word") and self.token.text == text:
            self.advance()
            return True
        return False

    def expect(self, text: str) -> None:
        if not self.take(text):
            lists = "; a list stands in brackets: [80, 443]" * (text == ")" and self.token.text == ",")
            self.fail(f'expected "{text}"{lists}')

    def advance(self) -> None:
        self.token = next(self.tokens)

    def _tokens(self) -> Iterator[_Token]:
        position = 0
        end = len(self.text.rstrip())
        while position < end:
            match = _TOKEN.match(self.text, position)
            if match is None:
                start = position + len(self.text[position:]) - len(self.text[position:].lstrip())
                sign = self.text[start : start + 1]
                self.fail(f"cannot be read{OTHER_SIGNS.get(sign, '')}", start, start + 1)
            kind = next(name for name in ("number", "string", "word", "sign") if match[name] is not None)
            yield _Token(kind, match[kind], match.start(kind), match.end(kind))
            position = match.end()
        while True:
            yield _Token("end", "", end, end)


def spelled(literal: Literal) -> str:
    """Return a value as text of the language, a number without its unit."""
    if isinstance(literal.value, Fraction):
        return str(float(literal.value))
    return json.dumps(literal.value, ensure_ascii=False)


def kind_of_node(node: Node) -> Kind | str:
    """Return the kind of value of a node, "any" if it varies."""
    if isinstance(node, Literal):
        return kind_of(node.value)
    if isinstance(node, Field):
        return KNOWN[".".join(node.path)]
    return "list" if isinstance(node, Listing) else "flag"
