"""A column of whole numbers in little memory: the least value, and the difference of each value from it.

The values of a block lie close together: times within a second, frames, a window that hardly changes. The differences
take 1, 2, 4 or 8 octets each, or none if all values are equal: 24 octets for a row of short connections, where full
columns take 80.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import DTypeLike

from handshake_inspect.arrays import Column, Rows
from handshake_inspect.memory import let_go

#: Types of a column, and the largest number that each holds.
WIDTHS = tuple((np.dtype(one), int(np.iinfo(one).max)) for one in (np.uint8, np.uint16, np.uint32))


def repeated(value: Any, dtype: DTypeLike, count: int) -> Column:
    """Return a read-only column of equal values in the memory of one: in a fifth of the time of `broadcast_to`."""
    return np.ndarray(count, dtype, np.array(value, dtype).tobytes(), strides=(0,))


class Narrow:
    """One column of a block, as differences from the least value."""

    __slots__ = ("_above", "_least")

    def __init__(self, values: Column, order: slice | Rows = slice(None)) -> None:
        self._least = values.min()
        span = int(values.max()) - int(self._least)
        #: Differences from the least value; None if all values are equal.
        self._above: Column | None = None
        if span:
            width = next((one for one, most in WIDTHS if span <= most), values.dtype)
            if width.itemsize >= values.dtype.itemsize:
                self._least, above = values.dtype.type(0), values.copy()
            else:
                above = (values - self._least).astype(width)
            self._above = above if isinstance(order, slice) else above.take(order)

    @property
    def is_nothing(self) -> bool:
        """Is every value 0?"""
        return self._above is None and not self._least

    def take(self, which: slice | Rows, count: int) -> Column:
        """Return the values of some rows, `count` in all."""
        if self._above is None:
            return np.full(count, self._least)
        values: Column = self._above[which].astype(self._least.dtype)
        if self._least:
            values += self._least
        return values

    def all(self, count: int) -> Column:
        """Return the values of all `count` rows, read-only, as equal values share their memory."""
        return repeated(self._least, self._least.dtype, count) if self._above is None else self.take(slice(None), count)

    def place(self, value: int, count: int) -> int:
        """Return the first index in `count` sorted values at which the value is not below `value`."""
        above = value - int(self._least)
        if above <= 0:
            return 0
        if self._above is None or above > np.iinfo(self._above.dtype).max:
            return count
        return int(np.searchsorted(self._above, self._above.dtype.type(above)))

    def only(self, which: Rows) -> Narrow:
        """Return the column of some rows."""
        less = Narrow.__new__(Narrow)
        less._least = self._least
        less._above = None if self._above is None else self._above[which]
        return less

    def let_go(self) -> None:
        """Free its memory. The values are lost."""
        if self._above is not None:
            let_go(self._above)

    @property
    def only_value(self) -> int | None:
        """The value of all rows; None if they differ."""
        return int(self._least) if self._above is None else None

    @property
    def octets(self) -> int:
        """Its memory in octets."""
        return 0 if self._above is None else self._above.nbytes
