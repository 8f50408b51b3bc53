"""The rows of steady conversations in a block, and how far both of their directions have come at each.

In: the columns of a block, and the state of the ends of its conversations before it (`Ends`). Out: `Course`, the rows
by conversation, with the numbers on which it depends whether each is ordinary (`steady`), and the state after them.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cached_property
from typing import ClassVar

import numpy as np
from numpy.typing import DTypeLike

from handshake_inspect.arrays import Column, Mask, Rows
from handshake_inspect.connections.conversations import conversation_order
from handshake_inspect.connections.folding.compact import STEP_BITS, is_plain, latest_of_each_side
from handshake_inspect.connections.splitting.unwrapping import SAFE_SPAN
from handshake_inspect.sets import first_of_runs
from handshake_inspect.table import Table

#: A number further below or above what comes next may be of no transfer: windows hardly ever reach so far.
NEAR = np.uint32(1 << 24)

#: No conversation advances so far within a block.
FARTHEST = 1 << 39


class Ends(Table):
    """The state of the ends of steady conversations: for each the lower socket, then the higher one."""

    DTYPES: ClassVar[Mapping[str, DTypeLike]] = {
        "next_seq": np.uint32,  # SEG.SEQ of the next segment in order: after the highest number sent
        "ack": np.uint32,  # the highest SEG.ACK
        "counted": np.uint32,  # the highest that counts: one beyond what was captured waits for the next
        "skipped_to": np.uint32,  # the last number sent after a hole, or acknowledged if that is no lower
        "ordinary": np.bool_,  # is its last row, but for the one before that
        "has_acknowledged": np.bool_,  # has sent segments without data, and with data
        "has_data": np.bool_,
    }


class Course:
    """The rows of steady conversations in a block, by conversation and capture order.

    Two rows before those of a conversation hold the earlier state of its ends.
    """

    def __init__(self, columns: Mapping[str, Column], at: Rows, place: Column, ends: Ends) -> None:
        order = conversation_order(place)
        place, at = place.take(order), at.take(order)
        begins = first_of_runs(place)
        rows, groups = np.diff(begins, append=len(at)) + 2, np.arange(len(begins))
        before = _each_and_next(begins + 2 * groups)
        #: The place of each conversation, those of its ends, and the begin and end of its rows here.
        self.places = place[begins]
        self.ends = _each_and_next(2 * self.places.astype(np.int64))
        self.stop = np.cumsum(rows)
        self.start = self.stop - rows
        self.is_before, self.was_ordinary = np.zeros((2, len(at) + len(before)), np.bool_)
        self.is_before[before], self.was_ordinary[before] = True, ends["ordinary"][self.ends]
        #: Row of the block; for the two state rows, the row that they precede.
        self.row = np.empty(len(self.is_before), np.int64)
        self.row[~self.is_before], self.row[before] = at, np.repeat(at[begins], 2)

        def lined_up(name: str, value_before: Column | int) -> Column:
            column = columns[name].take(self.row)
            column[before] = value_before
            return column

        self.side = lined_up("from_higher", self.ends & 1)
        #: Index of the conversation, and of its end.
        self.group = np.repeat(groups, rows)
        self.end = 2 * self.group + self.side
        self.seq = lined_up("seq", ends["next_seq"][self.ends])
        self.ack = lined_up("ack", ends["ack"][self.ends])
        self.flags, self.window, self.payload = (lined_up(name, 0) for name in ("flags", "window", "payload_octets"))
        #: Modulo 2**32, as SEG.SEQ.
        self.seq_end = self.seq + self.payload
        #: The latest row of the other end, and of the same end, before each row.
        self.peer, self.own = latest_of_each_side(self.side)
        self._follow(ends["counted"][self.ends], ends["skipped_to"][self.ends])

    def _follow(self, counted: Column, skipped_to: Column) -> None:
        """Follow the progress of both directions, from that of each end before these rows.

        Numbers are compared modulo 2**32, and no two that are compared lie as far as 2**30 apart.
        """
        #: At each row, this row included: the number after the highest one that its end has sent; its highest SEG.ACK,
        #: and the highest that counts; the last number that it sent after a hole.
        self.sent, self.highest_ack, self.counted = self.seq_end, self.ack, self.ack
        self.own_sent, self.own_ack = self.sent.take(self.own), self.ack.take(self.own)
        self.skipped_to = skipped_to.take(self.end)
        #: Rows that continue both directions; and those near enough to be of the same transfer.
        self.goes_on, self.regular = self._continues(), is_plain(self.flags) | self.is_before
        before = self.ack[self.is_before]
        if self.goes_on.all() and not (_lies_beyond(skipped_to, _of_peers(counted)) | (before != counted)).any():
            return
        self.sent, self.highest_ack = self._highest(self.sent), self._highest(self.ack)
        self.own_sent, self.own_ack = self.sent.take(self.own), self.highest_ack.take(self.own)
        skips = ~self.is_before & _lies_beyond(self.seq, self.own_sent)
        self.skipped_to = np.where(skips, self.seq, self.skipped_to).take(self._latest(skips | self.is_before))
        # What an end acknowledges below a number that its peer sent after a hole tells of the hole.
        self.goes_on = self._continues()
        self.goes_on &= self.is_before | ~_lies_beyond(self.skipped_to.take(self.peer), self.own_ack)
        # What it acknowledges beyond everything captured counts unless its next acknowledgment is lower.
        peer_sent = self.sent.take(self.peer)
        beyond = _lies_beyond(self.ack, peer_sent)
        beyond[self.is_before] = before != counted
        self.counted = np.where(beyond, self.own_ack, self.highest_ack)
        self.counted[self.is_before] = counted
        taken_back = beyond.take(self.own) & _lies_beyond(self.ack.take(self.own), self.ack)
        near = (self.seq - self.own_sent + NEAR < 2 * NEAR) & ~taken_back
        for later, earlier in (
            (self.ack, self.own_ack),
            (peer_sent, self.ack),
            (self.sent, self.highest_ack.take(self.peer)),
        ):
            near &= later - earlier + NEAR < SAFE_SPAN + NEAR
        self.regular &= near | self.is_before

    def _continues(self) -> Mask:
        """Mark the rows that continue both directions: nothing is missing, lower than before, or not captured."""
        continues = self.seq == self.own_sent
        peer_ack, peer_sent = self.highest_ack.take(self.peer), self.sent.take(self.peer)
        for later, earlier in ((self.ack, self.own_ack), (peer_sent, self.ack), (self.own_sent, peer_ack)):
            continues &= later - earlier < SAFE_SPAN
        found: Mask = continues | self.is_before
        return found

    @cached_property
    def _by_end(self) -> tuple[Rows, Rows, Rows]:
        """The rows by end, where in this order those of each end begin (with its state), and how many it has."""
        by_end = conversation_order(self.end)
        begin = np.flatnonzero(self.is_before.take(by_end))
        return by_end, begin, np.diff(begin, append=len(by_end))

    def _highest(self, numbers: Column) -> Column:
        """Return at each row the highest of `numbers` of its end so far; neighbours lie within 2**31."""
        by_end, begin, count = self._by_end
        own = numbers.take(by_end)
        step = np.diff(own, prepend=own[:1]).view(np.int32).astype(np.int64)
        step[begin] = 0
        ahead = np.cumsum(step)
        ahead -= np.repeat(ahead[begin], count)
        np.minimum(ahead, FARTHEST, out=ahead)  # beyond the first row that is not regular anything may come
        floor = np.repeat(np.arange(len(begin)) * FARTHEST, count)  # no end comes as far as the next one begins
        ahead += floor
        np.maximum.accumulate(ahead, out=ahead)
        ahead -= floor
        highest = np.empty_like(numbers)
        highest[by_end] = np.repeat(own[begin], count) + ahead.astype(np.uint32)
        return highest

    def _latest(self, mask: Mask) -> Rows:
        """Return the latest masked row of the same end up to each row; the first of each end is masked."""
        by_end, _, _ = self._by_end
        place = np.maximum.accumulate(np.arange(len(mask)) * mask.take(by_end))
        latest = np.empty(len(mask), np.int64)
        latest[by_end] = by_end.take(place)
        return latest

    def last_before(self, until: Rows) -> Rows:
        """Return the last row of each end before one row of each conversation."""
        last = np.empty((len(until), 2), np.int64)
        groups, row = np.arange(len(until)), until - 1
        last[groups, self.side[row]], last[groups, 1 - self.side[row]] = row, self.peer[row]
        return last.reshape(-1)

    def repeats(self) -> Mask:
        """Mark acknowledgments equal to the row before of their end, as copies are."""
        repeats: Mask = (self.payload == 0) & (self.payload.take(self.own) == 0) & (self.ack == self.own_ack)
        return repeats

    def steps_over(self) -> Mask:
        """Mark the rows in which a number enters the next range of 2**STEP_BITS."""
        over: Mask = (self.seq ^ self.seq_end) >> STEP_BITS != 0
        over |= (self.ack ^ self.own_ack) >> STEP_BITS != 0
        return over

    def acknowledged(self, last: Rows) -> Mask:
        """Mark the rows whose end the peer has acknowledged; `last`: the last regular row of each end."""
        acknowledged: Mask = self._by_peer(last).take(self.end) - self.seq_end < SAFE_SPAN
        return acknowledged

    def reached(self, last: Rows) -> dict[str, Column]:
        """Return the numbers of `Ends` at the last regular row of each end."""
        skipped_to, by_peer = self.skipped_to[last], self._by_peer(last)
        return {
            "next_seq": self.sent[last],
            "ack": self.highest_ack[last],
            "counted": self.counted[last],
            "skipped_to": np.where(_lies_beyond(skipped_to, by_peer), skipped_to, by_peer),
        }

    def _by_peer(self, last: Rows) -> Column:
        """Return what the peer of each end has acknowledged."""
        return _of_peers(self.counted[last])

    def folded_into(self, folded: Mask) -> tuple[Rows, Rows, Rows]:
        """Return the rows of the block that are not folded, and the rows and octets folded into each.

        These are the rows of its end right before it: after each folded row there is one of its end that is not folded.
        """
        by_side = np.concatenate([np.flatnonzero(self.side == side) for side in (0, 1)])
        stay = np.flatnonzero(~folded.take(by_side))
        own = by_side.take(stay)
        segments = np.diff(stay, prepend=-1) - 1
        until = np.cumsum(self.payload.take(by_side), dtype=np.int64).take(stay)
        octets = np.diff(until, prepend=0) - self.payload.take(own)
        of_block = np.flatnonzero(~self.is_before.take(own))
        return own[of_block], segments[of_block], octets[of_block]

    def last_of_capture(self, capture: Column) -> Rows:
        """Return the rows after which the end continues in another capture: each capture's last row is needed.

        `capture` is that of each row of the block.
        """
        capture = capture.take(self.row)
        last: Rows = self.own.take(np.flatnonzero(capture != capture.take(self.own)))
        return last

    def is_single(self, time_ns: Column, copies_within_ns: int, single_until_ns: int) -> Mask:
        """Mark the rows of which no copy can come any more; `time_ns` is that of each row of the block."""
        time_ns = time_ns.take(self.row)
        latest_ns = np.maximum.reduceat(time_ns, self.start)
        single: Mask = np.maximum(latest_ns - copies_within_ns, single_until_ns).take(self.group) >= time_ns
        return single


def _lies_beyond(number: Column, other: Column) -> Mask:
    """Mark the numbers above the other ones, modulo 2**32, by less than 2**30."""
    beyond: Mask = number - other - 1 < SAFE_SPAN - 1
    return beyond


def _of_peers(of_ends: Column) -> Column:
    """Return for each end the value of its peer."""
    return of_ends.reshape(-1, 2)[:, ::-1].reshape(-1)


def _each_and_next(numbers: Rows) -> Rows:
    return np.stack([numbers, numbers + 1], axis=1).reshape(-1)
