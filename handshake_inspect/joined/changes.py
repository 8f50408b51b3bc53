"""What was changed on the path: sockets, initial numbers, options, TTL, window, control bits.

In: a `Matching`. Out: `Changes`, in columns; `differences` puts them in words. A TTL that falls by the same number in
every segment shows the routers on the path, and is no change. Nor is what a snap length cut off.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from handshake_inspect.arrays import Rows
from handshake_inspect.connections.splitting.rows import ACK, SYN
from handshake_inspect.joined.clocks import Clocks, is_near_first
from handshake_inspect.joined.matching import Matching
from handshake_inspect.joined.pairing import Pairing
from handshake_inspect.joined.vantage import Vantage
from handshake_inspect.table import Names

#: What can change, by bit. Sockets and initial numbers change for all segments of an end; the others for each.
WHATS = (
    "address", "port", "initial number", "options", "timestamps", "TTL", "window", "control bits", "IP identification",
    "seq", "ack", "length",
)  # fmt: skip
BIT = {what: 1 << place for place, what in enumerate(WHATS)}
#: Differences of TTLs fit this many values.
TTLS = 512


@dataclass
class Changes:
    """What changed, by bits of `BIT`."""

    #: Of each matched segment. Shape (k,).
    of_segment: Rows
    #: Of each end of each connection, its own segments. Shape (c, 2).
    of_end: Rows
    #: By how much the TTL falls in each direction, -1 if nothing arrived. Shape (c, 2).
    routers: Rows


def find_changes(first: Vantage, second: Vantage, pairing: Pairing, matching: Matching, clocks: Clocks) -> Changes:
    """Compare the segments that both places saw."""
    a, b = matching.first, matching.second
    left, right = matching.left, matching.right
    direction = left.direction[a]
    other_options = _translated(second.inspection.connections.names, first.inspection.connections.names)
    routers, ttl = _routers(first, second, matching, clocks)
    stamps = left.timestamp[a], right.timestamp[b]
    ids = left.ip_id[a], right.ip_id[b]
    differs = {
        "options": ((left.flags[a] & SYN) != 0)
        & (first.seen["options"][a] != other_options[second.seen["options"][b]])
        & ~(first.is_cut_list[first.seen["options"][a]] | second.is_cut_list[second.seen["options"][b]]),
        "timestamps": (stamps[0] != stamps[1])
        & ~(((stamps[0] < 0) & first.cuts_options) | ((stamps[1] < 0) & second.cuts_options)),
        "TTL": ttl,
        "window": left.window[a] != right.window[b],
        "control bits": left.flags[a] != right.flags[b],
        "IP identification": ids[0] != ids[1],
        "seq": left.seq[a] != right.seq[b],
        "ack": ((left.flags[a] & ACK) != 0) & (left.ack[a] != right.ack[b]),
        "length": left.payload[a] != right.payload[b],
    }
    of_segment = np.zeros(len(a), np.int64)
    for what, mask in differs.items():
        of_segment |= np.where(mask & ~matching.is_astray, BIT[what], 0)
    of_end = np.zeros((len(pairing), 2), np.int64)
    np.bitwise_or.at(of_end, (direction >> 1, direction & 1), of_segment)
    of_end |= np.where(matching.origins.shift != 0, BIT["initial number"], 0)
    _compare_sockets(first, second, pairing, of_end)
    return Changes(of_segment, of_end, routers)


def _translated(names: Names, to: Names) -> Rows:
    """Return the number of each option list among other names, -1 if it is not there."""
    return np.array([to.options.number(one) if one in to.options else -1 for one in names.options.values], np.int64)


def _routers(first: Vantage, second: Vantage, matching: Matching, clocks: Clocks) -> tuple[Rows, Rows]:
    """Return by how much the TTL falls in each direction, and which matched segments differ from that."""
    a, b = matching.first, matching.second
    direction = matching.left.direction[a]
    fall = first.seen["ttl"][a].astype(np.int64) - second.seen["ttl"][b]
    fall = np.where(is_near_first(clocks, direction), fall, -fall)
    use = ~matching.is_astray
    found, count = np.unique(direction[use] * TTLS + fall[use] + TTLS // 2, return_counts=True)
    order = np.lexsort((count, found // TTLS))  # the last of each direction is the most frequent
    routers = np.full(2 * len(clocks.near_first), -1, np.int64)
    routers[found[order] // TTLS] = np.maximum(found[order] % TTLS - TTLS // 2, 0)
    return routers.reshape(-1, 2), fall != routers[direction]


def _compare_sockets(first: Vantage, second: Vantage, pairing: Pairing, of_end: Rows) -> None:
    """Mark the ends whose address or port differs at the second place."""
    both = np.flatnonzero(pairing.at_both)
    one, other, flipped = pairing.first[both], pairing.second[both], pairing.is_flipped[both]
    for side, (end, peer) in enumerate((("o", "r"), ("r", "o"))):
        for part, what in (("hi", "address"), ("lo", "address"), ("port", "port")):
            here = first.sockets[f"{end}_{part}"][one]
            there = np.where(flipped, second.sockets[f"{peer}_{part}"][other], second.sockets[f"{end}_{part}"][other])
            of_end[both[here != there], side] |= BIT[what]
