"""Captures of connections that last long enough to be folded."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from handshake_inspect.capture.writing.pcap import write_pcap
from tests.expect.altered import MS, another_port, every, frames_of, segment, with_fields

CONNECTIONS, LINES = 4, 40


def write_long(path: Path) -> None:
    """Write a capture of several connections, one after the other, in which the client says many lines."""
    *opening, said, acknowledged = frames_of("four-way.pcap")[:5]
    begun = [*opening]
    for line in range(LINES):
        for one, field in ((said, "seq"), (acknowledged, "ack")):
            moved = with_fields(one, **{field: getattr(segment(one), field) + 4 * line})
            begun.append(replace(moved, time_ns=one.time_ns + line * MS))
    several = [every(another_port(47304, 40000 + number))(begun) for number in range(CONNECTIONS)]
    frames = [replace(one, time_ns=one.time_ns + at * 100 * MS) for at, own in enumerate(several) for one in own]
    write_pcap(path, frames, frames[0].link_type)
