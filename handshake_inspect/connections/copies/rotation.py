"""Finds copies by a mirror in the next file of a rotation: one file ends with a packet, the next begins with its copy.

In: `Packets`, the `Places` that group equal ones, and the copies found inside each capture. Out: the same with those
in the next file added.

A packet without a copy in a conversation whose packets are there twice, with an equal one that is also single in the
next file shortly after it, is one of these. A mirror records a packet delivered twice by the network four times.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from handshake_inspect.arrays import Mask, Rows
from handshake_inspect.connections.copies.packets import (
    COPY_WITHIN_NS,
    LOOPBACK_WITHIN_NS,
    Copies,
    Packets,
    some_follow,
)
from handshake_inspect.connections.copies.runs import Places, kinds_of


def with_next_file(packets: Packets, places: Places, inside: Copies) -> Copies:
    """Add the copies in the next file of a rotation to those `inside` one capture."""
    if not some_follow(packets.lanes):
        return inside
    at = np.flatnonzero(_alone(packets, places, inside))
    lane = packets.lanes[places.capture[at]]
    order = np.lexsort((places.row[at], lane, places.packet[at]))
    at, lane = at[order], lane[order]
    row, capture = places.row[at], places.capture[at]
    loopback = packets.loopback[places.conversation[at[1:]]]
    later_ns = np.diff(packets.columns["time_ns"][row])
    again = (np.diff(places.packet[at]) == 0) & (np.diff(lane) == 0) & (capture[1:] != capture[:-1])
    again &= (later_ns >= 0) & (later_ns <= np.where(loopback, LOOPBACK_WITHIN_NS, COPY_WITHIN_NS))
    again[1:] &= ~again[:-1]  # a packet has one copy
    original, copy = row[:-1][again], row[1:][again]
    ttl = packets.columns.get("ttl", np.zeros(len(packets), np.uint8))
    return replace(
        inside,
        original=np.append(inside.original, original),
        copy=np.append(inside.copy, copy),
        kind=np.append(inside.kind, kinds_of(loopback[again], ttl[original] != ttl[copy])),
    )


def _alone(packets: Packets, places: Places, inside: Copies) -> Mask:
    """Mark the places whose capture has their packet once, although it has others of the conversation twice."""
    shown_twice: Mask = packets.taken_out > 0
    doubled = packets.has(packets.columns["conversation"][shown_twice])
    rows: Rows = np.append(inside.original, inside.copy)
    doubled[packets.place[rows]] = True
    shown_twice[rows] = True
    return places.whole & doubled[places.conversation - packets.base] & ~shown_twice[places.row]
