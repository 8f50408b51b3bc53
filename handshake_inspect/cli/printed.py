"""What a command prints while the screen has the terminal: read by a thread, and the last of it kept.

In: a pipe, which stands for the command's standard output and error. Out: what came through it.
"""

from __future__ import annotations

import os
import subprocess
import threading

from handshake_inspect.lab.command.running import Streams

#: Octets that are kept.
KEPT_OCTETS = 1 << 20
#: How long what was printed last may be on its way.
LAST_S = 1.0


class PrintedTail:
    """The end of what a command has printed."""

    def __init__(self) -> None:
        self._kept = b""
        self._write_end: int | None = None
        self._thread: threading.Thread | None = None

    def streams(self) -> Streams:
        """Begin, in the process that starts the command: return what its standard streams are to be."""
        read_end, self._write_end = os.pipe()
        self._thread = threading.Thread(
            target=self._read, args=(read_end,), name="handshake-inspect output", daemon=True
        )
        self._thread.start()
        return Streams(subprocess.DEVNULL, self._write_end, self._write_end)

    def begun(self) -> None:
        """Note that the command has its streams now: when it has ended, and all that it started, no more comes."""
        if self._write_end is not None:
            os.close(self._write_end)

    def finish(self) -> None:
        """Wait for the last of it, which is on its way when the command has ended."""
        if self._thread is not None:
            self._thread.join(LAST_S)

    @property
    def octets(self) -> bytes:
        """What was printed so far."""
        return self._kept

    def text(self) -> str:
        """Return the same as text."""
        return self._kept.decode(errors="replace")

    def _read(self, descriptor: int) -> None:
        while octets := os.read(descriptor, 1 << 16):
            self._kept = (self._kept + octets)[-KEPT_OCTETS:]
