"""Numbers modulo 2**32 -> signed 64-bit distances from the initial numbers.

In: `ConnectionRows` with absolute numbers, and the initial ones. Out: the same with relative numbers, which continue
beyond 2**32 octets.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise

import numpy as np

from handshake_inspect.arrays import Mask, Rows
from handshake_inspect.connections.moments import ROW_BITS
from handshake_inspect.connections.splitting.rows import ACK, RST, SYN, ConnectionRows
from handshake_inspect.sets import first_of_runs, set_of
from handshake_inspect.tcp.seqnum import MODULUS

#: Relative numbers within this distance of the initial one need no unwrapping.
SAFE_SPAN = 1 << 30
#: Intended rows, of whole connections, to unwrap together: a pair of sockets may have millions.
ROWS_AT_ONCE = 1 << 16


def unwrap(rows: ConnectionRows) -> None:
    """Replace `seq` and `ack` by signed 64-bit distances from the initial numbers."""
    iss = rows.iss.reshape(-1)
    for numbers, whose in ((rows.seq, rows.end), (rows.ack, rows.peer)):
        numbers -= iss.take(whose)
        numbers += 1 << 31
        numbers &= 0xFFFFFFFF
        numbers -= 1 << 31
    trusted = (rows.flags & RST) == 0
    with_ack = trusted & ((rows.flags & ACK) != 0)
    far = (trusted & (np.abs(rows.seq) >= SAFE_SPAN)) | (with_ack & (np.abs(rows.ack) >= SAFE_SPAN))
    long = np.zeros(rows.connections, np.bool_)
    long[rows.conn[far]] = True
    if int(rows.payload.sum()) >= SAFE_SPAN:  # else no end can have sent that much
        octets = np.bincount(rows.end, rows.payload, 2 * rows.connections)
        long |= (octets >= SAFE_SPAN).reshape(-1, 2).any(axis=1)
    for some in _in_parts(rows, np.flatnonzero(long)):
        _unwrap_long(rows, rows.rows_of(some))


def _in_parts(rows: ConnectionRows, connections: Rows) -> Iterator[Rows]:
    """Yield some connections in parts of about ROWS_AT_ONCE rows each."""
    part = np.cumsum(rows.start[connections + 1] - rows.start[connections]) // ROWS_AT_ONCE
    for first, stop in pairwise([*first_of_runs(part).tolist(), len(part)]):
        yield connections[first:stop]


def _unwrap_long(rows: ConnectionRows, at: Rows) -> None:
    """Unwrap the connections of rows `at`, which may exceed 2**31 octets: each number relative to those before.

    The numbers of each end are one series: its own SEG.SEQ and its peer's SEG.ACK, in capture order.
    """
    trusted = (rows.flags & (RST | SYN)) == 0
    naming = at[(rows.flags[at] & ACK) != 0]
    own, named = (end << ROW_BITS | row for end, row in ((rows.end[at], at), (rows.peer[naming], naming)))
    place = np.sort(np.concatenate([own << 1, named << 1 | 1]))
    end, row, is_ack = place >> (ROW_BITS + 1), place >> 1 & ((1 << ROW_BITS) - 1), (place & 1) != 0
    series = unwrapped(end, np.where(is_ack, rows.ack[row], rows.seq[row]), trusted[row])
    rows.seq[row[~is_ack]] = series[~is_ack]
    rows.ack[row[is_ack]] = series[is_ack]


def unwrapped(end: Rows, numbers: Rows, trusted: Mask) -> Rows:
    """Extend 32-bit relative numbers to 64 bits along the series of each end (sorted), which begins near 0.

    Each number becomes the value nearest to its reference: the last trusted number that was within `SAFE_SPAN` of the
    reference before it. So one absurd number affects only itself.
    """
    if not len(end):
        return numbers
    step = _steps(end, numbers, trusted)
    absurd = set_of(end[trusted & (np.abs(step) >= SAFE_SPAN)])
    if len(absurd):
        at = np.flatnonzero(trusted & np.isin(end, absurd))
        trusted = trusted.copy()
        trusted[at] = _near(end[at], numbers[at])
        step = _steps(end, numbers, trusted)
    taken = np.where(trusted, step, 0)
    travelled = np.cumsum(taken) - taken  # before each number, over all ends: the sum before each end is subtracted
    begins = first_of_runs(end)
    out: Rows = travelled - np.repeat(travelled[begins], np.diff(begins, append=len(end))) + step
    return out


def _steps(end: Rows, numbers: Rows, trusted: Mask) -> Rows:
    """Return the shorter distance round the circle to each number from the last trusted one of its end, or from 0."""
    last = np.maximum.accumulate(np.where(trusted, np.arange(len(end)), -1))
    before = np.append(-1, last[:-1])
    way: Rows = numbers - np.where((before >= 0) & (end[before] == end), numbers[before], 0)
    way += 1 << 31
    way &= MODULUS - 1
    way -= 1 << 31
    return way


def _near(end: Rows, numbers: Rows) -> list[bool]:
    """Mark the numbers near the last near one, in series with absurd numbers: this needs a loop."""
    found: list[bool] = []
    begins = first_of_runs(end).tolist()
    # A number within `SAFE_SPAN` of 0 is at most as far from `lowest` as `highest` is.
    highest, mask = 2 * SAFE_SPAN - 2, MODULUS - 1
    every = numbers.tolist()
    for begin, stop in pairwise([*begins, len(every)]):
        lowest = 1 - SAFE_SPAN
        for number in every[begin:stop]:
            if number - lowest & mask <= highest:
                lowest = number + 1 - SAFE_SPAN
                found.append(True)
            else:
                found.append(False)
    return found
