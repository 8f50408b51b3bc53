"""Captures that were read as a source.

In: an inspection that is complete, and how its connections are drawn and saved. Out: one `Sight`, and the answers to
what the screen asks, in a thread of their own.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

from rich.text import Text

from handshake_inspect.connections.connection import Connection, Step
from handshake_inspect.inspection import Inspection
from handshake_inspect.screen.desk import Desk
from handshake_inspect.screen.sight import Sight, Streams, Told

Draw = Callable[[Connection, Sequence[Step], int], Sequence[Text]]
Save = Callable[[Connection, Sequence[Step], str], str]


class Files:
    """What captures show."""

    is_live = False
    is_over = False
    ended = ""

    def __init__(
        self, inspection: Inspection, streams: Streams, title: str, draw: Draw, save: Save, named: str
    ) -> None:
        """`streams`: those to be shown, in their order. `named`: the files, as a shell takes them."""
        self.desk = Desk()
        self.title = title
        self._inspection = inspection
        self._draw = draw
        self._save = save
        self._named = named
        connections = inspection.connections
        assert connections.findings is not None  # made here, not by the screen
        ends = [one.last_ns for one in inspection.captures if one.last_ns is not None]
        self.sight = Sight(connections, streams, max(ends, default=0))

    @contextmanager
    def answering(self) -> Iterator[None]:
        """Answer meanwhile."""
        thread = threading.Thread(target=self.desk.serve, name="handshake-inspect desk", daemon=True)
        thread.start()
        try:
            yield
        finally:
            self.desk.close()

    def told(self, stream: int, width: int) -> Told:
        """Describe a connection, for so many terminal columns. Raises CaptureError."""
        connection, steps = self._inspection.described(stream)
        return Told(connection, self._draw(connection, steps, width))

    def save(self, stream: int | None, target: str) -> str:
        """Save the frames of a connection; say what was saved. Raises LookupError or CaptureError."""
        if stream is None:
            raise LookupError("all of it stands in the files themselves")
        return self._save(*self._inspection.described(stream), target)

    def command(self, stream: int) -> str | None:
        """Return the command line that shows a connection."""
        return f"handshake-inspect show {self._named} -s {stream}"

    def printed(self) -> str | None:
        """Return None: no command is watched."""
        return None

    def interrupt(self) -> bool:
        """Return False: no command is watched."""
        return False
