"""Selective acknowledgment: the blocks of the SACK option (RFC 2018 §3), and octets that came twice (RFC 2883 §4).

In: the option list of a header. Out: the edges that it names. A list that breaks off says nothing of its blocks.
"""

from __future__ import annotations

from functools import lru_cache
from struct import iter_unpack

from handshake_inspect.tcp.options import LENGTHS, SACK, is_cut, walk

#: The left edge of a block, its first number, and its right edge, the number behind its last one.
Edges = tuple[int, int]


@lru_cache(maxsize=1 << 12)
def edges_in(octets: bytes) -> tuple[Edges, ...] | None:
    """Return the blocks that an option list names; None if it has some, or may have, of which the capture has not all.

    Zeros stand where blocks were left out (`table.OptionLists`): a block is never empty.
    """
    value = next((value for kind, value in walk(octets) if kind == SACK), None)
    if value is None:
        return None if is_cut(octets) else ()
    if len(value) + 2 not in LENGTHS[SACK]:
        return ()
    blocks = tuple(iter_unpack(">II", value))
    return blocks if any(value) else None


def leaves_out_blocks(octets: bytes) -> bool:
    """Has an option list zeros instead of the blocks that were captured?"""
    return any(kind == SACK and len(value) + 2 in LENGTHS[SACK] and not any(value) for kind, value in walk(octets))


def reports_duplicate(first: Edges, second: Edges | None, ack: int) -> bool:
    """Does the first block report octets that came twice, and not what lies behind a gap?

    It does if it is acknowledged, or a part of the second block (RFC 2883 §4.1, §4.2). All numbers are unwrapped.
    """
    if first[1] <= ack:
        return True
    return second is not None and second[0] <= first[0] and first[1] <= second[1]
