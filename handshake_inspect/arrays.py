"""Names for arrays by their contents, so that a signature says more than their dtype."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

#: A column of a table.
Column = NDArray[Any]
#: Numbers of rows, or a column of other whole numbers: times, counts, sequence numbers once they are relative.
Rows = NDArray[np.int64]
#: Which rows: a claim about each.
Mask = NDArray[np.bool_]

NO_ROWS: Rows = np.zeros(0, np.int64)
