"""The numbers of all parts as those of one run, and a part -> pieces, by conversation.

In: what is `Beside` the parts. Out: `Renumbering`s, one for each part. In: a `Part` and its renumbering. Out: a
`Piece`, its rows of those conversations whose keys hash alike; a conversation is in the same piece of every part.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from handshake_inspect.connections.conversations import KeyTable, hash_of
from handshake_inspect.connections.split import StoredRows
from handshake_inspect.spread.part import Beside, Part
from handshake_inspect.table import Names, Numbered, Table, bounded_number

#: Other than those that find the numbers of keys: a piece is not to hold what collides.
SALT = 101

T = TypeVar("T", bound=Table)
Mapping = NDArray[Any]


@dataclass
class Renumbering:
    """What the numbers of a part are in the run."""

    captures: Mapping
    encapsulation: Mapping
    tunnel: Mapping
    options: Mapping

    def of(self, table: T) -> T:
        """Return a table of a part with the numbers of the run."""
        columns = dict(table.columns)
        for name, numbers in (
            ("capture", self.captures),
            ("encapsulation", self.encapsulation),
            ("tunnel", self.tunnel),
            ("options", self.options),
            ("options_elsewhere", self.options),
        ):
            if name in columns:
                columns[name] = numbers[columns[name]]
        return type(table)(columns)


def renumbering(beside: Beside, captures: Sequence[int], names: Names) -> Renumbering:
    """Number what a part names in a run: new `names` get numbers. `captures`: the numbers of its captures there."""

    def spelled(own: Numbered[str], of_run: Numbered[str]) -> Mapping:
        return np.array([bounded_number(of_run, name) for name in own.values], np.uint32)

    return Renumbering(
        captures=np.array(captures, np.uint16),
        encapsulation=spelled(beside.names.encapsulation, names.encapsulation),
        tunnel=spelled(beside.names.tunnel, names.tunnel),
        options=np.array([names.options.number(octets) for octets in beside.names.options.values], np.uint32),
    )


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
