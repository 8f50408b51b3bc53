"""Tells the copies among the UDP datagrams of a run, also among those that were folded.

In: `KeptDatagrams`. Out: `DatagramCounts`, how many datagrams each row stands for, without copies.

Whether a capture shows an exchange twice is told by all of its datagrams. So what is folded is not judged: a *run* of
equal datagrams within the time in which copies come is one datagram, or several, and all that the judgement asks is how
often it was shown, and whether it has an identification. Runs that are over and equal in that are counted in one row.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields
from typing import ClassVar

import numpy as np
from numpy.typing import DTypeLike

from handshake_inspect.arrays import Column, Mask, Rows
from handshake_inspect.capture.order import INTERFACES_NS
from handshake_inspect.connections.copies.copies import find_all_copies, shown_each
from handshake_inspect.connections.copies.packets import ELSEWHERE, ONE_BY_ONE, Packets, in_capture
from handshake_inspect.plain import mutable
from handshake_inspect.sets import first_of_runs
from handshake_inspect.table import DatagramTable

#: Datagrams of an exchange from which on their sixteen bits of identification may be there another time.
IDS_REPEAT = 1 << 12

#: What the copy of a datagram has in common with it.
SAME_DATAGRAM = ("ip_id", "payload_octets", "from_higher", "conversation")
#: What a search for copies looks at, besides conversations and directions.
LOOKED_AT = ("ip_id", "payload_octets", "capture", "time_ns", "packet_type")


class KeptDatagrams(DatagramTable):
    """UDP datagrams, when they came, and what was folded into each of them."""

    DTYPES: ClassVar[Mapping[str, DTypeLike]] = {
        **DatagramTable.DTYPES,
        "heard_ns": np.int64,  # by the time of the run
        # A row is the last one so far of its run; or it stands for several runs that are over, equal in what follows;
        # or for none, if it stays only to say when and where an end began.
        "runs": np.int64,
        "shown_before": np.int64,  # of each of these runs, how often before this row
        "folded_octets": np.int64,  # of the other runs, of a datagram each
        # Of these datagrams, those that the link layer tells to be copies; and besides them, those of other captures.
        "folded_directed": np.int64,
        "folded_directed_octets": np.int64,
        "folded_elsewhere": np.int64,
    }

    @classmethod
    def of(cls, table: DatagramTable, heard_ns: int = 0) -> KeptDatagrams:
        """Return the datagrams of a table: into them nothing is folded, and they came at `heard_ns`, unless it says."""
        nothing = {name: np.zeros(len(table), np.int64) for name in cls.DTYPES if name not in table.columns}
        alone = {"heard_ns": np.full(len(table), heard_ns), "runs": np.ones(len(table), np.int64)}
        return cls({**nothing, **alone, **table.columns})

    @property
    def shown(self) -> Rows:
        """How many datagrams each row stands for, copies among them."""
        shown: Rows = self["runs"] * (1 + self["shown_before"])
        return shown

    @property
    def octets(self) -> Rows:
        """Payload of one datagram of each run that a row stands for."""
        octets: Rows = np.where(self["runs"] > 0, self["payload_octets"] + self["folded_octets"], 0)
        return octets


@mutable
class DatagramCounts:
    """What rows of datagrams stand for. Arrays of shape (n,)."""

    #: Is this very datagram a copy, here or in another capture, of one that another row stands for?
    is_copy: Mask
    is_directed: Mask
    is_elsewhere: Mask
    #: Datagrams, without copies, and their payload; and copies.
    datagrams: Rows
    octets: Rows
    copies: Rows

    def of(self, rows: Rows) -> DatagramCounts:
        """Return it of some rows."""
        return DatagramCounts(**{one.name: getattr(self, one.name)[rows] for one in fields(self)})


def told(
    table: KeptDatagrams, numbers: Rows, from_higher: Column, loopback: Mask, lanes: Rows | None = None
) -> DatagramCounts:
    """Say what each row stands for; `numbers` are the conversations.

    `lanes`: a number for each capture, equal for those that follow each other; None if that is not known.
    """
    stretch, conversation = _stretches(table, numbers, len(loopback))
    order = np.argsort(stretch, kind="stable")
    columns = {name: table[name] for name in LOOKED_AT} | {"conversation": stretch, "from_higher": from_higher}
    nothing = np.zeros(len(order), np.int64)
    packets = Packets(
        columns={name: column[order] for name, column in columns.items()},
        same=SAME_DATAGRAM,
        identified=table["ip_id"][order] != 0,
        weighty=np.zeros(len(order), np.bool_),
        loopback=loopback[conversation],
        stands_for=table["runs"][order],
        taken_out=nothing,
        elsewhere=nothing,
        shown_each=np.where(table["folded_directed"][order] > 0, ONE_BY_ONE, 0).astype(np.uint8),
        lanes=lanes,
        recurs=table["ip_id"][order] == 0,
        shown_before=table["shown_before"][order],
    )
    copies = find_all_copies(packets)
    kind, each = np.full(len(order), -1), np.empty(len(order), np.int64)
    kind[order[copies.copy]] = copies.kind
    each[order] = shown_each(packets, copies)
    return _told(table, kind, each)


def _told(table: KeptDatagrams, kind: Rows, each: Rows) -> DatagramCounts:
    """Count; `kind` is that of the copy which a row is, or -1, and `each` how often its capture shows a datagram."""
    is_copy, one_by_one = kind >= 0, each == ONE_BY_ONE
    # The first of a run, and then every so manieth, is no copy.
    times = 1 + np.where(one_by_one, table["shown_before"], table["shown_before"] // np.maximum(each, 1))
    datagrams = np.where(is_copy, 0, table["runs"] * times) - np.where(one_by_one, table["folded_directed"], 0)
    octets = np.where(is_copy, 0, table.octets * times) - np.where(one_by_one, table["folded_directed_octets"], 0)
    is_elsewhere = kind == ELSEWHERE
    return DatagramCounts(
        is_copy,
        is_copy & one_by_one & ~is_elsewhere,
        is_elsewhere,
        datagrams,
        octets,
        table.shown - datagrams + table["folded_elsewhere"],
    )


def shared(table: KeptDatagrams, numbers: Rows, conversations: int) -> Mask:
    """Mark the rows of stretches that several captures show, which they may have copies of. Shape (n,)."""
    stretch, _ = _stretches(table, numbers, conversations)
    order = np.argsort(stretch, kind="stable")
    begin = first_of_runs(stretch[order])
    found = np.zeros(len(order), np.bool_)
    if len(order):
        capture = table["capture"][order]
        several = np.minimum.reduceat(capture, begin) != np.maximum.reduceat(capture, begin)
        found[order] = np.repeat(several, np.diff(begin, append=len(order)))
    return found


def misjudged(table: KeptDatagrams, numbers: Rows, conversations: int) -> bool:
    """Was an exchange folded of which another capture has a part, as its datagrams show later?"""
    if not len(table) or (table["capture"] == table["capture"][0]).all():
        return False
    folded = (table["runs"] != 1) | (table["shown_before"] > 0)
    return bool((shared(table, numbers, conversations) & folded).any())


def _stretches(table: KeptDatagrams, numbers: Rows, conversations: int) -> tuple[Rows, Rows]:
    """Number the stretches of conversations that several captures may show; return that of each row, and whose each is.

    Nothing but 16 bits tells a datagram from others of its size, and whoever sends many has soon used all of them. So
    captures of a long exchange show the same only if they show it at the same time: those that follow each other, as
    the files of a rotation do, show different stretches of it.
    """
    stretch, conversation = numbers.copy(), list(range(conversations))
    size = np.bincount(numbers, table.shown)
    long = np.flatnonzero((size >= IDS_REPEAT)[numbers])
    if (table["capture"][long] == table["capture"][long[:1]]).all():
        return stretch, np.array(conversation, np.int64)
    order = np.lexsort((table["time_ns"][long], table["capture"][long], numbers[long]))
    long = long[order]
    scene, time_ns = in_capture(numbers[long], table["capture"][long]), table["time_ns"][long]
    begin = first_of_runs(scene)
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
