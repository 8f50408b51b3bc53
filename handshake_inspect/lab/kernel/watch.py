"""A watcher: a process that notes what the kernel says of some TCP sockets while programs run.

In: which sockets (`SocketFilter`), and in which network namespaces. Out: a `KernelAccount`. As root of the host every
change of state by the tracepoint (`tracepoint`); as anybody, and always, samples of sock_diag about every millisecond,
of which only the differences are kept: they show what the tracepoint does not, request sockets and mini sockets.

    with watching(Concern(addresses={"127.83.1.9"})) as watch:
        ...                     # programs talk; watch.look() at moments that must not be missed
        account = watch.end()

The watcher is ready when the context is entered. It never takes more than about a fifth of one processor for its
samples: the more a look takes (many sockets, a busy machine), the rarer it looks.
"""

from __future__ import annotations

import ctypes
import os
import pickle
import select
import signal
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager, nullcontext
from typing import Self, cast

from handshake_inspect.lab.hosts import inside
from handshake_inspect.lab.kernel.account import KernelAccount, KernelChange, SocketFilter
from handshake_inspect.lab.kernel.sock_diag import IpVersion, KernelSocket, dump, open_diagnosis
from handshake_inspect.lab.kernel.tracepoint import (
    ClockOffset,
    StateEvent,
    StateTrace,
    TraceError,
    clock_offset,
    tracing,
)
from handshake_inspect.lab.world import PR_SET_PDEATHSIG, fork, sendable

#: Shortest and longest pause between two looks; between them it is so many times the duration of the look before.
INTERVAL_S, INTERVAL_MAX_S = 0.001, 0.01
REST = 4
#: How often the buffers of the tracepoint are emptied.
DRAIN_S = 0.01
#: More changes than this are counted, not kept.
CHANGES_MAX = 100_000
#: What goes to the watcher and comes back from it, an octet each; the account follows END.
READY, LOOK, END = b"r", b"l", b"e"


class Watch:
    """A watcher at work."""

    def __init__(self, pid: int, orders: int, report: int) -> None:
        self.pid, self._orders, self._report = pid, orders, report
        self._running = True

    def look(self) -> None:
        """Have the watcher look now, and return when it has: what is there now is not missed."""
        os.write(self._orders, LOOK)
        if os.read(self._report, 1) != LOOK:
            self._receive()

    def end(self) -> KernelAccount:
        """End the watch, after one last look, and return what was seen. Once only."""
        os.write(self._orders, END)
        return cast(KernelAccount, self._receive())

    def _receive(self) -> object:
        octets = b"".join(iter(lambda: os.read(self._report, 1 << 16), b""))
        self.abandon()
        if not octets:
            raise RuntimeError("the watcher of the kernel's sockets ended without an account")
        succeeded, value = pickle.loads(octets)  # written by our own child
        if not succeeded:
            raise value
        return value

    def wait_until_ready(self) -> None:
        """Return when tracing is on and the first sample is taken; raise what kept the watcher from it."""
        if os.read(self._report, 1) != READY:
            self._receive()

    def abandon(self) -> None:
        """Kill the process, whatever it was doing."""
        if self._running:
            self._running = False
            os.close(self._orders)
            os.close(self._report)
            os.kill(self.pid, signal.SIGTERM)
            os.waitpid(self.pid, 0)


@contextmanager
def watching(concern: SocketFilter, hosts: Sequence[int | None] = (None,), *, trace: bool = True) -> Iterator[Watch]:
    """Watch, in the network namespaces of these process ids (None: of this process), as long as the context lasts.

    With `trace` off only samples are taken, as for an ordinary user. Raises LabError.
    """
    orders_reader, orders = os.pipe()
    report, report_writer = os.pipe()

    def be_the_watcher() -> None:
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGTERM, 0, 0, 0)  # time to clear up, unlike SIGKILL
        os.close(report)
        answer: tuple[bool, object]
        try:
            answer = (True, keep_watch(concern, hosts, orders_reader, report_writer, trace=trace))
        except Exception as error:
            os.write(report_writer, END)
            answer = (False, sendable(error))
        with os.fdopen(report_writer, "wb") as pipe:
            pipe.write(pickle.dumps(answer))

    pid = fork(be_the_watcher)
    os.close(orders_reader)
    os.close(report_writer)
    watch = Watch(pid, orders, report)
    try:
        watch.wait_until_ready()
        yield watch
    finally:
        watch.abandon()


def keep_watch(
    concern: SocketFilter, hosts: Sequence[int | None], orders: int, report: int, *, trace: bool
) -> KernelAccount:
    """Run the watcher: report when it is ready, look until it must end, and return the account."""
    notes = Notes(concern)
    with Sampler(concern, hosts) as sampler, ExitStack() as stack:
        states: StateTrace | None = None
        why_sampled: str | None = "the tracepoint was not asked for"
        if trace:
            try:
                states, why_sampled = stack.enter_context(tracing(concern.addresses)), None
            except TraceError as error:
                why_sampled = str(error)
        notes.add(sampler.look())
        os.write(report, READY)
        drained_s = time.monotonic()
        while (order := next_order(orders, sampler.pause_s)) != END:
            notes.add(sampler.look())
            if order == LOOK:
                os.write(report, LOOK)
            if states and time.monotonic() > drained_s + DRAIN_S:
                drained_s = time.monotonic()
                notes.add_events(states.read())
        if states:
            notes.add_events(states.read())
        notes.add(sampler.look())
        return notes.account(sampler, why_sampled, states.lost() if states else 0)


def next_order(orders: int, pause_s: float) -> bytes:
    """Return the parent's next order, or b"" after a pause; END also if the parent is gone."""
    return os.read(orders, 1) or END if select.select([orders], [], [], pause_s)[0] else b""


class Sampler:
    """Looks at the sockets of some network namespaces, and returns the differences from the look before."""

    def __init__(self, concern: SocketFilter, hosts: Sequence[int | None]) -> None:
        self._concern = concern
        self._netlinks = []
        for host in hosts:
            with nullcontext() if host is None else inside(host):
                self._netlinks.append(open_diagnosis())
        self._seen: dict[str, KernelSocket] = {}
        self._began_s = time.monotonic()
        self.looks, self.longest_gap_s, self.pause_s = 0, 0.0, INTERVAL_S

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        for netlink in self._netlinks:
            netlink.close()

    @property
    def _ip_versions(self) -> list[IpVersion]:
        """The IP versions of the addresses that concern us: a look costs 0.2 ms for each."""
        versions: set[IpVersion] = {6 if ":" in address else 4 for address in self._concern.addresses}
        return sorted(versions) or [4, 6]

    def look(self) -> list[KernelChange]:
        """Ask the kernel once."""
        began_s, time_ns = time.monotonic(), time.time_ns()
        now = {
            f"cookie {number}/{one.cookie}": one
            for number, netlink in enumerate(self._netlinks)
            for version in self._ip_versions
            for one in dump(netlink, version)
            if self._concern.includes(one.local, one.remote)
        }
        changes = [sampled_change(time_ns, name, self._seen.get(name), one) for name, one in now.items()]
        changes += [sampled_change(time_ns, name, one, None) for name, one in self._seen.items() if name not in now]
        ended_s = time.monotonic()
        if self.looks:
            self.longest_gap_s = max(self.longest_gap_s, ended_s - self._began_s)
        self.looks += 1
        self._seen, self._began_s = now, began_s
        self.pause_s = min(max(INTERVAL_S, REST * (ended_s - began_s)), INTERVAL_MAX_S)
        return [change for change in changes if change is not None]


def sampled_change(
    time_ns: int, name: str, before: KernelSocket | None, after: KernelSocket | None
) -> KernelChange | None:
    """Return what changed of one socket between two looks; None if nothing did."""
    one = after or before
    assert one is not None
    if before and after and (before.state, before.kind) == (after.state, after.kind):
        return None
    old, new = (side.state if side else None for side in (before, after))
    return KernelChange(time_ns, one.local, one.remote, name, one.kind, old, new, "sampled")


class Notes:
    """The watcher's notes, bounded in memory."""

    def __init__(self, concern: SocketFilter) -> None:
        self._concern = concern
        self._changes: list[KernelChange] = []
        self._events: list[StateEvent] = []
        self._left_out = 0
        self._offset = clock_offset()

    def add(self, changes: list[KernelChange]) -> None:
        """Note the changes that a look found."""
        room = self._room()
        self._changes += changes[:room]
        self._left_out += len(changes[room:])

    def add_events(self, events: list[StateEvent]) -> None:
        """Note the events of the tracepoint about our sockets."""
        wanted = [event for event in events if self._concern.includes(event.local, event.remote)]
        room = self._room()
        self._events += wanted[:room]
        self._left_out += len(wanted[room:])

    def _room(self) -> int:
        return CHANGES_MAX - len(self._changes) - len(self._events)

    def account(self, sampler: Sampler, why_sampled: str | None, lost: int) -> KernelAccount:
        """Return the account, on the clock of the capture."""
        offset = clock_offset()
        moved = abs(offset.ns - self._offset.ns)  # CLOCK_REALTIME was set during the watch
        traced = [traced_change(event, offset) for event in self._events]
        return KernelAccount(
            changes=tuple(sorted(self._changes + traced, key=lambda change: change.time_ns)),
            why_sampled=why_sampled,
            lost=lost + self._left_out,
            samples=sampler.looks,
            longest_gap_ns=int(sampler.longest_gap_s * 1e9),
            clock_error_ns=max(offset.error_ns, self._offset.error_ns, moved),
        )


def traced_change(event: StateEvent, offset: ClockOffset) -> KernelChange:
    """Convert an event of the tracepoint to the clock of the capture."""
    time_ns, name = event.monotonic_ns + offset.ns, f"skaddr {event.skaddr:x}"
    return KernelChange(time_ns, event.local, event.remote, name, "socket", event.old, event.new, "tracepoint")
