"""A part -> pieces, by conversation.

In: a `Part` and its `Renumbering`. Out: a `Piece`, the rows of the conversations whose keys fall into it by hash, so
that a conversation is in the same piece of every part.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from handshake_inspect.connections.splitting.split import StoredRows
from handshake_inspect.pairs import KeyTable, hash_of
from handshake_inspect.renumbering import Renumbering
from handshake_inspect.spread.part import Part

#: Differs from the salt of the hash tables of keys, so that the keys of a piece do not collide there.
SALT = 101


@dataclass
class Piece:
    """Some conversations of a part, with the numbers of the run."""

    #: Rows by conversation and capture order.
    rows: StoredRows
    #: Key of each conversation, the time of its first appearance in the part, and its rank of appearance.
    keys: KeyTable
    appeared_ns: NDArray[np.int64]
    appeared_as: NDArray[np.int64]


def shared(keys: KeyTable, pieces: int) -> NDArray[np.int64]:
    """Return the index of the piece of each conversation. The keys have name numbers of the run."""
    return (hash_of(keys, SALT) % np.uint64(pieces)).astype(np.int64)


def piece_of(part: Part, numbers: Renumbering, pieces: int, which: int) -> Piece:
    """Return piece `which` of `pieces` of a part."""
    keys = numbers.of(part.keys)
    conversation = part.rows["conversation"]
    rows = part.rows.take((shared(keys, pieces) == which)[conversation])
    present, own = np.unique(rows["conversation"], return_inverse=True)
    rows = StoredRows(numbers.of(rows).columns | {"conversation": own})
    return Piece(rows, keys.take(present), part.appeared_ns[present], present.astype(np.int64))
