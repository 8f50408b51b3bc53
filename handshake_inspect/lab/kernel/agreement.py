"""Two accounts of one run side by side: the states that we read from the capture, and the kernel's own.

In: connections with their segments, and a `KernelAccount`. Out: an `Agreement`: for each end of each connection the
rows of both columns in one order, how each row fits, and the counts of the verdict.

What must hold: with the tracepoint both orders are equal, but for what `differences.DIFFERENCES` lists. Of samples:
what they saw is in our order. Of a capture that has only a part (`partial`: one vantage point, one direction): every
state that we claim is in the kernel's order; only the tracepoint can deny that. A state that we only *assume* (a
segment was captured, and nothing proves its arrival) contradicts nothing if it did not come about, and does not agree
either: the row says so.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import takewhile
from typing import Literal

from handshake_inspect.connections.connection import ENDS, Connection, End, Endpoint, Pair, Step
from handshake_inspect.inspection import Inspection
from handshake_inspect.lab.kernel.account import KernelAccount
from handshake_inspect.lab.kernel.association import addresses, between_the_same, lives_of
from handshake_inspect.lab.kernel.translation import KernelState
from handshake_inspect.lab.kernel.uncaptured import hidden_of, states_of
from handshake_inspect.lab.world import LabError

#: How one row fits: both say it; the kernel does not show it, or the samples missed it; we assumed it, and it did not
#: happen; no segment tells of it; one of them is wrong.
Fit = Literal["agrees", "not-seen", "not-taken", "not-captured", "contradicts"]

#: Cost of a row that only one side may have, and of one that both must have, in the search for the best alignment.
ALONE, FORBIDDEN = 1, 1000


@dataclass(frozen=True, slots=True)
class OwnState:
    """One state of one end, as the capture shows it."""

    #: Of the segment that shows it; None: it was there before.
    time_ns: int | None
    state: str
    #: How it is known (`StateAt.basis`); None of the first one.
    basis: str | None


@dataclass(frozen=True, slots=True)
class Row:
    """One state of one end in both accounts."""

    own: OwnState | None
    kernel: KernelState | None
    fit: Fit
    #: Which line of `differences.DIFFERENCES` explains it.
    note: str | None = None

    def __str__(self) -> str:
        side, state = ("capture", self.own) if self.own else ("kernel", self.kernel)
        assert state is not None
        return f"only the {side} says {state.state}"


@dataclass(frozen=True, slots=True)
class EndAgreement:
    """Both accounts of one end."""

    end: End
    endpoint: Endpoint
    rows: tuple[Row, ...]

    @property
    def claims(self) -> list[Row]:
        """The changes that the capture shows: every state of ours but the first."""
        return [row for row in self.rows if row.own][1:]

    def count(self, *fits: Fit) -> int:
        """Count our changes that fit so."""
        return sum(row.fit in fits for row in self.claims)

    @property
    def contradictions(self) -> list[Row]:
        """The rows of which one side is wrong."""
        return [row for row in self.rows if row.fit == "contradicts"]


@dataclass(frozen=True, slots=True)
class ConnectionAgreement:
    """Both accounts of one connection."""

    stream: int
    first_ns: int
    #: The same twice for a connection of a socket with itself.
    ends: Pair[EndAgreement]

    @property
    def distinct(self) -> list[EndAgreement]:
        """Both ends; the one of a socket that is connected with itself."""
        both = [self.ends[end] for end in ENDS]
        return both[:1] if both[0].endpoint == both[1].endpoint else both

    @property
    def shape(self) -> object:
        """The states and how they fit, without times: the same for connections that behaved alike."""
        return [
            [(row.own and row.own.state, row.kernel and row.kernel.state, row.fit, row.note) for row in end.rows]
            for end in self.distinct
        ]


@dataclass(frozen=True, slots=True)
class Agreement:
    """Both accounts of a run."""

    connections: tuple[ConnectionAgreement, ...]
    #: Why the kernel's account is only sampled; None: it has every change.
    why_sampled: str | None

    @property
    def ends(self) -> list[EndAgreement]:
        """Every end of every connection; the one of a socket that is connected with itself once."""
        return [end for connection in self.connections for end in connection.distinct]

    @property
    def contradicts(self) -> bool:
        """Is one of the two accounts wrong?"""
        return any(end.contradictions for end in self.ends)

    @property
    def complete(self) -> bool:
        """Does the kernel confirm every change that we claim?"""
        return not self.contradicts and self.count("agrees") == self.changes

    @property
    def changes(self) -> int:
        """How many changes the capture shows."""
        return sum(len(end.claims) for end in self.ends)

    def count(self, *fits: Fit) -> int:
        """Count our changes that fit so."""
        return sum(end.count(*fits) for end in self.ends)


def compare(inspection: Inspection, account: KernelAccount, *, partial: bool = False) -> Agreement:
    """Compare every connection of an inspection. Raises LabError if the kernel's account has holes."""
    if account.lost:
        raise LabError(
            f"the kernel's account has holes: {account.lost} changes came faster than they were noted; run it again"
        )
    connections = list(inspection.connections)
    found = []
    for connection in connections:
        steps = inspection.steps(connection.stream)
        same = between_the_same(connection, connections)
        earlier = [inspection.steps(one.stream)[0] for one in same if one.stream < connection.stream]
        pair = []
        for end in ENDS:
            sockets = lives_of(connection, end, same, account)
            hidden = hidden_of(sockets, end, steps, earlier)
            kernel = states_of(sockets, end, steps, account)
            pair.append(compare_end(connection, end, steps, kernel, hidden, account, partial))
        found.append(ConnectionAgreement(connection.stream, connection.first_ns, Pair(*pair)))
    return Agreement(tuple(found), account.why_sampled)


def compare_end(
    connection: Connection,
    end: End,
    steps: Sequence[Step],
    kernel: Sequence[KernelState],
    hidden: Mapping[str, str],
    account: KernelAccount,
    partial: bool,
) -> EndAgreement:
    """Compare one end with the states of the sockets that it was, and with what these may hide."""

    def own_alone(one: OwnState) -> tuple[Fit, str | None]:
        if hidden.get(one.state) == "old-copy":
            return "not-taken", "old-copy"
        if not account.traced or one.state in hidden:
            return "not-seen", hidden.get(one.state) if account.traced else None
        return ("not-taken", "not-taken") if one.basis == "assumed" else ("contradicts", None)

    def kernel_alone(one: KernelState) -> tuple[Fit, str | None]:
        return "not-captured" if one.optional or partial else "contradicts", one.note

    own = own_states(connection.states[end], end, steps)
    if own is None:
        rows = [Row(None, one, "not-captured", one.note) for one in kernel]
    else:
        rows = excuse_what_follows(align(own, kernel, own_alone, kernel_alone))
    return EndAgreement(end, addresses(connection, end)[0], tuple(rows))


def note_beside(own: OwnState, kernel: KernelState) -> str | None:
    """Return the kernel's note, unless our segments show that it does not hold: a move of its own, no silent one, a FIN
    that one of them acknowledges."""
    shown_at_once = own.time_ns is not None and kernel.time_ns is not None and own.time_ns <= kernel.time_ns
    moot = kernel.note in ("one-segment", "no-fin") or (kernel.note == "silent" and shown_at_once)
    return None if moot else kernel.note


def excuse_what_follows(rows: Sequence[Row]) -> list[Row]:
    """After a state that we assumed and that did not happen, what we say next rests on it and contradicts nothing."""
    excused, mistaken = [], False
    for row in rows:
        mistaken |= row.fit == "not-taken"
        if mistaken and row.own and row.fit == "contradicts":
            row = replace(row, fit="not-taken", note="not-taken")
        excused.append(row)
    return excused


def own_states(states: Sequence[str] | None, end: End, steps: Sequence[Step]) -> list[OwnState] | None:
    """Return our states of one end with the time and the basis of each; None if the capture cannot tell any.

    A state may be assumed at first and be proven later. One that stands after no segment was entered and left by one:
    that which shows the next state.
    """
    if states is None:
        return None
    found, at = [OwnState(None, states[0], None)], 0
    for state in states[1:]:
        here = [n for n in range(at, len(steps)) if steps[n].states[end].state == state]
        proven = [n for n in here if not steps[n].states[end].disproved]
        if proven:
            at = proven[0]
            found.append(OwnState(steps[at].time_ns, state, basis_in_the_end(steps[at:], end)))
        else:
            found.append(OwnState(None, state, None))
    for number in range(len(found) - 2, 0, -1):
        if found[number].time_ns is None:
            found[number] = replace(found[number], time_ns=found[number + 1].time_ns)
    return found


def basis_in_the_end(steps: Sequence[Step], end: End) -> str | None:
    """Return how the state after the first of these steps is known: "assumed" only if it is so as long as it lasts."""
    first = steps[0].states[end]
    lasting = takewhile(lambda step: step.states[end].state == first.state, steps)
    return next((step.states[end].basis for step in lasting if step.states[end].basis != "assumed"), first.basis)


def align(
    own: Sequence[OwnState],
    kernel: Sequence[KernelState],
    own_alone: Callable[[OwnState], tuple[Fit, str | None]],
    kernel_alone: Callable[[KernelState], tuple[Fit, str | None]],
) -> list[Row]:
    """Lay two orders of states side by side, so that as few as possible stand alone that must not.

    The edit distance (Wagner and Fischer, 1974) without substitution; `best[i][j]` is the cheapest way to lay out what
    follows row i of ours and row j of the kernel's.
    """

    def cost(fit: Fit) -> int:
        return FORBIDDEN if fit == "contradicts" else ALONE

    best = [[0] * (len(kernel) + 1) for _ in range(len(own) + 1)]
    for i in range(len(own), -1, -1):
        for j in range(len(kernel), -1, -1):
            ways = []
            if i < len(own) and j < len(kernel) and own[i].state == kernel[j].state:
                ways.append(best[i + 1][j + 1])
            if i < len(own):
                ways.append(best[i + 1][j] + cost(own_alone(own[i])[0]))
            if j < len(kernel):
                ways.append(best[i][j + 1] + cost(kernel_alone(kernel[j])[0]))
            best[i][j] = min(ways, default=0)
    rows, i, j = [], 0, 0
    while i < len(own) or j < len(kernel):
        both = i < len(own) and j < len(kernel) and own[i].state == kernel[j].state
        if both and best[i][j] == best[i + 1][j + 1]:
            rows.append(Row(own[i], kernel[j], "agrees", note_beside(own[i], kernel[j])))
            i, j = i + 1, j + 1
        elif i < len(own) and best[i][j] == best[i + 1][j] + cost(own_alone(own[i])[0]):
            rows.append(Row(own[i], None, *own_alone(own[i])))
            i += 1
        else:
            rows.append(Row(None, kernel[j], *kernel_alone(kernel[j])))
            j += 1
    return rows
