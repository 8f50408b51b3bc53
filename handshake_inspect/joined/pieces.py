"""Octets that both places saw in segments of different sizes: hosts hand a network card more than one segment at once.

In: a `Matching`, and which rows that were not matched are looked at. Out: which of these are only cut otherwise at the
other place. A capture near the sender shows 64 kB in one frame before the card cuts it (segmentation offload); one near
the receiver may show several segments put together again.
"""

from __future__ import annotations

import numpy as np

from handshake_inspect.connections.rows import FIN, RST, SYN
from handshake_inspect.joined.aligned import Aligned
from handshake_inspect.joined.vantage import Mask, Rows, numbered

#: Distance between the numbers of neighbouring directions or connections on one line: more than any sends.
RANGE = 1 << 40


def cut_otherwise(left: Aligned, right: Aligned, rows: Rows, others: Rows) -> tuple[Mask, Mask]:
    """Say of these rows of both places whether those of the other place have all of their octets, cut otherwise."""
    rows_left, rows_right = _with_octets(left, rows), _with_octets(right, others)
    a, b = rows[rows_left], others[rows_right]
    # What is cut alike and was not matched is another sending, or forged.
    same = numbered([np.concatenate(pair) for pair in zip(_cut(left, a), _cut(right, b), strict=True)])
    alone, alone_there = ~np.isin(same[: len(a)], same[len(a) :]), ~np.isin(same[len(a) :], same[: len(a)])
    found, found_there = np.zeros(len(rows), np.bool_), np.zeros(len(others), np.bool_)
    a, b = a[alone], b[alone_there]
    found[np.flatnonzero(rows_left)[alone]] = _covered(_span(left, a), _span(right, b))
    found_there[np.flatnonzero(rows_right)[alone_there]] = _covered(_span(right, b), _span(left, a))
    return found, found_there


def _with_octets(aligned: Aligned, rows: Rows) -> Mask:
    has: Mask = (aligned.payload[rows] > 0) & ((aligned.flags[rows] & (SYN | RST)) == 0)
    return has


def _cut(aligned: Aligned, rows: Rows) -> list[Rows]:
    return [aligned.direction[rows], aligned.seq[rows], aligned.payload[rows]]


def _span(aligned: Aligned, rows: Rows) -> tuple[Rows, Rows]:
    """Return where each row begins and ends, all directions on one line; a FIN counts one."""
    begin = aligned.direction[rows] * RANGE + aligned.seq[rows]
    return begin, begin + aligned.payload[rows] + ((aligned.flags[rows] & FIN) != 0)


def _covered(spans: tuple[Rows, Rows], by: tuple[Rows, Rows]) -> Mask:
    """Say of each span whether the others together cover it."""
    if not len(by[0]):
        return np.zeros(len(spans[0]), np.bool_)
    order = np.argsort(by[0])
    begin, reached = by[0][order], np.maximum.accumulate(by[1][order])
    new = np.append(True, begin[1:] > reached[:-1])
    begins, ends = begin[new], reached[np.append(np.flatnonzero(new)[1:] - 1, len(begin) - 1)]
    at = np.searchsorted(begins, spans[0], "right") - 1
    covered: Mask = (at >= 0) & (spans[1] <= ends[at])
    return covered
