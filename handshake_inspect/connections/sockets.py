"""The sockets of connections in columns.

In: `Connections`, which know the conversation of each, and which of its two sockets opened it. Out: `Sockets`.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from handshake_inspect.arrays import Rows
from handshake_inspect.connections.connection import Endpoint
from handshake_inspect.connections.model import Connections
from handshake_inspect.pairs import address, exchanged
from handshake_inspect.plain import mutable


def stretch(rows: Rows) -> Rows | slice:
    """Return consecutive rows as a slice, which takes a view instead of a copy."""
    if not len(rows) or int(rows[-1]) - int(rows[0]) != len(rows) - 1 or (rows[1:] - rows[:-1] != 1).any():
        return rows
    return slice(int(rows[0]), int(rows[-1]) + 1)


@mutable
class Sockets:
    """Sockets in columns. Shape (n,) each."""

    tunnel: NDArray[np.uint32]
    ip_version: NDArray[np.uint8]
    hi: NDArray[np.uint64]
    lo: NDArray[np.uint64]
    port: NDArray[np.uint16]

    @classmethod
    def of(cls, connections: Connections, rows: Rows, side: Rows) -> Sockets:
        """Return the socket of one end of each of these rows of the `VerdictTable`."""
        table, keys = connections.verdicts.table, connections.keys
        conversation = table["conversation"][rows]
        is_higher = table["originator_is_higher"][rows] != side
        parts = [
            np.where(is_higher, keys[f"higher_{part}"][conversation], keys[f"lower_{part}"][conversation])
            for part in ("hi", "lo", "port")
        ]
        return cls(keys["tunnel"][conversation], keys["ip_version"][conversation], *parts)

    @classmethod
    def of_both(cls, connections: Connections, rows: Rows | slice = slice(None)) -> tuple[Sockets, Sockets]:
        """Return the originators' and the responders' sockets of these rows, or of all."""
        table, keys = connections.verdicts.table, connections.keys
        conversation = stretch(table["conversation"][rows].astype(np.intp))
        around = keys["tunnel"][conversation], keys["ip_version"][conversation]
        lower, higher = (
            cls(*around, *(keys[f"{which}_{part}"][conversation] for part in ("hi", "lo", "port")))
            for which in ("lower", "higher")
        )
        higher_asks = table["originator_is_higher"][rows] != 0
        if not higher_asks.any():
            return lower, higher
        if higher_asks.all():
            return higher, lower
        parts = [exchanged(*columns, higher_asks) for columns in zip(lower.socket, higher.socket, strict=True)]
        originators, responders = zip(*parts, strict=True)
        return cls(*around, *originators), cls(*around, *responders)

    def take(self, rows: Rows) -> Sockets:
        """Return the sockets in these rows."""
        return Sockets(self.tunnel[rows], self.ip_version[rows], self.hi[rows], self.lo[rows], self.port[rows])

    @property
    def socket(self) -> list[NDArray[Any]]:
        """The columns that identify a socket: address and port."""
        return [self.hi, self.lo, self.port]

    @property
    def host(self) -> list[NDArray[np.generic]]:
        """The columns that identify a host."""
        return [self.lo, self.hi, self.ip_version, self.tunnel]

    def ip(self, i: int) -> str:
        """Return the address of socket `i` as text."""
        return address(int(self.ip_version[i]), int(self.hi[i]), int(self.lo[i]))

    def endpoint(self, i: int) -> Endpoint:
        """Return socket `i` as an object."""
        return Endpoint(self.ip(i), int(self.port[i]))
