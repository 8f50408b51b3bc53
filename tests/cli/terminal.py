"""The command line on a terminal of its own (a pty), as a person has it."""

from __future__ import annotations

import contextlib
import os
import pty
import re
import select
import signal
import sys
import time

from tests.cli.running import REPOSITORY

#: Nothing that is waited for takes so long.
PATIENCE_S = 60.0


class Terminal:
    """A program on a terminal of its own, with Ctrl-C and Ctrl-D."""

    def __init__(self, *arguments: str) -> None:
        self.seen = ""
        self.pid, self.master = pty.fork()
        if self.pid == 0:
            os.chdir(REPOSITORY)
            os.environ.update(TERM="xterm", COLUMNS="100", PYTHONIOENCODING="utf-8")
            os.environ.pop("NO_COLOR", None)
            os.execv(sys.executable, [sys.executable, "-m", "handshake_inspect", *arguments])

    def until(self, pattern: str) -> re.Match[str]:
        """Wait until the terminal shows something new."""
        deadline_s = time.monotonic() + PATIENCE_S
        while (found := re.search(pattern, self.seen)) is None:
            self.seen += self._read(deadline_s)
        self.seen = self.seen[found.end() :]
        return found

    def _read(self, deadline_s: float) -> str:
        """Return what it shows next, "" at the end. A program that shows nothing more in time is ended."""
        if not select.select([self.master], [], [], max(deadline_s - time.monotonic(), 0))[0]:
            os.kill(self.pid, signal.SIGKILL)
            raise AssertionError(f"nothing more came: {self.seen}")
        return os.read(self.master, 4096).decode("utf-8", "replace")

    def type(self, text: str) -> None:
        """Type on it; \\x03 is Ctrl-C, \\x04 Ctrl-D.

        No person is as fast as we are: a signal between Python's last look for one and its wait for a line waits with
        it until the next one comes.
        """
        if text in ("\x03", "\x04"):
            time.sleep(0.1)
        os.write(self.master, text.encode())

    def code(self) -> int:
        """Wait for the end."""
        deadline_s = time.monotonic() + PATIENCE_S
        with contextlib.suppress(OSError):  # EIO: nobody has the other side open any more
            while shown := self._read(deadline_s):
                self.seen += shown
        os.close(self.master)
        return os.waitstatus_to_exitcode(os.waitpid(self.pid, 0)[1])
