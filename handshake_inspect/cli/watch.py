"""Follows a live capture: inspects each block of frames, and prints what is new.

In: blocks of frames. Out: lines (`live_lines`), frames in a file if asked for, and an inspection at the end. Printing
must not make the capture lose frames: segments that come too fast to be read are counted in one line.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from handshake_inspect.capture.live import LiveCapture
from handshake_inspect.capture.records import Records
from handshake_inspect.capture.writing.output import CaptureWriter
from handshake_inspect.cli.captures import Interruption
from handshake_inspect.cli.closed_pipe import nobody_reads
from handshake_inspect.cli.live_lines import LiveLines
from handshake_inspect.cli.output import terminal_width, write
from handshake_inspect.cli.standard_error import remark
from handshake_inspect.connections.connection import IcmpError, Step
from handshake_inspect.connections.endless.retention import Retention
from handshake_inspect.inspection import Inspection
from handshake_inspect.inspector import Inspector
from handshake_inspect.quantities import counted, listed
from handshake_inspect.screen.recent import Recent, cut_frames
from handshake_inspect.table import Block, SegmentTable
from handshake_inspect.tcp.time_wait import profile_of
from handshake_inspect.views.datagram_line import Timed, datagram_lines

TCP = 6
#: How long one look at the capture waits for frames.
PATIENCE_S = 0.1
#: The share of the time that printing may take when much comes for long, so that the capture keeps up, and for how long
#: it may take all of it: the ring holds some seconds of what comes meanwhile.
PRINTING_SHARE, CREDIT_S = 0.5, 3.0
#: The share of the time until the ring is full that printing a block may take (the largest frames of loopback fill it
#: in less than a second), and over how long at the least it is told how fast frames come.
ROOM_SHARE, RATE_OVER_S = 0.5, 0.04
#: What printing one segment takes, before it was seen.
SEGMENT_S = 0.0005
#: How often at most it is said what was not printed, and what the kernel dropped.
TELL_EVERY_S = 1.0


@dataclass(frozen=True)
class WatchRequest:
    """Which segments to show, and until when."""

    #: Only segments of this port.
    port: int | None = None
    #: End after so many segments.
    count: int | None = None
    #: Print no line for a segment.
    quiet: bool = False
    #: Print a line for a datagram of UDP, too.
    udp: bool = False
    profile: str = "linux"


class Watch:
    """The capture so far, and what is still to be printed."""

    def __init__(
        self,
        capture: LiveCapture,
        wishes: WatchRequest,
        writer: CaptureWriter | None = None,
        *,
        on_screen: bool = False,
    ) -> None:
        """`on_screen`: print nothing, because the screen has the terminal."""
        self.on_screen = on_screen
        #: Keeps the last frames of interest, where somebody wants them.
        self.recent: Recent | None = None
        self.capture = capture
        self.wishes = wishes
        self.writer = writer
        #: May be switched off where saving has failed and the watching goes on.
        self.is_saving = writer is not None
        #: Frames saved of which not all was captured.
        self.cut = 0
        #: Segments so far, and the frame of the last of them.
        self.seen = self._last_frame = 0
        #: Segments that came too fast to be printed one by one.
        self.passed_over = 0
        #: Datagrams that did, since that was told last.
        self._datagrams_passed = 0
        leaving = Retention(profile_of(wishes.profile).length_ns)
        self._inspector = Inspector(profile=wishes.profile, leaving=leaving, steady_ns=time.monotonic_ns)
        self._number = self._inspector.begin_capture(capture.interface, "live")
        self._lines = LiveLines(self._interface_of)
        self._block: Records | None = None
        #: Time that printing may still take, and when it was reckoned; what it takes for each segment.
        self._credit_s, self._credited_s = CREDIT_S, time.monotonic()
        self._segment_s = SEGMENT_S
        #: Of `passed_over`, and of the kernel's drops, how many were told, and when.
        self._passed_told, self._drops_told, self._told_s = 0, 0, 0.0

    def follow(self, blocks: Iterable[Records | None]) -> None:
        """Take blocks, or None for a while without one, up to the last or the limit of segments."""
        for block in blocks:
            if block is not None:
                self.take(block)
            if not self.is_quiet:
                self._lines.pass_time(time.time_ns())
                if nobody_reads():  # the next line may be hours away
                    raise BrokenPipeError
            if time.monotonic() >= self._told_s + TELL_EVERY_S:
                self._tell_losses()
            if self.enough:
                break
        self._tell_losses()

    @property
    def is_quiet(self) -> bool:
        """Is no line printed for a segment?"""
        return self.wishes.quiet or self.on_screen

    @property
    def enough(self) -> bool:
        """Has the limit of segments been reached?"""
        return self.wishes.count is not None and self.seen >= self.wishes.count

    def take(self, block: Records) -> None:
        """Inspect a block, print its segments unless there are too many, and save it."""
        self._block = block
        decoded = self._inspector.add_records(block, self._number, self._of_interest)
        if self.is_quiet:
            self._count(decoded.segments)
        elif self._can_print(lines := self._lines_of(decoded)):
            self._print(decoded, lines)
        else:
            self.passed_over += self._count(decoded.segments)
            self._datagrams_passed += len(decoded.datagrams) if self.wishes.udp else 0
        self._inspector.go_on()
        if self.recent is not None or (self.writer is not None and self.is_saving):
            self._save(block, self._to_be_saved(block, decoded))

    def so_far(self) -> Inspection:
        """Return the inspection so far."""
        return self._inspector.result()

    def finish(self) -> Inspection:
        """Return the inspection of all."""
        self._inspector.captures[self._number].dropped = self.capture.dropped
        return self._inspector.result()

    def _save(self, block: Records, chosen: NDArray[np.bool_] | None) -> None:
        """Hand the chosen frames of a block to the writer and to the frames kept for the screen."""
        if self.recent is not None:
            self.recent.add(block, chosen)
        if self.writer is not None and self.is_saving:
            self.writer.write(block, chosen)
            self.cut += cut_frames(block, chosen)

    def _lines_of(self, decoded: Block) -> int:
        """Return about how many lines a block makes."""
        udp = len(decoded.datagrams) if self.wishes.udp else 0
        return len(decoded.segments) + len(decoded.icmp_errors) + udp

    def _can_print(self, lines: int) -> bool:
        """Can so many lines be printed without falling behind?"""
        now = time.monotonic()
        self._credit_s = min(self._credit_s + (now - self._credited_s) * PRINTING_SHARE, CREDIT_S)
        self._credited_s = now
        return lines * self._segment_s <= min(self._credit_s, self._room_s() * ROOM_SHARE)

    def _room_s(self) -> float:
        """Return for how long the ring has room if frames keep the rate of the present block."""
        block = self._block
        if block is None:
            return CREDIT_S
        free = self.capture.ring_octets * (1 - self.capture.waiting)
        span_s = max(int(block.time_ns[-1] - block.time_ns[0]) / 1e9, RATE_OVER_S)
        return free * span_s / int(block.captured.sum())

    def _print(self, decoded: Block, lines: int) -> None:
        """Print a line for each segment and error, and for each datagram with `--udp`: about so many `lines`."""
        if not lines:
            return
        began = time.monotonic()
        self._tell_passed_over()
        self._count(decoded.segments)
        is_tcp = decoded.icmp_errors["protocol"] == TCP
        seen = self._inspector.update(decoded.segments, decoded.icmp_errors.take(is_tcp))
        udp: list[Timed] = []
        if self.wishes.udp:
            about_udp = decoded.icmp_errors.take(~is_tcp)
            udp = datagram_lines(decoded.datagrams, about_udp, terminal_width(), self._interface_at)
        self._lines.show(seen, udp)
        spent_s = time.monotonic() - began
        self._credit_s -= spent_s
        self._segment_s += (spent_s / lines - self._segment_s) / 8

    def _of_interest(self, block: Block) -> Block:
        """Leave out rows with other ports, and those after the last segment that was asked for."""
        ours = block if self.wishes.port is None else block.of_port(self.wishes.port)
        if self.wishes.count is None or len(ours.segments) <= (left := self.wishes.count - self.seen):
            return ours
        return ours.until(int(ours.segments["frame"][left - 1]) if left > 0 else -1)

    def _to_be_saved(self, block: Records, decoded: Block) -> NDArray[np.bool_] | None:
        """Return the frames to save, None for all; none after the last segment that was asked for."""
        if self.wishes.port is None and not self.enough:
            return None
        chosen = block.frame <= self._last_frame if self.enough else np.ones(len(block), np.bool_)
        if self.wishes.port is not None:
            chosen &= np.isin(block.frame, decoded.frames())
        return chosen

    def _count(self, segments: SegmentTable) -> int:
        """Count segments as seen. Returns how many those are."""
        if len(segments):
            self.seen, self._last_frame = self.seen + len(segments), int(segments["frame"][-1])
        return len(segments)

    def _interface_of(self, happening: Step | IcmpError) -> str:
        """Return the interface at which a segment of the present block was captured; "" if there is only one."""
        return self._interface_at(happening.frame) if isinstance(happening.frame, int) else ""

    def _interface_at(self, frame: int) -> str:
        """Return the same of a frame."""
        block = self._block
        if block is None or block.interface is None:
            return ""
        row = frame - int(block.frame[0])
        return self.capture.interfaces[int(block.interface[row])][0] if 0 <= row < len(block) else ""

    def _tell_losses(self) -> None:
        """Report what was not printed, and what the kernel dropped, since the last report."""
        self._told_s = time.monotonic()
        if self.on_screen:
            return
        self._tell_passed_over()
        dropped = self.capture.dropped
        if dropped > self._drops_told:
            self._drops_told = dropped
            remark(f"{self.capture.interface}: {counted(dropped, 'frame')} dropped so far, for want of room")

    def _tell_passed_over(self) -> None:
        """Report how many segments were not printed; the summary counts them all."""
        passed = {"segment": self.passed_over - self._passed_told, "datagram": self._datagrams_passed}
        if said := [counted(number, what) for what, number in passed.items() if number]:
            self._passed_told, self._datagrams_passed = self.passed_over, 0
            write([f"… {listed(said)} too fast to be shown one by one\n"])


def blocks_of(capture: LiveCapture, interruption: Interruption, duration_s: float | None) -> Iterator[Records | None]:
    """Yield blocks as they come, and None when none came for a while; at the end, what is still queued.

    It ends at Ctrl-C or when the time is over.
    """
    deadline = None if duration_s is None else time.monotonic() + duration_s
    while not interruption.asked:
        patience = PATIENCE_S if deadline is None else min(PATIENCE_S, deadline - time.monotonic())
        if patience <= 0:
            break
        yield capture.read(patience)
    yield from capture.drain()
