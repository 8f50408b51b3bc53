"""Which segments bring nothing new: every number that they occupy was captured before, from the same end.

In: the rows of connections, or the numbers of the segments of one end, in capture order. Out: a mask. A segment below
the highest number captured so far is no repeat if it fills a gap: it was overtaken on its way, or its first copy was
lost before the capture.
"""

from __future__ import annotations

import numpy as np

from handshake_inspect.connections.moments import Mask, Rows
from handshake_inspect.connections.rows import ACK, RST, SYN, ConnectionRows
from handshake_inspect.connections.split import first_of

#: Higher than any relative number: it keeps the ends apart in one running maximum.
LIFT = 1 << 44


def repeated(rows: ConnectionRows) -> Mask:
    """Tell which rows bring nothing new; False for segments without length, and for RSTs.

    In simultaneous open the SYN of a SYN-ACK was there before, and its ACK is new (RFC 9293 Figure 7).
    """
    begin, found = rows.seq - rows.folded_octets, np.zeros(len(rows), np.bool_)
    at = np.flatnonzero((rows.seq_end > begin) & ((rows.flags & RST) == 0))
    at = at[np.argsort(rows.end[at], kind="stable")]
    end, low, high = rows.end[at], begin[at], rows.seq_end[at]
    highest = np.maximum.accumulate(end * LIFT + high)
    behind = np.flatnonzero(end[1:] == end[:-1]) + 1  # those that are not the first of their end
    before = highest[behind - 1] - end[behind] * LIFT
    found[at[behind]] = high[behind] <= before
    first = np.flatnonzero(np.append(True, end[1:] != end[:-1])) if len(end) else behind
    lowest = low[first][np.searchsorted(end[first], end[behind])]
    # Where something is missing, gap by gap; nearly nowhere.
    for one in np.unique(end[behind[(low[behind] > before) | (low[behind] < lowest)]]).tolist():
        own = at[slice(*np.searchsorted(end, [one, one + 1]))]
        found[own] = repeats(begin[own], rows.seq_end[own])
    answers = (rows.flags & (SYN | ACK)) == SYN | ACK
    earliest = first_of(rows.end, answers, 2 * rows.connections)
    found &= ~(answers & (np.arange(len(rows)) == earliest[rows.end]))
    return found


def repeats(seq: Rows, seq_end: Rows) -> Mask:
    """Tell which of the segments [seq, seq_end), none of them empty, lie in what those before them occupy.

    Only those that do not continue exactly what is there are looked at, and each piece of a gap is filled once: however
    they are shuffled, a million segments take two seconds, where a list of gaps would take minutes.
    """
    found = np.zeros(len(seq), np.bool_)
    if not len(seq):
        return found
    highest = np.maximum.accumulate(seq_end)
    odd = np.flatnonzero(seq[1:] != highest[:-1]) + 1
    low, top = seq[odd], highest[odd - 1]
    high = np.minimum(seq_end[odd], top)
    edges = np.unique(np.concatenate([low, high, top, seq[:1]]))  # the pieces lie between them
    first, behind = np.searchsorted(edges, low), np.searchsorted(edges, high)
    jumps = low > top
    pieces = _Pieces(_missing(edges, int(seq[0]), top[jumps], low[jumps]))
    rows = np.flatnonzero(~jumps)
    for row, a, b in zip(rows.tolist(), first[rows].tolist(), behind[rows].tolist(), strict=True):
        found[odd[row]] = not pieces.fill(a, b)
    found[odd] &= seq_end[odd] <= top
    return found


def _missing(edges: Rows, first: int, begins: Rows, ends: Rows) -> Mask:
    """Say of each piece between edges, and of what follows the last, whether it lies in a gap: [begin, end).

    Below the first number captured everything is missing.
    """
    depth = np.zeros(len(edges), np.int64)
    depth[np.searchsorted(edges, begins)] += 1  # gaps do not overlap
    depth[np.searchsorted(edges, ends)] -= 1
    missing: Mask = (np.cumsum(depth) > 0) | (edges < first)
    return missing


class _Pieces:
    """Pieces of numbers in ascending order, some of which are missing."""

    def __init__(self, missing: Mask) -> None:
        # Where to look for the next missing piece, from each on: itself if it is missing.
        places = np.where(missing, np.arange(len(missing)), len(missing))
        following = np.append(np.minimum.accumulate(places[::-1])[::-1], len(missing))
        self._following: list[int] = following.tolist()

    def fill(self, first: int, behind: int) -> bool:
        """Fill the missing pieces from `first` to before `behind`. Was there one?"""
        at = self._missing_from(first)
        if at >= behind:
            return False
        while at < behind:
            self._following[at] = at + 1
            at = self._missing_from(at + 1)
        return True

    def _missing_from(self, piece: int) -> int:
        """Return the first missing piece from this one on; who asks again has a shorter way."""
        following = self._following
        while following[piece] != piece:
            following[piece] = piece = following[following[piece]]
        return piece
