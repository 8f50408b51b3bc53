"""A part -> pieces, by conversation.

In: a `Part` and its `Renumbering`. Out: a `Piece`, its rows of those conversations whose keys hash alike; a
conversation is in the same piece of every part.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from handshake_inspect.connections.splitting.split import StoredRows
from handshake_inspect.pairs import KeyTable, hash_of
from handshake_inspect.renumbering import Renumbering
from handshake_inspect.spread.part import Part

#: Other than those that find the numbers of keys: a piece is not to hold what collides.
SALT = 101


@dataclass
class Piece:
    """Some conversations of a part, with the numbers of the run."""

    #: By conversation and capture order.
    rows: StoredRows
    #: The key of each conversation; when it appeared in the part, and as the how manieth.
    keys: KeyTable
    appeared_ns: NDArray[np.int64]
    appeared_as: NDArray[np.int64]


def shared(keys: KeyTable, pieces: int) -> NDArray[np.int64]:
    """Return in which of so many pieces each conversation is. The keys have the numbers of the run."""
    return (hash_of(keys, SALT) % np.uint64(pieces)).astype(np.int64)


def piece_of(part: Part, numbers: Renumbering, pieces: int, which: int) -> Piece:
    """Return one of so many pieces of a part."""
    keys = numbers.of(part.keys)
    conversation = part.rows["conversation"]
    rows = part.rows.take((shared(keys, pieces) == which)[conversation])
    present, own = np.unique(rows["conversation"], return_inverse=True)
    rows = StoredRows(numbers.of(rows).columns | {"conversation": own})
    return Piece(rows, keys.take(present), part.appeared_ns[present], present.astype(np.int64))
