"""Segments that arrived, because their receiver acknowledged them, though the capture there does not show them.

In: segments that were seen near their sender only. Out: the acknowledgment that proves them. It was sent near the
receiver, after the segment, and nothing else that was seen to arrive until then brought all of these octets (RFC 9293
§3.4: an acknowledgment covers everything below it). Of several sendings of the same octets, the last one before the
acknowledgment is taken to have arrived, because the sender took the earlier ones for lost (§3.8.1).
"""

from __future__ import annotations

import numpy as np

from handshake_inspect.arrays import Mask, Rows
from handshake_inspect.connections.splitting.rows import ACK, FIN, RST, SYN
from handshake_inspect.joined.aligned import AlignedSegments, Origins
from handshake_inspect.joined.pieces import RANGE, Spans, covered_before
from handshake_inspect.joined.vantage import numbered

#: There is none.
NONE = -1


def acknowledgments(
    near: AlignedSegments, far: AlignedSegments, origins: Origins, rows: Rows, is_receivers: Mask, apart_ns: Rows
) -> Rows:
    """Return for each of these rows of `near` the row of `far` that proves its arrival, or `NONE`.

    `is_receivers`: which rows of `far` their sender is near. `apart_ns`: by how much the clock of `far` is ahead at
    least, for each of `rows`.
    """
    found = np.full(len(rows), NONE)
    spans = Spans.of(near, rows)
    proof = _first_acknowledgment(near, far, spans, near.direction[rows], is_receivers)
    at = np.flatnonzero((proof != NONE) & _counts(near, origins, rows) & (spans.end > spans.begin))
    at = at[near.time_ns[rows[at]] + apart_ns[at] <= far.time_ns[proof[at]]]
    came = np.flatnonzero(np.isin(far.direction, near.direction[rows[at]]) & ((far.flags & RST) == 0))
    at = at[~covered_before(spans.some(at), proof[at], Spans.of(far, came), came)]
    sendings = numbered([near.direction[rows[at]], spans.end[at], proof[at]])
    last = np.zeros(int(sendings.max(initial=-1)) + 1, np.int64)
    np.maximum.at(last, sendings, rows[at])
    at = at[rows[at] == last[sendings]]
    found[at] = proof[at]
    return found


def _counts(near: AlignedSegments, origins: Origins, rows: Rows) -> Mask:
    """Mark the rows that an acknowledgment can prove: none below the initial number, no SYN with another one."""
    direction, seq, flags = near.direction[rows], near.seq[rows], near.flags[rows]
    is_initial = origins.is_initial[direction >> 1, direction & 1]
    counts: Mask = ((flags & RST) == 0) & ((seq >= 0) | ~is_initial) & (((flags & SYN) == 0) | (seq == 0))
    return counts


def _first_acknowledgment(
    near: AlignedSegments, far: AlignedSegments, spans: Spans, direction: Rows, is_receivers: Mask
) -> Rows:
    """Return the first row of `far` in which the receiver acknowledges each span, as it was sent; or `NONE`."""
    if not len(direction):
        return np.zeros(0, np.int64)
    sent = np.full(int(max(near.direction.max(), far.direction.max(initial=0))) + 2, -RANGE // 4)
    for side in (near, far):
        np.maximum.at(sent, side.direction, side.seq + _length(side))
    # Not what acknowledges more than was ever sent (RFC 9293 §3.10.7.4, fifth).
    acks = np.flatnonzero(is_receivers & ((far.flags & ACK) != 0) & (far.ack <= sent[far.direction ^ 1]))
    acks = acks[np.argsort(far.direction[acks], kind="stable")]
    base = (far.direction[acks] ^ 1) * RANGE
    order = np.argsort(base, kind="stable")
    acks, base = acks[order], base[order]
    reached = np.maximum.accumulate(far.ack[acks] + base)
    place = np.searchsorted(reached, spans.end)
    found = np.full(len(direction), NONE)
    within = place < len(acks)
    within[within] = far.direction[acks[place[within]]] ^ 1 == direction[within]
    found[within] = acks[place[within]]
    return found


def _length(side: AlignedSegments) -> Rows:
    length: Rows = side.payload + ((side.flags & SYN) != 0) + ((side.flags & FIN) != 0)
    return length
