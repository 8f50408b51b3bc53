"""How many: an exact number, or bounds.

In: what stands in a file of expectations: `4`, or `{ min = 1, max = 3 }`. Out: an `Amount`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Amount:
    """So many; from `least` to `most`, both included."""

    least: int
    #: None: any number from `least`.
    most: int | None

    def holds(self, number: int) -> bool:
        """Is it so many?"""
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
FORMS = "a whole number, or { min = 1, max = 3 }"


def amount(value: Any) -> Amount:
    """Understand an amount. Raises ValueError."""
    if is_count(value):
        return Amount(value, value)
    if isinstance(value, Mapping) and value and {*value} <= {"min", "max"} and all(map(is_count, value.values())):
        found = Amount(value.get("min", 0), value.get("max"))
        if found.most is None or found.least <= found.most:
            return found
    raise ValueError(f"expected is {FORMS}")


def is_count(value: Any) -> bool:
    """Is it a whole number from 0 on? (true is not 1.)"""
    return isinstance(value, int) and not isinstance(value, bool) and 0 <= value <= MOST
