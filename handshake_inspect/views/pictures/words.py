"""What every picture of a ladder says in the same words: how a state is known, which segment it is, when a wait ends.

In: parts of a `Ladder`. Out: short words, which are also the classes of style sheets. Nothing is decided here.
"""

from __future__ import annotations

from functools import lru_cache

from handshake_inspect.connections.connection import Connection, StateAt
from handshake_inspect.tcp.time_wait import profile_of
from handshake_inspect.views.ladder_states import NOT_CAPTURED
from handshake_inspect.views.palette import STATE_ROLES
from handshake_inspect.views.rungs import Deadline, Ladder

#: How a state is known -> what that means, for the legend of a picture.
PATTERNS = {
    "proven": "sent: the end's own act; acknowledged: proven by a number of its peer",
    "assumed": "assumed: the segment was seen, its arrival is not proven by any later number",
    "disproved": "disproved: assumed at that moment, and disproved by a later segment",
    "timer": "timer: what no segment shows, the end of TIME-WAIT at the earliest",
}


def role_of(at: StateAt) -> str:
    """Return the role whose colour a state has (`views.palette`)."""
    return STATE_ROLES.get(at.state or "", "unknown")


def pattern_of(at: StateAt) -> str:
    """Return how a lane is filled: proven, assumed, disproved, timer; "nothing" where no state is known."""
    if at.state is None or at.state == NOT_CAPTURED:
        return "nothing"
    if at.disproved:
        return "disproved"
    return at.basis if at.basis in ("assumed", "timer") else "proven"


def basis_words(at: StateAt) -> str:
    """Return how a state is known, in a word; "" where there is none."""
    if at.disproved:
        return "disproved"
    return "by timer" if at.basis == "timer" else at.basis or ""


@lru_cache(maxsize=1 << 10)
def kind_of(flags: str) -> str:
    """Return what kind of segment it is, by the control bit that matters most: rst, syn, fin or plain."""
    bits = flags.split(",")
    return next((bit.lower() for bit in ("RST", "SYN", "FIN") if bit in bits), "plain")


def legend_of(ladder: Ladder) -> list[tuple[str, str]]:
    """Return the patterns of the lanes that are used, and what each means."""
    distinct = {id(row.states): row.states for row in [*ladder.rows, *ladder.deadlines]}
    used = {pattern_of(at) for states in distinct.values() for at in (states.originator, states.responder)}
    return [(pattern, said) for pattern, said in PATTERNS.items() if pattern in used]


def deadline_words(deadline: Deadline) -> list[str]:
    """Return until when an end waits, and on what assumption; or how its wait was seen to end."""
    if deadline.ended:
        return ["TIME-WAIT", deadline.ended]
    return [f"TIME-WAIT until {deadline.until} at the earliest", profile_of(deadline.wait.profile).assumption]


def verdict_words(connection: Connection) -> str:
    """Return how a connection opened and closed: "opened three-way, closed four-way"."""
    opening, closing = connection.handshake.kind, connection.teardown.kind
    return f"opening {opening}, closing {closing}"
