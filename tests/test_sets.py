"""Sets as sorted arrays, against those of Python."""

from __future__ import annotations

from typing import Literal

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from handshake_inspect.sets import (
    MANY,
    begins_run,
    both,
    consecutive,
    count_to,
    first_of_equal,
    first_of_runs,
    in_order,
    numbered,
    places_in,
    ranked,
    set_of,
    without,
)

VALUES = st.lists(st.integers(-9, 9))


@given(VALUES, VALUES)
def test_sets_are_those_of_python(one: list[int], other: list[int]) -> None:
    left, right = np.array(one, np.int64), np.array(other, np.int64)
    assert set_of(left).tolist() == sorted({*one})
    assert set_of(left, right).tolist() == sorted({*one, *other})
    assert without(left, right).tolist() == sorted({*one} - {*other})
    assert both(left, right).tolist() == sorted({*one} & {*other})


@given(VALUES)
def test_the_first_of_each_value_has_its_place(values: list[int]) -> None:
    rising = sorted(values)
    assert first_of_runs(np.array(rising, np.int64)).tolist() == [rising.index(value) for value in sorted({*values})]


@given(st.lists(st.tuples(st.integers(0, 2), st.integers(0, 2))))
def test_a_run_begins_where_a_row_differs_from_the_one_before(rows: list[tuple[int, int]]) -> None:
    columns = np.array(rows, np.int64).reshape(-1, 2).T
    begins = [number == 0 or rows[number - 1] != row for number, row in enumerate(rows)]
    assert begins_run(*columns).tolist() == begins
    assert first_of_runs(*columns).tolist() == [number for number, begin in enumerate(begins) if begin]


@given(VALUES)
def test_values_are_numbered_as_numpy_numbers_them(values: list[int]) -> None:
    distinct, which = numbered(np.array(values, np.int64))
    expected = np.unique(np.array(values, np.int64), return_inverse=True)
    assert distinct.tolist() == expected[0].tolist()
    assert which.tolist() == expected[1].tolist()


@given(st.lists(st.integers(0, 9) | st.integers(0, (1 << 63) - 1)))
def test_the_order_is_that_of_a_stable_sort(values: list[int]) -> None:
    array = np.array(values, np.int64)
    assert in_order(array).tolist() == np.argsort(array, kind="stable").tolist()
    assert first_of_equal(array).tolist() == [values.index(value) for value in sorted({*values})]


@given(st.sets(st.integers(0, 39)), st.lists(st.integers(-1, 39)))
def test_rows_are_counted_as_numpy_searches_them(counted: set[int], rows: list[int]) -> None:
    rising, asked = np.array(sorted(counted), np.int64), np.array(rows, np.int64)
    assert count_to(rising, asked, 40).tolist() == np.searchsorted(rising, asked, "right").tolist()


@given(st.lists(st.tuples(st.integers(0, 9), st.integers(0, 4))))
def test_consecutive_numbers_begin_where_each_says(runs: list[tuple[int, int]]) -> None:
    first, count = np.array(runs, np.int64).reshape(-1, 2).T
    assert consecutive(first, count).tolist() == [n for first, count in runs for n in range(first, first + count)]
    assert consecutive(0, count).tolist() == [n for _, count in runs for n in range(count)]


@given(st.lists(st.integers(-(2**60), 2**60)), st.lists(st.integers(-9, 9)))
def test_ranks_are_places_in_the_set(one: list[int], other: list[int]) -> None:
    (ranks, others), count = ranked(np.array(one, np.int64), np.array(other, np.int64))
    distinct = sorted({*one, *other})
    assert (ranks.tolist(), others.tolist()) == ([*map(distinct.index, one)], [*map(distinct.index, other)])
    assert count == len(distinct)


@pytest.mark.parametrize("side", ["left", "right"])
@pytest.mark.parametrize("most", [1 << 8, 1 << 40, 1 << 62])
def test_many_values_have_the_same_places_as_few(most: int, side: Literal["left", "right"]) -> None:
    random = np.random.default_rng(3)
    rising, values = (random.integers(-most, most, MANY + 5) for _ in range(2))
    rising.sort()
    assert (places_in(rising, values, side) == np.searchsorted(rising, values, side)).all()
    assert (places_in(rising, values[:9], side) == np.searchsorted(rising, values[:9], side)).all()
