"""Numbers modulo 2**32 -> signed 64-bit distances from the initial numbers.

In: `ConnectionRows` with absolute numbers, and the initial ones. Out: the same with relative numbers, which continue
beyond 2**32 octets.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise

import numpy as np

from handshake_inspect.arrays import Mask, Rows
from handshake_inspect.connections.splitting.rows import ACK, ORIGINATOR, RESPONDER, RST, SYN, ConnectionRows
from handshake_inspect.sets import begins_run, first_of_runs, set_of
from handshake_inspect.tcp.seqnum import MODULUS

#: Relative numbers within this distance of the initial one need no unwrapping.
SAFE_SPAN = 1 << 30
#: Intended rows, of whole connections, to unwrap together: a pair of sockets may have millions.
ROWS_AT_ONCE = 1 << 16
#: Most numbers of a piece of a series.
PIECE = 1 << 9


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
    flags = rows.flags[at]
    trusted, has_ack = (flags & (RST | SYN)) == 0, (flags & ACK) != 0
    # Two numbers for each row, one after the other.
    numbers, whose, given = (
        np.stack(pair, axis=1).reshape(-1)
        for pair in ((rows.seq[at], rows.ack[at]), (rows.end[at], rows.peer[at]), (np.ones_like(has_ack), has_ack))
    )
    for side in (ORIGINATOR, RESPONDER):
        some = np.flatnonzero(given & (whose & 1 == side))
        numbers[some] = unwrapped(whose[some], numbers[some], trusted[some >> 1])
    rows.seq[at], rows.ack[at] = numbers[::2], numbers[1::2]


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
    return _way(numbers - np.where((before >= 0) & (end[before] == end), numbers[before], 0))


def _way(distance: Rows) -> Rows:
    """Return the shorter way round the circle instead of each distance."""
    distance += 1 << 31
    distance &= MODULUS - 1
    distance -= 1 << 31
    return distance


def _near(end: Rows, numbers: Rows) -> Mask:
    """Mark the numbers near the last near one before them, or near 0, in series with absurd numbers.

    Each mark depends on the one before. So series are cut into pieces, which are followed side by side. Of a piece that
    goes on a series the first number is taken to be near; `_join` corrects that.
    """
    begins = set_of(first_of_runs(end), np.arange(0, len(end), PIECE))
    length = np.diff(begins, append=len(end))
    goes_on = ~begins_run(end)[begins]
    last = np.where(goes_on, numbers[begins], 0)
    near = np.zeros(len(end), np.bool_)
    longest_first = np.argsort(-length)
    longer = len(begins) - np.cumsum(np.bincount(length))  # pieces with more than this many numbers
    for passed in range(int(length.max())):
        going = longest_first[: longer[passed]]
        at = begins[going] + passed
        is_near = np.abs(_way(numbers[at] - last[going])) < SAFE_SPAN
        near[at] = is_near
        last[going[is_near]] = numbers[at[is_near]]
    _join(numbers, near, begins, last, np.flatnonzero(goes_on))
    return near


def _join(numbers: Rows, near: Mask, begins: Rows, last: Rows, going_on: Rows) -> None:
    """Correct `near` at the begin of each piece that goes on a series, up to where it makes no difference any more.

    `last`: the last near number of each piece.
    """
    edges = np.append(begins, len(numbers)).tolist()
    highest, mask = 2 * SAFE_SPAN - 2, MODULUS - 1
    for piece in going_on.tolist():
        begin, stop = edges[piece : piece + 2]
        reference = int(last[piece - 1])
        for at, number in enumerate(numbers[begin:stop].tolist(), begin):
            # Near: at most as far from the lowest near number as the highest one is.
            is_near = number - reference + SAFE_SPAN - 1 & mask <= highest
            if is_near and near[at]:
                break
            near[at] = is_near
            if is_near:
                reference = number
        else:
            last[piece] = reference
