"""Which connections an expectation is about.

In: a `Selector`, as a table of a file says it, or anything else that knows its streams. Out: the numbers of streams.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from handshake_inspect.conditions.alike import holding
from handshake_inspect.conditions.condition import Condition
from handshake_inspect.conditions.selection import Selection
from handshake_inspect.inspection import Inspection


class Selecting(Protocol):
    """Says which connections are meant."""

    @property
    def said(self) -> str:
        """As it is written: "port = 8000"; "" for all."""
        ...

    def streams(self, inspection: Inspection) -> NDArray[np.int64]:
        """Return their numbers."""
        ...


@dataclass(frozen=True)
class Selector:
    """Which connections; all of them, unless it says more."""

    selection: Selection = field(default_factory=Selection)
    where: Condition | None = None
    #: As it is written: "port = 8000"; "" for all.
    said: str = ""

    def streams(self, inspection: Inspection) -> NDArray[np.int64]:
        """Return the numbers of the connections that it means."""
        return streams_of([self], inspection)[0]


def streams_of(selectors: Sequence[Selecting], inspection: Inspection) -> list[NDArray[np.int64]]:
    """Return which connections each selector means; each is asked for the conditions of all at once."""
    conditions = {
        n: one.where for n, one in enumerate(selectors) if isinstance(one, Selector) and one.where is not None
    }
    chosen = [
        one.selection.of(inspection) if isinstance(one, Selector) else one.streams(inspection) for one in selectors
    ]
    if not conditions:
        return chosen
    streams = np.unique(np.concatenate([chosen[one] for one in conditions]))
    for number, held in zip(conditions, holding([*conditions.values()], streams, inspection), strict=True):
        chosen[number] = np.intersect1d(chosen[number], held)
    return chosen
