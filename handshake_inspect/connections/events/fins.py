"""Decides which FIN of an end counts, if it has several with different numbers.

In: `ConnectionRows`, and what each side has acknowledged at each row. Out: the row of each end's FIN. All doubtful ends
are decided together: the cost is a few sorts, however many FINs there are.
"""

from __future__ import annotations

import numpy as np

from handshake_inspect.arrays import Mask, Rows
from handshake_inspect.connections.splitting.rows import (
    ORIGINATOR,
    RESPONDER,
    RST,
    SYN,
    ConnectionRows,
    lifted,
    of_side,
)
from handshake_inspect.connections.splitting.split import first_of
from handshake_inspect.sets import begins_run, first_of_runs, places_in


def choose_fins(rows: ConnectionRows, claims_fin: Mask, acknowledged_by: list[Rows]) -> Rows:
    """Return the row of the FIN that counts for each end, -1 if none: of FINs with different numbers only one is valid.

    It is the first that the peer acknowledges after it was captured: exactly, or together with later numbers, unless
    data of its sender has its number. Others lie outside the window or behind a gap that is never filled, and close
    nothing (RFC 9293 §3.10.7.4, first and eighth). If none is acknowledged, it is the first beyond what had been
    acknowledged when it was captured, or else the first.
    """
    chosen = first_of(rows.end, claims_fin, 2 * rows.connections)
    at = np.flatnonzero(claims_fin)
    doubtful = np.zeros(2 * rows.connections, np.bool_)
    doubtful[rows.end[at[rows.seq_end[at] != rows.seq_end[chosen[rows.end[at]]]]]] = True
    row = at[doubtful[rows.end[at]]]
    if not len(row):
        return chosen
    # Keep the first FIN with each number.
    row = row[np.lexsort((rows.seq_end[row], rows.end[row]))]
    end, number = rows.end[row], rows.seq_end[row]
    first = begins_run(end, number)
    row, end, number = row[first], end[first], number[first]
    proof = acknowledged_at(rows, acknowledged_by, end, number)
    by_peer = of_side(rows.peer[row] & 1, [by[row] for by in acknowledged_by])
    proven = (proof > row) & (proof < rows.start[(end >> 1) + 1])
    reached = np.where(proven, proof, row)
    exact = proven & (of_side(rows.peer[row] & 1, [by[reached] for by in acknowledged_by]) == number)
    proven &= exact | ~_has_octets(rows, doubtful, end, number - 1)
    # Proven ones come before those beyond the acknowledged numbers, and these before all others.
    worth = np.where(proven, 0, np.where(by_peer < number, 1, 2))
    order = np.lexsort((~exact, np.where(proven, proof, row), worth, end))
    best = order[first_of_runs(end[order])]
    chosen[end[best]] = row[best]
    return chosen


def acknowledged_at(rows: ConnectionRows, acknowledged_by: list[Rows], end: Rows, numbers: Rows) -> Rows:
    """Return the row at which each number of an `end` is first acknowledged; the row after its connection if never."""
    place = np.empty(len(end), np.int64)
    conn, peer_side = end >> 1, np.where(rows.self_connect[end >> 1], end & 1, ~end & 1)
    for s in (ORIGINATOR, RESPONDER):
        mine = np.flatnonzero(peer_side == s)
        if len(mine):
            reached = lifted(acknowledged_by[s], rows.conn, rows.connections)
            place[mine] = places_in(reached, lifted(numbers[mine], conn[mine], rows.connections))
    return place


def _has_octets(rows: ConnectionRows, concerned: Mask, end: Rows, numbers: Rows) -> Mask:
    """Mark each `end` that was captured sending an octet with this number. `concerned`: a mask of these ends."""
    at = np.flatnonzero(concerned[rows.end] & ((rows.flags & RST) == 0))
    begin = rows.seq[at] - rows.folded_octets[at] + ((rows.flags[at] & SYN) != 0)
    stop = begin + rows.folded_octets[at] + rows.payload[at]
    # Of the segments that begin no later than a number, one reaches beyond it if the farthest end does.
    begin, stop = (lifted(edge, rows.end[at], 2 * rows.connections) for edge in (begin, stop))
    order = np.argsort(begin)
    farthest = np.append(np.iinfo(np.int64).min, np.maximum.accumulate(stop[order]))
    wanted = lifted(numbers, end, 2 * rows.connections)
    found: Mask = farthest[places_in(begin[order], wanted, "right")] > wanted
    return found
