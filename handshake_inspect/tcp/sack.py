"""Selective acknowledgment: the blocks of the SACK option (RFC 2018 §3), and duplicate octets (RFC 2883 §4).

In: the option list of a header. Out: the edges of its blocks; None for a truncated list.
"""

from __future__ import annotations

from functools import lru_cache
from struct import iter_unpack

from handshake_inspect.tcp.options import LENGTHS, SACK, is_cut, walk

#: The left edge of a block, its first sequence number, and its right edge, the number after its last one.
Edges = tuple[int, int]


@lru_cache(maxsize=1 << 12)
def edges_in(octets: bytes) -> tuple[Edges, ...] | None:
    """Return the blocks in an option list; None if the capture does not have, or may not have, all of them.

    Blocks that were left out are zeros (`table.OptionLists`): a real block is never empty.
    """
    value = next((value for kind, value in walk(octets) if kind == SACK), None)
    if value is None:
        return None if is_cut(octets) else ()
    if len(value) + 2 not in LENGTHS[SACK]:
        return ()
    blocks = tuple(iter_unpack(">II", value))
    return blocks if any(value) else None


def leaves_out_blocks(octets: bytes) -> bool:
    """Does an option list have zeros instead of its captured blocks?"""
    return any(kind == SACK and len(value) + 2 in LENGTHS[SACK] and not any(value) for kind, value in walk(octets))


def reports_duplicate(first: Edges, second: Edges | None, ack: int) -> bool:
    """Does the first block report duplicate octets, and not octets beyond a gap?

    It does if it is acknowledged, or part of the second block (RFC 2883 §4.1, §4.2). All numbers are unwrapped.
    """
    if first[1] <= ack:
        return True
    return second is not None and second[0] <= first[0] and first[1] <= second[1]
