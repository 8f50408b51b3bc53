"""What the rules over connections look at: the columns of one partition, and shorthands for what many of them ask.

In: `DecidedPart`, some whole conversations with their rows, events and verdicts. A rule names connections by their rows
in the `VerdictTable` of the partition, ends by `2 * connection + side`, segments by their rows in `ConnectionRows`.

**What may be looked at.** Of a long transfer `connections.folding` keeps only what is out of the ordinary: SYNs, FINs,
RSTs, the first segments of each end, the row before and after each of these, retransmissions, what leaves a gap,
windows of 0, acknowledgments of what was not sent, keep-alives. An answer must not depend on an ordinary data segment
in the middle of a transfer, else it would depend on the size of the blocks in which the capture was read.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from handshake_inspect.arrays import Mask, Rows
from handshake_inspect.connections.decided_part import DecidedPart
from handshake_inspect.connections.deciding.answers import ResetTable, Verdicts, VerdictTable
from handshake_inspect.connections.deciding.found import NO_FRAME, FindingRows
from handshake_inspect.connections.events.events import Events
from handshake_inspect.connections.events.kinds import Judgement
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
from handshake_inspect.sets import first_of_runs, set_of
from handshake_inspect.table import frame_numbers

#: Sooner than this no timer sends anything again (Linux: 200 ms with a measured round trip; RFC 6298 §2.1: 1 s).
RETRANSMISSION_NS = 200_000_000

T = TypeVar("T")


@dataclass
class Evidence:
    """What rules over connections look at: some whole conversations, and what was decided of them."""

    decided: DecidedPart
    #: Until when each capture of the run shows what happens (`run.covered_until_ns`).
    ends_ns: Sequence[int]
    #: Until when each connection was followed, in a run that lets connections go; None: until its capture ends. (m,).
    until_ns: Rows | None = None
    _shared: dict[Any, Any] = field(default_factory=dict)

    def shared(self, worked_out: Callable[[Evidence], T]) -> T:
        """Return what several rules look at, worked out once."""
        if worked_out not in self._shared:
            self._shared[worked_out] = worked_out(self)
        found: T = self._shared[worked_out]
        return found

    def forget(self) -> None:
        """Drop what was worked out: it refers back to this evidence, and such a circle of references stays for long."""
        self._shared.clear()

    # What was decided.

    @cached_property
    def rows(self) -> ConnectionRows:
        """The segments."""
        return self.decided.part.rows

    @cached_property
    def events(self) -> Events:
        """What happened to both ends."""
        return self.decided.events

    @cached_property
    def numbers(self) -> Numbers:
        """Who acknowledged what, and where the SYNs and FINs are."""
        return self.decided.events.numbers

    @property
    def verdicts(self) -> Verdicts:
        """The answers so far."""
        return self.decided.verdicts

    @property
    def table(self) -> VerdictTable:
        """The same, one row per connection."""
        return self.decided.verdicts.table

    @property
    def resets(self) -> ResetTable:
        """One row per RST; row `i` is segment `events.resets.row[i]`."""
        return self.decided.verdicts.resets

    def __len__(self) -> int:
        return self.rows.connections

    # Which connections.

    def judged(self, claim: Callable[[Judgement], bool]) -> Mask:
        """Of which connections does this hold? Asked once for each distinct behaviour. Shape (m,)."""
        return self.verdicts.judged(claim)

    def handshake(self, *kinds: str) -> Mask:
        """Which connections opened so? Shape (m,)."""
        return self._of_kinds(self._handshakes, kinds)

    def teardown(self, *kinds: str) -> Mask:
        """Which connections closed so? Shape (m,)."""
        return self._of_kinds(self._teardowns, kinds)

    @cached_property
    def _handshakes(self) -> dict[str, list[int]]:
        """The numbers of the judgements of each kind: many rules ask, and there may be thousands."""
        return _places(one.handshake_kind for one in self.verdicts.judgements)

    @cached_property
    def _teardowns(self) -> dict[str, list[int]]:
        return _places(one.teardown_kind for one in self.verdicts.judgements)

    def _of_kinds(self, places: dict[str, list[int]], kinds: Sequence[str]) -> Mask:
        found = [places[kind] for kind in kinds if kind in places]
        if len(found) in (0, len(places)):  # most rules ask for what is not there
            return np.full(len(self), len(found) > 0)
        claims = np.zeros(len(self.verdicts.judgements), np.bool_)
        for numbers in found:
            claims[numbers] = True
        return claims.take(self.table["judgement"])

    @cached_property
    def ip_version(self) -> Rows:
        """4 or 6. Shape (m,)."""
        return self.decided.keys["ip_version"][self.table["conversation"]].astype(np.int64)

    def responder_port(self, connections: Rows) -> Rows:
        """Return the port of the responder of each of these connections."""
        return self.of_responder("port", connections).astype(np.int64)

    def of_responder(self, part: str, connections: Rows) -> NDArray[Any]:
        """Return "port", "hi" or "lo" of the responder's socket in the key of each of these connections."""
        keys, conversation = self.decided.keys, self.table["conversation"][connections]
        higher_asks = self.table["originator_is_higher"][connections] != 0
        return np.where(higher_asks, keys[f"lower_{part}"][conversation], keys[f"higher_{part}"][conversation])

    # Which segments.

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
        """It has payload, and no RST. Those that were folded are not among them. Shape (n,)."""
        found: Mask = (self.rows.payload > 0) & ~self.is_rst
        return found

    @cached_property
    def data_rows(self) -> Rows:
        """Rows of these."""
        return np.flatnonzero(self.is_data)

    @cached_property
    def data_row(self) -> Rows:
        """First segment of each end with payload, without SYN and RST; -1 if there is none. Shape (2m,)."""
        at = self.data_rows
        return self.first_of_end(at[(self.rows.flags.take(at) & SYN) == 0])

    @cached_property
    def sent(self) -> list[Rows]:
        """The number after the highest that each side has sent, at each row, this row included.

        RSTs send none, nor do SYNs of another connection.
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
        """Mark them. Shape (n,)."""
        return self.marked(self.probes)

    @cached_property
    def unacknowledged(self) -> Rows:
        """Connections of which an end has sent more than its peer ever acknowledged, RSTs apart; rising."""
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
        """Return the last segment of each of these ends, RSTs apart, -1 if there is none."""
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
        """Return the connections that have these rows (rising), the first of them in each, and how many each has."""
        conn = self.rows.conn[rows]
        first = first_of_runs(conn)
        return conn[first], rows[first], np.diff(first, append=len(rows))

    def answered(self, rows: Rows, flags: int, *, seq: Rows | None = None) -> Rows:
        """Return what the receiver of each row sends next, if of SYN, RST and ACK it has just these bits; -1 else.

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
        """Return numbers of one side of these connections as they stand in the header."""
        numbers: Rows = (self.rows.iss[connection, side] + relative) & 0xFFFFFFFF
        return numbers

    def counted(self, rows: Rows) -> Rows:
        """Count these rows by their connection. Shape (m,)."""
        return np.bincount(self.rows.conn[rows], minlength=len(self))

    # Times.

    def until_end_ns(self, rows: Rows) -> Rows:
        """Return how long the capture of each of these segments went on after it; or its connection was waited for."""
        ends = np.array(self.ends_ns or [0], np.int64)[self.rows.capture[rows]]
        if self.until_ns is not None:
            ends = np.minimum(ends, self.until_ns[self.rows.conn[rows]])
        after: Rows = np.maximum(ends - self.rows.time_ns[rows], 0)
        return after

    def between_ns(self, earlier: Rows, later: Rows) -> Rows:
        """Return the time from one segment to another, -1 where the clock was set between."""
        rows = self.rows
        passed = rows.time_ns[later] - rows.time_ns[earlier]
        return np.where((rows.clock[earlier] == rows.clock[later]) & (passed >= 0), passed, -1)

    # Findings.

    def found(self, text: str, connection: Rows, *rows: Rows, **values: NDArray[Any]) -> FindingRows:
        """Make a finding of each of these connections; `rows` are the segments that show it, -1 for none."""
        if not len(connection):
            return FindingRows(text, connection)
        return FindingRows(text, connection, tuple(self.frames(one) for one in rows), values)

    def found_each(
        self, told: Iterable[tuple[Mask, str]], connection: Rows, *rows: Rows, **values: NDArray[Any]
    ) -> Iterator[FindingRows]:
        """Make findings of these connections, of those that a mask marks with the text beside it."""
        for which, text in told:
            at = np.flatnonzero(which)
            if len(at):
                some = {name: value[at] for name, value in values.items()}
                yield self.found(text, connection[at], *(one[at] for one in rows), **some)

    def frames(self, rows: Rows) -> Rows:
        """Return the frame numbers of segments, NO_FRAME for row -1."""
        at = np.maximum(rows, 0)
        return np.where(rows >= 0, frame_numbers(self.rows.capture[at], self.rows.frame[at]), NO_FRAME)


def _places(values: Iterable[str]) -> dict[str, list[int]]:
    """Return at which places each value stands."""
    places: dict[str, list[int]] = {}
    for place, value in enumerate(values):
        places.setdefault(value, []).append(place)
    return places
