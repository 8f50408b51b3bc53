"""Sets of numbers, as sorted arrays.

`np.unique` of nothing but values, and what calls it, looks for them in a table of hashes: 4 to 6 ms for 30,000 of them,
2 s for a million, where to sort them takes 0.2 to 0.9 and 40 ms. And it imports `numpy.ma`, to ask whether they are
masked: 12 ms, a twentieth of what it takes to read a small capture.
"""

from __future__ import annotations

from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

T = TypeVar("T", bound=np.generic)


def set_of(*values: NDArray[T]) -> NDArray[T]:
    """Return the distinct values of these arrays, rising."""
    ordered = np.sort(values[0] if len(values) == 1 else np.concatenate(values))
    return ordered[first_places(ordered)]


def first_places(rising: NDArray[T]) -> NDArray[np.int64]:
    """Return the place of the first of each of the distinct values of an array that rises."""
    is_first = np.ones(len(rising), np.bool_)
    is_first[1:] = rising[1:] != rising[:-1]
    return np.flatnonzero(is_first)


def numbered(values: NDArray[T]) -> tuple[NDArray[T], NDArray[np.int64]]:
    """Return the distinct values of an array, rising, and which of them each value is.

    Of 11,000 values, 15 of them distinct, in 0.2 ms, where `np.unique` takes 0.8.
    """
    if (values == values[:1]).all():  # a million of one kind
        return values[:1], np.zeros(len(values), np.int64)
    distinct = set_of(values)
    return distinct, np.searchsorted(distinct, values)


def without(values: NDArray[T], others: NDArray[Any]) -> NDArray[T]:
    """Return the distinct values that are not among others, rising."""
    mine = set_of(values)
    return mine[np.isin(mine, set_of(others), assume_unique=True, invert=True)]


def both(values: NDArray[T], others: NDArray[Any]) -> NDArray[T]:
    """Return the distinct values that are among others too, rising."""
    mine = set_of(values)
    return mine[np.isin(mine, set_of(others), assume_unique=True)]
