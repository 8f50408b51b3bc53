"""Recorded captures that went another way: frames lost, late, sent again, or with other fields, in memory.

In: a capture of `pcaps/`, by its name, and an `Alteration`. Out: an inspection of what is left of it. Lengths and
checksums are right (`lab.altering`), so that nothing but what was altered can be wrong.
"""

from __future__ import annotations

import io
from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

from handshake_inspect import Inspection, inspect
from handshake_inspect.capture.files import open_capture
from handshake_inspect.capture.records import RawFrame
from handshake_inspect.capture.writing.pcap import write_pcap
from handshake_inspect.lab.altering import altered
from handshake_inspect.lab.segments import Segment, segment_of

PCAPS = Path(__file__).parents[2] / "pcaps"
NAMES = sorted(path.name for path in PCAPS.glob("*.pcap"))
MS = 1_000_000

Frames = list[RawFrame]
Alteration = Callable[[Frames], Frames]


@cache
def recorded(name: str) -> Inspection:
    """Inspect a capture of `pcaps/`, once."""
    return inspect(PCAPS / name)


def frames_of(name: str) -> Frames:
    """Return the frames of a capture of `pcaps/`; number n of a ladder is the one at n - 1."""
    with open_capture(PCAPS / name) as reader:
        return [records.raw(row) for records in reader for row in range(len(records))]


def inspected(frames: Frames) -> Inspection:
    """Inspect frames as a capture."""
    file = io.BytesIO()
    write_pcap(file, frames, frames[0].link_type)
    file.seek(0)
    return inspect(file)


def segment(frame: RawFrame) -> Segment:
    """Return the TCP segment in a frame."""
    found = segment_of(frame.octets)
    assert found is not None
    return found


def with_fields(frame: RawFrame, **fields: Any) -> RawFrame:
    """Return a frame with other fields, as `lab.altering.altered` names them."""
    octets = altered(frame.octets, **fields)
    return replace(frame, octets=octets, original=len(octets))


def lost(*numbers: int) -> Alteration:
    """Let frames be lost before they are captured."""
    return lambda frames: [one for number, one in enumerate(frames, 1) if number not in numbers]


def late(number: int, by_ms: int) -> Alteration:
    """Let a frame, and all after it, come later."""

    def alter(frames: Frames) -> Frames:
        behind = [replace(one, time_ns=one.time_ns + by_ms * MS) for one in frames[number - 1 :]]
        return [*frames[: number - 1], *behind]

    return alter


def again(number: int, after_ms: int) -> Alteration:
    """Let a frame be sent again, with another identification of IP, as kernels do."""

    def alter(frames: Frames) -> Frames:
        model = frames[number - 1]
        copy = replace(with_fields(model, ip_id=7), time_ns=model.time_ns + after_ms * MS)
        return sorted([*frames, copy], key=lambda one: one.time_ns)

    return alter


def rewritten(number: int, **fields: Any) -> Alteration:
    """Let a frame have other fields."""
    return lambda frames: [with_fields(one, **fields) if n == number else one for n, one in enumerate(frames, 1)]


def every(fields_of: Callable[[Segment], dict[str, Any]]) -> Alteration:
    """Let every frame have other fields, which `fields_of` says of each."""
    return lambda frames: [with_fields(one, **fields_of(segment(one))) for one in frames]


def longer(number: int, octets: bytes) -> Alteration:
    """Let a segment carry more octets; all numbers after it are shifted."""

    def shifted(frames: Frames) -> Iterator[RawFrame]:
        changed = segment(frames[number - 1])
        yield from frames[: number - 1]
        yield with_fields(frames[number - 1], payload=changed.payload + octets)
        for frame in frames[number:]:
            field = "seq" if segment(frame).source == changed.source else "ack"
            yield with_fields(frame, **{field: getattr(segment(frame), field) + len(octets)})

    return lambda frames: [*shifted(frames)]


def beside(fields_of: Callable[[Segment], dict[str, Any]]) -> Alteration:
    """Let the same go on a second later once more, in a copy that has other fields."""

    def alter(frames: Frames) -> Frames:
        copies = every(fields_of)(frames)
        return [*frames, *(replace(one, time_ns=one.time_ns + 1000 * MS) for one in copies)]

    return alter


def then(*alterations: Alteration) -> Alteration:
    """Alter one after the other; each counts the frames that the one before it left."""

    def alter(frames: Frames) -> Frames:
        for one in alterations:
            frames = one(frames)
        return frames

    return alter


def another_port(old: int, new: int) -> Callable[[Segment], dict[str, Any]]:
    """Say how segments get another port at the end that had the `old` one."""
    return lambda one: {"sport": new} if one.source[1] == old else {"dport": new}


def udp_beside(port: int) -> Alteration:
    """Let the same datagrams of UDP come a second later once more, from or to this port of the originator."""

    def copied(frame: RawFrame, originator: int) -> RawFrame:
        from scapy.layers.inet import UDP
        from scapy.layers.l2 import Ether

        packet = Ether(frame.octets)
        udp = packet[UDP]
        udp.sport, udp.dport = (port if one == originator else one for one in (udp.sport, udp.dport))
        udp.chksum = None
        return replace(frame, octets=bytes(packet), time_ns=frame.time_ns + 1000 * MS)

    def alter(frames: Frames) -> Frames:
        ends = int.from_bytes(frames[0].octets[34:36])  # behind 14 octets of Ethernet and 20 of IPv4
        return [*frames, *(copied(one, ends) for one in frames)]

    return alter
