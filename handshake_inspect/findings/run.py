"""What the rules over a run look at: all connections in columns, and what is known of the captures.

Here stands what no single connection shows: what happened at one listener, from one host, in one capture.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from handshake_inspect.capture.summary import CaptureSummary
from handshake_inspect.connections.answers import VerdictTable
from handshake_inspect.connections.connection import Frame
from handshake_inspect.connections.kinds import Judgement
from handshake_inspect.connections.model import Connections


@dataclass(frozen=True)
class About:
    """Something about a listener, a host or a capture."""

    #: What it is about: "10.0.0.2:80", "192.0.2.7", the name of a capture.
    about: str
    message: str
    #: How many connections show it; 0 if it is not about connections.
    connections: int = 0
    frames: tuple[Frame, ...] = field(default=())


@dataclass
class Run:
    """Everything that was decided about a run."""

    connections: Connections
    captures: Sequence[CaptureSummary]

    @property
    def table(self) -> VerdictTable:
        """One row per connection."""
        return self.connections.verdicts.table

    @property
    def judgements(self) -> list[Judgement]:
        """What connections of one behaviour have in common; `table["judgement"]` counts in it."""
        return self.connections.verdicts.judgements
