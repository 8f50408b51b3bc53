"""Any command in a network of its own, watched: `sniff -- COMMAND`.

In: a command line, and a function that watches. Out: what that function returned. A child of this process makes a
private world (`world`), opens a capture there, starts the command with the terminal's own streams, and calls the
function, which takes the frames as they come and prints what it likes. The world has a loopback interface only, every
port may be bound, and an ordinary user is that user in it: a second user namespace, around the command, undoes the
mapping to root of the first.

The watching ends when the command has ended and the kernel has finished its closings. Processes that the command left
behind are ended then: their network goes. Ctrl-C goes to the command, as it does in a shell.
"""

from __future__ import annotations

import ctypes
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from types import FrameType
from typing import ClassVar, TypeVar

from handshake_inspect.capture.live import LiveCapture
from handshake_inspect.capture.records import RawFrame, Records
from handshake_inspect.lab.performing import CLOSING_LIMIT_S, are_closing
from handshake_inspect.lab.processes import adopt_orphans, bury, command_line, descendants, group_of, name_of, send
from handshake_inspect.lab.strace.log import SocketLog, read_log
from handshake_inspect.lab.vantage import raw_frames
from handshake_inspect.lab.world import (
    CLONE_NEWUSER,
    PR_SET_DUMPABLE,
    Child,
    LabError,
    die_with_parent,
    enter_private_network,
)

R = TypeVar("R")

#: How long one look at the capture waits for frames, and so how late the end of the command may be noticed.
PATIENCE_S = 0.05
#: How long a process may take to end when it is asked to, before it is killed.
LEAVING_LIMIT_S = 1.0
#: So many frames of a traced command are kept, each of so many octets: what its ladders show.
KEPT_FRAMES, KEPT_OCTETS = 100_000, 4096
#: What strace is asked for: calls on sockets, and what copies, inherits and closes their descriptors. Not every
#: processor has those with a "?".
TRACED = (
    "network,close,read,write,readv,writev,sendfile,dup,?dup2,dup3,fcntl,"
    "clone,?clone3,?fork,?vfork,execve,exit_group"
)  # fmt: skip
#: -D makes strace the command's child instead of its parent; -I4: Ctrl-C and Ctrl-Z are not meant for it. -y tells
#: which socket a descriptor is: 100 connections took 0.07 s with it and without. -yy, addresses, lists all sockets of
#: the host for each: 0.3 s, and 0.9 s beside 8,000 TIME-WAITs. The capture knows the addresses.
STRACE = ("strace", "-D", "-I4", "-f", "-ttt", "-T", "-y", "-e", f"trace={TRACED}")
#: Lowest port that may be bound without privilege (ip-sysctl.rst).
PORT_START = Path("/proc/sys/net/ipv4/ip_unprivileged_port_start")


@dataclass(frozen=True)
class Streams:
    """Descriptors of a command's standard streams; None: the one of this process."""

    stdin: int | None = None
    stdout: int | None = None
    stderr: int | None = None


class CommandError(LabError):
    """The command cannot be run. `exit_status` is what a shell gives then."""

    exit_status: ClassVar[int] = 126


class CommandNotFoundError(CommandError):
    """There is no such command."""

    exit_status: ClassVar[int] = 127


@dataclass(frozen=True)
class CommandEnd:
    """How a command ended."""

    #: Its own, or 128 and the number of the signal that killed it, as shells say it.
    exit_status: int
    #: The signal that killed it: "SIGINT"; "" if none did.
    killed_by: str
    #: Processes that it left behind, which were ended with their network: "python3 (pid 4711)".
    left: tuple[str, ...]
    #: What was called on its sockets, if it was traced; None also if a signal ended it before it began.
    log: SocketLog | None


def asking() -> tuple[signal.Signals, ...]:
    """Return what ends a command, or asks it to: SIGUSR1 is a Ctrl-C that was sent to one process alone.

    SIGHUP, the end of the terminal, is a SIGTERM to us, and one to the command, which may be deaf to the other.
    """
    asked = signal.SIGINT, signal.SIGTERM, signal.SIGUSR1  # Windows has no such signal, but imports this module
    return asked if signal.getsignal(signal.SIGHUP) is signal.SIG_IGN else (*asked, signal.SIGHUP)  # as of nohup(1)


class Signals:
    """What this process is asked by signals while a command runs, or is to run, in the same group of processes.

    Ctrl-C at a terminal reaches the command too: it is left to it, once there is one. What was sent to our parent alone
    is handed on. What comes before there is a command waits for it. `wait_for` keeps all of these back until this is
    made.
    """

    def __init__(self) -> None:
        self._process: subprocess.Popen[bytes] | None = None
        self._waiting: list[int] = []
        self._interrupted_s = 0.0
        #: When the command was asked to end, if it was; and who is told of it, by a signal and so in the midst of all.
        self.asked_to_end_s: float | None = None
        self.tell: Callable[[], None] = lambda: None
        for number in asking():
            signal.signal(number, self.take)  # not SIG_IGN, which the command would inherit
        signal.pthread_sigmask(signal.SIG_UNBLOCK, asking())

    def are_for(self, process: subprocess.Popen[bytes]) -> None:
        """Hand on from now on, and what has come before there was a process."""
        self._process = process
        for number in self._waiting:
            self._hand_on(number)

    def take(self, number: int, _frame: FrameType | None = None) -> None:
        """Act on a signal."""
        if number == signal.SIGINT:
            self._interrupted_s = time.monotonic()
            if self._process is None:
                self._hand_on(number)
        elif number != signal.SIGUSR1 or time.monotonic() > self._interrupted_s + PATIENCE_S:
            self._hand_on(number)

    def _hand_on(self, number: int) -> None:
        if self._process is None:
            self._waiting.append(number)
        elif number in (signal.SIGINT, signal.SIGUSR1):
            self._process.send_signal(signal.SIGINT)
        else:
            self.asked_to_end_s = self.asked_to_end_s or time.monotonic()
            self._process.terminate()
            self.tell()


class Running:
    """A command in its world, as whoever watches sees it."""

    def __init__(
        self,
        arguments: Sequence[str],
        signals: Signals,
        capture: LiveCapture,
        log_path: Path | None,
        be_user: Callable[[], None],
        streams: Streams,
    ) -> None:
        #: The capture at the loopback interface of the world, open since before the command began.
        self.capture = capture
        #: The frames of a traced command so far, for its ladders: the first KEPT_FRAMES.
        self.frames: list[RawFrame] = []
        #: How it ended, when `blocks` have come to their end.
        self.ended: CommandEnd | None = None
        self._log_path = log_path
        self._signals = signals
        start = [*STRACE, "-o", str(log_path), "--"] if log_path is not None else []
        try:
            self._process = subprocess.Popen([*start, *arguments], preexec_fn=be_user, **vars(streams))
        except OSError as error:  # no program in a form that this system can run
            raise CommandError(f"{arguments[0]}: cannot be run: {error.strerror}") from None
        signals.are_for(self._process)

    def blocks(self) -> Iterator[Records]:
        """Yield the frames as they come, until the command has ended and all is closed.

        A block is valid until the next one is asked for.
        """
        while self._process.poll() is None:
            yield from self._look()
        yield from self._until(lambda: not self._left() and not are_closing(), CLOSING_LIMIT_S)
        left = [name_of(pid) for pid in self._left()]
        for number in (signal.SIGTERM, signal.SIGKILL):
            send(number, self._left())
            yield from self._until(lambda: not self._left(), LEAVING_LIMIT_S)
        yield from self._until(lambda: not self._tracers() and not are_closing(), CLOSING_LIMIT_S)
        yield from map(self._kept, self.capture.drain())
        self.ended = self._how_it_ended(left)

    def _look(self) -> Iterator[Records]:
        """Yield what comes in a short while."""
        block = self.capture.read(PATIENCE_S)
        if block is not None:
            yield self._kept(block)
        asked_s = self._signals.asked_to_end_s
        if asked_s is not None and time.monotonic() > asked_s + LEAVING_LIMIT_S:
            self._process.kill()
        with suppress(ChildProcessError):
            bury(but=self._process.pid)

    def _until(self, is_so: Callable[[], bool], limit_s: float) -> Iterator[Records]:
        """Look until something is so, but not for longer than the limit."""
        deadline = time.monotonic() + limit_s
        while not is_so() and time.monotonic() < deadline:
            yield from self._look()

    def _kept(self, block: Records) -> Records:
        if self._log_path is not None and len(self.frames) < KEPT_FRAMES:
            self.frames += raw_frames(block, KEPT_OCTETS)
        return block

    def _left(self) -> list[int]:
        """Return the processes that live on, without that of strace."""
        tracers = self._tracers()
        return [pid for pid in descendants() if pid not in tracers]

    def _tracers(self) -> list[int]:
        mine = os.fsencode(self._log_path) if self._log_path is not None else None
        return [pid for pid in descendants() if mine is not None and mine in command_line(pid)]

    def _how_it_ended(self, left: list[str]) -> CommandEnd:
        code = self._process.returncode
        killed_by = signal.Signals(-code).name if code < 0 else ""
        log = None
        if self._log_path is not None and self._log_path.exists() and self._log_path.stat().st_size:
            log = read_log(str(self._log_path), name="strace")
        return CommandEnd(code if code >= 0 else 128 - code, killed_by, tuple(left), log)

    def interrupt(self) -> None:
        """Hand a Ctrl-C on, which did not come from the terminal: to the command, and to what it runs in its group.

        A shell that waits for a program does not end before that does.
        """
        if self.ended is None:
            group = os.getpgrp()
            send(signal.SIGINT, [pid for pid in descendants() if group_of(pid) == group])

    @property
    def is_asked_to_end(self) -> bool:
        """Was the command asked to end?"""
        return self._signals.asked_to_end_s is not None

    def when_asked_to_end(self, tell: Callable[[], None]) -> None:
        """Have it told, at once if that was before; `tell` may be called in the midst of anything."""
        self._signals.tell = tell
        if self.is_asked_to_end:
            tell()

    def stop(self) -> None:
        """Ask the command to end: `blocks` go on until it has, LEAVING_LIMIT_S at most."""
        self._signals.take(signal.SIGTERM)

    def end(self) -> None:
        """End the command and all that it left, where the watching has ended before it."""
        send(signal.SIGKILL, list(descendants()))
        self._process.wait()
        deadline = time.monotonic() + LEAVING_LIMIT_S
        while list(descendants()) and time.monotonic() < deadline:
            time.sleep(0.005)


def run_command(
    arguments: Sequence[str],
    watch: Callable[[Running], R],
    *,
    traced: bool = False,
    open_capture: Callable[[], LiveCapture] = lambda: LiveCapture("lo"),
    streams: Callable[[], Streams] = Streams,
) -> R:
    """Run a command in a private world and call `watch` there; return what it returned, which must be picklable.

    `open_capture` is called in that world, before the command begins; and `streams`, for the standard streams of the
    command, where they are not to be the terminal's own. Raises CommandError if there is no such command,
    LabError if there can be no such world, or no strace in it.
    """
    refuse_unknown(arguments[0])
    if traced and shutil.which("strace") is None:
        raise LabError("strace is not installed: apt-get install strace, or leave out --strace")
    be_user = partial(be_oneself, os.geteuid(), os.getegid())

    def inside() -> R:
        signals = Signals()
        enter_private_network()
        adopt_orphans()
        with suppress(OSError):  # read-only in a container, whose root needs no leave
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

    return wait_for(inside)


def folder_for_log() -> tempfile.TemporaryDirectory[str]:
    """Make a folder for the log of strace, if that can trace here. Raises LabError."""
    refuse_untraceable()
    try:
        return tempfile.TemporaryDirectory(prefix="handshake-inspect-")
    except OSError as error:
        raise LabError(f"there is no folder for the log of strace (TMPDIR): {error.strerror}") from error


def wait_for(function: Callable[[], R]) -> R:
    """Call a function in a child and return what it returned; signals that come here meanwhile are the child's.

    They are blocked in the child when it begins: it lets them in when it has made its `Signals`.
    """
    early: list[int] = []
    child: Child[R] | None = None

    def hand_on(number: int, _frame: FrameType | None = None) -> None:
        if child is None:
            early.append(number)
        else:
            child.send_signal(signal.SIGUSR1 if number == signal.SIGINT else signal.SIGTERM)

    before = {number: signal.signal(number, hand_on) for number in asking()}
    try:
        held = signal.pthread_sigmask(signal.SIG_BLOCK, asking())
        try:
            child = Child(function)
        finally:
            signal.pthread_sigmask(signal.SIG_SETMASK, held)
        for number in early:
            hand_on(number)
        while child.listen():
            pass
        return child.result()
    finally:
        for number, action in before.items():
            signal.signal(number, action)


def refuse_unknown(name: str) -> None:
    """Raise CommandError unless there is such a command, as execvp(3) looks for it."""
    if shutil.which(name) is not None:
        return
    places = [Path(name)] if os.sep in name else [Path(place, name) for place in os.get_exec_path()]
    # Path.exists() raises an error in a folder that may not be searched.
    for found in (place for place in places if os.access(place, os.F_OK)):
        what = "a folder" if found.is_dir() else "not executable: chmod +x, or name its interpreter first"
        raise CommandError(f"{name}: {what}")
    raise CommandNotFoundError(f"{name}: there is no such command{'' if os.sep in name else ' in the folders of PATH'}")


def refuse_untraceable() -> None:
    """Raise LabError if strace cannot trace here: many containers forbid ptrace(2)."""
    tried = subprocess.run(
        ["strace", "-o", os.devnull, "-e", "trace=none", "true"], capture_output=True, text=True, check=False,
        start_new_session=True,  # Ctrl-C is not for it
    )  # fmt: skip
    if tried.returncode != 0:
        said = tried.stderr.strip().splitlines()[-1:] or [f"it ended with status {tried.returncode}"]
        raise LabError(
            f"strace cannot trace here ({said[0]}): in a container add --cap-add SYS_PTRACE, or leave out --strace"
        )


def be_oneself(user: int, group: int) -> None:
    """Be this user again, between fork and exec, where a user namespace has made a root of him."""
    if os.geteuid() != user:
        libc = ctypes.CDLL(None)
        libc.prctl(PR_SET_DUMPABLE, 1, 0, 0, 0)  # else /proc/self/uid_map belongs to root
        if libc.unshare(CLONE_NEWUSER) == 0:  # where no more of them are allowed the command sees itself as root
            Path("/proc/self/uid_map").write_text(f"{user} 0 1")
            Path("/proc/self/gid_map").write_text(f"{group} 0 1")
    die_with_parent()
