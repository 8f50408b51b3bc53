"""Kinds of frames that were not read, as they are told."""

from __future__ import annotations

from collections import Counter
from itertools import permutations

from handshake_inspect.inspector import Inspector
from handshake_inspect.views.remarks import remarks


def test_kinds_of_equal_count_are_told_by_name_whichever_came_first() -> None:
    """With blocks of another size they came in another order."""
    kinds = [("ARP", 2), ("truncated IPv4", 2), ("IPv6 fragment", 2), ("LLDP", 3)]
    told = set()
    for order in permutations(kinds):
        found = Inspector().result()
        found.unread = Counter(dict(order))
        told.add(tuple(remarks(found.overview)))
    (said,) = told
    assert said[0].startswith("not read: 3 LLDP, 2 ARP, 2 IPv6 fragment")
