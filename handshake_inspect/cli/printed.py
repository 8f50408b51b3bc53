"""The output of a command while the screen has the terminal: read by a thread, and its last part kept.

In: a pipe that replaces the command's standard output and error. Out: the octets that came through it.
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
    """The last octets that a command has printed."""

    def __init__(self) -> None:
        self._kept = b""
        self._write_end: int | None = None
        self._thread: threading.Thread | None = None

    def streams(self) -> Streams:
        """Start the thread, in the process that starts the command; return the command's standard streams."""
        read_end, self._write_end = os.pipe()
        self._thread = threading.Thread(
            target=self._read, args=(read_end,), name="handshake-inspect output", daemon=True
        )
        self._thread.start()
        return Streams(subprocess.DEVNULL, self._write_end, self._write_end)

    def begun(self) -> None:
        """Close our end of the pipe after the command was started, so that the pipe ends with the command."""
        if self._write_end is not None:
            os.close(self._write_end)

    def finish(self) -> None:
        """Wait for the last output after the command has ended."""
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
