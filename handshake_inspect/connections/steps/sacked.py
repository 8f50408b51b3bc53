"""Reads the blocks of SACK options: octets received beyond a gap, or received twice (RFC 2018, RFC 2883).

In: the `ConnectionRows` of some whole connections, and the option lists of the run. Out: the blocks of each row that
has some, with the blocks that name octets received twice marked.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Self

import numpy as np

from handshake_inspect.arrays import Rows
from handshake_inspect.connections.connection import SackBlock
from handshake_inspect.connections.splitting.rows import ACK, RST, SYN, ConnectionRows
from handshake_inspect.plain import frozen
from handshake_inspect.tcp.sack import edges_in, reports_duplicate
from handshake_inspect.tcp.seqnum import MODULUS

#: The blocks of a row, in the order of the option; None if the capture does not contain them.
Blocks = tuple[SackBlock, ...] | None


def sack_blocks(rows: ConnectionRows, lists: Sequence[bytes]) -> dict[int, Blocks]:
    """Return the blocks of the rows that have some, by row; `lists` are the option lists by number."""
    acks = (rows.flags & (SYN | RST | ACK)) == ACK
    at = np.flatnonzero((rows.options != 0) & acks)
    iss = rows.iss[rows.conn[at], rows.peer_side[at]]
    found: dict[int, Blocks] = {}
    for row, options, ack, begin in zip(
        at.tolist(), rows.options[at].tolist(), rows.ack[at].tolist(), iss.tolist(), strict=True
    ):
        edges = edges_in(lists[options])
        found[row] = None if edges is None else _relative(edges, ack, (begin + ack) % MODULUS)
    return found


def _relative(edges: Sequence[tuple[int, int]], ack: int, absolute_ack: int) -> tuple[SackBlock, ...]:
    """Make edges relative as SEG.ACK is: each is less than half of all numbers away from it (RFC 9293 §3.4)."""
    half = MODULUS // 2
    blocks = [tuple(ack + (edge - absolute_ack + half) % MODULUS - half for edge in block) for block in edges]
    pairs = [(left, right) for left, right in blocks]
    second = pairs[1] if len(pairs) > 1 else None
    return tuple(
        SackBlock(left, right, is_duplicate=not place and reports_duplicate(pairs[0], second, ack))
        for place, (left, right) in enumerate(pairs)
    )


@frozen
class Sacked:
    """The blocks of many rows: row, left edge, right edge of each. Shape (k, 3), rows rising."""

    #: Blocks of octets received beyond a gap, and of octets received twice.
    beyond: Rows
    twice: Rows

    @classmethod
    def of(cls, blocks: Mapping[int, Blocks]) -> Self:
        """Sort blocks by row into these two arrays."""

        def edges(*, twice: bool) -> Rows:
            named = [
                (row, one.left_edge, one.right_edge)
                for row, some in blocks.items()
                for one in some or ()
                if one.is_duplicate is twice
            ]
            return np.array(named, np.int64).reshape(-1, 3)

        return cls(edges(twice=False), edges(twice=True))


def within(edges: Rows, rows: ConnectionRows, side: int, begin: int, end: int) -> Rows:
    """Return the blocks among `edges` that one side sent in the rows from `begin` to before `end`."""
    some = edges[slice(*np.searchsorted(edges[:, 0], [begin, end]).tolist())]
    own: Rows = some[rows.side[some[:, 0]] == side]
    return own
