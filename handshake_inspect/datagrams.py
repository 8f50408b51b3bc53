"""Keeps the UDP datagrams of a run, and the ICMP errors about them, until somebody asks what they were.

In: rows as they are decoded. Out: tables of what is kept: of a long exchange the datagrams in the middle are folded
into the one before of their sender that stays. Of a capture that does not end exchanges leave that have been quiet for
as long as a NAT should keep them (RFC 4787 REQ-5: two minutes at the least, five are RECOMMENDED), the quietest first.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import ClassVar

import numpy as np
from numpy.typing import DTypeLike, NDArray

from handshake_inspect.capture.order import INTERFACES_NS
from handshake_inspect.connections.conversations import Conversations
from handshake_inspect.connections.copies import shown_again
from handshake_inspect.connections.leaving import Leaving, LetGo
from handshake_inspect.connections.packets import COPY_WITHIN_NS
from handshake_inspect.connections.run_clock import RunClock
from handshake_inspect.connections.split import first_of, last_of
from handshake_inspect.pairs import keys_of
from handshake_inspect.sets import set_of
from handshake_inspect.table import Column, DatagramTable, IcmpErrorTable
from handshake_inspect.tcp.time_wait import SECOND_NS

Rows = NDArray[np.int64]
Mask = NDArray[np.bool_]

UDP = 17
QUIET_NS = 300 * SECOND_NS
#: Datagrams of an exchange that is worth folding, and how many of the latest stay.
LONG_ROWS, LATEST_ROWS = 1 << 10, 1 << 6
#: Datagrams of a capture that ends from which on it is worth to look for long exchanges.
FOLD_ROWS = 1 << 16

#: Datagrams of an exchange from which on their sixteen bits of identification may be there another time.
IDS_REPEAT = 1 << 12

#: What the copy of a datagram has in common with it.
SAME_DATAGRAM = ("ip_id", "payload_octets", "from_higher", "conversation")


class KeptDatagrams(DatagramTable):
    """UDP datagrams, when they came, and what was folded into each of them."""

    DTYPES: ClassVar[Mapping[str, DTypeLike]] = {
        **DatagramTable.DTYPES,
        "heard_ns": np.int64,  # by the time of the run
        "folded_datagrams": np.int64,  # of the same sender right behind it, without copies
        "folded_octets": np.int64,
        "folded_copies": np.int64,
    }

    @classmethod
    def of(cls, table: DatagramTable, heard_ns: int = 0) -> KeptDatagrams:
        """Return the datagrams of a table: into them nothing is folded, and they came at `heard_ns`, unless it says."""
        nothing = {name: np.zeros(len(table), np.int64) for name in cls.DTYPES if name not in table.columns}
        return cls({**nothing, "heard_ns": np.full(len(table), heard_ns), **table.columns})


class KeptErrors(IcmpErrorTable):
    """ICMP errors, and when they came."""

    DTYPES: ClassVar[Mapping[str, DTypeLike]] = {**IcmpErrorTable.DTYPES, "heard_ns": np.int64}


def copies_in(
    table: KeptDatagrams, numbers: Rows, from_higher: Column, loopback: Mask, lanes: Rows | None = None
) -> Mask:
    """Say of each datagram whether it shows another one again; `numbers` are their conversations.

    `lanes`: a number for each capture, equal for those that follow each other; None if that is not known.
    """
    stretch, conversation = _stretches(table, numbers, len(loopback))
    again = shown_again(
        table.columns | {"conversation": stretch, "from_higher": from_higher},
        SAME_DATAGRAM,
        table["ip_id"] != 0,
        loopback[conversation],
        stands_for=1 + table["folded_datagrams"],
        taken_out=table["folded_copies"],
        lanes=lanes,
        recurs=table["ip_id"] == 0,
    )
    is_copy = np.zeros(len(table), np.bool_)
    is_copy[again] = True
    return is_copy


def _stretches(table: KeptDatagrams, numbers: Rows, conversations: int) -> tuple[Rows, Rows]:
    """Number the stretches of conversations that several captures may show; return that of each row, and whose each is.

    Nothing but 16 bits tells a datagram from others of its size, and whoever sends many has soon used all of them. So
    captures of a long exchange show the same only if they show it at the same time: those that follow each other, as
    the files of a rotation do, show different stretches of it.
    """
    stretch, conversation = numbers.copy(), list(range(conversations))
    size = np.bincount(numbers, 1 + table["folded_datagrams"])
    long = np.flatnonzero((size >= IDS_REPEAT)[numbers])
    if (table["capture"][long] == table["capture"][long[:1]]).all():
        return stretch, np.array(conversation, np.int64)
    order = np.lexsort((table["time_ns"][long], table["capture"][long], numbers[long]))
    long = long[order]
    scene, time_ns = numbers[long] << 16 | table["capture"][long], table["time_ns"][long]
    begin = np.flatnonzero(np.append(True, scene[1:] != scene[:-1]))
    end = np.append(begin[1:], len(long))
    columns = (time_ns[begin], time_ns[end - 1], numbers[long[begin]], begin, end)
    current: dict[int, tuple[int, int, int]] = {}
    for first_ns, last_ns, own, a, b in sorted(zip(*(one.tolist() for one in columns), strict=True)):
        number, since_ns, until_ns = current.get(own, (own, first_ns, last_ns))
        shorter_ns = min(until_ns - since_ns, last_ns - first_ns)
        if min(until_ns, last_ns) - first_ns < min(shorter_ns // 2, INTERFACES_NS):
            number, since_ns, until_ns = len(conversation), first_ns, last_ns
            conversation.append(own)
        current[own] = number, since_ns, max(until_ns, last_ns)
        stretch[long[a:b]] = number
    return stretch, np.array(conversation, np.int64)


class Datagrams:
    """The datagrams of a run, and the ICMP errors that quote some."""

    def __init__(self, clock: RunClock, *, fold: bool = False) -> None:
        self._clock = clock
        #: Are long exchanges folded as they come? Not in a run of several captures: another one, of another clock, may
        #: show any datagram again, and whether it is a copy only all of them tell.
        self.folds_at_once = fold
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
        table = _fold(table, numbers, from_higher, conversations.loopback, self._clock.now_ns)
        self.tables, self._heard_ns, self._kept, self._since_round = [table], [0], len(table), 0

    def kept(self) -> KeptDatagrams:
        """Return all datagrams as they are kept."""
        return KeptDatagrams.concatenate(map(KeptDatagrams.of, self.tables, self._heard_ns))

    def go_on(self, leaving: Leaving, let_go: LetGo, lanes: Callable[[], Rows | None] = lambda: None) -> None:
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
        let_go.datagrams += int((1 + table["folded_datagrams"])[quiet[numbers]].sum())
        stays = ~quiet[numbers]
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
    table: KeptDatagrams, numbers: Rows, from_higher: Column, loopback: Mask, now_ns: int, lanes: Rows | None = None
) -> KeptDatagrams:
    """Fold the datagrams in the middle of long exchanges; the first and the last ones of each end stay."""
    size = np.bincount(numbers, minlength=len(loopback))
    if size.max(initial=0) < LONG_ROWS:
        return table
    is_copy = copies_in(table, numbers, from_higher, loopback, lanes)
    end = 2 * numbers + from_higher
    first, last = (of(end, ~is_copy, 2 * len(size))[end] for of in (first_of, last_of))
    place = np.arange(len(table))
    order = np.argsort(numbers, kind="stable")
    to_end = np.empty(len(table), np.int64)
    to_end[order] = np.cumsum(size)[numbers[order]] - place
    stays = (to_end <= LATEST_ROWS) | (place == first) | (place == last)
    stays &= ~is_copy
    # Copies of the latest may still come: nothing of them is folded, and nothing into them.
    stays |= (size[numbers] < LONG_ROWS) | (now_ns - table["heard_ns"] <= COPY_WITHIN_NS)
    by_end = np.argsort(end, kind="stable")
    counts = (stays & ~is_copy)[by_end]
    before: Rows = np.cumsum(counts) - 1
    folded, into = by_end[~stays[by_end]], by_end[counts][before[~stays[by_end]]]
    columns = dict(table.columns)
    for name, amount in (
        ("folded_datagrams", np.where(is_copy, 0, 1 + table["folded_datagrams"])),
        ("folded_octets", np.where(is_copy, 0, table["payload_octets"] + table["folded_octets"])),
        ("folded_copies", is_copy + table["folded_copies"]),
    ):
        columns[name] = table[name].copy()
        np.add.at(columns[name], into, amount[folded])
    return KeptDatagrams(columns).take(stays)
