"""What ended a TIME-WAIT: its timer, or what came before, with the evidence for it.

In: an entry as it was followed (`following`), the segments of its pair of sockets that were captured meanwhile, and
what the kernel counted. Out: an `Ending`. An RST and SOCK_DESTROY leave no trace in the kernel (`counters`): the first
is known by its segment, the second by elimination, which takes a capture that missed nothing.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from handshake_inspect.lab.segments import ACK, RST, SYN, Segment
from handshake_inspect.lab.time_wait.following import Following

#: ran-out: the timer fired. reset: an RST. reused: a new connection of the same two ends. destroyed: SOCK_DESTROY, as
#: `ss -K` does. no-room: it never was, for tcp_max_tw_buckets. unknown: nothing tells. there: it has not ended.
Cause = Literal["ran-out", "reset", "reused", "destroyed", "no-room", "unknown", "there"]

#: The clock of the capture and CLOCK_MONOTONIC are compared to some microseconds. Both are slewed alike.
SLACK_NS = 1_000_000


@dataclass(frozen=True, slots=True)
class Captured:
    """A segment of the pair, when it was captured (CLOCK_MONOTONIC), and its number in the capture."""

    time_ns: int
    frame: int
    segment: Segment


@dataclass(frozen=True, slots=True)
class Ending:
    """How it ended."""

    cause: Cause
    #: The segment that did it, or that opened the connection that did.
    by: Captured | None = None
    #: For "reused": did the owner of TIME-WAIT open the new connection itself? None: not seen.
    by_owner: bool | None = None


def ending_of(entry: Following, captured: Sequence[Captured], *, is_complete: bool) -> Ending:
    """Return what ended an entry that was followed. `is_complete`: the capture missed no frame."""
    if entry.gone is None:
        return Ending("there")
    evidence = evidence_in(captured, entry.local.port, entry.last.before_ns - SLACK_NS, entry.gone.after_ns + SLACK_NS)
    if evidence is not None:
        return evidence
    if entry.instead is not None:
        return Ending("reused")
    if entry.gone.after_ns >= entry.fires.earliest_ns:
        return Ending("ran-out")
    return Ending("destroyed" if is_complete else "unknown")


def ending_of_missing(
    captured: Sequence[Captured], port: int, entered_ns: int, asked_ns: int, *, overflowed: bool
) -> Ending:
    """Return why an entry that the capture predicts was not there when the kernel was first asked, at `asked_ns`."""
    return evidence_in(captured, port, entered_ns, asked_ns) or Ending("no-room" if overflowed else "unknown")


def evidence_in(captured: Sequence[Captured], port: int, after_ns: int, until_ns: int) -> Ending | None:
    """Return the ending by a segment that came between two moments.

    A SYN that was answered by a SYN-ACK opened a new connection; an RST that came to the owner of TIME-WAIT, whose port
    is `port`, ended it. If the owner's own kernel sent the RST, there was no TIME-WAIT any more.
    """
    window = [one for one in captured if after_ns < one.time_ns <= until_ns]
    answers = {one.segment.ack for one in window if one.segment.flags & (SYN | ACK) == SYN | ACK}
    for one in window:
        segment = one.segment
        if segment.flags & SYN and not segment.flags & ACK and segment.end in answers:
            return Ending("reused", one, by_owner=segment.source[1] == port)
    resets = [one for one in window if one.segment.flags & RST and one.segment.destination[1] == port]
    return Ending("reset", resets[-1]) if resets else None
