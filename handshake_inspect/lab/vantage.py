"""Vantage points: open captures at the interfaces of hosts, and what was seen there.

In: an interface, and the host that has it. Out: a `Tap` while a session runs, and a `Vantage` when it is over: the
frames of the session, each once, and an inspection of them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, field

from handshake_inspect.capture.live import LiveCapture
from handshake_inspect.capture.records import RawFrame, Records, records_of
from handshake_inspect.inspection import Inspection
from handshake_inspect.inspector import Inspector
from handshake_inspect.lab.hosts import inside
from handshake_inspect.lab.segments import ports_of, transport_of

#: Looked at every few milliseconds, a ring need not be large, and many scenarios may run at once.
RING_OCTETS = 16 << 20


@dataclass(frozen=True)
class Vantage:
    """What was captured at one place."""

    #: "loopback", or the end at whose interface it is: "client", "server".
    name: str
    interface: str
    link_type: int
    #: Every frame of the session, in capture order, each once.
    frames: list[RawFrame]
    #: Frames that the kernel could not queue; 0 unless the machine is very busy.
    dropped: int

    def inspected(self) -> Inspection:
        """Inspect what was captured here."""
        inspector = Inspector()
        capture = inspector.begin_capture(self.interface, "live")
        inspector.add_records(records_of(self.frames), capture)
        inspector.captures[capture].dropped = self.dropped
        return inspector.result()


@contextmanager
def captured(host: int | None, interface: str) -> Iterator[LiveCapture]:
    """Capture at an interface of a host."""
    with nullcontext() if host is None else inside(host):
        capture = LiveCapture(interface, ring_octets=RING_OCTETS)
    with capture:
        yield capture


@dataclass
class Tap:
    """An open capture and what it has seen."""

    name: str
    capture: LiveCapture
    frames: list[RawFrame] = field(default_factory=list)

    def keep(self) -> None:
        """Take over what the kernel has handed over by now, without waiting for more."""
        while (block := self.capture.read()) is not None:
            self.frames.extend(raw_frames(block))

    def hand_over(self, concerns: Callable[[bytes], bool]) -> Vantage:
        """Return what was seen of the session since this was last called, and begin anew."""
        for block in self.capture.drain():
            self.frames.extend(raw_frames(block))
        return self.so_far(concerns)

    def so_far(self, concerns: Callable[[bytes], bool]) -> Vantage:
        """Return what `keep` has taken over of it, and begin anew."""
        frames = [frame for frame in self.frames if concerns(frame.octets)]
        self.frames = []
        return Vantage(self.name, self.capture.interface, self.capture.link_type, frames, self.capture.dropped)


def of_ports(ports: set[int]) -> Callable[[bytes], bool]:
    """Tell frames of these ports from others, ICMP errors that quote one among them."""
    return lambda frame: not ports.isdisjoint(ports_of(frame))


def of_anybody(frame: bytes) -> bool:
    """Tell frames that carry TCP, UDP or an ICMP error about one from those of ARP."""
    return transport_of(frame) is not None


def raw_frames(block: Records, octets_max: int | None = None) -> list[RawFrame]:
    """Copy the frames, or so many octets of each, out of a block, whose buffer is about to be used again."""
    assert block.packet_type is not None
    return [
        RawFrame(
            octets=block.octets(row)[:octets_max],
            original=int(block.original[row]),
            time_ns=int(block.time_ns[row]),
            link_type=int(block.link_type[row]),
            packet_type=int(block.packet_type[row]),
        )
        for row in range(len(block))
    ]
