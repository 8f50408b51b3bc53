"""The input of steps: the rows of connections, and at each row the values from before it.

In: the `ConnectionRows` of some whole connections, and their `Events`. Out: `StepColumns`, computed for all of them
together, and for one connection `StepRows`, in Python integers: a step uses some twenty of them, and taking each out of
an array would cost more than all other work on it.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from handshake_inspect.arrays import Mask, Rows
from handshake_inspect.connections.events.events import Events
from handshake_inspect.connections.folding.repeats import repeated
from handshake_inspect.connections.splitting.rows import (
    ACK,
    FIN,
    ORIGINATOR,
    RESPONDER,
    RST,
    SYN,
    UNKNOWN,
    ConnectionRows,
    running_maximum,
)
from handshake_inspect.connections.splitting.split import first_of
from handshake_inspect.connections.steps.sacked import Blocks, Sacked, sack_blocks
from handshake_inspect.connections.steps.sent_again import duplicate_acks, why_again
from handshake_inspect.tcp.states import Event


@dataclass(slots=True)
class StepRows:
    """The rows of one connection, numbered from its first. Pairs are of originator and responder.

    Columns and numbers are those of `ConnectionRows`, `Numbers` and `StepColumns`.
    """

    time_ns: list[int]
    side: list[int]
    flags: list[int]
    seq: list[int]
    ack: list[int]
    payload: list[int]
    window: list[int]
    options: list[int]
    seq_end: list[int]
    ignored_syn: list[bool]
    ack_counts: list[bool]
    is_syn: list[bool]
    is_fin: list[bool]
    acknowledged_by: tuple[list[int], list[int]]
    sent: tuple[list[int], list[int]]
    is_repeat: list[bool]
    at_closed_window: list[bool]
    duplicate_acks: list[int]
    #: The blocks of the rows that have SACK; None if the capture does not contain all of them.
    sack: dict[int, Blocks]
    #: Both sockets are equal: each end is its own peer.
    self_connect: bool
    iss: list[int]
    iss_known: list[bool]
    #: Row of the FIN of each end, -1 if it sent none, and the number after it.
    fin_row: list[int]
    fin_end: list[int]
    #: The row that shows the FIN of each end: its own, or of one captured late the first that acknowledges it.
    fin_shown: list[int]
    syn_end: list[int]
    #: First row of each end with the SYN bit, and first without SYN and RST; -1 if there is none.
    first_syn: list[int]
    first_after_syn: list[int]
    #: Whether the numbers of each end can be counted from a first one: those of an end that sent only RSTs cannot, and
    #: 0 is the number in its header.
    heard: list[bool]
    #: The side that closes first; the originator if none does.
    closes_first: int
    #: v: the number that the other end had reached when it acknowledged the first FIN.
    v: int | None

    def __len__(self) -> int:
        return len(self.side)

    def peer(self, side: int) -> int:
        """Return the other end."""
        return side if self.self_connect else 1 - side


def before(running: list[int], row: int) -> int:
    """Return the value of a running column at the row before `row`."""
    return running[row - 1] if row else UNKNOWN


class StepColumns:
    """Values around each row that the steps of `m` connections, `n` rows, need.

    `lists` are the option lists of the run, by number.
    """

    def __init__(self, rows: ConnectionRows, events: Events, lists: Sequence[bytes]) -> None:
        self.rows, self.events = rows, events
        self._lists = lists

    def of(self, connection: int) -> StepRows:
        """Return the rows of one connection."""
        rows, numbers = self.rows, self.events.numbers
        begin, end = rows.start[connection : connection + 2].tolist()
        at, ends = slice(begin, end), slice(2 * connection, 2 * connection + 2)
        v = int(self.v[connection])
        return StepRows(
            time_ns=rows.time_ns[at].tolist(),
            side=rows.side[at].tolist(),
            flags=rows.flags[at].tolist(),
            seq=rows.seq[at].tolist(),
            ack=rows.ack[at].tolist(),
            payload=rows.payload[at].tolist(),
            window=rows.window[at].tolist(),
            options=rows.options[at].tolist(),
            seq_end=rows.seq_end[at].tolist(),
            ignored_syn=rows.ignored_syn[at].tolist(),
            ack_counts=numbers.ack_counts[at].tolist(),
            is_syn=numbers.is_syn[at].tolist(),
            is_fin=numbers.is_fin[at].tolist(),
            acknowledged_by=(numbers.acknowledged_by[0][at].tolist(), numbers.acknowledged_by[1][at].tolist()),
            sent=(self.sent[0][at].tolist(), self.sent[1][at].tolist()),
            is_repeat=self.is_repeat[at].tolist(),
            at_closed_window=self.at_closed_window[at].tolist(),
            duplicate_acks=self.duplicate_acks[at].tolist(),
            sack=self._sack_of(begin, end),
            self_connect=bool(rows.self_connect[connection]),
            iss=rows.iss[connection].tolist(),
            iss_known=rows.iss_known[connection].tolist(),
            fin_row=_counted_from(begin, numbers.fin_row[ends]),
            fin_shown=_counted_from(begin, self.fin_shown[ends]),
            fin_end=numbers.fin_end[ends].tolist(),
            syn_end=numbers.syn_end[ends].tolist(),
            first_syn=_counted_from(begin, self.first_syn[ends]),
            first_after_syn=_counted_from(begin, self.first_after_syn[ends]),
            heard=self.heard[ends].tolist(),
            closes_first=int(self.closes_first[connection]),
            v=None if v == UNKNOWN else v,
        )

    @cached_property
    def sent(self) -> list[Rows]:
        """The number after the highest that each side was captured sending, at each row, this row included.

        Ignored segments do not count.
        """
        rows, is_fin = self.rows, self.events.numbers.is_fin
        counts = ((rows.flags & RST) == 0) & ~rows.ignored_syn
        counts &= ((rows.flags & SYN) == 0) | (rows.seq == 0)
        counts &= ((rows.flags & FIN) == 0) | is_fin
        return [running_maximum(rows, rows.seq_end, counts & (rows.side == side)) for side in (ORIGINATOR, RESPONDER)]

    @cached_property
    def is_repeat(self) -> Mask:
        """Mark segments that were captured completely before; never those without length. Shape (n,)."""
        return repeated(self.rows)

    @cached_property
    def at_closed_window(self) -> Mask:
        """Mark segments whose window is 0, or was 0 in their sender's previous one; never RSTs. Shape (n,)."""
        rows = self.rows
        at = np.flatnonzero((rows.flags & RST) == 0)
        at = at[np.argsort(rows.end[at], kind="stable")]
        zero = rows.window[at] == 0
        zero[1:] |= (rows.window[at[:-1]] == 0) & (rows.end[at[1:]] == rows.end[at[:-1]])
        closed = np.zeros(len(rows), np.bool_)
        closed[at] = zero
        return closed

    @cached_property
    def first_syn(self) -> Rows:
        """First row with the SYN bit of each end, -1 if there is none. Shape (2m,)."""
        return first_of(self.rows.end, (self.rows.flags & SYN) != 0, 2 * self.rows.connections)

    @cached_property
    def first_after_syn(self) -> Rows:
        """First row without SYN and RST of each end, -1 if there is none. Shape (2m,)."""
        return first_of(self.rows.end, (self.rows.flags & (SYN | RST)) == 0, 2 * self.rows.connections)

    @cached_property
    def heard(self) -> Mask:
        """Mark ends that sent a segment without RST, or whose peer acknowledged a number of theirs. Shape (2m,)."""
        rows = self.rows
        speech = (rows.flags & RST) == 0
        heard = np.zeros(2 * rows.connections, np.bool_)
        heard[rows.end[speech]] = True
        heard[rows.end[speech & ((rows.flags & ACK) != 0)] ^ 1] = True
        return heard

    @cached_property
    def fin_shown(self) -> Rows:
        """`StepRows.fin_shown` of all ends, -1 if it sent none. Shape (2m,)."""
        numbers = self.events.numbers
        return np.where(numbers.late_fin_row >= 0, numbers.late_fin_row, numbers.fin_row)

    @cached_property
    def closes_first(self) -> Rows:
        """The side whose FIN comes first; the originator if there is none. Shape (m,)."""
        # A FIN may be shown by the row of its answer, which was captured before it.
        a, b = (2 * self.fin_shown + (self.events.numbers.late_fin_row < 0)).reshape(-1, 2).T
        first: Rows = ((b >= 0) & ((a < 0) | (b < a))).astype(np.int64)
        return first

    @cached_property
    def v(self) -> Rows:
        """The number that the end which closes second had reached when it acknowledged the first FIN. Shape (m,).

        UNKNOWN if it acknowledged none, or if its initial number is unknown.
        """
        rows, numbers, m = self.rows, self.events.numbers, np.arange(self.rows.connections)
        second = 1 - self.closes_first
        first_end = 2 * m + self.closes_first
        known = (numbers.fin_row[first_end] >= 0) & ~rows.self_connect & rows.iss_known[m, second]
        acks = numbers.ack_counts & known[rows.conn] & (rows.side == second[rows.conn])
        acks &= rows.ack >= numbers.fin_end[first_end][rows.conn]
        found = first_of(rows.conn, acks, len(m))
        reached: Rows = np.where(found >= 0, rows.seq[found] + rows.payload[found], UNKNOWN) if len(rows) else found
        return reached

    @cached_property
    def disproved(self) -> dict[int, list[tuple[int, int, int, Event]]]:
        """Assumed arrivals that were disproved, by connection: row, row that disproves it, side, event."""
        found: dict[int, list[tuple[int, int, int, Event]]] = {}
        for row, until, end, event in self.events.disproved.tolist():
            begin = int(self.rows.start[end >> 1])
            found.setdefault(end >> 1, []).append((row - begin, until - begin, end & 1, Event(event)))
        return found

    @cached_property
    def confirmed(self) -> dict[int, dict[tuple[int, Event], int]]:
        """Rows that prove an assumed arrival, by connection, and by side and event."""
        found: dict[int, dict[tuple[int, Event], int]] = {}
        for row, end, event in self.events.confirmed.tolist():
            found.setdefault(end >> 1, {})[end & 1, Event(event)] = row - int(self.rows.start[end >> 1])
        return found

    @cached_property
    def duplicate_acks(self) -> Rows:
        """The number of each duplicate ACK, 0 for other rows. Shape (n,)."""
        return duplicate_acks(self.rows, self.events.numbers, self.sent)

    @cached_property
    def _sack_blocks(self) -> dict[int, Blocks]:
        return sack_blocks(self.rows, self._lists)

    @cached_property
    def _sacked(self) -> Sacked:
        return Sacked.of(self._sack_blocks)

    def _sack_of(self, begin: int, end: int) -> dict[int, Blocks]:
        """Return the SACK blocks of the rows from `begin` to before `end`, by row relative to `begin`."""
        if not self._sack_blocks:
            return {}
        rows = [*self._sack_blocks]
        some = rows[bisect_left(rows, begin) : bisect_left(rows, end)]
        return {row - begin: self._sack_blocks[row] for row in some}

    def why_again(self, connection: int, row: int) -> str:
        """Return what the segment in a row, which brings nothing new, is, and its cause."""
        at = int(self.rows.start[connection]) + row
        return why_again(self.rows, self.events.numbers, self.duplicate_acks, self._sacked, at)

    def answers_another(self, connection: int, row: int) -> bool:
        """Return whether the RST in a row belongs to another connection of the same sockets (`Resets.of_another`)."""
        resets, at = self.events.resets, int(self.rows.start[connection]) + row
        return bool(resets.of_another[np.searchsorted(resets.row, at)])


def _counted_from(begin: int, found: NDArray[np.int64]) -> list[int]:
    """Number rows from the first one of their connection."""
    return [row - begin if row >= 0 else -1 for row in found.tolist()]
