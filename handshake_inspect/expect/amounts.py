"""An exact number, or bounds.

In: a value from a file of expectations: `4`, or `{ min = 1, max = 3 }`. Out: an `Amount`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Amount:
    """A number from `least` to `most`, both included."""

    least: int
    #: None: any number from `least`.
    most: int | None

    def holds(self, number: int) -> bool:
        """Is the number within the bounds?"""
        return self.least <= number and (self.most is None or number <= self.most)

    def __str__(self) -> str:
        if self.most is None:
            return f"at least {self.least:,}"
        if self.least == self.most:
            return f"{self.most:,}"
        return f"at most {self.most:,}" if self.least == 0 else f"{self.least:,} to {self.most:,}"


ANY, AT_LEAST_ONE = Amount(0, None), Amount(1, None)
#: Largest whole number that TOML asks every reader to take (toml.io v1.0.0, "Integer").
MOST = 2**63 - 1
COUNT = "a whole number from 0 on"
FORMS = f"{COUNT}, or {{ min = 1, max = 3 }}"


def amount(value: Any) -> Amount:
    """Read an amount. Raises ValueError."""
    if isinstance(value, Mapping) and value:
        return _bounds(value)
    if not is_count(value):
        raise ValueError(f"expected is {FORMS}")
    return Amount(value, value)


def _bounds(said: Mapping[str, Any]) -> Amount:
    """Read `{ min = 1, max = 3 }`, of which one may be absent. Raises ValueError."""
    for name, value in said.items():
        if name not in ("min", "max"):
            raise ValueError(f"{name!r} is no bound: expected is {FORMS}")
        if not is_count(value):
            raise ValueError(f"{name}: expected is {COUNT}")
    found = Amount(said.get("min", 0), said.get("max"))
    if found.most is not None and found.least > found.most:
        raise ValueError(f"no number is from min = {found.least} to max = {found.most}")
    return found


def is_count(value: Any) -> bool:
    """Is it a whole number from 0 on? (true is not 1.)"""
    return isinstance(value, int) and not isinstance(value, bool) and 0 <= value <= MOST
