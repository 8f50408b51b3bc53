"""The connections that an expectation is about.

In: a `Selector`, as a table of a file defines it, or anything else that returns streams. Out: stream numbers.
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
    """Something that selects connections."""

    @property
    def said(self) -> str:
        """The keys as they are written: "port = 8000"; "" for all."""
        ...

    def streams(self, inspection: Inspection) -> NDArray[np.int64]:
        """Return the numbers of the selected streams."""
        ...


@dataclass(frozen=True)
class Selector:
    """The keys of a table that select connections; without any, it selects all."""

    selection: Selection = field(default_factory=Selection)
    where: Condition | None = None
    #: As it is written: "port = 8000"; "" for all.
    said: str = ""

    def streams(self, inspection: Inspection) -> NDArray[np.int64]:
        """Return the numbers of the selected streams."""
        chosen = self.selection.of(inspection)
        if self.where is None:
            return chosen
        return np.concatenate([chosen[:0], *streams_where(self.where, inspection.connections, chosen)])
