"""The processes below this one: found, named and ended.

In: nothing but /proc. A process that outlives its parent becomes a child of this one (PR_SET_CHILD_SUBREAPER), so all
that a command started stand below it, and nothing else does. Only those are ever ended.
"""

from __future__ import annotations

import ctypes
import os
import signal
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

PR_SET_CHILD_SUBREAPER = 36  # <linux/prctl.h>


def adopt_orphans() -> None:
    """Become the parent of the processes below this one that outlive their own."""
    ctypes.CDLL(None).prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)


def descendants(pid: int | None = None) -> Iterator[int]:
    """Yield the processes below this one that have not ended, parents before their children."""
    for children in Path(f"/proc/{pid or os.getpid()}/task").glob("*/children"):
        with suppress(OSError):
            for child in map(int, children.read_text().split()):
                if state_of(child) not in ("Z", "X", ""):
                    yield child
                yield from descendants(child)


def state_of(pid: int) -> str:
    """Return the state of a process as proc(5) has it: "S", "Z" of one that has ended; "" if it is gone."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(") ")[2][:1]
    except OSError:
        return ""


def command_line(pid: int) -> list[bytes]:
    """Return the arguments with which a process was started, [] if it is gone."""
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")[:-1]
    except OSError:
        return []


def name_of(pid: int) -> str:
    """Name a process: "python3 (pid 4711)"."""
    try:
        return f"{Path(f'/proc/{pid}/comm').read_text().strip()} (pid {pid})"
    except OSError:
        return f"pid {pid}"


def group_of(pid: int) -> int | None:
    """Return the group of a process, None if it is gone."""
    try:
        return os.getpgid(pid)
    except ProcessLookupError:
        return None


def send(number: signal.Signals, pids: list[int]) -> None:
    """Send a signal to those of these processes that still exist."""
    for pid in pids:
        with suppress(ProcessLookupError):
            os.kill(pid, number)


def bury(*, but: int) -> None:
    """Reap the children that have ended, up to one whose exit status is asked for elsewhere."""
    while (dead := os.waitid(os.P_ALL, 0, os.WEXITED | os.WNOHANG | os.WNOWAIT)) is not None:
        if dead.si_pid == but:
            return
        os.waitpid(dead.si_pid, 0)
