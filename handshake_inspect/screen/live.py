"""A live capture as a source; it does its work in the capturing thread, between two blocks.

In: blocks of frames, and the inspector that follows them (`Watched`). Out: a new `ListSnapshot` some times a second,
and answers to the screen's questions. Nothing here waits for the screen.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from concurrent.futures import Future
from typing import Protocol, TypeVar

from handshake_inspect.capture.frames import payload
from handshake_inspect.capture.live import LiveCapture
from handshake_inspect.capture.records import Records
from handshake_inspect.capture.writing.rotation import open_writer
from handshake_inspect.connections.connection import Connection, Step
from handshake_inspect.inspection import Inspection
from handshake_inspect.quantities import counted
from handshake_inspect.screen.desk import QuestionQueue
from handshake_inspect.screen.recent import Recent
from handshake_inspect.screen.sight import ConnectionPage, GoneError, ListSnapshot, Traffic
from handshake_inspect.views.folding import Fold, fold
from handshake_inspect.views.ladder import LadderOptions, Payload, ladder_parts

R = TypeVar("R")
#: The least time between two looks at all connections; and looks take at most one part in so many of the time.
LOOK_EVERY_S, LOOK_SHARE = 0.2, 5


class Watched(Protocol):
    """What follows a live capture: `cli.watch`, or a test."""

    capture: LiveCapture
    seen: int
    recent: Recent | None

    def so_far(self) -> Inspection:
        """Return what was found so far."""


class Live:
    """The connections of a live capture. Used in the capturing thread only, except `sight`."""

    is_live = True
    is_damaged = False
    remarks = ()

    def __init__(self, watched: Watched, printed: Callable[[], str] | None = None) -> None:
        self.desk = QuestionQueue()
        self.title = watched.capture.interface
        self.is_over = False
        self.ended = ""
        #: Hands Ctrl-C on to the command, as long as one runs.
        self.on_interrupt: Callable[[], None] | None = None
        self._watched = watched
        self._recent = watched.recent = Recent()
        self._printed = printed
        self._look()

    def attended(self, blocks: Iterable[Records | None]) -> Iterator[Records | None]:
        """Yield the blocks; after each, take a new snapshot if one is due, and answer questions."""
        for block in blocks:
            yield block
            self._is_stale |= block is not None
            if self._is_stale and time.monotonic() >= self._look_at_s:
                self._look()
            self.desk.answer()

    def shown(self, follow: Callable[[], R], show: Callable[[Live], None], leave: Callable[[], None]) -> R:
        """Follow the capture in a thread of its own while it is shown; return what following it returned.

        If `follow` leaves it said how what was watched has `ended`, the screen stays, and is answered until it is left.
        `leave` makes `follow` return: it is called when the screen was left before.
        """
        found: Future[R] = Future()
        thread = threading.Thread(target=self._follow, args=(follow, found), name="handshake-inspect capture")
        thread.start()
        try:
            show(self)
        finally:
            leave()
            self.desk.close()
            thread.join()
        return found.result()

    def _follow(self, follow: Callable[[], R], found: Future[R]) -> None:
        try:
            result = follow()
            self._look()
            self.on_interrupt = None
            if self.ended:
                self.desk.serve()
            found.set_result(result)
        except BaseException as error:  # raised where the screen was shown
            found.set_exception(error)
        finally:
            self.is_over = True

    def told(self, stream: int, width: int) -> ConnectionPage:
        """Return a connection with its ladder, drawn in so many columns. Raises GoneError or CaptureError."""
        connection, steps = self._described(stream)
        parts = ladder_parts(
            connection,
            steps,
            title=f"stream {stream}",
            facts=[counted(len(steps), "segment"), *connection.encapsulation],
            payload=self._payload(steps),
            options=LadderOptions(width=width),
        )
        return ConnectionPage(connection, parts)

    def save(self, stream: int | None, target: str) -> str:
        """Save the kept frames of a connection, or all; return a sentence about it. Raises GoneError, CaptureError.

        The first frames of a capture are dropped after a time: the sentence says which are not in the file.
        """
        wanted: Collection[int] | None = None
        if stream is not None:
            connection, steps = self._described(stream)
            frames = [*(step.frame for step in steps), *(error.frame for error in connection.icmp_errors)]
            wanted = {frame for frame in frames if isinstance(frame, int)}
        dropped = self._watched.capture.dropped
        capture = self._watched.capture
        with open_writer(target, capture.interfaces, dropped=lambda: dropped, snaplen=capture.frame_octets) as writer:
            cut = self._recent.write(writer, wanted)
        expected = self._recent.taken if wanted is None else len(wanted)
        less = expected - writer.count
        said = f"{target}: {counted(writer.count, 'frame')} saved"
        if cut:
            said += f", {cut:,} of them cut to {capture.frame_octets:,} octets: --snap takes more"
        return said + (f"; {counted(less, 'earlier one')} no longer kept: sniff -w FILE keeps all" if less else "")

    def command(self, stream: int) -> str | None:
        """Return None: no other command can show a live capture."""
        return None

    def printed(self) -> str | None:
        """Return what the watched command has printed so far; None if no command is watched."""
        return None if self._printed is None else self._printed()

    def interrupt(self) -> bool:
        """Hand Ctrl-C on to the command that is watched; False if there is none."""
        hand_on = self.on_interrupt
        if hand_on is not None:
            hand_on()
        return hand_on is not None

    def _look(self) -> None:
        """Take a snapshot of all connections as they are now."""
        began_s = time.monotonic()
        found = self._inspection = self._watched.so_far()
        connections = found.connections
        connections.make_findings()  # here, not by the screen
        capture = found.captures[0]
        dropped, let_go = self._watched.capture.dropped, found.let_go.connections
        traffic = Traffic(capture.frames, capture.segments, dropped, let_go, capture.datagrams)
        self.sight = ListSnapshot(connections, connections.streams, None, traffic)
        self._is_stale = False
        now_s = time.monotonic()
        self._look_at_s = now_s + max(LOOK_EVERY_S, LOOK_SHARE * (now_s - began_s))

    def _described(self, stream: int) -> tuple[Connection, tuple[Step, ...]]:
        if self._is_stale:  # what was found before the last block may have been let go with it
            self._look()
        if not self._inspection.connections.has(stream):
            raise GoneError(f"stream {stream} is over and was let go")
        return self._inspection.described(stream)

    def _payload(self, steps: Sequence[Step]) -> Payload:
        """Return the payload of the segments that are not folded and whose frames are kept."""
        shown = [row for row in fold(steps) if not isinstance(row, Fold) and row.payload_octets]
        frames = self._recent.frames({row.frame for row in shown if isinstance(row.frame, int)})
        return {
            (row.frame, row.seq): payload(frames[row.frame], row.seq)
            for row in shown
            if isinstance(row.frame, int) and row.frame in frames
        }
