from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from handshake_inspect.connections.folding.repeats import repeats


@pytest.mark.parametrize(
    ("segments", "wanted"),
    [
        ([(0, 4), (4, 8)], [False, False]),
        ([(0, 4), (0, 4)], [False, True]),
        ([(0, 4), (8, 12), (4, 8), (4, 8)], [False, False, False, True]),
        ([(0, 4), (8, 12), (6, 8), (4, 6), (0, 12)], [False, False, False, False, True]),
        ([(0, 4), (8, 12), (2, 10), (0, 12)], [False, False, False, True]),
        ([(4, 8), (0, 4), (0, 8)], [False, False, True]),  # the capture began with one that had overtaken
        ([(0, 4), (0, 8), (0, 8)], [False, False, True]),
    ],
)
def test_a_segment_that_fills_a_gap_is_no_repeat(segments: list[tuple[int, int]], wanted: list[bool]) -> None:
    seq, seq_end = np.array(segments).T
    assert repeats(np.zeros(len(seq), np.int64), seq, seq_end).tolist() == wanted


@given(st.lists(st.tuples(st.integers(0, 2), st.integers(0, 30), st.integers(1, 8)), max_size=40))
def test_it_is_what_sets_of_numbers_say(segments: list[tuple[int, int, int]]) -> None:
    captured: tuple[set[int], ...] = (set(), set(), set())
    wanted = []
    for end, seq, octets in segments:
        numbers = set(range(seq, seq + octets))
        wanted.append(numbers <= captured[end])
        captured[end].update(numbers)
    ends, first, count = np.array(segments, np.int64).reshape(-1, 3).T
    assert repeats(ends, first, first + count).tolist() == wanted


def test_the_last_of_a_million_connections_is_told_apart_too() -> None:
    last = 2 * (1 << 20) - 1
    end, seq = np.array([0, last - 1, last, last]), np.array([5, 1, 1, 1 << 41])
    assert repeats(end, seq, seq + 4).tolist() == [False] * 4
    assert repeats(np.array([last] * 2), np.array([1 << 41] * 2), np.array([(1 << 41) + 4] * 2)).tolist() == [
        False,
        True,
    ]
