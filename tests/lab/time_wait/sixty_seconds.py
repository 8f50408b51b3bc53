"""The 60 seconds of TIME-WAIT, waited for beside the tests: `python -m tests.lab.time_wait.sixty_seconds FOLDER PID`.

Forty connections in four private networks, over IPv4 and IPv6, two of them as root where this is root and two as an
ordinary user; ten more, watched as `timewait watch` does; and `demo --wait` as the README shows it. What came of it is
written to FOLDER, each file at once when it is complete. It ends with the process PID, whose folder it is, or when it
is done: after 65 s.
"""

from __future__ import annotations

import os
import pickle
import select
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

from handshake_inspect.lab.bench import Bench, Host
from handshake_inspect.lab.calls import RecordedSocket
from handshake_inspect.lab.ground import RunOptions
from handshake_inspect.lab.scenarios.scenario import Scenario
from handshake_inspect.lab.session import Session
from handshake_inspect.lab.time_wait.binding import Notebook
from handshake_inspect.lab.time_wait.jiffies import placed_wheel
from handshake_inspect.lab.time_wait.observing import Change, Filter, Observer
from handshake_inspect.lab.time_wait.reckoning import Reckoning, Waiting
from handshake_inspect.lab.time_wait.staying import Glance, run_and_stay
from handshake_inspect.lab.time_wait.wheel import Wheel, this_wheel
from handshake_inspect.lab.world import fork, in_children, in_private_world
from tests.lab.privileges import as_ordinary_user
from tests.test_readme import LONG, README_TEXT, blocks, environment, exchanges

CONNECTIONS = 10
#: Between two closings, so that they end on several steps of the timer wheel, and at every distance from one.
APART_S = 0.23
#: Whose sockets, and over which IP: what a file of `Measured` is called.
WHO = ("root", "ordinary")
IPS = {4: "127.0.0.1", 6: "::1"}


@dataclass(frozen=True)
class Measured:
    """Ten connections of one private network, waited out."""

    who: str
    ip_version: int
    uid: int
    reckonings: list[Reckoning]
    #: Frames that the capture lost.
    dropped: int
    #: Every time left that the kernel's timers showed at first, in ms.
    shown_ms: list[int]


def ten_connections(ip: str) -> Callable[[Bench], None]:
    """Return a script: ten connections one after another, closed by the client and the server in turn."""

    def script(bench: Bench) -> None:
        server = replace(bench.server, ip=ip)
        listener = server.listen()
        for number in range(CONNECTIONS):
            client = replace(bench.client, ip=ip).connect(listener)
            accepted = listener.accept()
            ends: tuple[RecordedSocket, RecordedSocket] = (client, accepted)
            first, second = ends if number % 2 else ends[::-1]
            first.close()
            second.recv()
            second.close()
            bench.pause(APART_S)

    return script


def waited_out(who: str, ip_version: int) -> Measured:
    """Make ten connections and follow them to their end."""
    scenario = Scenario(f"ten-{ip_version}", "Ten connections.", ten_connections(IPS[ip_version]), outcomes=None)
    waiting: Waiting | None = None
    dropped = 0
    for told in run_and_stay(scenario, placed_wheel(), RunOptions(), "private"):
        if isinstance(told, Session):
            waiting, dropped = Waiting(told), told.dropped
        elif waiting is not None:
            assert isinstance(told, Glance)
            waiting.take(told)
    assert waiting is not None
    assert waiting.glance is not None
    shown_ms = [entry.first_left_ns // 1_000_000 for entry in waiting.glance.entries]
    return Measured(who, ip_version, os.geteuid(), waiting.reckonings(), dropped, shown_ms)


@dataclass(frozen=True)
class Watched:
    """What an observer saw of some connections, who did not know where the grid of the timer wheel lies."""

    changes: list[Change]
    #: The grid as the first end has told it, and as it is known by jiffies.
    learned: Wheel
    known: Wheel


def watched() -> Watched:
    """Watch the entries of a private network to their end."""
    known = placed_wheel()

    def inside() -> Watched:
        notes = Notebook()
        bench = Bench(Host("client", "127.0.0.1", notes), Host("server", "127.0.0.1", notes))
        observer, changes = Observer(this_wheel(), Filter()), list[Change]()
        observer.look()
        ten_connections("127.0.0.1")(bench)
        while True:
            changes += observer.look()
            if not observer.count:
                return Watched(changes, observer.wheel, known)
            time.sleep(observer.next_look_s())

    return as_ordinary_user(lambda: in_private_world(inside))


def measured(who: str, ip_version: int) -> Measured:
    work = partial(waited_out, who, ip_version)
    return work() if who == "root" and os.geteuid() == 0 else as_ordinary_user(work)


def write_at_once(path: Path, octets: bytes) -> None:
    partly = path.with_suffix(".part")
    partly.write_bytes(octets)
    partly.rename(path)


def named(name: str, work: Callable[[], object]) -> tuple[str, object]:
    return name, work()


def wait_out(folder: Path) -> None:
    """Do all of it, and write what came of it."""
    work = [
        partial(named, f"{who}-{version}.pickle", partial(measured, who, version)) for who in WHO for version in IPS
    ]
    work.append(partial(named, "watched.pickle", watched))
    (shown,) = exchanges(blocks(README_TEXT, "console", LONG)[0].text)
    demo = subprocess.Popen(
        ["bash", "-c", f"exec 2>&1; {shown.command}"],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        env=environment(),
        start_new_session=True,
    )
    try:
        for name, found in in_children(work, len(work)):
            write_at_once(folder / name, pickle.dumps(found))
        write_at_once(folder / "demo", demo.communicate()[0])
    finally:
        if demo.poll() is None:
            os.killpg(demo.pid, signal.SIGTERM)


def main(folder: Path, run: int) -> None:
    """Wait it out in a child, which is told to end when the run of the tests does."""
    child = fork(lambda: wait_out(folder))
    ended = [os.pidfd_open(pid) for pid in (run, child)]
    if ended[1] not in select.select(ended, [], [])[0]:
        os.kill(child, signal.SIGTERM)
    os.waitpid(child, 0)


if __name__ == "__main__":
    from tests.lab.time_wait import sixty_seconds  # what is pickled is of this module, not of __main__

    sixty_seconds.main(Path(sys.argv[1]), int(sys.argv[2]))
