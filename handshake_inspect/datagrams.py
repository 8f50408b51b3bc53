"""Keeps the UDP datagrams of a run, and the ICMP errors about them, until somebody asks what they were.

In: rows as they are decoded. Out: tables of what is kept: of a long exchange the datagrams in the middle are folded
into the one before of their sender that stays; in a run of several captures only of exchanges so long that captures
which follow each other are not looked at for copies of them (`datagram_runs`). Of a capture that does not end exchanges
leave that have been quiet for as long as a NAT should keep them (RFC 4787 REQ-5: two minutes at the least, five are
RECOMMENDED), the quietest first.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import ClassVar

import numpy as np
from numpy.typing import DTypeLike

from handshake_inspect.arrays import Column, Mask, Rows
from handshake_inspect.connections.conversations import Conversations
from handshake_inspect.connections.copies.packets import COPY_WITHIN_NS, LOOPBACK_WITHIN_NS, in_capture
from handshake_inspect.connections.copies.runs import MOST_COPIES
from handshake_inspect.connections.endless.retention import LetGo, Retention
from handshake_inspect.connections.endless.run_clock import RunClock
from handshake_inspect.connections.moments import EARLIEST_NS
from handshake_inspect.connections.splitting.split import first_of
from handshake_inspect.datagram_runs import IDS_REPEAT, KeptDatagrams, shared, told
from handshake_inspect.pairs import keys_of
from handshake_inspect.sets import first_of_runs, set_of
from handshake_inspect.table import PACKET_TYPE_UNKNOWN, DatagramTable, IcmpErrorTable
from handshake_inspect.tcp.time_wait import SECOND_NS

UDP = 17
QUIET_NS = 300 * SECOND_NS
#: Datagrams of an exchange that is worth folding, and how many of the latest stay.
LONG_ROWS, LATEST_ROWS = 1 << 10, 1 << 6
#: Datagrams of a capture that ends from which on it is worth to look for long exchanges.
FOLD_ROWS = 1 << 16
#: What is counted of what was folded.
FOLDED = ("shown_before", "folded_octets", "folded_directed", "folded_directed_octets", "folded_elsewhere")


class KeptErrors(IcmpErrorTable):
    """ICMP errors, and when they came."""

    DTYPES: ClassVar[Mapping[str, DTypeLike]] = {**IcmpErrorTable.DTYPES, "heard_ns": np.int64}


class Datagrams:
    """The datagrams of a run, and the ICMP errors that quote some."""

    def __init__(self, clock: RunClock, *, fold: bool = False) -> None:
        self._clock = clock
        #: Are long exchanges folded as they come?
        self.folds_at_once = fold
        #: In a run of several captures: no other capture has copies of datagrams up to this time, as far as known; else
        #: None. Short exchanges are kept then: another capture, of another clock, may show any datagram of them again,
        #: and whether it is a copy only all of them tell.
        self.single_until_ns: int | None = None
        self.tables: list[DatagramTable] = []
        #: When each of them came, unless it says that of each row.
        self._heard_ns: list[int] = []
        self.errors: list[KeptErrors] = []
        self._kept = self._since_round = 0

    def add(self, datagrams: DatagramTable, errors: IcmpErrorTable) -> None:
        """Take the rows of a block."""
        if len(datagrams):
            self.tables.append(datagrams.copy())  # few of a block, which would stay whole as long as they do
            self._heard_ns.append(self._clock.now_ns)
        if len(errors) and (about := errors["protocol"] == UDP).any():
            heard_ns = np.full(len(errors), self._clock.now_ns)
            self.errors.append(KeptErrors({**errors.columns, "heard_ns": heard_ns}).take(about))
        self._since_round += len(datagrams) + len(errors)
        if self.folds_at_once and self._since_round >= max(FOLD_ROWS, self._kept):
            self._fold_long()

    def _fold_long(self) -> None:
        """Fold long exchanges, of which all stay."""
        table = self.kept()
        conversations = Conversations()
        keys, from_higher = keys_of(table)
        numbers = conversations.number(keys)
        table = _fold(
            table,
            numbers,
            from_higher,
            conversations.loopback,
            self._clock.now_ns,
            single_until_ns=self.single_until_ns,
        )
        self.tables, self._heard_ns, self._kept, self._since_round = [table], [0], len(table), 0

    def kept(self) -> KeptDatagrams:
        """Return all datagrams as they are kept."""
        return KeptDatagrams.concatenate(map(KeptDatagrams.of, self.tables, self._heard_ns))

    def go_on(self, leaving: Retention, let_go: LetGo, lanes: Callable[[], Rows | None] = lambda: None) -> None:
        """Let go and fold what may be, once that is worth it; what leaves is counted.

        `lanes` says which captures follow each other, as far as it is known (`capture.merge.lanes_of`).
        """
        if self._since_round < max(leaving.round_rows, self._kept // leaving.round_share):
            return
        now_ns = self._clock.now_ns
        table = self.kept()
        errors = KeptErrors.concatenate(self.errors)
        conversations = Conversations()
        (keys, from_higher), (error_keys, _) = keys_of(table), keys_of(errors)
        numbers, of_error = conversations.number(keys), conversations.number(error_keys)
        quiet = _quiet(numbers, table, of_error, errors, now_ns, leaving.keep)
        exchanges = set_of(numbers[quiet[numbers]])
        let_go.exchanges += len(exchanges)
        stays = ~quiet[numbers]
        left = table.take(~stays), numbers[~stays], from_higher[~stays]
        let_go.datagrams += int(told(*left, conversations.loopback, lanes()).datagrams.sum())
        table, numbers, from_higher = table.take(stays), numbers[stays], from_higher[stays]
        table = _fold(table, numbers, from_higher, conversations.loopback, now_ns, lanes())
        self.tables, self._heard_ns, self.errors = [table], [0], [errors.take(~quiet[of_error])]
        self._kept, self._since_round = len(table) + len(self.errors[0]), 0


def _quiet(numbers: Rows, table: KeptDatagrams, of_error: Rows, errors: KeptErrors, now_ns: int, keep: int) -> Mask:
    """Say of each conversation whether it leaves: the quietest, so that `keep` stay."""
    count = int(max(numbers.max(initial=-1), of_error.max(initial=-1))) + 1
    heard_ns = np.zeros(count, np.int64)
    np.maximum.at(heard_ns, numbers, table["heard_ns"])
    np.maximum.at(heard_ns, of_error, errors["heard_ns"])
    leaves = np.zeros(count, np.bool_)
    leaves[np.argsort(heard_ns, kind="stable")[: max(count - keep, 0)]] = True
    leaves &= now_ns - heard_ns >= QUIET_NS
    return leaves


def _fold(
    table: KeptDatagrams,
    numbers: Rows,
    from_higher: Column,
    loopback: Mask,
    now_ns: int,
    lanes: Rows | None = None,
    *,
    single_until_ns: int | None = None,
) -> KeptDatagrams:
    """Fold the datagrams in the middle of long exchanges; what tells when each end began, and the last ones, stays.

    `single_until_ns`: as in `Datagrams`. Then it also stays when each capture began and ended to show an exchange.
    """
    size = np.bincount(numbers, minlength=len(loopback))
    is_long = size >= LONG_ROWS
    if single_until_ns is not None:
        is_long &= np.bincount(numbers, table.shown, len(loopback)) >= IDS_REPEAT
    if not is_long.any():
        return table
    end, long = 2 * numbers + from_higher, is_long[numbers]
    may = long & (now_ns - table["heard_ns"] > COPY_WITHIN_NS) & (table["runs"] > 0)
    may &= _rows_behind(numbers, size) >= LATEST_ROWS
    if single_until_ns is not None:
        may &= (table["time_ns"] <= single_until_ns) & ~shared(table, numbers, len(loopback))
    is_directed, is_elsewhere = _copies_for_certain(
        table, numbers, from_higher, loopback, lanes, some_elsewhere=single_until_ns is None
    )
    first = first_of(end, ~is_elsewhere, 2 * len(size))
    elsewhere = may & is_elsewhere
    into = KeptDatagrams(table.columns | {"folded_elsewhere": table["folded_elsewhere"].copy()})
    np.add.at(into["folded_elsewhere"], first[end[elsewhere]], table.shown[elsewhere])
    runs = _Runs(into, np.flatnonzero(long & ~elsewhere), numbers, from_higher, loopback)
    goes = runs.going(may)
    folded, places = runs.folded(into, goes, is_directed)
    tells = first[set_of(end[goes])]
    if single_until_ns is not None:
        tells = set_of(np.append(tells, _first_and_last_shown(table, end)))
    began = np.setdiff1d(tells, places)
    began = began[goes[began]]
    nothing = {name: np.zeros(len(began), np.int64) for name in ("runs", *FOLDED)}
    stays = np.flatnonzero(~elsewhere & ~goes)
    whole = KeptDatagrams.concatenate([KeptDatagrams(into.take(began).columns | nothing), into.take(stays), folded])
    return whole.take(np.argsort(np.concatenate([began, stays, places]), kind="stable"))


def _first_and_last_shown(table: KeptDatagrams, end: Rows) -> Rows:
    """Return the rows that are the earliest or the latest of their end in their capture."""
    order = np.lexsort((table["time_ns"], table["capture"], end))
    begin = first_of_runs(in_capture(end[order], table["capture"][order]))
    return order[np.append(begin, np.append(begin[1:], len(order)) - 1)] if len(order) else order


def _copies_for_certain(
    table: KeptDatagrams,
    numbers: Rows,
    from_higher: Column,
    loopback: Mask,
    lanes: Rows | None,
    *,
    some_elsewhere: bool,
) -> tuple[Mask, Mask]:
    """Mark the copies that the link layer tells, and those of other captures: what else is one, all datagrams tell."""
    some_elsewhere = some_elsewhere and bool((table["capture"] != table["capture"][0]).any())
    if not some_elsewhere and (table["packet_type"] == PACKET_TYPE_UNKNOWN).all():
        nothing = np.zeros(len(table), np.bool_)
        return nothing, nothing
    said = told(table, numbers, from_higher, loopback, lanes)
    return said.is_directed, said.is_elsewhere


def _rows_behind(numbers: Rows, size: Rows) -> Rows:
    """Count the rows of its conversation behind each row. Shape (n,)."""
    order = np.argsort(numbers, kind="stable")
    behind = np.empty(len(numbers), np.int64)
    behind[order] = np.cumsum(size)[numbers[order]] - 1 - np.arange(len(numbers))
    return behind


class _Runs:
    """Runs of equal datagrams that one capture shows within a short time, as `connections.copies.runs` has them."""

    def __init__(self, table: KeptDatagrams, rows: Rows, numbers: Rows, from_higher: Column, loopback: Mask) -> None:
        end = 2 * numbers[rows] + from_higher[rows]
        alike = (table["capture"][rows], table["ip_id"][rows], table["payload_octets"][rows], end)
        order = np.lexsort(alike)
        #: Rows, those of a run side by side. Shape (m,).
        self.rows = rows = rows[order]
        time_ns, own = table["time_ns"][rows], numbers[rows]
        within_ns = np.where(loopback[own], LOOPBACK_WITHIN_NS, COPY_WITHIN_NS)
        follows = np.zeros(len(rows), np.bool_)
        follows[1:] = (time_ns[1:] >= time_ns[:-1]) & (time_ns[1:] - time_ns[:-1] <= within_ns[1:])
        for column in alike:
            follows[1:] &= column[order[1:]] == column[order[:-1]]
        goes_on = table["runs"][rows] == 1
        follows[1:] &= goes_on[1:] & goes_on[:-1] & (table["shown_before"][rows[1:]] == 0)
        #: Where each begins, and how many rows it has. Shape (r,).
        self.start = np.flatnonzero(~follows)
        self.size = np.diff(self.start, append=len(rows))
        self._run = np.repeat(np.arange(len(self.start)), self.size)
        latest_ns, last_begin = np.full(len(loopback), EARLIEST_NS), np.zeros(len(loopback), np.int64)
        np.maximum.at(latest_ns, own, time_ns)
        begins = ~follows & goes_on
        np.maximum.at(last_begin, own[begins], rows[begins])
        stop = self.start + self.size
        is_over = (time_ns + within_ns)[stop - 1] < latest_ns[own[stop - 1]]
        is_last = stop[self._run] - np.arange(len(rows)) <= MOST_COPIES
        #: Rows of which one may be the last datagram that is no copy, however often each is shown; of the others none.
        self._last = is_last & goes_on & (~is_over[self._run] | (rows >= last_begin[own]))

    def going(self, may: Mask) -> Mask:
        """Mark the rows that are folded, of those that may be: of each run the first ones. Shape (n,)."""
        going = np.zeros(len(may), np.bool_)
        going[self.rows] = may[self.rows] & ~self._last
        return going

    def folded(self, table: KeptDatagrams, going: Mask, is_directed: Mask) -> tuple[KeptDatagrams, Rows]:
        """Return rows that stand for those that go, and the rows in the place of which they come."""
        rows, payload, goes = self.rows, table["payload_octets"], going[self.rows]
        count = np.add.reduceat(goes.astype(np.int64), self.start) if len(rows) else self.start
        some = np.flatnonzero(count)
        # In each run the first rows go, into the last of them.
        last = rows[self.start[some] + count[some] - 1]
        columns = table.take(last).columns
        columns["shown_before"] = count[some] - 1 + table["shown_before"][rows[self.start[some]]]
        for name, own in (
            ("folded_directed", is_directed),
            ("folded_directed_octets", is_directed * payload),
            ("folded_elsewhere", 0),
        ):
            total = np.where(goes, (table[name] + own)[rows], 0)
            columns[name] = np.add.reduceat(total, self.start)[some] if len(rows) else total
        return _together(KeptDatagrams(columns), count[some] == self.size[some], last)


def _together(runs: KeptDatagrams, is_over: Mask, place: Rows) -> tuple[KeptDatagrams, Rows]:
    """Let one row stand for all runs that are over, alike for whoever tells copies; return also the place of each."""
    keys, from_higher = keys_of(runs)
    end = 2 * Conversations().number(keys) + from_higher
    alike = np.stack([
        end, runs["capture"], runs["shown_before"], runs["ip_id"] != 0, runs["packet_type"] == PACKET_TYPE_UNKNOWN,
        np.where(is_over, -1, place),
    ])  # fmt: skip
    order = np.lexsort(alike)
    begins = np.flatnonzero(np.append(True, (np.diff(alike[:, order]) != 0).any(axis=0))[: len(order)])
    last = order[np.append(begins[1:], len(order)) - 1] if len(order) else order
    columns = runs.take(last).columns
    for name in ("runs", *FOLDED[1:]):
        columns[name] = np.add.reduceat(runs[name][order], begins) if len(order) else runs[name]
    octets = np.add.reduceat(runs.octets[order], begins) if len(order) else runs.octets
    columns["folded_octets"] = octets - columns["payload_octets"]
    return KeptDatagrams(columns), place[last]
