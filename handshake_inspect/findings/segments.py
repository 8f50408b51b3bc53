"""The segments of one partition, and shorthands for what many rules ask about them.

In: `DecidedPart`. Segments are named by their rows in `ConnectionRows`, of shape (n,); connections by number, of shape
(m,); ends by `2 * connection + side`, of shape (2m,).
"""

from __future__ import annotations

from functools import cached_property

import numpy as np

from handshake_inspect.arrays import Mask, Rows
from handshake_inspect.connections.decided_part import DecidedPart
from handshake_inspect.connections.events.events import Events
from handshake_inspect.connections.events.numbers import Numbers, next_of_end
from handshake_inspect.connections.splitting.rows import (
    ACK,
    FIN,
    ORIGINATOR,
    RST,
    SYN,
    UNKNOWN,
    ConnectionRows,
    of_side,
    running_maximum,
)
from handshake_inspect.connections.splitting.split import first_among, last_among
from handshake_inspect.plain import mutable
from handshake_inspect.sets import first_of_runs, set_of


@mutable
class PartSegments:
    """The segments of some whole conversations."""

    decided: DecidedPart

    @cached_property
    def rows(self) -> ConnectionRows:
        """The segments."""
        return self.decided.part.rows

    @cached_property
    def events(self) -> Events:
        """The events of both ends."""
        return self.decided.events

    @cached_property
    def numbers(self) -> Numbers:
        """Acknowledgments, and the rows of SYNs and FINs."""
        return self.decided.events.numbers

    def __len__(self) -> int:
        return self.rows.connections

    @cached_property
    def control_bits(self) -> int:
        """All control bits that occur in the partition."""
        return int(np.bitwise_or.reduce(self.rows.flags))

    @cached_property
    def originator(self) -> Rows:
        """Number of the originator's end of each connection. Shape (m,)."""
        return np.arange(len(self)) * 2

    @cached_property
    def responder(self) -> Rows:
        """Number of the responder's end; of a self-connect that of the only end. Shape (m,)."""
        return np.where(self.rows.self_connect, self.originator, self.originator + 1)

    @cached_property
    def is_syn(self) -> Mask:
        """SYN without ACK and RST. Shape (n,), as the next two."""
        return self._flagged(SYN | ACK | RST, SYN)

    @cached_property
    def is_syn_ack(self) -> Mask:
        """SYN with ACK, without RST."""
        return self._flagged(SYN | ACK | RST, SYN | ACK)

    @cached_property
    def is_rst(self) -> Mask:
        """RST."""
        return self._flagged(RST, RST)

    @cached_property
    def is_data(self) -> Mask:
        """Segments with payload and without RST, except those that were folded. Shape (n,)."""
        found: Mask = (self.rows.payload > 0) & ~self.is_rst
        return found

    @cached_property
    def data_rows(self) -> Rows:
        """The rows that `is_data` marks."""
        return np.flatnonzero(self.is_data)

    @cached_property
    def data_row(self) -> Rows:
        """The first segment of each end with payload, without SYN and RST; -1 if there is none. Shape (2m,)."""
        at = self.data_rows
        return self.first_of_end(at[(self.rows.flags.take(at) & SYN) == 0])

    @cached_property
    def sent(self) -> list[Rows]:
        """The number after the highest that each side has sent, up to and including each row.

        RSTs do not count, nor do SYNs of another connection.
        """
        of_another = self._flagged(SYN, SYN) & (self.rows.seq != 0)
        if not of_another.any():
            return self.rows.sent_by
        speech = ~self.is_rst & ~of_another
        return [running_maximum(self.rows, self.rows.seq_end, speech & (self.rows.side == s)) for s in (0, 1)]

    def sent_before(self, at: Rows) -> Rows:
        """Return the number after the highest that the sender of each row `at` had sent before it, UNKNOWN if none."""
        return of_side(self.rows.side.take(at), [self.before(at, sent) for sent in self.sent])

    def before(self, at: Rows, running: Rows) -> Rows:
        """Return the value of a running column at the row before each of these, UNKNOWN at a connection's first."""
        begins = at == self.rows.start.take(self.rows.conn.take(at))
        return np.where(begins, UNKNOWN, running.take(at - 1))

    @property
    def finally_acknowledged(self) -> Rows:
        """The highest number that each end has acknowledged, UNKNOWN if it has acknowledged nothing. Shape (2m,)."""
        return self.numbers.finally_acknowledged

    @cached_property
    def probes(self) -> Rows:
        """Segments one number below the next, of which nothing is new: keep-alives, or probes of a closed window."""
        rows, (by_originator, by_responder) = self.rows, self.sent
        # Only what lies below all that its sender has sent, itself included, can be one.
        is_originator = rows.side == ORIGINATOR
        below = (rows.seq < by_originator) & is_originator | (rows.seq < by_responder) & ~is_originator
        at = np.flatnonzero(below & (rows.payload <= 1) & self._flagged(SYN | FIN | RST | ACK, ACK))
        probes: Rows = at[rows.seq.take(at) == self.sent_before(at) - 1]
        return probes

    @cached_property
    def is_probe(self) -> Mask:
        """The rows of `probes`, as a mask. Shape (n,)."""
        return self.marked(self.probes)

    @cached_property
    def unacknowledged(self) -> Rows:
        """Connections with an end that sent more, RSTs apart, than its peer ever acknowledged; rising."""
        beyond = self.rows.highest > self.finally_acknowledged.take(self.rows.other_end)
        return np.flatnonzero(beyond[0::2] | beyond[1::2])

    def ends_of(self, connections: Rows) -> Rows:
        """Return both ends of each of these connections."""
        return np.stack([2 * connections, 2 * connections + 1], axis=1).reshape(-1)

    def peer_of(self, ends: Rows) -> Rows:
        """Return the other end of each of these ends; of a self-connect the same."""
        return np.where(self.rows.self_connect[ends >> 1], ends, ends ^ 1)

    def marked(self, rows: Rows) -> Mask:
        """Mark these rows. Shape (n,)."""
        mask = np.zeros(len(self.rows), np.bool_)
        mask[rows] = True
        return mask

    def _flagged(self, among: int, which: int) -> Mask:
        flagged: Mask = (self.rows.flags & among) == which
        return flagged

    def first_of_end(self, rows: Rows) -> Rows:
        """Return the first of some rows (rising) of each end, -1 if there is none. Shape (2m,)."""
        return first_among(self.rows.end, rows, 2 * len(self))

    def last_of_end(self, rows: Rows) -> Rows:
        """Return the last of some rows (rising) of each end, -1 if there is none. Shape (2m,)."""
        return last_among(self.rows.end, rows, 2 * len(self))

    def last_word(self, ends: Rows) -> Rows:
        """Return the last segment of each of these ends that is no RST, -1 if there is none."""
        at = self.rows.rows_of(set_of(ends >> 1))
        return self.last_of_end(at[~self.is_rst.take(at)])[ends]

    @cached_property
    def syn_rows(self) -> Rows:
        """Rows of the SYNs without ACK and RST."""
        return np.flatnonzero(self.is_syn)

    @cached_property
    def syn_ack_rows(self) -> Rows:
        """Rows of the SYN-ACKs."""
        return np.flatnonzero(self.is_syn_ack)

    def syns_of(self, connections: Rows) -> tuple[Rows, Rows]:
        """Return the rows of the first SYNs of both ends of these connections, -1 for none."""
        return self.numbers.syn_row[self.originator[connections]], self.numbers.syn_row[self.responder[connections]]

    def rows_of(self, connections: Mask, rows: Rows) -> Rows:
        """Return those of some rows that belong to these connections (a mask of shape (m,))."""
        return rows[connections[self.rows.conn[rows]]]

    def first_among(self, rows: Rows) -> Rows:
        """Return the first of some rows in each connection, -1 if there is none. Shape (m,)."""
        return first_among(self.rows.conn, rows, len(self))

    def last_among(self, rows: Rows) -> Rows:
        """Return the last of some rows in each connection, -1 if there is none. Shape (m,)."""
        return last_among(self.rows.conn, rows, len(self))

    def first_of_each(self, rows: Rows) -> tuple[Rows, Rows, Rows]:
        """Return the connections of these rows (rising), with the first row and the number of rows of each."""
        conn = self.rows.conn[rows]
        first = first_of_runs(conn)
        return conn[first], rows[first], np.diff(first, append=len(rows))

    def answered(self, rows: Rows, flags: int, *, seq: Rows | None = None) -> Rows:
        """Return the next segment of the receiver of each row; -1 if of SYN, RST and ACK it has not just these bits.

        `seq`: the number that it must have.
        """
        answer = next_of_end(self.rows, np.ones(len(self.rows), np.bool_), self.rows.peer[rows], rows)
        fits = (answer >= 0) & ((self.rows.flags[answer] & (SYN | RST | ACK)) == flags)
        if seq is not None:
            fits &= self.rows.seq[answer] == seq
        return np.where(fits, answer, -1)

    def plain(self, side: int) -> Mask:
        """Segments of one side with ACK, without SYN and RST; the originator's first is the third segment. (n,)."""
        mask: Mask = self._flagged(SYN | RST | ACK, ACK) & (self.rows.side == side)
        return mask

    def absolute(self, connection: Rows, side: int, relative: Rows | int) -> Rows:
        """Return relative numbers of one side of these connections as absolute ones, as in the header."""
        numbers: Rows = (self.rows.iss[connection, side] + relative) & 0xFFFFFFFF
        return numbers

    def counted(self, rows: Rows) -> Rows:
        """Return how many of these rows each connection has. Shape (m,)."""
        return np.bincount(self.rows.conn[rows], minlength=len(self))
