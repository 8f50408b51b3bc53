"""The rows around some rows in their conversations: the last row of a side before, the next one, ends in between.

In: the columns of rows sorted by conversation and capture order.
"""

from __future__ import annotations

import numpy as np

from handshake_inspect.arrays import Mask, Rows
from handshake_inspect.connections.splitting.rows import ACK, FIN, RST, SYN
from handshake_inspect.sets import count_to, first_of_runs
from handshake_inspect.table import Table
from handshake_inspect.tcp.seqnum import MODULUS


class Around:
    """The rows around the SYNs of some conversations."""

    def __init__(self, stored: Table) -> None:
        conversation, self.flags = stored["conversation"], stored["flags"]
        self.side, self.octets, self.seq, self.ack = (
            stored[name].astype(np.int64) for name in ("from_higher", "payload_octets", "seq", "ack")
        )
        begins = first_of_runs(conversation)
        size = np.diff(begins, append=len(conversation))
        #: First row of the conversation of each row, and the row after its last one.
        self.first, self._behind = np.repeat(begins, size), np.repeat(begins + size, size)
        #: Count of FINs and RSTs before each row.
        self.closing = _before((self.flags & (FIN | RST)) != 0)
        refuses = self._refuses_only()
        self._refusals = [_before(refuses & (self.side == side)) for side in (0, 1)]

    def last(self, at: Rows, side: Rows, mask: Mask | bool = True) -> Rows:
        """Return the last row of a side before each row `at`, in its conversation, for which `mask` holds; else -1."""
        found = np.full(len(at), -1, np.int64)
        for one in (0, 1):
            mine = np.flatnonzero(side == one)
            rows = np.flatnonzero(mask & (self.side == one))
            found[mine] = np.append(-1, rows)[count_to(rows, at[mine] - 1, len(self.side))]
        return np.where(found >= self.first[at], found, -1)

    def next(self, at: Rows, side: Rows, mask: Mask | bool = True) -> Rows:
        """Return the first row of a side from each row `at` on, in its conversation, where `mask` holds; else -1."""
        found = np.full(len(at), -1, np.int64)
        for one in (0, 1):
            mine = np.flatnonzero(side == one)
            rows = np.flatnonzero(mask & (self.side == one))
            found[mine] = np.append(rows, len(self.side))[count_to(rows, at[mine] - 1, len(self.side))]
        return np.where(found < self._behind[at], found, -1)

    def is_alone(self, at: Rows) -> Mask:
        """Mark the rows whose other side was not captured at all."""
        from_higher = _before(self.side == 1)
        from_higher = from_higher[self._behind[at]] - from_higher[self.first[at]]
        rows = self._behind[at] - self.first[at]
        alone: Mask = from_higher == np.where(self.side[at] == 1, rows, 0)
        return alone

    def ended_between(self, a: Rows, b: Rows, side: Rows) -> Mask:
        """Mark where [a, b) has a FIN or RST, apart from RSTs of a side that ended nothing."""
        refusals = [count[b] - count[a] for count in self._refusals]
        ended: Mask = self.closing[b] - self.closing[a] != np.where(side == 1, refusals[1], refusals[0])
        return ended

    def _refuses_only(self) -> Mask:
        """Mark the RSTs with which their sender only refuses a SYN-ACK for some other SYN (Figure 8, line 5).

        It has sent only its own SYN, and stays in SYN-SENT (§3.10.7.3, first). An RST that answers an ACK without SYN
        ends a connection of its peer (Figure 9, line 5): further segments belong to another one.
        """
        flags, refuses = self.flags, np.zeros(len(self.flags), np.bool_)
        resets = np.flatnonzero((flags & (RST | ACK)) == RST)
        said = self.last(resets, self.side[resets], (flags & RST) == 0)
        heard = self.last(resets, 1 - self.side[resets])
        beyond = (self.seq[resets] - self.seq[said] - 1) % MODULUS
        only_syn = (said >= 0) & ((flags[said] & (SYN | ACK)) == SYN)
        of_other = (heard < said) | ((flags[heard] & (SYN | ACK | RST)) == SYN | ACK)
        refuses[resets] = only_syn & of_other & (beyond > self.octets[said])
        return refuses


def _before(mask: Mask) -> Rows:
    """Count the rows before each row, and before the end, for which `mask` holds. Shape (n + 1,)."""
    return np.append(0, np.cumsum(mask))
