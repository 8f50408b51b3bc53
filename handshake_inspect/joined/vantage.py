"""One of the two captures in columns: its connections, and all their segments.

In: an `Inspection` in which no segment was folded. Out: a `Vantage`. Numbers are relative to the initial ones of this
place; `matching` brings those of the other place onto them.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any, ClassVar

import numpy as np
from numpy.typing import DTypeLike, NDArray

from handshake_inspect.arrays import Mask, Rows
from handshake_inspect.connections.deciding.answers import VerdictTable
from handshake_inspect.connections.ledger.at_once import number_groups
from handshake_inspect.connections.splitting.rows import ConnectionRows
from handshake_inspect.inspection import Inspection
from handshake_inspect.table import Table
from handshake_inspect.tcp.options import is_cut


class SeenTable(Table):
    """Segments as one place saw them, by connection and in the order of its capture."""

    DTYPES: ClassVar[Mapping[str, DTypeLike]] = {
        "connection": np.int64,  # row of the `VerdictTable`
        "side": np.uint8,  # whose: ORIGINATOR or RESPONDER
        "time_ns": np.int64,
        "clock": np.uint16,  # how often the clock of the capture had jumped back before
        "frame": np.int64,
        "flags": np.uint16,
        "seq": np.int64,  # as in `ConnectionRows`: unwrapped, from the sender's initial number
        "ack": np.int64,  # likewise, from the receiver's
        "payload": np.int64,  # octets
        "window": np.uint16,
        "options": np.uint32,  # `Names.options` number of the option list of a SYN
        "timestamp_value": np.uint32,
        "has_timestamps": np.uint8,
        "ip_id": np.uint16,
        "ttl": np.uint8,
    }


@dataclass
class Vantage:
    """One place of capture."""

    inspection: Inspection
    seen: SeenTable
    #: Where the rows of each connection begin in `seen`; the last entry is how many there are. Shape (m + 1,).
    start: Rows
    #: Initial number of each end, whether or not a SYN proves it. Shape (m, 2).
    iss: Rows
    #: Is it proven? Shape (m, 2).
    iss_known: Mask
    #: Are the ends exchanged here, against the `VerdictTable`? Shape (m,).
    is_exchanged: Mask

    def __len__(self) -> int:
        """How many connections were seen here."""
        return len(self.table)

    @property
    def name(self) -> str:
        """The name of the capture."""
        return self.inspection.captures[0].name

    @property
    def table(self) -> VerdictTable:
        """The verdicts, one row per connection."""
        return self.inspection.connections.verdicts.table

    @cached_property
    def sockets(self) -> dict[str, NDArray[np.uint64]]:
        """Addresses, in two halves, and ports of both ends: "o_hi", "o_lo", "o_port", "r_hi" ... Shape (m,) each."""
        keys, table = self.inspection.connections.keys, self.table
        conversation = table["conversation"]
        is_higher = (table["originator_is_higher"] != 0) ^ self.is_exchanged
        found = {"ip_version": keys["ip_version"][conversation].astype(np.uint64)}
        for part in ("hi", "lo", "port"):
            lower, higher = keys[f"lower_{part}"][conversation], keys[f"higher_{part}"][conversation]
            found[f"o_{part}"] = np.where(is_higher, higher, lower).astype(np.uint64)
            found[f"r_{part}"] = np.where(is_higher, lower, higher).astype(np.uint64)
        return found

    @cached_property
    def is_cut_list(self) -> Mask:
        """Mark the option lists, by number in `Names.options`, that a snap length cut."""
        return np.array([is_cut(one) for one in self.inspection.connections.names.options.values], np.bool_)

    @property
    def cuts_options(self) -> bool:
        """Was any list cut? Then an option that is not in a list may have been sent."""
        return bool(self.is_cut_list.any())

    @cached_property
    def has_icmp_errors(self) -> Mask:
        """Mark the connections that ICMP errors quote. Shape (m,)."""
        found = np.zeros(len(self), np.bool_)
        found[self.inspection.connections.verdicts.icmp_errors["connection"]] = True
        return found

    @cached_property
    def first_ip_id(self) -> Rows:
        """IP identification of the first segment of each end, 0 if there is none. Shape (m, 2)."""
        found = np.zeros((len(self), 2), np.int64)
        backwards = slice(None, None, -1)  # the last assignment wins: the first row
        found[self.seen["connection"][backwards], self.seen["side"][backwards]] = self.seen["ip_id"][backwards]
        return found

    def exchanged(self, which: Mask) -> Vantage:
        """Exchange originator and responder of these connections. Shape (m,)."""
        side = self.seen["side"] ^ which[self.seen["connection"]]
        return Vantage(
            inspection=self.inspection,
            seen=SeenTable({**self.seen.columns, "side": side}),
            start=self.start,
            iss=np.where(which[:, None], self.iss[:, ::-1], self.iss),
            iss_known=np.where(which[:, None], self.iss_known[:, ::-1], self.iss_known),
            is_exchanged=self.is_exchanged ^ which,
        )


def vantage(inspection: Inspection) -> Vantage:
    """Collect the segments of an inspection into one table. It must have been made with `fold=False`."""
    tables, iss, known, connections = [], [], [], 0
    for rows in inspection.rows():
        tables.append(_seen(rows, connections))
        iss.append(rows.iss)
        known.append(rows.iss_known)
        connections += rows.connections
    seen = SeenTable.concatenate(tables)
    return Vantage(
        inspection=inspection,
        seen=seen,
        start=np.searchsorted(seen["connection"], np.arange(connections + 1)),
        iss=np.concatenate([np.zeros((0, 2), np.int64), *iss]),
        iss_known=np.concatenate([np.zeros((0, 2), np.bool_), *known]),
        is_exchanged=np.zeros(connections, np.bool_),
    )


def _seen(rows: ConnectionRows, connections_before: int) -> SeenTable:
    columns = {name: getattr(rows, name) for name in SeenTable.DTYPES if name != "connection"}
    return SeenTable({"connection": rows.conn + connections_before, **columns})


def numbered(columns: Iterable[NDArray[Any]]) -> Rows:
    """Number the distinct rows of columns: equal rows have equal numbers, from 0."""
    number, _ = number_groups(list(columns))
    return number
