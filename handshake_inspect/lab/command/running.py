"""A command while it runs: its frames as they come, the processes that it started, and how it ended."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from handshake_inspect.capture.live import LiveCapture
from handshake_inspect.capture.records import RawFrame, Records
from handshake_inspect.lab.command.refusals import CommandError
from handshake_inspect.lab.command.signals import CommandSignals
from handshake_inspect.lab.performing import CLOSING_LIMIT_S, are_closing
from handshake_inspect.lab.processes import bury, command_line, descendants, group_of, name_of, send
from handshake_inspect.lab.strace.log import SocketLog, read_log
from handshake_inspect.lab.vantage import raw_frames

#: How long one look at the capture waits for frames, and so how late the end of the command may be noticed.
PATIENCE_S = 0.05
#: How long a process may take to end when it is asked to, before it is killed.
LEAVING_LIMIT_S = 1.0
#: How many frames of a traced command are kept for its ladders, and how many octets of each.
KEPT_FRAMES, KEPT_OCTETS = 100_000, 4096
#: The calls that strace is to log: those on sockets, and those that copy, inherit and close their descriptors. Not
#: every processor has those with a "?".
TRACED = (
    "network,close,read,write,readv,writev,sendfile,dup,?dup2,dup3,fcntl,"
    "clone,?clone3,?fork,?vfork,execve,exit_group"
)  # fmt: skip
#: -D makes strace the command's child instead of its parent; with -I4 it ignores Ctrl-C and Ctrl-Z. -y says which
#: socket a descriptor is: 100 connections took 0.07 s with it and without. -yy adds addresses, and lists all sockets of
#: the host for each: 0.3 s, and 0.9 s beside 8,000 TIME-WAITs. The capture has the addresses.
STRACE = ("strace", "-D", "-I4", "-f", "-ttt", "-T", "-y", "-e", f"trace={TRACED}")


@dataclass(frozen=True)
class Streams:
    """Descriptors of a command's standard streams; None: that of this process."""

    stdin: int | None = None
    stdout: int | None = None
    stderr: int | None = None


@dataclass(frozen=True)
class CommandEnd:
    """How a command ended."""

    #: Its own, or 128 plus the number of the signal that killed it, as shells report it.
    exit_status: int
    #: The signal that killed it: "SIGINT"; "" if none did.
    killed_by: str
    #: Processes that it left behind, and that were ended with their network: "python3 (pid 4711)".
    left: tuple[str, ...]
    #: The calls on its sockets; None if it was not traced, or a signal ended it before it began.
    log: SocketLog | None


class Running:
    """A command in its private world, as the function that watches it sees it."""

    def __init__(
        self,
        arguments: Sequence[str],
        signals: CommandSignals,
        capture: LiveCapture,
        log_path: Path | None,
        be_user: Callable[[], None],
        streams: Streams,
    ) -> None:
        #: The capture at the loopback interface of the world, open since before the command began.
        self.capture = capture
        #: The frames of a traced command so far, for its ladders: the first KEPT_FRAMES.
        self.frames: list[RawFrame] = []
        #: How it ended; None until `blocks` has yielded its last block.
        self.ended: CommandEnd | None = None
        self._log_path = log_path
        self._signals = signals
        start = [*STRACE, "-o", str(log_path), "--"] if log_path is not None else []
        try:
            self._process = subprocess.Popen([*start, *arguments], preexec_fn=be_user, **vars(streams))
        except OSError as error:  # no program in a form that this system can run
            raise CommandError(f"{arguments[0]}: cannot be run: {error.strerror}") from None
        signals.hand_on_to(self._process)

    def blocks(self) -> Iterator[Records]:
        """Yield the frames as they come, until the command has ended and all its connections are closed.

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
        """Yield what comes within PATIENCE_S; kill a command that was asked to end and did not."""
        block = self.capture.read(PATIENCE_S)
        if block is not None:
            yield self._kept(block)
        asked_s = self._signals.asked_to_end_s
        if asked_s is not None and time.monotonic() > asked_s + LEAVING_LIMIT_S:
            self._process.kill()
        with suppress(ChildProcessError):
            bury(but=self._process.pid)

    def _until(self, is_so: Callable[[], bool], limit_s: float) -> Iterator[Records]:
        """Look until `is_so`, at most for `limit_s`."""
        deadline = time.monotonic() + limit_s
        while not is_so() and time.monotonic() < deadline:
            yield from self._look()

    def _kept(self, block: Records) -> Records:
        if self._log_path is not None and len(self.frames) < KEPT_FRAMES:
            self.frames += raw_frames(block, KEPT_OCTETS)
        return block

    def _left(self) -> list[int]:
        """Return the processes that are still running, without that of strace."""
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
        """Hand on a Ctrl-C that did not come from the terminal, to the command and to what it runs in its group.

        A shell that waits for a program does not end before the program does.
        """
        if self.ended is None:
            group = os.getpgrp()
            send(signal.SIGINT, [pid for pid in descendants() if group_of(pid) == group])

    @property
    def is_asked_to_end(self) -> bool:
        """Was the command asked to end?"""
        return self._signals.asked_to_end_s is not None

    def when_asked_to_end(self, call: Callable[[], None]) -> None:
        """Call a function when the command is asked to end, from within a signal handler; now, if it was already."""
        self._signals.on_asked_to_end = call
        if self.is_asked_to_end:
            call()

    def stop(self) -> None:
        """Ask the command to end; `blocks` go on until it has, for LEAVING_LIMIT_S at most."""
        self._signals.receive(signal.SIGTERM)

    def end(self) -> None:
        """Kill the command and all that it started, if watching ended before they did."""
        send(signal.SIGKILL, list(descendants()))
        self._process.wait()
        deadline = time.monotonic() + LEAVING_LIMIT_S
        while list(descendants()) and time.monotonic() < deadline:
            time.sleep(0.005)
