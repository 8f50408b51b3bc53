"""The kernel's account in the words of RFC 9293: where Linux represents a connection differently, and what that means.

In: a `KernelAccount` and the two addresses of one end. Out: the `Life` of each socket that was that end: its states in
order, each with how it is known and, where it was translated, by which line of `DIFFERENCES`. That table is all that
is translated; each line was measured on Linux 6.18 and is held by a test with real sockets. RFC 9293 §3.3.2 and §3.6
are the other side of it.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, replace

from handshake_inspect.connections.connection import Endpoint
from handshake_inspect.lab.kernel.account import KernelAccount, KernelChange, Source


@dataclass(frozen=True, slots=True)
class Difference:
    """One way in which the kernel says something else than RFC 9293, and means the same."""

    #: Its name, a word.
    code: str
    #: What the kernel shows.
    kernel: str
    #: What it is in the words of RFC 9293.
    means: str
    #: One sentence: why.
    reason: str


DIFFERENCES = (
    Difference(
        "mini",
        "→ TCP_CLOSE, and a mini socket in TIME-WAIT",
        "TIME-WAIT",
        "For TIME-WAIT Linux replaces a socket by a small one, and logs the end of the big one.",
    ),
    Difference(
        "orphan",
        "→ TCP_CLOSE, and a mini socket in FIN-WAIT-2",
        "still FIN-WAIT-2",
        "A socket that its program has closed is replaced already here; from then on nothing is logged.",
    ),
    Difference(
        "mini-unseen",
        "→ TCP_CLOSE, and no mini socket was seen",
        "TIME-WAIT or CLOSED",
        "TIME-WAIT that ends between two samples, or that tcp_max_tw_buckets forbids, leaves no trace.",
    ),
    Difference(
        "one-segment",
        "two changes by one segment",
        "one move",
        "A segment with an ACK of the FIN and a FIN is two steps of Linux, and one of RFC 9293 §3.3.2.",
    ),
    Difference(
        "request",
        "a request socket, logged with the third segment",
        "SYN-RECEIVED",
        "A half-open connection is only a request at its listener: sock_diag shows it, nothing logs it.",
    ),
    Difference(
        "request-gone",
        "the request socket is gone",
        "LISTEN",
        "An RST removed it (RFC 9293 §3.10.7.4: back to LISTEN), or no SYN-ACK of it was answered.",
    ),
    Difference(
        "request-unseen",
        "no request socket was seen",
        "LISTEN or SYN-RECEIVED",
        "A request that ends between two samples leaves no trace; with SYN cookies there is none.",
    ),
    Difference(
        "no-socket",
        "no socket",
        "CLOSED",
        "A port at which nobody listens has no socket: the kernel answers for it.",
    ),
    Difference(
        "silent",
        "→ TCP_CLOSE, and no segment at that time",
        "CLOSED, by itself",
        "Retries are exhausted, an orphan's time is up, a program gives its socket up: without a word.",
    ),
    Difference(
        "time-wait-over",
        "the mini socket is gone",
        "CLOSED",
        "2MSL has passed, the port was used again, or an RST has ended TIME-WAIT (RFC 1337).",
    ),
    Difference(
        "not-taken",
        "did not happen",
        "the segment did not arrive",
        "What was captured may yet be dropped, at a full accept queue or a filter: nothing proves it.",
    ),
)

BY_CODE = {difference.code: difference for difference in DIFFERENCES}

#: State passed through within one segment: from, through, to.
ONE_SEGMENT = {
    ("FIN-WAIT-1", "FIN-WAIT-2", "TIME-WAIT"),  # its FIN carries the ACK of ours
    ("FIN-WAIT-1", "FIN-WAIT-2", "CLOSED"),  # likewise, and the mini socket was not seen
    ("SYN-RECEIVED", "ESTABLISHED", "CLOSE-WAIT"),  # the third segment carries a FIN
}
#: From these a socket's TCP_CLOSE may mean that a mini socket has taken over.
BEFORE_MINI = {"FIN-WAIT-2", "CLOSING"}
#: What is hidden of an end of which the kernel shows no socket at all.
NO_SOCKET = {"CLOSED": "no-socket", "LISTEN": "request-unseen", "SYN-RECEIVED": "request-unseen"}


@dataclass(frozen=True, slots=True)
class KernelState:
    """One state of one end, according to the kernel."""

    #: When it began, nanoseconds since the Unix epoch; None: it was there before.
    time_ns: int | None
    #: As RFC 9293 spells it.
    state: str
    source: Source
    #: Which line of `DIFFERENCES` it was translated by; None: none.
    note: str | None = None
    #: A capture need not show it: it was passed through, or no segment tells of it.
    optional: bool = False


@dataclass
class Life:
    """One socket that was one end of one connection, from request socket to mini socket."""

    begin_ns: int
    #: It opened actively: by a SYN of its own.
    active: bool
    states: list[KernelState] = field(default_factory=list)
    #: States that it may have had and that the kernel does not show; each by a line of `DIFFERENCES`.
    hidden: dict[str, str] = field(default_factory=dict)
    #: Every change, as it was told.
    traced: list[KernelChange] = field(default_factory=list)
    sampled: list[KernelChange] = field(default_factory=list)

    @property
    def ended(self) -> bool:
        """Has the tracepoint told its end?"""
        return bool(self.traced) and self.traced[-1].new == "CLOSED"

    @property
    def waits_for_trace(self) -> bool:
        """Was it only sampled so far, and is still there? Then the next birth that is traced is its own."""
        return not self.traced and self.sampled[-1].new is not None


def lives(account: KernelAccount, local: Endpoint, remote: Endpoint) -> list[Life]:
    """Return each socket that was this end, in order of time, with its states translated."""
    changes = [change for change in with_ports(account.changes) if (change.local, change.remote) == (local, remote)]
    found = gather_lives(changes)
    for life in found:
        life.states = mark_passing(from_trace(life) if life.traced else from_samples(life), life)
        if life.traced and unseen_mini(life):
            life.hidden = {"TIME-WAIT": "mini-unseen"}
    return found


def with_ports(changes: Iterable[KernelChange]) -> list[KernelChange]:
    """Give the first change of each active OPEN its local port, which is chosen just after it.

    The next change of the same socket has it; of a socket that has no next change, the samples.
    """
    found: list[KernelChange] = []
    later: dict[object, KernelChange] = {}
    for change in reversed(list(changes)):
        anywhere = (change.local.ip, change.remote)
        if change.source == "tracepoint" and change.old == "CLOSED":
            known = later.pop(change.socket, later.get(anywhere))
            if change.local.port == 0 and known is not None:
                change = replace(change, local=known.local)
        elif change.source == "tracepoint":
            later[change.socket] = change
        elif change.new == "SYN-SENT":
            later[anywhere] = change
        found.append(change)
    return found[::-1]


def gather_lives(changes: Iterable[KernelChange]) -> list[Life]:
    """Put the changes of one end together by socket: those of the tracepoint, and the samples of the same socket."""
    found: list[Life] = []
    by_socket: dict[str, Life] = {}
    for change in changes:
        traced, latest = change.source == "tracepoint", found[-1] if found else None
        born = change.old in ("CLOSED", "LISTEN") if traced else change.old is None
        life = None if born else by_socket.get(change.socket)
        if life is None and latest and (latest.waits_for_trace if traced else belongs_to(latest, change)):
            life = latest
        if life is None:
            life = Life(change.time_ns, active="SYN-SENT" in (change.old, change.new))
            found.append(life)
        by_socket[change.socket] = life
        (life.traced if traced else life.sampled).append(change)
    return found


def belongs_to(latest: Life, sample: KernelChange) -> bool:
    """Tell whether a socket that is sampled for the first time is the latest one that was traced."""
    return bool(latest.traced) and (sample.kind == "mini" or (sample.kind == "socket" and not latest.ended))


def from_trace(life: Life) -> list[KernelState]:
    """Translate what the tracepoint told of one socket, with the samples where it is silent."""
    assert life.traced[0].old is not None
    states = [KernelState(None, life.traced[0].old, "tracepoint")]
    half_open = [sample for sample in life.sampled if sample.kind == "request" and sample.new]
    for change in life.traced:
        assert change.new is not None
        if change.old == "LISTEN":
            seen = half_open[0] if half_open else change
            states.append(KernelState(min(seen.time_ns, change.time_ns), change.new, seen.source, "request"))
        elif change.new == "CLOSED" and change.old in BEFORE_MINI:
            states += mini_states(life, change)
        else:
            states.append(KernelState(change.time_ns, change.new, "tracepoint"))
    return states


def minis_of(life: Life) -> list[KernelChange]:
    """Return the samples of its mini socket."""
    return [sample for sample in life.sampled if sample.kind == "mini"]


def unseen_mini(life: Life) -> bool:
    """Tell whether it may have been in TIME-WAIT without a sample that shows it."""
    last = life.traced[-1]
    handed_over = last.new == "CLOSED" and last.old in BEFORE_MINI
    return handed_over and all(sample.new != "TIME-WAIT" for sample in minis_of(life))


def mini_states(life: Life, change: KernelChange) -> Iterator[KernelState]:
    """Translate TCP_CLOSE of a socket that a mini socket has replaced, or may have replaced."""
    minis = minis_of(life)
    if not minis:
        yield KernelState(change.time_ns, "CLOSED", "tracepoint", "mini-unseen", optional=True)
    for number, mini in enumerate(minis):
        if mini.new == "FIN-WAIT-2":
            yield KernelState(change.time_ns, mini.new, "sampled", "orphan", optional=True)
        elif mini.new == "TIME-WAIT" and number == 0:
            yield KernelState(change.time_ns, mini.new, "tracepoint", "mini")
        else:
            yield sampled_state(mini)


def from_samples(life: Life) -> list[KernelState]:
    """Translate what was only sampled of one socket."""
    first = life.sampled[0]
    before = [KernelState(None, "LISTEN", "sampled", "request")] if first.kind == "request" else []
    return before + [sampled_state(sample) for sample in life.sampled]


def sampled_state(sample: KernelChange) -> KernelState:
    """Translate one change between two samples."""
    if sample.new is not None:
        notes = {"request": "request", "socket": None, "mini": "mini" if sample.new == "TIME-WAIT" else "orphan"}
        return KernelState(sample.time_ns, sample.new, "sampled", notes[sample.kind])
    if sample.kind == "request":
        return KernelState(sample.time_ns, "LISTEN", "sampled", "request-gone", optional=True)
    mini = sample.kind == "mini"
    note = "time-wait-over" if sample.old == "TIME-WAIT" else "silent" if mini else None
    return KernelState(sample.time_ns, "CLOSED", "sampled", note, optional=mini)


def mark_passing(states: list[KernelState], life: Life) -> list[KernelState]:
    """Join what is one state, and mark what was passed through within one segment: no sample shows that it lasted."""
    joined: list[KernelState] = []
    for state in states:
        if joined and joined[-1].state == state.state:
            joined[-1] = replace(joined[-1], note=joined[-1].note or state.note)
        else:
            joined.append(state)
    lasted = {sample.new for sample in life.sampled}
    for number in range(1, len(joined) - 1):
        through = tuple(state.state for state in joined[number - 1 : number + 2])
        if through in ONE_SEGMENT and through[1] not in lasted:
            joined[number] = replace(joined[number], note="one-segment", optional=True)
    return joined
