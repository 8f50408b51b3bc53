"""What the option lists of SYNs tell: a question about lists is asked once of each distinct one, then told of all.

Most SYNs of a partition offer the same; even in a flood with another list on each SYN, there are only some dozens of
different offers (`connections.offered`).
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterator
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from handshake_inspect.arrays import Mask, Rows
from handshake_inspect.connections.deciding.answers import NONE
from handshake_inspect.findings.evidence import Evidence
from handshake_inspect.sets import in_order, numbered
from handshake_inspect.tcp.options import Options

Answer = TypeVar("Answer", bound=Hashable)
#: An answer, and the connections of which it is true.
_By = tuple[Answer, Rows]
#: The lists of the originator's SYN and of the responder's answer; None: not captured, or cut.
_Pair = tuple[Options | None, Options | None]


def option_list(e: Evidence, number: int) -> Options:
    """Return an option list by its number, parsed; without cookies and keys."""
    offered = e.decided.offered
    return offered.distinct[int(offered.which[number])]


def of_lists(e: Evidence, value: Callable[[Options], int], numbers: NDArray[Any]) -> Rows:
    """Return a value for each of these option lists, by their numbers."""
    offered = e.decided.offered
    distinct, which = numbered(offered.which.take(numbers.reshape(-1)))
    values = np.array([value(offered.distinct[one]) for one in distinct.tolist()], np.int64)
    return values[which].reshape(numbers.shape)


def is_cut(e: Evidence, numbers: NDArray[Any]) -> Mask:
    """Mark those of these option lists, by their numbers, that the capture truncated: what they lack may be there."""
    cut: Mask = e.decided.offered.is_cut[numbers]
    return cut


def by_offers(e: Evidence, answer: Callable[[Options | None, Options | None], Answer | None]) -> Iterator[_By[Answer]]:
    """Call a function for the lists of both SYNs; yield each distinct answer except None, with its connections."""
    pairs, which = e.shared(_pairs)
    numbers: dict[Answer, int] = {}
    answers = [answer(*pair) for pair in pairs]
    told = np.array([NONE if one is None else numbers.setdefault(one, len(numbers)) for one in answers], np.int64)
    if not numbers:
        return
    told = told[which]
    at = np.flatnonzero(told != NONE)
    by_answer = at if len(numbers) == 1 else at[in_order(told[at])]
    behind = np.cumsum(np.bincount(told[at]))
    yield from zip(numbers, np.split(by_answer, behind[:-1]), strict=True)


def _pairs(e: Evidence) -> tuple[list[_Pair], Rows]:
    """Return the distinct pairs of lists, and the pair of each connection. Shape (m,)."""
    offered = e.decided.offered
    told = np.append(np.where(offered.is_cut, NONE, offered.which), NONE).astype(np.int64)  # NONE of NONE too
    key = (told.take(e.table["options_o"]) + 1) << 32 | (told.take(e.table["options_r"]) + 1)
    distinct, which = numbered(key)
    ends = np.stack([distinct >> 32, distinct & 0xFFFFFFFF], axis=1) - 1
    options = (*offered.distinct, None)
    return [(options[originator], options[responder]) for originator, responder in ends.tolist()], which
