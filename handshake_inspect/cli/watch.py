"""Follows a live capture: every block of frames is inspected as it comes, and its new segments are printed."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from handshake_inspect.capture.live import LiveCapture
from handshake_inspect.capture.records import RawFrame, Records
from handshake_inspect.cli.captures import Interruption
from handshake_inspect.cli.output import terminal_width, write_lines
from handshake_inspect.connections.connection import Connection, Step
from handshake_inspect.inspection import Inspection, Inspector
from handshake_inspect.table import SegmentTable
from handshake_inspect.views.segment_line import fitted_lines, segment_line

if TYPE_CHECKING:
    from rich.text import Text

#: A mask over the rows of a table.
Rows = NDArray[np.bool_]
#: How long one look at the capture waits for frames.
PATIENCE_S = 0.1


class Watch:
    """What was seen so far, and what is still to be printed."""

    def __init__(self, capture: LiveCapture, *, port: int | None, count: int | None, keep_frames: bool) -> None:
        self.capture = capture
        self.port = port
        self.count = count
        self.keep_frames = keep_frames
        self.frames: list[RawFrame] = []
        self.shown = 0
        #: Stream of each connection of a conversation, and how many of its segments were printed.
        self._printed: dict[tuple[int, int], tuple[int, int]] = {}
        #: Streams of which a segment was printed.
        self._announced: set[int] = set()
        self._inspector = Inspector(fold=False)
        self._number = self._inspector.begin_capture(capture.interface, "live")

    def run(self, interruption: Interruption, duration: float | None) -> None:
        """Print segments until Ctrl-C, the count or the end of the time."""
        deadline = None if duration is None else time.monotonic() + duration
        while not interruption.asked and not self.enough:
            patience = PATIENCE_S
            if deadline is not None:
                patience = min(patience, deadline - time.monotonic())
                if patience <= 0:
                    break
            block = self.capture.read(patience)
            if block is not None:
                self.take(block)
        if not self.enough:
            for block in self.capture.drain():
                self.take(block)

    @property
    def enough(self) -> bool:
        """Were as many segments shown as asked for?"""
        return self.count is not None and self.shown >= self.count

    def take(self, block: Records) -> None:
        """Inspect a block, and print the segments that are new with it."""
        segments = self._inspector.add_records(block, self._number)
        ours = self._of_port(segments)
        if self.keep_frames:
            self.keep(block, segments["frame"][ours])
        if not ours.any():
            return
        new = self.new_steps(segments.take(ours))
        left = None if self.count is None else self.count - self.shown
        new = new[:left]
        self.shown += len(new)
        write_lines(line for connection, step in new for line in self.lines(connection, step))

    def lines(self, connection: Connection, step: Step) -> Iterator[Text]:
        """Yield what is printed for one segment: one line, or as many as the terminal needs."""
        width = terminal_width()
        if width is None:
            yield segment_line(connection, step)
        else:
            yield from fitted_lines(connection, step, width, first=connection.stream not in self._announced)
        self._announced.add(connection.stream)

    def new_steps(self, segments: SegmentTable) -> list[tuple[Connection, Step]]:
        """Return the segments that were not printed yet, in the order in which they were captured."""
        found = []
        for conversation, connections in self._inspector.changed(segments):
            for place, (connection, steps) in enumerate(connections):
                stream, before = self._printed.get((conversation, place), (len(self._printed), 0))
                self._printed[conversation, place] = (stream, len(steps))
                found += [(replace(connection, stream=stream), step) for step in steps[before:]]
        return sorted(found, key=lambda item: item[1].time_ns)

    def keep(self, block: Records, numbers: NDArray[np.uint32]) -> None:
        """Copy frames out of a block, whose buffer will be used again."""
        for row in np.flatnonzero(np.isin(block.frame, numbers)).tolist():
            octets, original = block.octets(row), int(block.original[row])
            self.frames.append(RawFrame(octets, original, int(block.time_ns[row]), int(block.link_type[row])))

    def finish(self) -> Inspection:
        """Return what was found in all."""
        self._inspector.captures[self._number].dropped = self.capture.dropped
        return self._inspector.result()

    def _of_port(self, segments: SegmentTable) -> Rows:
        if self.port is None:
            return np.ones(len(segments), np.bool_)
        ours: Rows = (segments["src_port"] == self.port) | (segments["dst_port"] == self.port)
        return ours
