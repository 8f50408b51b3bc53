"""The command line on a terminal of its own (a pty), as a person has it."""

from __future__ import annotations

import os
import pty
import re
import select
import sys
import time

from tests.cli.running import REPOSITORY


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
        deadline_s = time.monotonic() + 60
        while (found := re.search(pattern, self.seen)) is None:
            assert select.select([self.master], [], [], deadline_s - time.monotonic())[0], self.seen
            self.seen += os.read(self.master, 4096).decode("utf-8", "replace")
        self.seen = self.seen[found.end() :]
        return found

    def type(self, text: str) -> None:
        """Type on it; \\x03 is Ctrl-C, \\x04 Ctrl-D."""
        os.write(self.master, text.encode())

    def code(self) -> int:
        """Wait for the end."""
        try:
            while octets := os.read(self.master, 4096):
                self.seen += octets.decode("utf-8", "replace")
        except OSError:  # EIO: nobody has the other side open any more
            pass
        os.close(self.master)
        return os.waitstatus_to_exitcode(os.waitpid(self.pid, 0)[1])
