"""How many intervals hold at once, against counting them one by one."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from handshake_inspect.connections.ledger import at_once as module
from handshake_inspect.connections.ledger.at_once import at_once, mixed, number_groups

GROUPS = 3
#: (group, begin, end): times are few, so that intervals touch, coincide and are empty.
INTERVALS = st.lists(st.tuples(st.integers(0, GROUPS - 1), st.integers(0, 12), st.integers(0, 12)), max_size=30)


def held(intervals: list[tuple[int, int, int]], group: int, time: int) -> int:
    return sum(of == group and begin <= time < end for of, begin, end in intervals)


@given(INTERVALS)
def test_the_peak_is_the_highest_count_at_any_moment_and_comes_first_then(
    intervals: list[tuple[int, int, int]],
) -> None:
    columns = np.array(intervals, np.int64).reshape(-1, 3).T
    found = at_once(columns[0], columns[1], columns[2], GROUPS)
    for group in range(GROUPS):
        counts = [held(intervals, group, time) for time in range(13)]
        assert found.peak[group] == max(counts)
        if max(counts):
            assert found.peak_ns[group] == counts.index(max(counts))


@given(INTERVALS, st.integers(0, 11), st.integers(1, 9), st.integers(1, 9))
def test_each_part_of_a_stretch_has_its_highest_count(
    intervals: list[tuple[int, int, int]], begin: int, length: int, bins: int
) -> None:
    columns = np.array(intervals, np.int64).reshape(-1, 3).T
    found = at_once(columns[0], columns[1], columns[2], GROUPS)
    edges = [begin + i * length // bins for i in range(bins + 1)]
    for group in range(GROUPS):
        expected = [
            max((held(intervals, group, time) for time in range(first, max(last, first + 1))), default=0)
            for first, last in pairwise(edges)
        ]
        assert found.over_time(group, begin, begin + length, bins).tolist() == expected


@pytest.mark.parametrize("bits", [64, 2, 0])
@given(pairs=st.lists(st.tuples(st.integers(0, 3), st.integers(0, 3)), max_size=20))
def test_equal_rows_have_one_number_and_others_another(bits: int, pairs: list[tuple[int, int]]) -> None:
    """Whatever their hashes are; and numbers and examples are those of the first appearance."""
    columns = np.array(pairs, np.int64).reshape(-1, 2).T

    def few(columns: list[NDArray[np.int64]]) -> NDArray[np.uint64]:
        return mixed(columns) & ~np.uint64((1 << 64 - bits) - 1)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, "mixed", few)
        number, example = number_groups([columns[0], columns[1]])
    distinct = list(dict.fromkeys(pairs))
    assert number.tolist() == [distinct.index(pair) for pair in pairs]
    assert example.tolist() == [pairs.index(pair) for pair in distinct]
