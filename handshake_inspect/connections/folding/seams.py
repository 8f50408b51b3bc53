"""Finds the conversations whose rows were folded separately in parts, with answers that may differ from the whole.

In: all rows of some conversations, in order, from parts of a run that were folded separately. Out: the conversations
that must be read again. All others have the answers of a run that was folded as one, or not at all.

Why it is exact. `compact` folds a row that is ordinary and has arrived. Whether it is ordinary depends on the rows
before it: what both ends had sent and acknowledged by then, whether the opening was settled, whether there was a hole,
a FIN, an RST, or a SYN that was not accepted. The first part of a connection has all of these rows. A later one has
only its own: its first rows stay, and from then on it sees the same as the whole once it has *caught up*. So for each
end, before the first row that a later part has folded, this must hold in the whole:

- the end had sent, and had acknowledged, no more than its own part had seen;
- the opening is settled, no earlier part had a FIN, and there was no RST and no SYN that was not accepted;
- no hole is left that the end had not acknowledged, and none of its octets was acknowledged before it was captured.

From there on both see the same rows, and by induction fold the same. Also, the part must have split the conversation
into the same connections as the whole, and its rows must not lie between those of another part: rows folded there have
no position in the order.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from handshake_inspect.arrays import Mask, Rows
from handshake_inspect.connections.events.events import Events, find_events
from handshake_inspect.connections.events.numbers import find_numbers, previous_of_end
from handshake_inspect.connections.folding.compact import settled_from
from handshake_inspect.connections.splitting.rows import (
    ACK,
    FIN,
    RST,
    UNKNOWN,
    ConnectionRows,
    own_before,
    running_maximum,
    running_maximum_of,
)  # fmt: skip
from handshake_inspect.connections.splitting.split import Split, StoredRows, first_of, split
from handshake_inspect.sets import begins_run, both, first_of_runs, set_of


def irregular(stored: StoredRows, part: NDArray[np.int64], self_conversation: Mask) -> Rows:
    """Return the conversations that must be read again. `part`: the part of the run of each row."""
    at = _folded_in_several(stored, part)
    if not len(at):
        return np.zeros(0, np.int64)
    stored, part = stored.take(at), part[at]
    tangled = _tangled(stored, part)
    rest = ~np.isin(stored["conversation"], tangled)
    if not rest.any():
        return tangled
    seams = _Seams(stored.take(rest), part[rest], self_conversation)
    return set_of(tangled, seams.irregular())


def _folded_in_several(stored: StoredRows, part: NDArray[np.int64]) -> Rows:
    """Return the rows of conversations in several parts, at least one of which folded some."""
    conversation = stored["conversation"]
    other_part = (conversation[1:] == conversation[:-1]) & (part[1:] != part[:-1])
    several = both(conversation[1:][other_part], conversation[stored["folded_segments"] > 0])
    return np.flatnonzero(np.isin(conversation, several))


def _tangled(stored: StoredRows, part: NDArray[np.int64]) -> Rows:
    """Return the conversations in which rows of one part lie between those of another."""
    pair = stored["conversation"].astype(np.int64) << 32 | part
    changes = pair[first_of_runs(pair)]
    pairs, times = np.unique(changes, return_counts=True)
    found: Rows = set_of(pairs[times > 1] >> 32)
    return found


@dataclass
class _Seams:
    """Rows of conversations whose parts follow each other, as the whole sees them and as each part saw them."""

    stored: StoredRows
    part: NDArray[np.int64]
    self_conversation: Mask

    def irregular(self) -> Rows:
        """Return the conversations that a part saw differently from the whole where it folded."""
        rows = self.whole.rows
        place, ahead = self._first_folds()
        caught_up = (ahead >= 0) & (self.part[np.maximum(ahead, 0)] == self.part[place])
        place, ahead, late = place[caught_up], ahead[caught_up], place[~caught_up]
        doubtful = place[~self._same_state(ahead) | ~self._is_quiet(ahead)]
        conversation = self.stored["conversation"]
        found = [conversation[late], conversation[doubtful], conversation[self._seen_otherwise(rows)]]
        return set_of(np.concatenate(found)).astype(np.int64)

    @cached_property
    def whole(self) -> Split:
        """The connections of the run."""
        return split(self.stored, self.self_conversation)

    @cached_property
    def _events(self) -> Events:
        return find_events(self.whole.rows)

    @cached_property
    def _stretch(self) -> Rows:
        """Number the stretches of rows that one part has of one connection, which are contiguous. Shape (n,)."""
        conn = self.whole.rows.conn
        number: Rows = np.cumsum(begins_run(conn, self.part)) - 1
        return number

    def _first_folds(self) -> tuple[Rows, Rows]:
        """Return the first row of each end and later part with rows folded into it; and the end's row before that.

        The latter is -1 if there is none.
        """
        rows, part = self.whole.rows, self.part
        folded = np.flatnonzero((rows.folded_segments > 0) & (part != part[rows.start[:-1]][rows.conn]))
        _, first = np.unique(self._stretch[folded] << 1 | rows.side[folded], return_index=True)
        place = folded[first]
        return place, previous_of_end(rows, np.ones(len(rows), np.bool_), rows.end[place], place)

    def _same_state(self, at: Rows) -> Mask:
        """Mark the rows up to which their end had sent and acknowledged no more than its part saw."""
        rows = self.whole.rows
        spoke, named = (rows.flags & RST) == 0, (rows.flags & (RST | ACK)) == ACK
        same = np.ones(len(at), np.bool_)
        for values, mask in ((rows.seq_end, spoke), (rows.ack, named), (rows.ack, self._events.numbers.ack_counts)):
            by_side = [mask & (rows.side == s) for s in (0, 1)]
            in_whole, in_part = (
                np.stack([running_maximum_of(group, values, one) for one in by_side])[rows.side[at], at]
                for group in (rows.conn, self._stretch)
            )
            same &= in_whole == in_part
        return same

    def _is_quiet(self, at: Rows) -> Mask:
        """Mark the rows up to which their connection is regular, so that an ordinary row may follow."""
        rows, events = self.whole.rows, self._events
        side, peer, conn = rows.side[at], rows.peer[at] & 1, rows.conn[at]
        spoke, named = (rows.flags & RST) == 0, (rows.flags & (RST | ACK)) == ACK
        sent = np.stack(rows.sent_by)
        acknowledged = np.stack([running_maximum(rows, rows.ack, named & (rows.side == s)) for s in (0, 1)])
        own_sent = own_before(rows, rows.sent_by)
        hole = spoke & (rows.seq - rows.folded_octets > own_sent) & (own_sent > UNKNOWN)
        beyond = np.stack([running_maximum(rows, rows.seq, hole & (rows.side == s)) for s in (0, 1)])
        quiet: Mask = np.stack(events.numbers.acknowledged_by)[side, at] >= beyond[peer, at]
        quiet &= acknowledged[peer, at] <= sent[side, at]
        quiet &= settled_from(rows, events.start, events.code, events.row)[conn] <= at
        trouble = first_of(rows.conn, ~spoke | rows.ignored_syn, rows.connections)[conn]
        quiet &= (trouble < 0) | (trouble > at)
        fin = first_of(rows.conn, (rows.flags & FIN) != 0, rows.connections)[conn]
        return quiet & ((fin < 0) | (self._stretch[fin] >= self._stretch[at]))

    def _seen_otherwise(self, rows: ConnectionRows) -> Rows:
        """Return the rows that their part interprets differently from the whole: a beginning, a SYN, a proof."""
        conversation = self.stored["conversation"]
        begins_part = begins_run(conversation, self.part)
        number = np.cumsum(begins_part) - 1
        alone = StoredRows(self.stored.columns | {"conversation": number})
        seen = split(alone, self.self_conversation[conversation[begins_part]]).rows
        begins = [np.isin(np.arange(len(rows)), one.start) & ~begins_part for one in (rows, seen)]
        other = (begins[0] != begins[1]) | (rows.ignored_syn != seen.ignored_syn) & ~begins_part
        other |= self._events.numbers.ack_counts != find_numbers(seen).ack_counts
        return np.flatnonzero(other)
