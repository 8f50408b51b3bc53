"""A condition over the fields of the JSON contract, as a tree (`parser` makes it), and whether it holds.

In: a tree of nodes and a contract object. Out: true or false; never `eval`. null equals null only, and `<`, `<=`, `>`,
`>=` with null, or between values of different kinds, are false. A field alone is true unless it is null, false, 0 or
empty.
"""

from __future__ import annotations

import operator
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

from handshake_inspect.views.fields import value_at

COMPARISONS = ("==", "!=", "<=", ">=", "<", ">")


@dataclass(frozen=True)
class Literal:
    """A number, string, true, false or null."""

    value: Any


@dataclass(frozen=True)
class Field:
    """The value at a path of the contract."""

    path: tuple[str, ...]


@dataclass(frozen=True)
class Listing:
    """A list of operands in brackets."""

    items: tuple[Node, ...]


@dataclass(frozen=True)
class Compare:
    """Two operands and the sign between them: one of `COMPARISONS`, "in" or "not in"."""

    sign: str
    left: Node
    right: Node


@dataclass(frozen=True)
class Not:
    """`not`."""

    node: Node


@dataclass(frozen=True)
class And:
    """`and`."""

    left: Node
    right: Node


@dataclass(frozen=True)
class Or:
    """`or`."""

    left: Node
    right: Node


Node = Literal | Field | Listing | Compare | Not | And | Or


@dataclass(frozen=True)
class Condition:
    """A parsed expression."""

    text: str
    node: Node

    def holds(self, found: Mapping[str, Any]) -> bool:
        """Is it true of this contract object?"""
        return bool(evaluate(self.node, found))


def evaluate(node: Node, found: Mapping[str, Any]) -> Any:
    """Return the value of `node` for a contract object."""
    match node:
        case Literal(value):
            return value
        case Field(path):
            return value_at(found, path)
        case Listing(items):
            return [evaluate(item, found) for item in items]
        case Compare(sign, left, right):
            return compare(sign, evaluate(left, found), evaluate(right, found))
        case Not(inner):
            return not evaluate(inner, found)
        case And(left, right):
            return bool(evaluate(left, found)) and bool(evaluate(right, found))
        case Or(left, right):
            return bool(evaluate(left, found)) or bool(evaluate(right, found))


def fields_of(node: Node) -> Iterator[tuple[str, ...]]:
    """Yield the paths that a condition uses."""
    match node:
        case Field(path):
            yield path
        case Literal():
            return
        case Not(inner):
            yield from fields_of(inner)
        case Listing(items):
            for item in items:
                yield from fields_of(item)
        case Compare(_, left, right) | And(left, right) | Or(left, right):
            yield from fields_of(left)
            yield from fields_of(right)


_ORDERS: dict[str, Callable[[Any, Any], bool]] = {
    "<": operator.lt, "<=": operator.le, ">": operator.gt, ">=": operator.ge,
}  # fmt: skip


def compare(sign: str, left: Any, right: Any) -> bool:
    """Compare two values; if they cannot be compared, the result is false (for `!=` and `not in` true)."""
    if sign == "==":
        return same(left, right)
    if sign == "!=":
        return not same(left, right)
    if sign == "in":
        return contains(right, left)
    if sign == "not in":
        return not contains(right, left)
    if kind_of(left) != kind_of(right) or kind_of(left) not in ("number", "text"):
        return False
    return _ORDERS[sign](left, right)


def same(left: Any, right: Any) -> bool:
    """Are both values of one kind and equal? (true does not equal 1.)"""
    return kind_of(left) == kind_of(right) and bool(left == right)


def contains(whole: Any, part: Any) -> bool:
    """Is `part` an item of a list, or a substring of a text?"""
    if isinstance(whole, list):
        return any(same(item, part) for item in whole)
    return isinstance(whole, str) and isinstance(part, str) and part in whole


def kind_of(value: Any) -> str:
    """Return the kind of a value: null, flag, number, text, list or object."""
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "flag"
    if isinstance(value, int | float | Fraction):
        return "number"
    return "text" if isinstance(value, str) else "list" if isinstance(value, list) else "object"


def sort_key(path: Sequence[str], found: Mapping[str, Any]) -> tuple[bool, str, Any]:
    """Return the sort key of a contract object by the value at `path`: null comes last, kinds stay together."""
    value = value_at(found, path)
    if isinstance(value, list):
        value = len(value)
    return value is None, kind_of(value), 0 if value is None else value
