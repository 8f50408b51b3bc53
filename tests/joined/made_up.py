"""A way between two places, made up: what one capture has of a session, seen from both ends of it.

In: a recorded capture in which nothing was lost, and what the way is to do. Out: two captures, and what must be found.
"""

from __future__ import annotations

import io
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field, replace
from functools import cache
from pathlib import Path

from handshake_inspect.capture.files import open_capture
from handshake_inspect.capture.records import RawFrame
from handshake_inspect.capture.writing.pcap import write_pcap

PCAPS = Path(__file__).parents[2] / "pcaps"
#: Who sent a frame is told by the source address of IPv4, behind the Ethernet header.
SOURCE = slice(14 + 12, 14 + 16)


@cache
def recorded(name: str) -> tuple[RawFrame, ...]:
    """Return the frames of a capture taken near the client, whose first frame is the client's."""
    with open_capture(PCAPS / f"{name}.pcap") as opened:
        return tuple(records.raw(row) for records in opened for row in range(len(records)))


@dataclass(frozen=True)
class Way:
    """What happens between the two places. Frames are meant by their place in the recording, from 0."""

    #: From the client's place to the server's, and back.
    there_ns: int = 5_000_000
    back_ns: int = 7_000_000
    #: Longer than that for some.
    more_ns: Mapping[int, int] = field(default_factory=dict)
    #: How far the server's clock is ahead.
    ahead_ns: int = 0
    lost: Collection[int] = ()
    copied: Collection[int] = ()


@dataclass(frozen=True)
class Seen:
    """One frame at one place: which of the recording it is."""

    place: int
    frame: RawFrame


def sent_by_client(name: str) -> list[bool]:
    """Say of each frame whether the client sent it."""
    frames = recorded(name)
    return [frame.octets[SOURCE] == frames[0].octets[SOURCE] for frame in frames]


def travelled(name: str, way: Way) -> tuple[list[Seen], list[Seen]]:
    """Return what the client's place sees, and the server's.

    The recording says when the client's place saw a frame; when one of the server was sent follows from the way back.
    A frame that the server sent and that is lost never comes to the client's place.
    """
    client: list[Seen] = []
    server: list[Seen] = []
    for place, (frame, is_clients) in enumerate(zip(recorded(name), sent_by_client(name), strict=True)):
        under_way = (way.there_ns if is_clients else way.back_ns) + way.more_ns.get(place, 0)
        sent = frame.time_ns if is_clients else frame.time_ns - way.back_ns
        near, far = (client, server) if is_clients else (server, client)
        near.append(Seen(place, replace(frame, time_ns=sent)))
        if place not in way.lost:
            far.append(Seen(place, replace(frame, time_ns=sent + under_way)))
        if place in way.copied:
            far.append(Seen(place, replace(frame, time_ns=sent + under_way + 1000)))
    server = [replace(one, frame=replace(one.frame, time_ns=one.frame.time_ns + way.ahead_ns)) for one in server]
    return sorted(client, key=_time), sorted(server, key=_time)


def _time(seen: Seen) -> int:
    return seen.frame.time_ns


def capture(seen: list[Seen]) -> io.BytesIO:
    """Return what a place saw as a capture."""
    file = io.BytesIO()
    write_pcap(file, [one.frame for one in seen], seen[0].frame.link_type)
    file.seek(0)
    return file
