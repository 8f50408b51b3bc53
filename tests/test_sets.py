"""Sets as sorted arrays, against those of Python."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from handshake_inspect.sets import both, first_places, numbered, set_of, without

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
    assert first_places(np.array(rising, np.int64)).tolist() == [rising.index(value) for value in sorted({*values})]


@given(VALUES)
def test_values_are_numbered_as_numpy_numbers_them(values: list[int]) -> None:
    distinct, which = numbered(np.array(values, np.int64))
    expected = np.unique(np.array(values, np.int64), return_inverse=True)
    assert distinct.tolist() == expected[0].tolist()
    assert which.tolist() == expected[1].tolist()
