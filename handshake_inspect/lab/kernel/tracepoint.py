"""Every change of state of every TCP socket, told by the kernel: the tracepoint `sock:inet_sock_set_state`.

In: nothing; this process is root of the whole machine, and about to be nothing but a watcher: it gets a mount namespace
of its own, in which tracefs is mounted (so nothing appears on the host). Out: a `StateEvent` for each change since
the tracepoint was switched on, in order of time, and how many the kernel lost.

The events go into a tracefs *instance*, a set of buffers that no other tracing shares. It is named after the process,
so what a killed watcher left behind is known and removed by the next one. Its clock is CLOCK_MONOTONIC; what is added
to reach the clock of a capture, CLOCK_REALTIME, is measured to some 100 ns (`ClockOffset`).

The tracepoint knows no network namespace: it tells of all of them. So a filter in the kernel keeps to the addresses
that concern us, or a burst of somebody else's would fill the buffers. RFC 9293 §3.3.2 names the states.
"""

from __future__ import annotations

import contextlib
import ctypes
import errno
import os
import socket
import sys
import time
from collections.abc import Collection, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

from handshake_inspect.connections.connection import Endpoint
from handshake_inspect.lab.kernel.ring_buffer import Field, events_lost, events_of_page, parse_format
from handshake_inspect.lab.kernel.sock_diag import STATES, endpoint
from handshake_inspect.lab.world import LabError

# <linux/sched.h>, <linux/mount.h>
CLONE_NEWNS = 0x00020000
MS_REC, MS_PRIVATE = 0x4000, 0x40000

MOUNT_POINT = Path("/sys/kernel/tracing")
EVENT = "events/sock/inet_sock_set_state"
PREFIX = "handshake-inspect"
#: Room for about 6000 changes on each processor between two readings.
BUFFER_KIB = 512
#: The initial user namespace maps every number to itself: the only one whose root may trace.
WHOLE_UID_MAP = "0 0 4294967295"
#: How often both clocks are read for their offset.
CLOCK_READINGS = 20


class TraceError(LabError):
    """The tracepoint cannot be used here. The message is one line: why."""


@dataclass(frozen=True, slots=True)
class StateEvent:
    """One change of state, as the tracepoint reports it."""

    #: CLOCK_MONOTONIC.
    monotonic_ns: int
    #: The socket's address in the kernel: its name as long as it lives.
    skaddr: int
    #: Port 0 in the first change of an active OPEN: none has been chosen yet.
    local: Endpoint
    remote: Endpoint
    #: As RFC 9293 spells them; the kernel's TCP_CLOSE is CLOSED.
    old: str
    new: str


@dataclass(frozen=True, slots=True)
class ClockOffset:
    """What must be added to CLOCK_MONOTONIC for CLOCK_REALTIME."""

    ns: int
    #: It is at most so far from the truth.
    error_ns: int


def clock_offset() -> ClockOffset:
    """Measure the offset of the two clocks: one is read between two readings of the other; the closest pair counts."""
    best: ClockOffset | None = None
    for _ in range(CLOCK_READINGS):
        before = time.monotonic_ns()
        real = time.time_ns()
        after = time.monotonic_ns()
        error = (after - before + 1) // 2
        if best is None or error < best.error_ns:
            best = ClockOffset(real - (before + after) // 2, error)
    assert best is not None
    return best


def why_no_tracepoint() -> str | None:
    """Return why this process may not trace; None if it may try."""
    whole = Path("/proc/self/uid_map").read_text().split() == WHOLE_UID_MAP.split()
    return None if os.geteuid() == 0 and whole else "tracing is for root of the host"


def mount_privately() -> Path:
    """Mount tracefs where only this process, which must be single-threaded, sees it. Raises TraceError."""
    if reason := why_no_tracepoint():
        raise TraceError(reason)
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.unshare(CLONE_NEWNS) != 0 or libc.mount(b"none", b"/", None, MS_REC | MS_PRIVATE, None) != 0:
        raise TraceError(f"no mount namespace can be made here ({os.strerror(ctypes.get_errno())})")
    where = MOUNT_POINT if MOUNT_POINT.is_dir() else Path("/mnt")
    if not (where / "instances").is_dir() and libc.mount(b"tracefs", bytes(where), b"tracefs", 0, None) != 0:
        number = ctypes.get_errno()
        why = "this kernel has none" if number == errno.ENODEV else os.strerror(number)
        raise TraceError(f"tracefs cannot be mounted here ({why})")
    if not (where / EVENT).is_dir():
        raise TraceError("this kernel has no tracepoint sock:inet_sock_set_state (Linux 4.16 brought it)")
    return where


class StateTrace:
    """The tracepoint, switched on in an instance of its own; `tracing` makes one."""

    def __init__(self, tracefs: Path, instance: Path, pipes: list[int]) -> None:
        self._instance = instance
        self._pipes = pipes
        self._page = parse_format((tracefs / "events/header_page").read_text())
        self._fields = parse_format((tracefs / EVENT / "format").read_text())
        self._page_octets = self._page["data"].offset + self._page["data"].size
        self._pages_lost = False

    def read(self) -> list[StateEvent]:
        """Return the changes since the last call, in order of time."""
        found = [event for pipe in self._pipes for event in self._read_pipe(pipe)]
        return sorted(found, key=lambda event: event.monotonic_ns)

    def _read_pipe(self, pipe: int) -> Iterator[StateEvent]:
        while True:
            try:
                page = os.read(pipe, self._page_octets)
            except BlockingIOError:
                return
            if not page:
                return
            self._pages_lost |= events_lost(page, self._page)
            for monotonic_ns, record in events_of_page(page, self._page):
                if event := parse_event(monotonic_ns, record, self._fields):
                    yield event

    def lost(self) -> int:
        """Return how many changes the kernel could not keep."""
        counted = 0
        for stats in self._instance.glob("per_cpu/cpu*/stats"):
            values = dict(line.split(":", 1) for line in stats.read_text().splitlines())
            counted += sum(int(values.get(name, 0)) for name in ("overrun", "commit overrun", "dropped events"))
        return max(counted, int(self._pages_lost))


def parse_event(monotonic_ns: int, record: bytes, fields: dict[str, Field]) -> StateEvent | None:
    """Read one record of the tracepoint; None if it is not of TCP."""
    if fields["protocol"].number(record) != socket.IPPROTO_TCP:
        return None
    family = fields["family"].number(record)
    suffix = "" if family == socket.AF_INET else "_v6"
    ends = [
        endpoint(family, fields[f"{end}addr{suffix}"].octets(record), fields[f"{end}port"].number(record).to_bytes(2))
        for end in ("s", "d")
    ]
    old, new = (STATES.get(fields[name].number(record), "?") for name in ("oldstate", "newstate"))
    return StateEvent(monotonic_ns, fields["skaddr"].number(record), ends[0], ends[1], old, new)


def filter_of(addresses: Collection[str]) -> str:
    """Return a filter of the kernel's (Documentation/trace/events.rst) that lets all events of these addresses pass.

    It compares four octets as a number of the host's, so an IPv4 address can be asked for, and of IPv6 the family.
    """
    numbers = [int.from_bytes(socket.inet_aton(each), sys.byteorder) for each in sorted(addresses) if ":" not in each]
    tests = [f"saddr == {number} || daddr == {number}" for number in numbers]
    if len(numbers) < len(addresses):
        tests.append(f"family == {int(socket.AF_INET6)}")
    return " || ".join(tests)


@contextmanager
def tracing(addresses: Collection[str] = ()) -> Iterator[StateTrace]:
    """Switch the tracepoint on, in a private mount of tracefs, as long as the context lasts. Raises TraceError.

    With `addresses`, events of others need not be told.
    """
    tracefs = mount_privately()
    remove_stale(tracefs / "instances")
    instance = tracefs / "instances" / f"{PREFIX}-{os.getpid()}-{start_of(os.getpid())}"
    with ExitStack() as stack:
        try:
            instance.mkdir()
            stack.callback(remove, instance)
            (instance / "trace_clock").write_text("mono")
            (instance / "buffer_size_kb").write_text(str(BUFFER_KIB))
            if addresses:
                with contextlib.suppress(OSError):  # a kernel that cannot compare them tells of all
                    (instance / EVENT / "filter").write_text(filter_of(addresses))
            switch = instance / EVENT / "enable"
            pipes = [open_pipe(path, stack) for path in sorted(instance.glob("per_cpu/cpu*/trace_pipe_raw"))]
            stack.callback(switch.write_text, "0")
            switch.write_text("1")
            trace = StateTrace(tracefs, instance, pipes)
        except OSError as error:
            raise TraceError(f"the tracepoint cannot be switched on ({error.strerror}: {error.filename})") from error
        yield trace


def open_pipe(path: Path, stack: ExitStack) -> int:
    """Open the buffer of one processor, without waiting for events. As long as it is open nobody can remove it."""
    descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    stack.callback(os.close, descriptor)
    return descriptor


def remove_stale(instances: Path) -> list[str]:
    """Remove the instances of watchers that were killed, and return their names."""
    removed = []
    for instance in instances.glob(f"{PREFIX}-*-*"):
        _, pid, start = instance.name.rsplit("-", 2)
        if start_of(int(pid)) == int(start):
            continue
        if remove(instance):
            removed.append(instance.name)
    return removed


def remove(instance: Path) -> bool:
    """Remove an instance; False if it is in use: by a person, or by a watcher whose process id is of a container."""
    with contextlib.suppress(OSError):
        instance.rmdir()
        return True
    return False


def start_of(pid: int) -> int:
    """Return when a process was started, in clock ticks since boot; 0 if there is none. Process ids are used again."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return 0
    return int(stat.rpartition(")")[2].split()[19])
