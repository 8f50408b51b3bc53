"""Which connections an expectation is about.

In: a `Selector`, as a table of a file says it, or anything else that knows its streams. Out: the numbers of streams.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from handshake_inspect.conditions.condition import Condition
from handshake_inspect.conditions.parts import streams_where
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
        chosen = self.selection.of(inspection)
        if self.where is None:
            return chosen
        return np.concatenate([chosen[:0], *streams_where(self.where, inspection.connections, chosen)])
