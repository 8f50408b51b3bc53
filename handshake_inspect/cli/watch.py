"""Follows a live capture: every block of frames is inspected as it comes, and its new segments are printed."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from handshake_inspect.capture.live import LiveCapture
from handshake_inspect.capture.records import Records
from handshake_inspect.capture.writing.output import CaptureWriter
from handshake_inspect.cli.captures import Interruption
from handshake_inspect.cli.output import terminal_width, write, write_lines
from handshake_inspect.connections.analysis import Seen
from handshake_inspect.connections.connection import Connection, IcmpError, Step
from handshake_inspect.connections.leaving import Leaving
from handshake_inspect.inspection import Inspection, Inspector
from handshake_inspect.table import IcmpErrorTable, SegmentTable
from handshake_inspect.views.segment_line import fitted_lines, segment_line
from handshake_inspect.views.words import counted

if TYPE_CHECKING:
    from rich.text import Text

#: A mask over the rows of a table.
Rows = NDArray[np.bool_]
TCP = 6
#: How long one look at the capture waits for frames.
PATIENCE_S = 0.1
#: What one look may bring and still be printed segment by segment: nobody reads faster, and the capture must keep up.
MOST_SEGMENTS, MOST_CONVERSATIONS = 1000, 100


class Watch:
    """What was seen so far, and what is still to be printed."""

    def __init__(
        self, capture: LiveCapture, *, port: int | None, count: int | None, writer: CaptureWriter | None = None
    ) -> None:
        self.capture = capture
        self.port = port
        self.count = count
        self.writer = writer
        self.shown = 0
        #: Segments that came too fast to be printed one by one.
        self.passed_over = 0
        #: Streams of which a segment was printed.
        self._announced: set[int] = set()
        self._inspector = Inspector(leaving=Leaving())
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
                self.take(block, hurry=interruption.asked)

    @property
    def enough(self) -> bool:
        """Were as many segments shown as asked for?"""
        return self.count is not None and self.shown >= self.count

    def take(self, block: Records, *, hurry: bool = False) -> None:
        """Inspect a block, and print the segments that are new with it, unless there are too many or in a hurry."""
        decoded = self._inspector.add_records(block, self._number)
        segments = decoded.segments.take(self._of_port(decoded.segments))
        errors = decoded.icmp_errors.take(self._of_port(decoded.icmp_errors) & (decoded.icmp_errors["protocol"] == TCP))
        frames = np.concatenate([segments["frame"], errors["frame"]])
        if self.writer is not None:
            self.keep(self.writer, block, frames)
        if not len(frames):
            self._inspector.go_on()
            return
        of = self._inspector.conversations_of
        conversations = len(np.union1d(of(segments), of(errors)))
        if hurry or len(frames) > MOST_SEGMENTS or conversations > MOST_CONVERSATIONS:
            self._pass_over(len(segments), conversations)
        else:
            new = self._as_many_as_asked_for(self._inspector.update(segments, errors))
            write_lines(line for connection, step in new for line in self.lines(connection, step))
        self._inspector.go_on()

    def _as_many_as_asked_for(self, new: list[Seen]) -> list[Seen]:
        """Count segments, and leave out what comes after the last one."""
        for place, (_, step) in enumerate(new):
            if self.enough:
                return new[:place]
            self.shown += isinstance(step, Step)
        return new

    def _pass_over(self, segments: int, conversations: int) -> None:
        """Say how many segments are not printed one by one; the summary counts them all, and the ICMP errors."""
        if not segments:
            return
        left = segments if self.count is None else min(segments, self.count - self.shown)
        self.shown += left
        self.passed_over += left
        many = f"{counted(left, 'segment')} of {counted(conversations, 'conversation')}"
        write([f"… {many} at once, not shown one by one\n"])

    def lines(self, connection: Connection, step: Step | IcmpError) -> Iterator[Text]:
        """Yield what is printed for one segment or ICMP error: one line, or as many as the terminal needs."""
        width = terminal_width()
        if width is None:
            yield segment_line(connection, step)
        else:
            yield from fitted_lines(connection, step, width, first=connection.stream not in self._announced)
        self._announced.add(connection.stream)

    def keep(self, writer: CaptureWriter, block: Records, numbers: NDArray[np.uint32]) -> None:
        """Save frames of a block, whose buffer will be used again; the file is whole after each block."""
        writer.write(block, np.isin(block.frame, numbers))

    def finish(self) -> Inspection:
        """Return what was found in all."""
        self._inspector.captures[self._number].dropped = self.capture.dropped
        return self._inspector.result()

    def _of_port(self, segments: SegmentTable | IcmpErrorTable) -> Rows:
        if self.port is None:
            return np.ones(len(segments), np.bool_)
        ours: Rows = (segments["src_port"] == self.port) | (segments["dst_port"] == self.port)
        return ours
