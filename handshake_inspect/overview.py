"""A run as a whole, without its connections, as plain data.

An `Inspection` makes it; an index (`indexed`) keeps it.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import replace

from handshake_inspect.capture.records import Damage
from handshake_inspect.capture.summary import CaptureSummary
from handshake_inspect.connections.connection import RunFinding, Step
from handshake_inspect.connections.endless.retention import LetGo
from handshake_inspect.plain import plain


@plain
class Overview:
    """A run as a whole. Each field is what `Inspection` has under the same name."""

    captures: list[CaptureSummary]
    damage: list[Damage]
    unread: Counter[str]
    let_go: LetGo
    #: How many there are.
    connections: int
    one_sided: int
    copies: Counter[str]
    unmatched_icmp_errors: int
    icmp_error_copies: int
    findings: tuple[RunFinding, ...]

    def names_of(self, address: str) -> tuple[str, ...]:
        """Return the names that the captures know for an address, each once."""
        return names_in(self.captures, address)


def names_in(captures: Sequence[CaptureSummary], address: str) -> tuple[str, ...]:
    """Return the names that captures know for an address, each once."""
    return tuple(dict.fromkeys(name for one in captures for name in one.about.names.get(address, ())))


def with_comments(steps: Sequence[Step], home: str, captures: Sequence[CaptureSummary]) -> tuple[Step, ...]:
    """Return the steps of a connection of the capture `home` with the comments on their frames."""
    comments = {one.name: one.about.frame_comments for one in captures}

    def of(step: Step) -> tuple[str, ...]:
        name, number = step.frame if isinstance(step.frame, tuple) else (home, step.frame)
        return tuple(comments[name].get(number, ()))

    return tuple(replace(step, comments=of(step)) for step in steps)
