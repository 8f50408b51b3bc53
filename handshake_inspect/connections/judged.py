"""Finds the conversations that were folded by a judgement of their copies that the whole of them does not confirm.

In: all rows of some conversations, in order, as they are kept. Out: those that must be read again. All others have the
answers of a run in which nothing was folded.

Whether a capture shows a conversation twice is told by all of its packets (`copies`), and `compact` has to know it when
only a part is there: what it takes out as a copy is gone, and what it folds without is no candidate any more. So rows
remember how often each packet was shown by what was known then (`shown_each`). This must be the same in all parts, and
in what is left; and it must be sure of the whole:

- If each was shown once, fewer than most can be copies: a copy has nothing new to say, and what has nothing new to say
  stays, or is counted (`echoes`).
- If each was shown several times, most are in a conversation that has so many of the copies that were taken out.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from handshake_inspect.connections.compact import may_copy_another_connection
from handshake_inspect.connections.duplicates import collapse
from handshake_inspect.connections.moments import Mask, Rows
from handshake_inspect.connections.packets import ELSEWHERE, MOSTLY_DOUBLED, ONE_BY_ONE
from handshake_inspect.connections.repeats import repeated
from handshake_inspect.connections.rows import ACK, RST, SYN, own_before, running_maximum
from handshake_inspect.connections.split import COPY_COLUMNS, Split, StoredRows, split
from handshake_inspect.sets import set_of
from handshake_inspect.table import PACKET_TYPE_UNKNOWN


def misjudged(
    stored: StoredRows, loopback: Mask, self_conversation: Mask, trusted: frozenset[int] = frozenset()
) -> Rows:
    """Return the conversations that must be read again. The arguments are those of `collapse` and `split`."""
    folded = stored["conversation"][stored["shown_each"] > 0]
    if not len(folded):
        return folded.astype(np.int64)
    collapsed = collapse(stored.take(np.isin(stored["conversation"], folded)), loopback, trusted)
    rows, now = collapsed.rows, collapsed.shown_each
    said, conversation = rows["shown_each"], rows["conversation"]
    otherwise = (said > 0) & (said != now)
    scenes, scene = np.unique(conversation.astype(np.int64) << 16 | rows["capture"], return_inverse=True)
    taken_out = rows.copies(COPY_COLUMNS[:ELSEWHERE])
    shown = np.bincount(scene, 1 + rows["folded_segments"] + taken_out)
    each = np.where(now == ONE_BY_ONE, 1, now).astype(np.int64)
    # Of packets that are shown each so often, those whose copies were taken out.
    several = np.bincount(scene, np.where(each > 1, taken_out * (each / np.maximum(each - 1, 1)), 0))
    once = np.bincount(scene, now > 1) == 0
    maybe = 2 * np.bincount(scene, _maybe_copies(split(rows, self_conversation)) + rows["echoes"])
    unsure = np.where(once, maybe >= MOSTLY_DOUBLED * shown, several < MOSTLY_DOUBLED * shown)
    unsure &= np.bincount(scene, now == ONE_BY_ONE) == 0
    found = set_of(np.append(conversation[otherwise | _both_ways(rows, now)], scenes[unsure] >> 16))
    again: Rows = found.astype(np.int64)
    return again


def _maybe_copies(part: Split) -> Mask:
    """Mark the rows that may be copies: what says nothing new, control bits, and what may be another connection's."""
    rows = part.rows
    named = (rows.flags & (RST | ACK)) == ACK
    acknowledged = [running_maximum(rows, rows.ack, named & (rows.side == side)) for side in (0, 1)]
    begin = rows.seq - rows.folded_octets
    maybe: Mask = repeated(rows) | ((rows.flags & (RST | SYN)) != 0)
    maybe |= (rows.payload == 0) & (rows.ack <= own_before(rows, acknowledged)) & (rows.folded_segments == 0)
    maybe |= (begin < 0) | (rows.ack < 0) | (begin > own_before(rows, rows.sent_by))
    return maybe | may_copy_another_connection(part)


def _both_ways(rows: StoredRows, now: NDArray[np.uint8]) -> Mask:
    """Mark the segments of ends that go out and come in, by the link layer: copies of them may be told one by one."""
    end = rows["conversation"].astype(np.int64) << 1 | rows["from_higher"]
    known = np.flatnonzero((rows["packet_type"] != PACKET_TYPE_UNKNOWN) & (now == 1))
    ways = set_of(end[known] << 8 | rows["packet_type"][known])
    ends, count = np.unique(ways >> 8, return_counts=True)
    both: Mask = np.isin(end, ends[count > 1])
    return both
