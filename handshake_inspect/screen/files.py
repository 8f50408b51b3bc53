"""Captures from files as a source.

In: a complete inspection, and how its connections are drawn and saved. Out: one `ListSnapshot`, and answers to the
screen's questions, in a thread of their own.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

from handshake_inspect.connections.connection import Connection, Step
from handshake_inspect.inspection import Inspection
from handshake_inspect.screen.desk import QuestionQueue
from handshake_inspect.screen.sight import ConnectionPage, GoneError, ListSnapshot, Streams
from handshake_inspect.views.ladder import LadderParts

Draw = Callable[[Connection, Sequence[Step], int], LadderParts]
Save = Callable[[Connection, Sequence[Step], str], str]
Command = Callable[[int], str | None]


class Files:
    """The connections of captures that were read."""

    is_live = False
    is_over = False
    ended = ""

    def __init__(
        self,
        inspection: Inspection,
        streams: Streams,
        title: str,
        *,
        draw: Draw,
        save: Save,
        command: Command,
        remarks: Sequence[str] = (),
        is_damaged: bool = False,
    ) -> None:
        """`streams`: those to show, in their order. `command`: the command line that shows one of them."""
        self.desk = QuestionQueue()
        self.title = title
        self._inspection = inspection
        self._draw = draw
        self._save = save
        self.command = command
        self.remarks = remarks
        self.is_damaged = is_damaged
        connections = inspection.connections
        connections.make_findings()  # here, not by the screen
        ends = [one.last_ns for one in inspection.captures if one.last_ns is not None]
        self.sight = ListSnapshot(connections, streams, max(ends, default=0))

    @contextmanager
    def answering(self) -> Iterator[None]:
        """Answer questions in a thread while the block runs."""
        thread = threading.Thread(target=self.desk.serve, name="handshake-inspect desk", daemon=True)
        thread.start()
        try:
            yield
        finally:
            self.desk.close()

    def told(self, stream: int, width: int) -> ConnectionPage:
        """Return a connection with its ladder, drawn in so many columns. Raises CaptureError."""
        connection, steps = self._inspection.described(stream)
        return ConnectionPage(connection, self._draw(connection, steps, width))

    def save(self, stream: int | None, target: str) -> str:
        """Save the frames of a connection; return a sentence about it. Raises CaptureError."""
        if stream is None:
            raise GoneError("all of it stands in the files themselves")
        return self._save(*self._inspection.described(stream), target)

    def printed(self) -> str | None:
        """Return None: no command is watched."""
        return None

    def interrupt(self) -> bool:
        """Return False: no command is watched."""
        return False
