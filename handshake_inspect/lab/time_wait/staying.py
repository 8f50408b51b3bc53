"""A session of the lab whose network stays until the kernel's TIME-WAIT entries of it are gone, captured all the while.

In: a scenario. Out: the `Session`, as soon as it is over; then a `Glance` several times a second: every entry as it has
been followed so far, what was captured since the glance before, and the kernel's counters. The last glance has no entry
left. A private network lives as long as somebody listens, and with it its TIME-WAIT.
"""

from __future__ import annotations

import socket
import time
from collections.abc import Generator, Iterable, Iterator, Sequence
from contextlib import ExitStack, contextmanager, nullcontext
from dataclasses import dataclass, replace

from handshake_inspect.lab.ground import RunOptions
from handshake_inspect.lab.hosts import inside
from handshake_inspect.lab.kernel.account import SocketFilter
from handshake_inspect.lab.kernel.sock_diag import IP_VERSIONS, bit_of, dump, open_diagnosis, socket_between
from handshake_inspect.lab.kernel.tracepoint import clock_offset
from handshake_inspect.lab.scenarios.scenario import Scenario
from handshake_inspect.lab.session import FinishedSession, Place, Session, run_session, where_possible, without_script
from handshake_inspect.lab.telling import Tell, telling
from handshake_inspect.lab.time_wait.counters import Counters, read_counters
from handshake_inspect.lab.time_wait.following import Following, KernelLook
from handshake_inspect.lab.time_wait.wheel import Wheel
from handshake_inspect.lab.vantage import Vantage

#: The pause between two looks, and the one near a moment at which something is to happen; how near that is.
PAUSE_S, SHORT_PAUSE_S, NEAR_NS = 0.05, 0.002, 150_000_000
#: The time between two glances that are told.
GLANCE_NS = 200_000_000


@dataclass(frozen=True, slots=True)
class Glance:
    """How far it has come."""

    wheel: Wheel
    #: CLOCK_MONOTONIC, and what must be added to it for the clock of the capture: another number once that was set.
    now_ns: int
    offset_ns: int
    entries: tuple[Following, ...]
    #: What was captured since the glance before, at each vantage point.
    fresh: tuple[Vantage, ...]
    #: Of the network of each host.
    counters: tuple[Counters, ...]

    @property
    def is_last(self) -> bool:
        """Is there nothing left to wait for?"""
        return all(entry.gone for entry in self.entries)


#: A session, then glances.
Told = Generator[Session | Glance, None, None]


def run_and_stay(scenario: Scenario, wheel: Wheel, how: RunOptions, place: Place = "auto") -> Told:
    """Run a scenario; yield its session, then glances until its TIME-WAIT is over. Raises LabError or CaptureError.

    To close what it returns ends the stay.
    """

    def begun(there: RunOptions) -> Told:
        def tell_all(tell: Tell[Session | Glance]) -> None:
            run_session(scenario, there, stay=lambda stay: tell_stay(stay, wheel, tell))

        told = telling(tell_all, is_private=there.is_private)
        session = next(told, None)
        assert isinstance(session, Session)
        return told_of(replace(session, scenario=scenario), told)

    return where_possible(begun, scenario, how, place)


def told_of(session: Session, rest: Iterable[Session | Glance] = ()) -> Told:
    """Yield a session, then what else is told."""
    yield session
    yield from rest


def tell_stay(stay: FinishedSession, wheel: Wheel, tell: Tell[Session | Glance]) -> None:
    """Tell the session of a stay, then follow what it left in TIME-WAIT, and tell a glance now and then."""
    tell(without_script(stay.session))
    told_ns = 0
    with asking_of(stay.hosts) as netlinks:
        followers = Followers(netlinks, SocketFilter(ports=stay.ports), wheel)
        while True:
            followers.look()
            now_ns = time.monotonic_ns()
            if followers.all_gone or now_ns > told_ns + GLANCE_NS:
                told_ns, counters = now_ns, tuple(map(read_counters, stay.hosts))
                tell(Glance(wheel, now_ns, clock_offset().ns, followers.entries, stay.fresh(), counters))
            if followers.all_gone:
                return
            time.sleep(followers.pause_s())


@contextmanager
def asking_of(hosts: Sequence[int | None]) -> Iterator[list[socket.socket]]:
    """Open a netlink socket in the network of each host."""
    with ExitStack() as stack:
        netlinks = []
        for host in hosts:
            with nullcontext() if host is None else inside(host):
                netlinks.append(stack.enter_context(open_diagnosis()))
        yield netlinks


class Followers:
    """Follows every entry that some networks hold when this begins."""

    def __init__(self, netlinks: Sequence[socket.socket], concern: SocketFilter, wheel: Wheel) -> None:
        self._netlinks = netlinks
        found: list[Following] = []
        for number, netlink in enumerate(netlinks):
            for version in IP_VERSIONS:
                before_ns = time.monotonic_ns()
                held = dump(netlink, version, bit_of("TIME-WAIT"))
                look = KernelLook(before_ns, time.monotonic_ns())
                ours = (one for one in held if concern.includes(one.local, one.remote))
                found += [Following.begun(one, number, look, wheel) for one in ours]
        self.entries = tuple(sorted(found, key=lambda one: one.expiry.earliest_ns))

    def look(self) -> None:
        """Ask for each entry that is still there."""
        for entry in self.entries:
            if entry.gone is None:
                before_ns = time.monotonic_ns()
                found = socket_between(self._netlinks[entry.host], entry.local, entry.remote)
                entry.note(KernelLook(before_ns, time.monotonic_ns()), found)

    @property
    def all_gone(self) -> bool:
        """Is nothing left to follow?"""
        return all(entry.gone for entry in self.entries)

    def pause_s(self) -> float:
        """Return how long to wait before the next look: less, near the moment when a timer runs out or fires."""
        now_ns = time.monotonic_ns()
        is_near = any(entry.gone is None and entry.is_due(now_ns, NEAR_NS) for entry in self.entries)
        return SHORT_PAUSE_S if is_near else PAUSE_S
