"""Closed windows: from when to when an end took nothing, and how often its peer probed (RFC 9293 §3.8.6.1)."""

from __future__ import annotations

import numpy as np

from handshake_inspect.arrays import Mask, Rows
from handshake_inspect.connections.moments import ROW_BITS
from handshake_inspect.connections.splitting.rows import RST, SYN
from handshake_inspect.findings.evidence import Evidence
from handshake_inspect.plain import mutable


@mutable
class ClosedWindows:
    """Each time that an end closed its window although its peer had not closed the connection."""

    #: The end, the row that closes its window, and the row that opens it again, -1 if none does. Shape (k,).
    end: Rows
    first: Rows
    opened: Rows
    #: How long it was closed; while it is, up to its connection's last segment.
    closed_ns: Rows
    #: How often its peer probed meanwhile.
    probes: Rows


def closed_windows(e: Evidence, zero: Mask) -> ClosedWindows:
    """Find the closed windows by the segments with window 0: these and the rows right after them are never folded."""
    rows = e.rows
    concerned = np.zeros(2 * len(e), np.bool_)
    concerned[rows.end[zero]] = True
    at = np.flatnonzero(concerned[rows.end] & ((rows.flags & (SYN | RST)) == 0))
    at = at[np.argsort(rows.end[at], kind="stable")]
    follows = np.zeros(len(at), np.bool_)
    follows[1:] = rows.end[at[1:]] == rows.end[at[:-1]]
    closed = zero[at]
    begins = closed & ~(follows & np.roll(closed, 1))
    place = np.flatnonzero(begins)
    # The first row behind it that is open, or of another end.
    over = np.append(np.flatnonzero(~closed | ~follows), len(at))
    until = over[np.searchsorted(over, place, "right")]
    same = (until < len(at)) & follows[np.minimum(until, len(at) - 1)]
    opened = np.where(same, at[np.minimum(until, len(at) - 1)], -1)
    first = at[place]
    end = rows.end[first]
    fin = e.numbers.fin_row[rows.peer[first]]
    own_fin = e.numbers.fin_row[end]
    wanted = ((fin < 0) | (fin > first)) & ((own_fin < 0) | (own_fin > first))
    end, first, opened = end[wanted], first[wanted], opened[wanted]
    last = np.where(opened >= 0, opened, rows.start[(end >> 1) + 1] - 1)
    probe = np.sort(rows.peer[e.probes] << ROW_BITS | e.probes)
    probes = np.searchsorted(probe, (end << ROW_BITS) + last) - np.searchsorted(probe, (end << ROW_BITS) + first)
    return ClosedWindows(end, first, opened, e.between_ns(first, last), probes)
