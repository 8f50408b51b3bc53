"""The state of both ends of a connection at a moment, including what the clock changes without any segment.

RFC 9293 §3.6.1: TIME-WAIT ends by itself. In: a `Connection` and a moment. Out: its states then, the running TIME-WAIT
with its time left, and how long the connection has been quiet.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from handshake_inspect.connections.connection import ENDS, Connection, End, Pair, TimeWait

Phase = Literal["opening", "open", "closing", "waiting", "over"]
#: States of an end that has not opened yet, or has finished.
IDLE = ("CLOSED", "LISTEN")
OPENING = ("SYN-SENT", "SYN-RECEIVED")


@dataclass(frozen=True, slots=True)
class ConnectionSnapshot:
    """A connection at a moment."""

    #: None: nothing is proven about this end.
    states: Pair[str | None]
    phase: Phase
    #: The TIME-WAIT that is running; if two are, the one that ends later.
    waiting: TimeWait | None
    #: Since its first segment, and since its last one.
    age_ns: int
    quiet_ns: int
    #: From its first segment to its last one; None: the clock jumped back between them.
    lasted_ns: int | None
    #: Time until the earliest end of `waiting`, and from its last start or restart to that end; both 0 without one.
    left_ns: int = 0
    whole_ns: int = 0


def present(connection: Connection, now_ns: int, lasted_ns: int | None) -> ConnectionSnapshot:
    """Return the state of a connection at `now_ns`, which is not before its last segment."""
    running = [one for one in connection.time_wait if runs(one, now_ns)]
    states = Pair(*(_state(connection, end, now_ns) for end in ENDS))
    waiting = max(running, key=lambda one: one.earliest_end_ns, default=None)
    begun_ns = 0 if waiting is None else max([waiting.entered_ns, *waiting.restarts_ns])
    return ConnectionSnapshot(
        states,
        _phase(states),
        waiting,
        age_ns=max(now_ns - connection.first_ns, 0),
        quiet_ns=max(now_ns - connection.last_ns, 0),
        lasted_ns=lasted_ns,
        left_ns=0 if waiting is None else waiting.earliest_end_ns - now_ns,
        whole_ns=0 if waiting is None else waiting.earliest_end_ns - begun_ns,
    )


def runs(wait: TimeWait, now_ns: int) -> bool:
    """Return whether a TIME-WAIT is still running, as far as segments and the clock show."""
    return wait.outcome == "not-captured" and now_ns < wait.earliest_end_ns


def _state(connection: Connection, end: End, now_ns: int) -> str | None:
    states = connection.states[end]
    if not states:
        return None
    wait = connection.time_wait_of(end)
    if states[-1] != "TIME-WAIT" or wait is None or runs(wait, now_ns):
        return states[-1]
    return wait.state_after.state


def _phase(states: Pair[str | None]) -> Phase:
    known = {states.originator, states.responder} - {None}
    if "TIME-WAIT" in known:
        return "waiting"
    if known <= {*IDLE}:
        return "over"
    if known & {*OPENING}:
        return "opening"
    return "open" if known == {"ESTABLISHED"} else "closing"
