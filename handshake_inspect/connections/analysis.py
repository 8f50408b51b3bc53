"""The engine as a whole: rows in, verdicts out, and the steps of one connection.

Connects `gather` -> `split` -> `events` -> `machine` -> `verdict` for `inspector`; knows no files and no formats.
"""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from itertools import pairwise, starmap

import numpy as np

from handshake_inspect.arrays import Rows
from handshake_inspect.connections.connection import Connection, IcmpError, Step
from handshake_inspect.connections.conversations import Conversations
from handshake_inspect.connections.copies.packets import KINDS, CopyEvidence
from handshake_inspect.connections.decided_part import DecidedPart, frames_of
from handshake_inspect.connections.deciding.answers import Verdicts, taken, together
from handshake_inspect.connections.deciding.found import Coded
from handshake_inspect.connections.deciding.verdict import decide
from handshake_inspect.connections.folding import pool
from handshake_inspect.connections.folding.gather import GatheredRows
from handshake_inspect.connections.folding.pool import Range
from handshake_inspect.connections.model import Connections
from handshake_inspect.connections.offered import OfferedOptions
from handshake_inspect.connections.quoted import join
from handshake_inspect.connections.quotes import Quotes, QuoteTable
from handshake_inspect.connections.splitting.rows import ConnectionRows
from handshake_inspect.connections.splitting.split import Split, StoredRows, split
from handshake_inspect.pairs import KeyTable, has_key, keys_of
from handshake_inspect.processes import Workers
from handshake_inspect.sets import set_of
from handshake_inspect.table import IcmpErrorTable, Names, SegmentTable
from handshake_inspect.tcp.time_wait import Profile

ALONE = Workers()

#: A connection, and one of its segments or an ICMP error about it.
Seen = tuple[Connection, Step | IcmpError]
#: Examines some whole conversations, and returns the findings about them.
Examine = Callable[[DecidedPart], list[Coded]]


class Analysis:
    """Everything known about the TCP connections of a run; with `only`, about those conversations alone."""

    def __init__(
        self, names: Names, *, fold: bool = True, only: KeyTable | None = None, gathering: GatheredRows | None = None
    ) -> None:
        self.names = names
        self._only = only
        self.gathering = GatheredRows(fold=fold) if gathering is None else gathering
        self.quotes = Quotes()
        #: What the option lists read so far offer.
        self.offered = OfferedOptions()

    @property
    def keys(self) -> KeyTable:
        """The key of each conversation."""
        return self.gathering.conversations.keys

    def follow(self, lanes: Rows | None) -> None:
        """Set the lane of each capture: captures that follow each other share one; None if that is not known yet."""
        self.gathering.lanes = lanes
        self.quotes.follow(lanes)

    def add(self, segments: SegmentTable, icmp_errors: IcmpErrorTable) -> tuple[Rows, Rows]:
        """Add a block. Returns the conversation of each segment, and of each ICMP error about TCP."""
        if self._only is not None:
            segments = segments.take(has_key(segments, self._only))
            icmp_errors = icmp_errors.take(has_key(icmp_errors, self._only))
        return self.gathering.add(segments), self.quotes.add(icmp_errors, self.gathering.conversations)

    def replace(self, conversations: Rows, rows: StoredRows) -> None:
        """Replace the rows of some conversations by these, which are in order."""
        self.gathering.replace(conversations, rows)

    def verdicts(self, examine: Examine | None = None, workers: Workers = ALONE, *, last: bool = False) -> Verdicts:
        """Decide everything about all connections seen so far.

        `examine` adds its findings in each partition. `last`: no segment is needed afterwards, so all are freed.
        """
        total = self.verdicts_at_first(examine, workers, last=last)
        if self.gathering.look_different_together:
            again = self._each(self.gathering.ranges(), examine, workers, last=last)
            total = together(verdicts for verdicts, _ in again)
        if last:
            self.gathering.let_go_before(len(self.gathering.conversations))
        if self.quotes:
            count_errors(total, self.quotes, self.gathering.conversations)
        return total

    def verdicts_at_first(
        self, examine: Examine | None = None, workers: Workers = ALONE, *, last: bool = False
    ) -> Verdicts:
        """Decide likewise, judging copies in each partition by its own rows alone.

        Afterwards `GatheredRows.look_different_together` says whether the whole run contradicts that.
        """
        shown = CopyEvidence()
        self.gathering.begin()

        def each() -> Iterator[Verdicts]:
            nonlocal shown
            is_final, ranges = False, self.gathering.ranges()
            found = self._each(ranges, examine, workers, last=last)
            for (_, stop), (verdicts, evidence) in zip(ranges, found, strict=True):
                shown += evidence
                is_final = is_final or (last and self.gathering.is_final(shown))
                if is_final:
                    self.gathering.let_go_before(stop)
                yield verdicts

        total = together(each(), self.gathering.conversations.held)
        self.gathering.conclude(shown)
        return total

    def _each(
        self, ranges: Sequence[Range], examine: Examine | None, workers: Workers, *, last: bool = False
    ) -> Iterator[tuple[Verdicts, CopyEvidence]]:
        """Yield the verdicts on each range of conversations, and the evidence of copies in its rows."""
        here = os.getpid()

        def examined(which: Range) -> tuple[Verdicts, CopyEvidence]:
            if last and os.getpid() != here:  # a fork gets its ranges in order, each once
                self.gathering.let_go_before(which[0])
            stored, evidence = self.gathering.partition(which)
            return self._examined(stored, examine), evidence

        self._know_offers()  # once, and not in each process
        return workers.share(examined, ranges)

    def _examined(self, stored: StoredRows, examine: Examine | None) -> Verdicts:
        """Decide a partition, by ranges of connections where it is large (one pair of sockets used a million times)."""
        part, errors = self._split(stored)
        ranges = ranges_of(part.rows.start)

        def examined(decided: DecidedPart) -> Verdicts:
            if examine is not None:
                decided.verdicts.found = examine(decided)
            return decided.verdicts

        def of_range(first: int, stop: int) -> Verdicts:
            # Rules compare a connection with the one before it (`syn-changed`), so that one is decided again.
            ahead = max(first - 1, 0)
            a, b, c = part.rows.start[[ahead, first, stop]].tolist()
            decided = self._decide(stored.take(slice(a, c)), part.only(ahead, stop), errors.only(ahead, stop))
            own = taken(examined(decided), np.arange(first - ahead, stop - ahead))
            return replace(own, copies=_copies(stored.take(slice(b, c))))

        if len(ranges) > 1:
            return together(starmap(of_range, ranges))
        return examined(self._decide(stored, part, errors))

    def decided(self) -> Iterator[DecidedPart]:
        """Decide all conversations again, in the order of the verdicts, which must exist."""
        return map(self.decide, self.gathering.reconsidered())

    def decide(self, stored: StoredRows) -> DecidedPart:
        """Decide everything about some whole conversations."""
        return self._decide(stored, *self._split(stored))

    def _split(self, stored: StoredRows) -> tuple[Split, QuoteTable]:
        """Return the connections of some whole conversations, and the ICMP errors about them."""
        part = split(stored, self.gathering.conversations.is_self)
        joined = QuoteTable.empty()
        if self.quotes and len(part.conversation):
            first, last = int(part.conversation[0]), int(part.conversation[-1])
            joined = join(self.quotes.of(first, last, self.gathering.conversations), part)
        return part, joined

    def _decide(self, stored: StoredRows, part: Split, joined: QuoteTable) -> DecidedPart:
        offered = self._know_offers()
        verdicts, events = decide(part, stored["encapsulation"], offered.has_fast_open, joined)
        verdicts.copies = _copies(stored)
        return DecidedPart(stored, part, events, verdicts, replace(self.names), offered, self.keys)

    def _know_offers(self) -> OfferedOptions:
        """Return what each option list of the run offers. Threads that call this at once get equal results."""
        known = self.offered
        new = self.names.options.values[len(known) :]
        if new:
            self.offered = known = known.and_by(new)
        return known

    def rows(self) -> Iterator[ConnectionRows]:
        """Yield the segments of all connections that have `verdicts`, a partition at a time."""
        return (split(stored, self.gathering.conversations.is_self).rows for stored in self.gathering.reconsidered())

    def described(self, conversations: Rows) -> DecidedPart:
        """Decide everything about these conversations, so that their connections can be described."""
        return self.decide(self.gathering.rows_of(conversations))

    def update(
        self, segments: SegmentTable, icmp_errors: IcmpErrorTable, captures: list[str], profile: Profile
    ) -> list[Seen]:
        """Describe these segments and ICMP errors, all added before, in order of time."""
        conversations = self.gathering.conversations
        numbers = [conversations.number(keys_of(table)[0]) for table in (segments, icmp_errors)]
        stored = self.gathering.rows_of(set_of(np.concatenate(numbers)))
        if not len(stored):
            return []  # only ICMP errors are known
        decided = self.decide(stored)
        connections = self.connections(decided.verdicts, captures, profile)
        errors = decided.verdicts.icmp_errors
        steps = decided.steps_in(frames_of(segments), captures)
        is_new = np.isin(frames_of(errors), frames_of(icmp_errors))
        concerned = set_of(np.array([*steps], np.int64), errors["connection"][is_new])
        found: list[Seen] = []
        for row, connection in zip(concerned.tolist(), connections.of_rows(concerned), strict=True):
            own = is_new[slice(*np.searchsorted(errors["connection"], [row, row + 1]).tolist())].tolist()
            found += [(connection, step) for step in steps.get(row, ())]
            found += [(connection, one) for one, new in zip(connection.icmp_errors, own, strict=True) if new]
        return sorted(found, key=lambda item: item[1].time_ns)

    def connections(self, verdicts: Verdicts, captures: list[str], profile: Profile) -> Connections:
        """Make connections of verdicts."""
        return Connections(verdicts, self.keys, self.names, captures, profile)


def ranges_of(start: Rows) -> list[tuple[int, int]]:
    """Cut connections that begin at these rows into ranges of about a partition's rows each; few rows are one range.

    A partition holds whole conversations, so one pair of sockets that is reused often can make it far larger.
    """
    rows = int(start[-1])
    most = pool.PARTITION_ROWS if rows > 2 * pool.PARTITION_ROWS else max(rows, 1)
    cuts = set_of(np.append(np.searchsorted(start, np.arange(0, rows, most)), len(start) - 1))
    return list(pairwise(cuts.tolist()))


def _copies(stored: StoredRows) -> Counter[str]:
    """Count the collapsed copies by kind."""
    return Counter({kind: int(stored[f"copies_{kind}"].sum()) for kind in KINDS})


def count_errors(total: Verdicts, quotes: Quotes, conversations: Conversations) -> None:
    """Store in the verdicts of a run how many of its ICMP errors belong to no connection, and how many are copies."""
    total.unmatched_errors = len(quotes.all(conversations)) - len(total.icmp_errors)
    total.error_copies = quotes.copies
