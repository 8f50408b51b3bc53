"""Signals that are meant for a command, handed on to it.

Three processes may receive them: the one that a person started, its child in the private world, and the command. At a
terminal, Ctrl-C reaches all three at once, because they are of one group; kill(1) reaches one of them alone.
"""

from __future__ import annotations

import signal
import subprocess
import time
from collections.abc import Callable
from types import FrameType
from typing import TypeVar

from handshake_inspect.lab.world import Child

R = TypeVar("R")

#: A Ctrl-C that the parent hands on within so many seconds of one that came here is the same one.
SAME_INTERRUPT_S = 0.05


def ending_signals() -> tuple[signal.Signals, ...]:
    """Return the signals that end a command, or ask it to end.

    SIGUSR1 stands for a Ctrl-C that was sent to one process alone. SIGHUP, the end of the terminal, is handed on as
    SIGTERM, because the command may ignore SIGHUP.
    """
    always = signal.SIGINT, signal.SIGTERM, signal.SIGUSR1  # Windows has no such signal, but imports this module
    return always if signal.getsignal(signal.SIGHUP) is signal.SIG_IGN else (*always, signal.SIGHUP)  # as of nohup(1)


class CommandSignals:
    """Receives the signals of the child in the private world, and hands them on to the command.

    Ctrl-C at a terminal reaches the command by itself, and is not handed on. A signal that our parent alone received
    is. Signals that come before the command has started wait for it. `call_in_child` blocks all of them until this is
    made.
    """

    def __init__(self) -> None:
        self._process: subprocess.Popen[bytes] | None = None
        self._waiting: list[int] = []
        self._interrupted_s = 0.0
        #: When the command was asked to end; None: it was not.
        self.asked_to_end_s: float | None = None
        #: Called then, from within a signal handler.
        self.on_asked_to_end: Callable[[], None] = lambda: None
        for number in ending_signals():
            signal.signal(number, self.receive)  # not SIG_IGN, which the command would inherit
        signal.pthread_sigmask(signal.SIG_UNBLOCK, ending_signals())

    def hand_on_to(self, process: subprocess.Popen[bytes]) -> None:
        """Hand on the signals that have come, and those that will come, to this process."""
        self._process = process
        for number in self._waiting:
            self._hand_on(number)

    def receive(self, number: int, _frame: FrameType | None = None) -> None:
        """Hand a signal on, unless the command has received it too."""
        if number == signal.SIGINT:
            self._interrupted_s = time.monotonic()
            if self._process is None:
                self._hand_on(number)
        elif number != signal.SIGUSR1 or time.monotonic() > self._interrupted_s + SAME_INTERRUPT_S:
            self._hand_on(number)

    def _hand_on(self, number: int) -> None:
        if self._process is None:
            self._waiting.append(number)
        elif number in (signal.SIGINT, signal.SIGUSR1):
            self._process.send_signal(signal.SIGINT)
        else:
            self.asked_to_end_s = self.asked_to_end_s or time.monotonic()
            self._process.terminate()
            self.on_asked_to_end()


def call_in_child(function: Callable[[], R]) -> R:
    """Call a function in a child and return what it returned; signals that come here meanwhile go to the child.

    They are blocked in the child until it makes its `CommandSignals`.
    """
    early: list[int] = []
    child: Child[R] | None = None

    def hand_on(number: int, _frame: FrameType | None = None) -> None:
        if child is None:
            early.append(number)
        else:
            child.send_signal(signal.SIGUSR1 if number == signal.SIGINT else signal.SIGTERM)

    before = {number: signal.signal(number, hand_on) for number in ending_signals()}
    try:
        held = signal.pthread_sigmask(signal.SIG_BLOCK, ending_signals())
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
