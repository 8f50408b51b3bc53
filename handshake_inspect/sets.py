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
    return ordered[first_of_runs(ordered)]


def begins_run(*columns: NDArray[Any]) -> NDArray[np.bool_]:
    """Mark the places at which a run of equal values begins; of several columns, one of equal rows."""
    begins = np.zeros(len(columns[0]), np.bool_)
    begins[:1] = True
    for column in columns:
        begins[1:] |= column[1:] != column[:-1]
    return begins


def first_of_runs(*columns: NDArray[Any]) -> NDArray[np.int64]:
    """Return the places at which runs of equal values begin: of sorted values the first of each distinct one."""
    return np.flatnonzero(begins_run(*columns))


def in_order(values: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return the order in which numbers from 0 on rise, equal ones as they stand.

    Numbers with their places below them are sorted as they are: of 51,200 in no order in 1.1 ms, where a stable
    `np.argsort` takes 14.
    """
    bits = len(values).bit_length()
    if int(values.max(initial=0)) >> (63 - bits):
        return np.argsort(values, kind="stable")
    order: NDArray[np.int64] = np.sort(values << bits | np.arange(len(values))) & ((1 << bits) - 1)
    return order


def first_of_equal(values: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return the place of the first of each of the distinct values of an array of numbers from 0 on, by value."""
    order = in_order(values)
    return order[first_of_runs(values[order])]


def count_to(rising: NDArray[np.int64], rows: NDArray[np.int64], total: int) -> NDArray[np.int64]:
    """Return how many of the `total` rows of a table stand at or before each of some `rows`, which may be -1.

    `rising`: those that are counted, each once. Where many ask, all rows are counted through: `np.searchsorted` takes
    twice as long for 15,000 of 51,200 if these rise, and 20 times as long if they do not.
    """
    if len(rows) * 8 < total:
        return np.searchsorted(rising, rows, "right")
    counted = np.zeros(total + 1, np.uint8)
    counted[rising + 1] = 1
    return np.cumsum(counted, dtype=np.int32).take(rows + 1).astype(np.int64)


def consecutive(first: NDArray[np.int64] | int, count: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return `first`, `first + 1` ... of each, as many as its `count`; those of one behind those of the one before."""
    numbers: NDArray[np.int64] = np.repeat(first - (np.cumsum(count) - count), count)
    return numbers + np.arange(len(numbers))


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
