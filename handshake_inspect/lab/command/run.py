"""A command and a function that watches it -> what that function returned.

An ordinary user stays that user in the private world: a second user namespace, around the command, undoes the mapping
to root of the first.
"""

from __future__ import annotations

import ctypes
import os
import shutil
import sys
import tempfile
from collections.abc import Callable, Sequence
from contextlib import ExitStack, suppress
from functools import partial
from pathlib import Path
from typing import TypeVar

from handshake_inspect.capture.live import LiveCapture
from handshake_inspect.lab.command.refusals import refuse_unknown, refuse_untraceable
from handshake_inspect.lab.command.running import Running, Streams
from handshake_inspect.lab.command.signals import CommandSignals, call_in_child
from handshake_inspect.lab.processes import adopt_orphans
from handshake_inspect.lab.world import (
    CLONE_NEWUSER,
    PR_SET_DUMPABLE,
    LabError,
    die_with_parent,
    enter_private_network,
)

R = TypeVar("R")

#: Lowest port that may be bound without privilege (ip-sysctl.rst).
PORT_START = Path("/proc/sys/net/ipv4/ip_unprivileged_port_start")


def run_command(
    arguments: Sequence[str],
    watch: Callable[[Running], R],
    *,
    traced: bool = False,
    open_capture: Callable[[], LiveCapture] = lambda: LiveCapture("lo"),
    streams: Callable[[], Streams] = Streams,
) -> R:
    """Run a command in a private world and call `watch` there; return what it returned, which must be picklable.

    `open_capture` is called in that world before the command begins. `streams` is called there too, and returns the
    standard streams of the command, if they are not to be those of this process. Raises CommandError if there is no
    such command, LabError if such a world cannot be made, or strace cannot be used in it.
    """
    refuse_unknown(arguments[0])
    if traced and shutil.which("strace") is None:
        raise LabError("strace is not installed: apt-get install strace, or leave out --strace")
    be_user = partial(stay_oneself, os.geteuid(), os.getegid())

    def inside() -> R:
        signals = CommandSignals()
        enter_private_network()
        adopt_orphans()
        with suppress(OSError):  # read-only in a container, whose root may bind every port anyway
            PORT_START.write_text("0")
        with ExitStack() as stack:
            capture = stack.enter_context(open_capture())
            log_path = Path(stack.enter_context(folder_for_log()), "strace.log") if traced else None
            running = Running(arguments, signals, capture, log_path, be_user, streams())
            try:
                return watch(running)
            finally:
                running.end()
                sys.stdout.flush()

    return call_in_child(inside)


def folder_for_log() -> tempfile.TemporaryDirectory[str]:
    """Make a temporary folder for the log of strace. Raises LabError, also if strace cannot trace here."""
    refuse_untraceable()
    try:
        return tempfile.TemporaryDirectory(prefix="handshake-inspect-")
    except OSError as error:
        raise LabError(f"there is no folder for the log of strace (TMPDIR): {error.strerror}") from error


def stay_oneself(user: int, group: int) -> None:
    """Become this user again, between fork and exec, if a user namespace has mapped the user to root."""
    if os.geteuid() != user:
        libc = ctypes.CDLL(None)
        libc.prctl(PR_SET_DUMPABLE, 1, 0, 0, 0)  # else /proc/self/uid_map belongs to root
        if libc.unshare(CLONE_NEWUSER) == 0:  # where no more of them are allowed the command sees itself as root
            Path("/proc/self/uid_map").write_text(f"{user} 0 1")
            Path("/proc/self/gid_map").write_text(f"{group} 0 1")
    die_with_parent()
