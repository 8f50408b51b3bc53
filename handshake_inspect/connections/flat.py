"""The flat columns of the contract, for csv and Parquet, a block of connections at a time.

In: `Connections`. Out: columns of numbers, words and addresses as in the tables, made without an object per
connection, which for a million connections would cost more than the analysis. Each format decides how values, and
those that the capture cannot tell, are spelled.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from handshake_inspect.cells import distinct
from handshake_inspect.connections.deciding.answers import NONE
from handshake_inspect.connections.model import Connections
from handshake_inspect.connections.sockets import Sockets, stretch

#: Names and order of the columns.
FLAT_COLUMNS = (
    "stream", "capture", "originator_ip", "originator_port", "responder_ip", "responder_port", "first_ns", "last_ns",
    "segments_originator", "segments_responder", "octets_originator", "octets_responder", "missing_octets_originator",
    "missing_octets_responder", "handshake", "teardown", "closed_first", "reset_by", "states_originator",
    "states_responder", "initial_rtt_ns", "conn_state", "history", "completeness", "findings",
)  # fmt: skip
#: Connections per block.
BLOCK_ROWS = 8192

Integers = NDArray[Any]


class Numbers(NamedTuple):
    """Whole numbers. Shape (n,)."""

    values: Integers
    #: Mask of the values that are known, the others are 0; None: all are known.
    known: NDArray[np.bool_] | None = None


class Words(NamedTuple):
    """Words, many of them equal: cell i is `texts[number[i]]`."""

    #: None: the capture cannot tell.
    texts: Sequence[str | None]
    number: Integers


class Lists(NamedTuple):
    """Lists of words, many of them equal: cell i is `lists[number[i]]`."""

    #: None: the capture cannot tell.
    lists: Sequence[tuple[str, ...] | None]
    number: Integers
    #: Text between the words where a list must be one text.
    separator: str


class Addresses(NamedTuple):
    """IP addresses, as two words of 64 bits each. Shape (n,)."""

    ip_version: Integers
    upper: Integers
    lower: Integers


Column = Numbers | Words | Lists | Addresses


def flat_blocks(
    connections: Connections, streams: NDArray[np.int64], block_rows: int | None = None
) -> Iterator[dict[str, Column]]:
    """Yield, in blocks, the columns of these streams, in the order of `FLAT_COLUMNS`."""
    size = block_rows or BLOCK_ROWS
    for a in range(0, len(streams), size):
        some = streams[a : a + size]
        rows = connections.rows_of(some)
        columns = _columns(connections, rows) | {"stream": Numbers(some)}
        yield {name: columns[name] for name in FLAT_COLUMNS}


def _columns(connections: Connections, rows: NDArray[np.int64]) -> dict[str, Column]:
    table, words, at = connections.verdicts.table, connections.verdicts.words, stretch(rows)
    columns: dict[str, Column] = {
        "capture": Words(connections.captures, table["first_capture"][at]),
        "first_ns": Numbers(table["first_ns"][at]),
        "last_ns": Numbers(table["last_ns"][at]),
        "initial_rtt_ns": _if_known(table["initial_rtt_ns"][at]),
        "conn_state": Words(words, table["conn_state"][at]),
        "history": Words(words, table["history"][at]),
        "completeness": Numbers(table["completeness"][at]),
        "findings": Lists(*connections.findings.code_sets(rows), separator=" "),
    }
    for end, (address, port) in zip(("originator", "responder"), sockets(connections, at), strict=True):
        columns |= {f"{end}_ip": address, f"{end}_port": Numbers(port)}
    for end, suffix in (("originator", "o"), ("responder", "r")):
        columns[f"segments_{end}"] = Numbers(table[f"segments_{suffix}"][at])
        columns[f"octets_{end}"] = Numbers(table[f"octets_{suffix}"][at])
        columns[f"missing_octets_{end}"] = _if_known(table[f"missing_octets_{suffix}"][at])
    return columns | _behaviour(connections, at)


def _behaviour(connections: Connections, rows: NDArray[np.int64] | slice) -> dict[str, Column]:
    """Return the columns that are equal for all connections of one shape."""
    occurring, number = distinct(connections.verdicts.table["judgement"][rows])
    judgements = [connections.verdicts.judgements[one] for one in occurring.tolist()]
    return {
        "handshake": Words([one.handshake_kind for one in judgements], number),
        "teardown": Words([one.teardown_kind for one in judgements], number),
        "closed_first": Words([one.closed_first for one in judgements], number),
        "reset_by": Words([one.reset_by for one in judgements], number),
        "states_originator": Lists([one.states[0] for one in judgements], number, ">"),
        "states_responder": Lists([one.states[1] for one in judgements], number, ">"),
    }


def _if_known(values: Integers) -> Numbers:
    known = values != NONE
    return Numbers(values * known, known)


def sockets(connections: Connections, rows: NDArray[np.int64] | slice) -> list[tuple[Addresses, Integers]]:
    """Return address and port of the originator, then of the responder, for these rows of the verdicts."""
    both = Sockets.of_both(connections, rows)
    return [(Addresses(sockets.ip_version, sockets.hi, sockets.lo), sockets.port) for sockets in both]
