"""The terminal: whether it can show the screen, whether its background is light, and Textual's driver for it.

In: standard input and output. Out: `Colours` that suit the terminal; a driver that draws on standard output, where
results belong, and reads from the terminal even if standard input is a pipe. An answer of a slow terminal that comes
too late is not taken for keys; the screen takes its colours from it then.
"""

from __future__ import annotations

import os
import re
import select
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import Any, TextIO, cast

from textual import events
from textual.driver import Driver
from textual.message import Message

from handshake_inspect.screen.colours import Colours

#: How long the screen waits for a terminal to say which colour its ground has: one that is farther away says it late.
ANSWER_S = 0.25
#: How long an answer may come after that, when the screen is there.
LATE_S = 10.0
#: The end of the answer that all terminals give, to the question what they are (DA1).
DEVICE = re.compile(rb"\x1b\[\?[\d;]*c")
#: Both answers, as far as they may have come, in the signs that Textual makes of them: ESC is `^`, the key Esc, or not
#: there.
COMING = re.compile(r"\^?(\]1{0,2}(;[rgba:/0-9a-fA-F]*[\^\x1b]?(\a|\\)?)?)?(?(1)[\^\x1b]?|\^?)(\[(\?[\d;]*c?)?)?")


@dataclass(frozen=True)
class Suited:
    """The colours that suit a terminal."""

    colours: Colours
    #: It was asked for the colour of its background, and has not answered yet.
    owes_answer: bool = False


def colours_of_terminal() -> Suited:
    """Return the colours for this terminal: light or dark as its background, if it answers."""
    has_colour = not os.environ.get("NO_COLOR")
    answer = _asked() if has_colour else None
    light = said_light(answer or b"")
    if light is None:
        light = has_colour and os.environ.get("COLORFGBG", "").rpartition(";")[2] in ("7", "15")
    owes_answer = answer is not None and not DEVICE.search(answer)
    return Suited(Colours(is_dark=not light, has_colour=has_colour), owes_answer)


def _asked() -> bytes | None:
    """Ask the terminal for the colour of its background (xterm's OSC 11); None if there is no terminal.

    A second question (DA1) is one that all terminals answer: if its answer comes alone, the first one never comes.
    """
    if sys.platform == "win32" or not (sys.stdin.isatty() and sys.stdout.isatty()):
        return None
    import termios

    with suppress(OSError, termios.error), _unbuffered(sys.stdin.fileno()):  # the terminal may have gone
        sys.stdout.write("\x1b]11;?\x1b\\\x1b[c")
        sys.stdout.flush()
        return _answer(sys.stdin.fileno())
    return None


def said_light(answer: bytes) -> bool | None:
    """Is this answer, `ESC ] 11 ; rgb:RRRR/GGGG/BBBB`, a light colour? None: it is no such answer."""
    found = re.search(rb"\]11;rgba?:([0-9a-fA-F]{1,4})/([0-9a-fA-F]{1,4})/([0-9a-fA-F]{1,4})", answer)
    if found is None:
        return None
    red, green, blue = (int(part, 16) / (16 ** len(part) - 1) for part in found.groups())
    return bool(0.2126 * red + 0.7152 * green + 0.0722 * blue > 0.5)


def _answer(descriptor: int) -> bytes:
    """Read up to the end of the answer to the last question, which all terminals know."""
    answer, deadline_s = b"", time.monotonic() + ANSWER_S
    while not DEVICE.search(answer):
        patience_s = deadline_s - time.monotonic()
        if patience_s <= 0 or not select.select([descriptor], [], [], patience_s)[0]:
            break
        answer += os.read(descriptor, 256)
    return answer


@contextmanager
def _unbuffered(descriptor: int) -> Iterator[None]:
    """Read the terminal without buffering and echo meanwhile."""
    import termios
    import tty

    before = termios.tcgetattr(descriptor)
    try:
        tty.setcbreak(descriptor, termios.TCSANOW)
        yield
    finally:
        termios.tcsetattr(descriptor, termios.TCSANOW, before)


@contextmanager
def terminal_as_input() -> Iterator[None]:
    """Make the terminal standard input meanwhile, if a capture came through that. Raises OSError without a terminal."""
    if sys.platform == "win32" or os.isatty(0):
        yield
        return
    kept, terminal = os.dup(0), os.open("/dev/tty", os.O_RDWR)
    try:
        os.dup2(terminal, 0)
        yield
    finally:
        os.dup2(kept, 0)
        os.close(kept)
        os.close(terminal)


class GroundTold(Message):
    """The terminal has said late whether its ground is light."""

    def __init__(self, is_light: bool) -> None:
        self.is_light = is_light
        super().__init__()


class LateAnswer:
    """Knows the answer of a terminal among keys: Textual does not, and hands its signs on one by one."""

    def __init__(self, *, is_owed: bool) -> None:
        self._until_s = time.monotonic() + LATE_S if is_owed else 0.0
        #: What of an answer has come.
        self._come = ""
        #: The ground of the terminal is light, as far as it has said so.
        self.is_light: bool | None = None
        #: No more of it comes.
        self.is_over = False

    def has(self, sign: str | None) -> bool:
        """Is this sign one of an answer that was owed? The last one is the `c` of `ESC [ ? 62 c`."""
        if not self._come and time.monotonic() > self._until_s:
            return False
        self._come = next((one for one in (f"{self._come}{sign}", f"{sign}") if COMING.fullmatch(one)), "")
        is_part = bool(self._come)
        self.is_light = said_light(self._come.encode())
        if is_part and self._come.endswith("c") and "?" in self._come:
            self._come, self._until_s, self.is_over = "", 0.0, True
        return is_part


def driver(*, owes_answer: bool = False) -> type[Driver] | None:
    """Return Textual's driver for this system, on standard output instead of standard error; None: as it is.

    `owes_answer`: the terminal was asked something, and its answer is still to come.
    """
    if sys.platform == "win32":
        return None
    from textual.drivers.linux_driver import LinuxDriver

    class OnStandardOutput(LinuxDriver):
        """A driver that draws on standard output."""

        def __init__(self, *arguments: Any, **more: Any) -> None:
            super().__init__(*arguments, **more)
            assert sys.__stdout__ is not None
            self._file = cast(Any, Drawn(sys.__stdout__))
            self._late = LateAnswer(is_owed=owes_answer)

        def process_message(self, message: Message) -> None:
            """Hand on a message from the terminal; of a late answer what it says, when that is whole."""
            if not (isinstance(message, events.Key) and self._late.has(message.character)):
                super().process_message(message)
            elif self._late.is_light is not None and self._late.is_over:
                super().process_message(GroundTold(self._late.is_light))

    return OnStandardOutput


class Drawn:
    """The stream that is drawn on. If the terminal is gone, it drops everything, so that drawing never fails."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream

    def write(self, text: str) -> None:
        """Write what Textual draws."""
        with suppress(OSError):
            self._stream.write(text)

    def flush(self) -> None:
        """Flush it."""
        with suppress(OSError):
            self._stream.flush()
