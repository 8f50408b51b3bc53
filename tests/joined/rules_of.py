"""The rules of the wire that a scenario of the lab gives, as they stand in its script: what must be found.

In: a scenario. Out: its `Rule`s, and whether it forges segments or cuts the wire. Nothing here looks at a capture.
"""

from __future__ import annotations

import ast
import inspect
import textwrap
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from types import FunctionType

from handshake_inspect.lab.rules import EVERY, Rule, parse_rule
from handshake_inspect.lab.scenarios.scenario import Scenario
from handshake_inspect.lab.world import LabError

#: An end, and a kind of segment.
Kind = tuple[str, str]


@dataclass
class Orders:
    """What a script tells the wire."""

    rules: list[Rule] = field(default_factory=list)
    cuts: bool = False
    forges: bool = False

    def of(self, *actions: str) -> list[Rule]:
        """Return the rules with these actions."""
        return [rule for rule in self.rules if rule.action in actions]

    def count(self, *actions: str) -> Counter[Kind]:
        """Count the segments that these rules take for sure."""
        found: Counter[Kind] = Counter()
        for rule in self.of(*actions):
            found[rule.sender, rule.kind] += 1 if rule.count == EVERY else rule.count
        return found

    def may(self, kind: Kind, *actions: str) -> bool:
        """Can one of these rules take a segment of this kind?"""
        return any(rule.sender == kind[0] and rule.kind in (kind[1], "segment") for rule in self.of(*actions))

    def is_exact(self, kind: Kind) -> bool:
        """Do its rules say exactly how many segments of this kind are lost?"""
        if self.cuts or self.may(kind, "hold"):
            return False
        return not any(rule.count == EVERY for rule in self.of("drop") if (rule.sender, rule.kind) == kind)


def orders_of(scenario: Scenario) -> Orders:
    """Read the script of a scenario, and the functions of its module that it calls."""
    orders = Orders()
    if isinstance(scenario.performance, FunctionType):
        for node in _nodes(scenario.performance, set()):
            if isinstance(node, ast.Constant) and isinstance(node.value, str):
                try:
                    orders.rules.append(parse_rule(node.value))
                except LabError:
                    continue
            elif isinstance(node, ast.Attribute) and node.attr == "cut":
                orders.cuts = True
            elif isinstance(node, ast.Attribute) and node.attr == "send" and ast.unparse(node.value) == "bench.wire":
                orders.forges = True
    return orders


def _nodes(function: Callable[..., object], seen: set[str]) -> Iterator[ast.AST]:
    seen.add(function.__name__)
    for node in ast.walk(ast.parse(textwrap.dedent(inspect.getsource(function)))):
        yield node
        if isinstance(node, ast.Name) and node.id not in seen:
            named = vars(inspect.getmodule(function)).get(node.id)
            if isinstance(named, FunctionType) and named.__module__.startswith("handshake_inspect.lab.scenarios."):
                yield from _nodes(named, seen)
