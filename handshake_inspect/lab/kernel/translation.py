"""The kernel's account in the words of RFC 9293: where Linux represents a connection differently, and what that means.

In: a `KernelAccount` and the two addresses of one end. Out: the `Life` of each socket that was that end: its states in
order, each with how it is known and, where it was translated, by which line of `differences`. Here is what the account
alone tells; what it takes the captured segments to tell is in `uncaptured`. RFC 9293 §3.3.2 and §3.6 are the other
side of it.
"""

from __future__ import annotations

from collections import defaultdict, deque
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from itertools import pairwise

from handshake_inspect.connections.connection import Endpoint
from handshake_inspect.lab.kernel.account import KernelAccount, KernelChange, Source

#: From these a socket's TCP_CLOSE may mean that a mini socket has taken over.
BEFORE_MINI = {"FIN-WAIT-2", "CLOSING"}
#: What is hidden of an end that listens: another request may have come and gone.
UNSEEN_REQUEST = {"LISTEN": "request-unseen", "SYN-RECEIVED": "request-unseen"}
#: What is hidden of an end of which the kernel shows no socket at all.
NO_SOCKET = {"CLOSED": "no-socket"} | UNSEEN_REQUEST


@dataclass(frozen=True, slots=True)
class KernelState:
    """One state of one end, according to the kernel."""

    #: When it began, nanoseconds since the Unix epoch; None: it was there before.
    time_ns: int | None
    #: As RFC 9293 spells it.
    state: str
    source: Source
    #: Which line of `differences` it was translated by; None: none.
    note: str | None = None
    #: A capture need not show it: it was passed through, or no segment tells of it.
    optional: bool = False


@dataclass
class Life:
    """One socket that was one end of one connection, from request socket to mini socket."""

    begin_ns: int
    #: It opened actively: by a SYN of its own, if it came to that.
    active: bool
    #: A connection that was captured begins with that SYN (`association`).
    began: bool = False
    states: list[KernelState] = field(default_factory=list)
    #: States that it may have had and that the kernel does not show; each by a line of `differences`.
    hidden: dict[str, str] = field(default_factory=dict)
    #: Every change, as it was told.
    traced: list[KernelChange] = field(default_factory=list)
    sampled: list[KernelChange] = field(default_factory=list)

    @property
    def told_ns(self) -> int:
        """When the state was certainly there: a sample has the time at which a look began, which is earlier."""
        return self.traced[0].time_ns if self.traced else self.begin_ns

    @property
    def ended(self) -> bool:
        """Has the tracepoint reported its end?"""
        return bool(self.traced) and self.traced[-1].new == "CLOSED"

    @property
    def waits_for_trace(self) -> bool:
        """Was it only sampled so far, and is still there? Then the next birth that is traced is its own."""
        return not self.traced and self.sampled[-1].new is not None


def lives(account: KernelAccount, local: Endpoint, remote: Endpoint) -> list[Life]:
    """Return each socket that was this end, in order of time, with its states translated."""
    wanted = account.owner(local), account.owner(remote)
    changes = with_ports(account.changes)
    changes = [one for one in changes if (account.owner(one.local), account.owner(one.remote)) == wanted]
    found = gather_lives(changes)
    for life in found:
        life.states = joined(from_trace(life) if life.traced else from_samples(life))
        if life.traced and unseen_mini(life):
            life.hidden = {"TIME-WAIT": "mini-unseen"}
        if life.states[0].state == "LISTEN":
            life.hidden |= UNSEEN_REQUEST
    return found


def with_ports(changes: Iterable[KernelChange]) -> list[KernelChange]:
    """Add the local port to the first change of each active OPEN, which the kernel reports before it chooses the port.

    The next change of the same socket has it. A socket that has no next change is in SYN-SENT still, and what is told
    of several of them is alike: they get the ports of the samples in SYN-SENT that are no other socket's, in order.
    """
    found: list[KernelChange] = []
    later: dict[str, KernelChange] = {}
    for change in reversed(list(changes)):
        if change.source == "tracepoint" and change.old == "CLOSED":
            known = later.pop(change.socket, None)
            if change.local.port == 0 and known is not None:
                change = replace(change, local=known.local)
        elif change.source == "tracepoint":
            later[change.socket] = change
        found.append(change)
    found.reverse()
    free = ports_of_nobody(found)
    return [change if change.local.port else replace(change, local=next_port(change, free)) for change in found]


def ports_of_nobody(changes: Sequence[KernelChange]) -> dict[tuple[str, Endpoint], deque[Endpoint]]:
    """Return, by local address and peer, the ports that were sampled in SYN-SENT and that nothing else was told of."""
    told = {(change.local, change.remote) for change in changes if change.source == "tracepoint"}
    free: defaultdict[tuple[str, Endpoint], dict[Endpoint, None]] = defaultdict(dict)
    for change in changes:
        if change.new == "SYN-SENT" and (change.local, change.remote) not in told:
            free[change.local.ip, change.remote][change.local] = None
    return {whose: deque(ports) for whose, ports in free.items()}


def next_port(change: KernelChange, free: dict[tuple[str, Endpoint], deque[Endpoint]]) -> Endpoint:
    """Take the next of these ports for a socket whose port is not known; its own address if there is none left."""
    ports = free.get((change.local.ip, change.remote))
    return ports.popleft() if ports else change.local


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
    """Translate the tracepoint's changes of one socket, and samples where there are none."""
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
    """May the socket have been in TIME-WAIT without a sample that shows it?"""
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
    """Translate a socket that was only sampled.

    A look may reach it just as its mini socket takes over: then it is closed, and that is no state of the connection.
    """
    first = life.sampled[0]
    before = [KernelState(None, "LISTEN", "sampled")] if first.kind == "request" else []
    replaced = {
        one for one, later in pairwise(life.sampled) if (one.kind, one.new, later.kind) == ("socket", "CLOSED", "mini")
    }
    return before + [sampled_state(sample) for sample in life.sampled if sample not in replaced]


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


def joined(states: Iterable[KernelState]) -> list[KernelState]:
    """Join adjacent equal states."""
    found: list[KernelState] = []
    for state in states:
        if found and found[-1].state == state.state:
            found[-1] = replace(found[-1], note=found[-1].note or state.note)
        else:
            found.append(state)
    return found
