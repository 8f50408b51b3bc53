"""The terminal: whether it can show the screen, whether its ground is light, and what Textual draws on.

In: standard input and output. Out: `Colours` that suit the terminal; the driver that draws on standard output, where
results belong, and reads from the terminal also where standard input is a pipe.
"""

from __future__ import annotations

import os
import re
import select
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any, TextIO, cast

from textual.driver import Driver

from handshake_inspect.screen.colours import Colours

#: How long a terminal may take to say which colour its ground has.
ANSWER_S = 0.1


def colours_of_terminal() -> Colours:
    """Say which colours suit this terminal: those of its ground, if it tells."""
    has_colour = not os.environ.get("NO_COLOR")
    light = ground_is_light() if has_colour else False
    if light is None:
        light = os.environ.get("COLORFGBG", "").rpartition(";")[2] in ("7", "15")
    return Colours(is_dark=not light, has_colour=has_colour)


def ground_is_light() -> bool | None:
    """Ask the terminal for the colour of its ground (xterm's OSC 11); None if it does not say.

    All terminals say what they are (DA1): where that answer comes alone, the other one does not come.
    """
    if sys.platform == "win32" or not (sys.stdin.isatty() and sys.stdout.isatty()):
        return None
    with _unbuffered(sys.stdin.fileno()):
        sys.stdout.write("\x1b]11;?\x1b\\\x1b[c")
        sys.stdout.flush()
        return said_light(_answer(sys.stdin.fileno()))


def said_light(answer: bytes) -> bool | None:
    """Read the answer of a terminal: `ESC ] 11 ; rgb:RRRR/GGGG/BBBB`."""
    found = re.search(rb"\]11;rgba?:([0-9a-fA-F]{1,4})/([0-9a-fA-F]{1,4})/([0-9a-fA-F]{1,4})", answer)
    if found is None:
        return None
    red, green, blue = (int(part, 16) / (16 ** len(part) - 1) for part in found.groups())
    return bool(0.2126 * red + 0.7152 * green + 0.0722 * blue > 0.5)


def _answer(descriptor: int) -> bytes:
    """Read up to the end of the answer that all terminals give."""
    answer, deadline_s = b"", time.monotonic() + ANSWER_S
    while not re.search(rb"\x1b\[\?[\d;]*c", answer):
        patience_s = deadline_s - time.monotonic()
        if patience_s <= 0 or not select.select([descriptor], [], [], patience_s)[0]:
            break
        answer += os.read(descriptor, 256)
    return answer


@contextmanager
def _unbuffered(descriptor: int) -> Iterator[None]:
    """Let what a terminal answers come at once, and unseen."""
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
    """Let standard input be the terminal meanwhile, where a capture came through it. Raises OSError without one."""
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


def driver() -> type[Driver] | None:
    """Return Textual's driver for this system, on standard output instead of standard error; None: as it is."""
    if sys.platform == "win32":
        return None
    from textual.drivers.linux_driver import LinuxDriver

    class OnStandardOutput(LinuxDriver):
        """Draws where results are printed."""

        def __init__(self, *arguments: Any, **more: Any) -> None:
            super().__init__(*arguments, **more)
            assert sys.__stdout__ is not None
            self._file = cast(Any, Drawn(sys.__stdout__))

    return OnStandardOutput


class Drawn:
    """What is drawn on. Where the terminal has gone it takes all: whoever draws must not fail, nor wait for ever."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream

    def write(self, text: str) -> None:
        """Draw."""
        with suppress(OSError):
            self._stream.write(text)

    def flush(self) -> None:
        """Have it drawn."""
        with suppress(OSError):
            self._stream.flush()
