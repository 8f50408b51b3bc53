"""Pairs of sockets: what tells them apart, and the hashes by which they are found."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from handshake_inspect.pairs import KeyTable, exchanged, hash_of


def test_the_hash_of_a_key_does_not_depend_on_the_others() -> None:
    """IPv6 beside IPv4: of the latter nothing is mixed that is 0."""
    table = KeyTable.empty(5)
    table.columns["higher_lo"][:3] = [1, 2, 3]
    table.columns["lower_lo"][:3] = [0x7F000001, 0x7F000001, 1]
    table.columns["ip_version"][:3] = 4
    table.columns["lower_hi"][4] = 1
    together = hash_of(table, 5)
    assert together.tolist() == [int(hash_of(table.take(slice(row, row + 1)), 5)[0]) for row in range(len(table))]
    assert len(set(together.tolist())) == len(table)


@pytest.mark.parametrize("dtype", [np.uint64, np.uint16])
def test_columns_are_exchanged_where_it_is_said(dtype: type[np.unsignedinteger[Any]]) -> None:
    rng = np.random.default_rng(0)
    one, other = rng.integers(0, np.iinfo(dtype).max, (2, 100), dtype, endpoint=True)
    swap = rng.random(100) < 0.5
    lower, higher = exchanged(one, other, swap)
    assert lower.dtype == higher.dtype == dtype
    assert (lower == np.where(swap, other, one)).all()
    assert (higher == np.where(swap, one, other)).all()
