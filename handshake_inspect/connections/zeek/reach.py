"""Tracks the numbers of each end that Zeek's rules use: the highest one so far, and how often something has happened.

In: `ConnectionRows`. Out: `Reach`, the highest numbers sent at each row; and for any count per row, the rows at which a
letter is written. Rules followed: Zeek 7, TCP_Endpoint. `gaps` and `tokens` use both.

**Letters at powers of ten.** Zeek writes the letters of zero windows, repeated payload and gaps at the 1st, 10th, 100th
... occurrence of an end.

**Intended differences from Zeek.** A repeated SYN-ACK does not lower the highest number. Occurrences are counted for
the logarithmic letters even in a state that hides the letters.
"""

from __future__ import annotations

import numpy as np

from handshake_inspect.arrays import Mask, Rows
from handshake_inspect.connections.splitting.rows import (
    ORIGINATOR,
    RESPONDER,
    RST,
    SYN,
    UNKNOWN,
    ConnectionRows,
    of_side,
    own_before,
    running_maximum,
)
from handshake_inspect.plain import mutable

THRESHOLDS = 10 ** np.arange(16)
#: Zeek does not accept the number of an RST that is further from the highest one captured.
BELIEVED_JUMP_OCTETS = 1 << 20


@mutable
class Reach:
    """Highest numbers at each row. RSTs and ignored SYNs do not count. Shapes (n,); UNKNOWN if there is none."""

    #: Sent by its own end before this row (by rows that stayed: segments folded into this row are not included).
    before: Rows
    #: Sent by its peer so far.
    peer: Rows
    #: Rows that count.
    counts: Mask


def find_reach(rows: ConnectionRows) -> Reach:
    """Return the highest numbers at each row."""
    counts = ~rows.ignored_syn & ((rows.flags & RST) == 0)
    sent = rows.sent_by
    if rows.ignored_syn.any():
        sent = [running_maximum(rows, rows.seq_end, counts & (rows.side == s)) for s in (ORIGINATOR, RESPONDER)]
    return Reach(before=own_before(rows, sent), peer=of_side(rows.side, sent[::-1]), counts=counts)


def repeated_payload(rows: ConnectionRows, reach: Reach) -> tuple[Rows, Rows]:
    """Return rows with payload whose last or a higher octet Zeek had seen before, and the number of copies in each.

    Payload on a first SYN counts as repeated, as Zeek sets the highest number to the SYN's end before it compares; that
    of an RST occupies no numbers. For segments folded into a row their copies count.
    """
    at = np.flatnonzero((rows.payload > 0) & ~rows.ignored_syn)
    before, is_special = reach.before.take(at), (rows.flags.take(at) & (SYN | RST)) != 0
    own_copies = rows.duplicates.take(at) - rows.folded_copies.take(at)
    maybe = np.flatnonzero((rows.seq_end.take(at) <= before) | is_special | (own_copies > 0))
    at, before, own_copies = at.take(maybe), before.take(maybe), own_copies.take(maybe)
    is_rst, is_syn = (rows.flags[at] & RST) != 0, (rows.flags[at] & SYN) != 0
    advance = rows.seq_end[at] - np.where(is_rst, rows.payload[at], 0) - before
    repeats = np.where(before == UNKNOWN, is_syn, advance <= 0)
    repeats &= ~(is_rst & (advance < -BELIEVED_JUMP_OCTETS))
    count = rows.folded_repeats.copy()
    count[at] += repeats + np.where(is_rst, 0, own_copies)
    at = np.flatnonzero(count)
    return at, count[at]


def at_thresholds(end: Rows, at: Rows, count: Rows) -> tuple[Rows, Rows]:
    """Return the rows that hold the 1st, 10th, 100th ... occurrence of their end, and how many of these each holds.

    `end`: of each row, shape (n,). `at`, `count`: the rows that hold occurrences, rising, and how many.
    """
    at, letters = count_letters(at, end.take(at), count)
    return at[letters > 0], letters[letters > 0]


def count_letters(at: Rows, end: Rows, count: Rows) -> tuple[Rows, Rows]:
    """Return rows with `count` occurrences each, sorted by `end`, and how many thresholds each row passes."""
    if not len(at):
        return at, count
    order = np.argsort(end, kind="stable")
    at, end, count = at[order], end[order], count[order]
    total = np.cumsum(count)
    before = total - count
    before_end = before[np.searchsorted(end, end)]
    passed = np.searchsorted(THRESHOLDS, [before - before_end, total - before_end], side="right")
    return at, passed[1] - passed[0]
