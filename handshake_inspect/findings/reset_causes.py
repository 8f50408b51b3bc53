"""What made an end send an RST: what it had heard, what it had said, and whether the RST answers a segment.

In: `Evidence`. Out: `ResetCauses`, one entry per RST. Read RFC 9293 §3.5.2 and §3.10.5 first: there are two kinds of
RST. One *answers* a segment for which there is no connection, at once: its number is SEG.ACK of that segment, and it
has no ACK bit, because the kernel has no socket that knows more. The other *aborts*: its number is SND.NXT, and common
stacks set ACK in it, though §3.10.5 does not; it comes from a socket that existed until then. The most likely cause is
the first one that fits.
"""

from __future__ import annotations

from enum import IntEnum, auto
from functools import cached_property

import numpy as np

from handshake_inspect.arrays import Mask, Rows
from handshake_inspect.connections.deciding.answers import BELIED
from handshake_inspect.connections.events.numbers import next_of_end
from handshake_inspect.connections.moments import ROW_BITS
from handshake_inspect.connections.splitting.rows import ACK, ORIGINATOR, RESPONDER, SYN, UNKNOWN
from handshake_inspect.findings.evidence import RETRANSMISSION_NS, Evidence
from handshake_inspect.plain import mutable
from handshake_inspect.sets import first_of_equal, first_of_runs, set_of

#: After so long without a word an abort is rather that of somebody who had waited.
IDLE_NS = 30_000_000_000
#: What comes later than this is no answer: those come at once, or a round trip later.
ANSWER_NS = 2_000_000_000


class Cause(IntEnum):
    """The most likely cause of an RST."""

    OTHER = auto()  # none of these, or not worth asking: it is not the first of its end, or refuses a SYN
    ATTEMPT_GIVEN_UP = auto()  # it answers a SYN-ACK
    ALL_CLOSED = auto()  # both ends had closed and acknowledged that
    PEER_HAD_RESET = auto()
    DATA_AFTER_CLOSE = auto()  # its end had sent a FIN, and data came after that
    FIN_AFTER_CLOSE = auto()  # likewise, and nothing but a FIN or an ACK came
    NO_CONNECTION = auto()  # it answers a segment, and its end had not closed
    GAVE_UP = auto()  # what its end had sent, again and again, was not answered
    INSTEAD_OF_FIN = auto()  # the peer had closed
    IDLE = auto()  # nobody had spoken for long
    UNREAD = auto()  # data of the peer were there that its program cannot have read, or had not answered
    LINGER = auto()  # nothing was left to read


@mutable
class ResetCauses:
    """All RSTs, in the order of `Evidence.resets`. All arrays have shape (k,)."""

    evidence: Evidence

    @property
    def at(self) -> Rows:
        """The row of each."""
        return self.evidence.events.resets.row

    @cached_property
    def connection(self) -> Rows:
        """Its connection."""
        return self.evidence.rows.conn[self.at]

    @cached_property
    def sender(self) -> Rows:
        """The end that sends it."""
        return self.evidence.rows.end[self.at]

    @cached_property
    def receiver(self) -> Rows:
        """The other end."""
        return self.evidence.rows.peer[self.at]

    @cached_property
    def _around(self) -> Rows:
        """All segments of the connections that have an RST."""
        return self.evidence.rows.rows_of(self.connection[first_of_runs(self.connection)])

    @cached_property
    def _spoke(self) -> list[Rows]:
        """The row of the last segment that each side had sent before each RST, RSTs apart. Two arrays."""
        rows, around = self.evidence.rows, self._around
        ahead = np.searchsorted(around, self.at) - 1
        speech, side = ~self.evidence.is_rst.take(around), rows.side.take(around)
        last = (np.maximum.accumulate(np.where(speech & (side == s), around, -1)) for s in (ORIGINATOR, RESPONDER))
        return [one.take(ahead) for one in last]

    def _last_of(self, end: Rows) -> Rows:
        """Return the row of the last segment of each of these ends before each RST, -1 if there is none."""
        row = np.where(end & 1, self._spoke[RESPONDER], self._spoke[ORIGINATOR])
        return np.where((row >= self.evidence.rows.start[self.connection]) & (row < self.at), row, -1)

    @cached_property
    def heard(self) -> Rows:
        """Row of the receiver's last segment before it, -1 if there is none."""
        return self._last_of(self.receiver)

    @cached_property
    def said(self) -> Rows:
        """Row of its sender's last segment before it that is no RST, -1 if there is none."""
        return self._last_of(self.sender)

    @cached_property
    def counts(self) -> Mask:
        """Is it the first of its end that is taken to have arrived, and to have ended the connection?"""
        resets = self.evidence.resets
        believed = (resets["valid"] != 0) & (resets["reason"] != BELIED) & self.evidence.events.resets.ends_sender
        believed &= self.goes_on < 0
        first = np.zeros(len(self.at), np.bool_)
        which = np.flatnonzero(believed)
        first[which[first_of_equal(self.sender[which])]] = True
        return first

    @cached_property
    def goes_on(self) -> Rows:
        """The row of its sender's first new number after it, beyond all that it had sent; -1 if there is none.

        Then its sender knows nothing of it. An end that has only sent its SYN refuses a wrong SYN-ACK and goes on; and
        numbers that do not continue its own may be those of another connection, whose SYN was not captured.
        """
        e, rows, seq = self.evidence, self.evidence.rows, self.evidence.rows.seq[self.at]
        new = self._later[rows.seq_end[self._later] > e.sent_before(self._later)]
        if not len(new):
            return np.full(len(self.at), -1)
        reached = np.where(e.resets["valid"] == 1, np.maximum(self.sent, seq), self.sent)
        reached = np.where(reached == UNKNOWN, seq, reached)
        after = next_of_end(rows, e.marked(new), self.sender, self.at)
        refuses = ~e.events.resets.ends_sender & ~e.events.resets.belied
        continues = (rows.seq[after] <= reached) & (rows.seq_end[after] > reached)
        return np.where((after >= 0) & continues & ~refuses, after, -1)

    @cached_property
    def _later(self) -> Rows:
        """The rows that ends sent behind their first RST, without RSTs."""
        rows, around = self.evidence.rows, self._around
        first = np.full(2 * len(self.evidence), len(rows), np.int64)
        first[self.sender[::-1]] = self.at[::-1]
        later = around[around > first.take(rows.end.take(around))]
        return later[~self.evidence.is_rst.take(later)]

    @cached_property
    def is_bare(self) -> Mask:
        """Has it no ACK bit?"""
        bare: Mask = (self.evidence.rows.flags[self.at] & ACK) == 0
        return bare

    @cached_property
    def answers(self) -> Mask:
        """Is its number the acknowledgment number of the receiver's last segment?"""
        rows, heard = self.evidence.rows, self.heard
        asked = (heard >= 0) & ((rows.flags[heard] & ACK) != 0) & (rows.ack[heard] == rows.seq[self.at])
        answers: Mask = asked & self.is_bare
        return answers

    # What both had said, and what of it was acknowledged.

    def _of(self, end: Rows, by_side: list[Rows]) -> Rows:
        return np.where(end & 1, by_side[1][self.at], by_side[0][self.at])

    @cached_property
    def acknowledged(self) -> Rows:
        """The sender's acknowledgment so far, without that of the RST; UNKNOWN if it sent none."""
        return self._of(self.sender, self.evidence.numbers.acknowledged_by)

    @cached_property
    def sent(self) -> Rows:
        """The number after the highest that its end had sent."""
        return self._of(self.sender, self.evidence.sent)

    @cached_property
    def acknowledged_by_receiver(self) -> Rows:
        """The receiver's acknowledgment so far: the next number that it expects; UNKNOWN if it sent none."""
        return self._of(self.receiver, self.evidence.numbers.acknowledged_by)

    @cached_property
    def closed(self) -> Mask:
        """Had its end sent a FIN?"""
        return self._earlier(self.evidence.numbers.fin_row[self.sender])

    @cached_property
    def peer_closed(self) -> Mask:
        """Had the receiver sent a FIN, and was everything before it there?"""
        rows, fin_end = self.evidence.rows, self.evidence.numbers.fin_end[self.receiver]
        told = np.where(self.is_bare, self.acknowledged, np.maximum(self.acknowledged, rows.ack[self.at]))
        return self._earlier(self.evidence.numbers.fin_row[self.receiver]) & (told >= fin_end)

    def _earlier(self, row: Rows) -> Mask:
        return (row >= 0) & (row < self.at)

    @cached_property
    def unacknowledged(self) -> Rows:
        """Octets of the receiver that its end had not acknowledged; 0 if it had acknowledged nothing."""
        sent = self._of(self.receiver, self.evidence.sent)
        fin = self._earlier(self.evidence.numbers.fin_row[self.receiver])
        fin &= self.acknowledged < self.evidence.numbers.fin_end[self.receiver]
        left = np.maximum(sent - fin - np.maximum(self.acknowledged, 1), 0)
        return np.where((self.acknowledged > UNKNOWN) & (sent > UNKNOWN), left, 0)

    @cached_property
    def fresh(self) -> Rows:
        """Octets of the receiver that the RST is the first to acknowledge; one without ACK may have had all others."""
        told = self.evidence.rows.ack[self.at] - np.maximum(self.acknowledged, 1)
        return np.where(self.is_bare, self.unacknowledged, np.clip(told, 0, self.unacknowledged))

    @cached_property
    def under_way(self) -> Rows:
        """Octets of the receiver that were captured before the RST, and had not come when its end sent that."""
        return self.unacknowledged - self.fresh

    @cached_property
    def lost(self) -> Rows:
        """Row of the first data of the receiver that its end never acknowledged, -1 if there are none."""
        e, rows = self.evidence, self.evidence.rows
        data = self._data
        lost = data[rows.seq_end[data] > e.finally_acknowledged[rows.peer[data]]]
        return next_of_end(rows, e.marked(lost), self.receiver, rows.start[self.connection] - 1)

    @cached_property
    def _data(self) -> Rows:
        """The rows with payload of the connections that have an RST."""
        return self._around[self.evidence.is_data.take(self._around)]

    @cached_property
    def was_sent_to(self) -> Mask:
        """Had the receiver ever sent data?"""
        sent = self._of(self.receiver, self.evidence.sent)
        known = self.evidence.rows.iss_known.reshape(-1)[self.receiver]
        data: Mask = ~known | (sent - self._earlier(self.evidence.numbers.fin_row[self.receiver]) > 1)
        return data

    @cached_property
    def unanswered(self) -> Mask:
        """Was the receiver's last segment data, and came nothing but acknowledgments back?"""
        rows, heard, said = self.evidence.rows, self.heard, self.said
        last = (heard >= 0) & (rows.payload[heard] > 0) & (rows.ack[heard] >= self.sent)
        unanswered: Mask = last & (said >= 0) & ((said < heard) | (rows.payload[said] == 0))
        return unanswered

    @cached_property
    def window_closed(self) -> Mask:
        """Was the window in its end's last segment 0, with data that it had acknowledged?"""
        rows, said = self.evidence.rows, self.said
        closed: Mask = (said >= 0) & (rows.window[said] == 0) & ((rows.flags[said] & (SYN | ACK)) == ACK)
        return closed & self.was_sent_to

    @cached_property
    def window_jumps(self) -> Mask:
        """Is the window of the RST at least twice that of its end's last segment, with no more acknowledged?

        Linux tells that at once when a program reads (tcp_cleanup_rbuf(), measured; RFC 9293 §3.8.6.2.2), and close()
        empties the buffer before it sends the RST.
        """
        rows, said = self.evidence.rows, self.said
        window, open_ = rows.window[self.at], rows.window[said].astype(np.int64)
        told = (said >= 0) & ((rows.flags[said] & (SYN | ACK)) == ACK) & ~self.is_bare
        jumps: Mask = told & (open_ > 0) & (window >= 2 * open_) & (rows.ack[said] == rows.ack[self.at])
        return jumps & self.was_sent_to

    @cached_property
    def attempts(self) -> Rows:
        """How often its end had repeated data or sent a keep-alive since the receiver's last segment."""
        e, rows, data = self.evidence, self.evidence.rows, self._data
        again = data[(rows.seq[data] < e.sent_before(data)) & ((rows.flags[data] & SYN) == 0)]
        placed = set_of(again, e.probes)
        placed = np.sort(rows.end[placed] << ROW_BITS | placed)
        base = self.sender << ROW_BITS
        return np.searchsorted(placed, base + self.at) - np.searchsorted(placed, base + self.heard, "right")

    @cached_property
    def silence_ns(self) -> Rows:
        """For how long neither end had sent a segment, -1 if that cannot be told."""
        last = np.maximum(self.heard, self.said)
        return np.where(last >= 0, self.evidence.between_ns(np.maximum(last, 0), self.at), -1)

    # The answer.

    @cached_property
    def opened(self) -> Mask:
        """Was its connection opened, as far as the capture tells?"""
        return self.evidence.judged(lambda one: one.handshake_complete is not False)[self.connection]

    @cached_property
    def cause(self) -> Rows:
        """The most likely `Cause` of each."""
        e, rows, heard = self.evidence, self.evidence.rows, self.heard
        to_syn_ack = (heard >= 0) & e.is_syn_ack[heard] & self.answers & (rows.side[self.at] == ORIGINATOR)
        fin_row, fin_end = e.numbers.fin_row[self.sender], e.numbers.fin_end[self.sender]
        own_fin_told = self.acknowledged_by_receiver >= fin_end
        both = self.closed & self.peer_closed & own_fin_told
        about_fin = self.is_bare & self.closed & (rows.seq[self.at] >= rows.seq_end[fin_row] - 1)
        since = e.between_ns(heard, self.at)
        tests = [
            (~self.counts, Cause.OTHER),
            (~self.opened & to_syn_ack, Cause.ATTEMPT_GIVEN_UP),
            (~self.opened, Cause.OTHER),
            (both, Cause.ALL_CLOSED),
            (self._peer_had_reset, Cause.PEER_HAD_RESET),
            (about_fin & (self.unacknowledged > 0), Cause.DATA_AFTER_CLOSE),
            (about_fin, Cause.FIN_AFTER_CLOSE),
            (self.answers & (since <= ANSWER_NS), Cause.NO_CONNECTION),
            (heard < 0, Cause.OTHER),
            ((self.attempts > 0) & (since >= RETRANSMISSION_NS), Cause.GAVE_UP),
            (self.peer_closed, Cause.INSTEAD_OF_FIN),
            (self.silence_ns >= IDLE_NS, Cause.IDLE),
            (self.window_closed | self.window_jumps | (self.fresh > 0), Cause.UNREAD),
            (self.unanswered & (self.under_way == 0) & (rows.side[self.at] == RESPONDER), Cause.UNREAD),
        ]
        found = np.full(len(self.at), Cause.LINGER, np.int64)
        for test, cause in reversed(tests):
            found[test] = cause
        return found

    @cached_property
    def _peer_had_reset(self) -> Mask:
        """Had the receiver sent an RST before that can have taken effect?"""
        worked = self.evidence.resets["valid"] != 0
        first = np.full(2 * len(self.evidence), -1, np.int64)
        first[self.sender[worked][::-1]] = self.at[worked][::-1]
        return self._earlier(first[self.receiver])

    @cached_property
    def of_end(self) -> Rows:
        """The number of RSTs that its end sent in all."""
        return np.bincount(self.sender, minlength=2 * len(self.evidence))[self.sender]

    def of(self, cause: Cause) -> Rows:
        """Return the places of the RSTs with this cause."""
        return np.flatnonzero(self.cause == cause)
