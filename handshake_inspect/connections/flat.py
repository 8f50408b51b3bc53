"""The flat columns of the contract (csv), a block of connections at a time.

In: `Connections`. Out: cells as text, without an object per connection: with a million connections those would cost
more than the analysis. An empty cell is what the capture cannot tell. Only the name of a capture may hold a character
that a format must quote: all other cells are numbers, addresses and words of the contract.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from handshake_inspect.connections.answers import NONE
from handshake_inspect.connections.conversations import address
from handshake_inspect.connections.kinds import Judgement
from handshake_inspect.connections.model import BLOCK_CONNECTIONS, Connections

#: Names and order of the cells.
FLAT_COLUMNS = (
    "stream", "capture", "originator_ip", "originator_port", "responder_ip", "responder_port", "first_ns", "last_ns",
    "segments_originator", "segments_responder", "octets_originator", "octets_responder", "missing_octets_originator",
    "missing_octets_responder", "handshake", "teardown", "closed_first", "reset_by", "states_originator",
    "states_responder", "initial_rtt_ns", "conn_state", "history", "completeness", "findings",
)  # fmt: skip

Cells = list[str]


def flat_rows(
    connections: Connections, streams: NDArray[np.int64], captures: list[str]
) -> Iterator[Iterator[tuple[str, ...]]]:
    """Yield, in blocks, the cells of each stream in the order of `FLAT_COLUMNS`. `captures`: what to call them."""
    shared = [_shared(judgement) for judgement in connections.verdicts.judgements]
    for a in range(0, len(streams), BLOCK_CONNECTIONS):
        some = streams[a : a + BLOCK_CONNECTIONS]
        rows = connections.rows_of(some)
        columns = _columns(connections, rows, shared)
        columns["capture"] = [captures[number] for number in connections.verdicts.table["first_capture"][rows].tolist()]
        columns["stream"] = _numbers(some)
        yield zip(*(columns[name] for name in FLAT_COLUMNS), strict=True)


def _shared(judgement: Judgement) -> tuple[str, ...]:
    """Cells that all connections of one shape have in common: handshake to states_responder."""
    return (
        judgement.handshake_kind,
        judgement.teardown_kind,
        judgement.closed_first or "",
        judgement.reset_by or "",
        *(">".join(states or ()) for states in judgement.states),
    )


def _columns(connections: Connections, rows: NDArray[np.int64], shared: list[tuple[str, ...]]) -> dict[str, Cells]:
    table, words = connections.verdicts.table, connections.verdicts.words
    columns: dict[str, Cells] = {
        "first_ns": _numbers(table["first_ns"][rows]),
        "last_ns": _numbers(table["last_ns"][rows]),
        "initial_rtt_ns": _known(table["initial_rtt_ns"][rows]),
        "conn_state": [words[number] for number in table["conn_state"][rows].tolist()],
        "history": [words[number] for number in table["history"][rows].tolist()],
        "completeness": _numbers(table["completeness"][rows]),
        "findings": connections.findings.code_words(rows),
    }
    for end, suffix in (("originator", "o"), ("responder", "r")):
        columns[f"segments_{end}"] = _numbers(table[f"segments_{suffix}"][rows])
        columns[f"octets_{end}"] = _numbers(table[f"octets_{suffix}"][rows])
        columns[f"missing_octets_{end}"] = _known(table[f"missing_octets_{suffix}"][rows])
    behaviour = zip(*(shared[number] for number in table["judgement"][rows].tolist()), strict=True)
    names = ("handshake", "teardown", "closed_first", "reset_by", "states_originator", "states_responder")
    columns |= {name: list(cells) for name, cells in zip(names, behaviour, strict=True)}
    return columns | sockets(connections, rows)


def _numbers(values: NDArray[np.int64]) -> Cells:
    return list(map(str, values.tolist()))


def _known(values: NDArray[np.int64]) -> Cells:
    return ["" if value == NONE else str(value) for value in values.tolist()]


def sockets(connections: Connections, rows: NDArray[np.int64]) -> dict[str, Cells]:
    """Return `originator_ip`, `originator_port`, `responder_ip` and `responder_port` of these rows of the verdicts."""
    table, keys = connections.verdicts.table, connections.keys
    conversation = table["conversation"][rows]
    higher_asks = table["originator_is_higher"][rows] != 0
    version = keys["ip_version"][conversation].tolist()
    columns = {}
    for end, is_higher in (("originator", higher_asks), ("responder", ~higher_asks)):
        upper, lower, port = (
            np.where(is_higher, keys[f"higher_{part}"][conversation], keys[f"lower_{part}"][conversation])
            for part in ("hi", "lo", "port")
        )
        columns[f"{end}_ip"] = list(map(address, version, upper.tolist(), lower.tolist()))
        columns[f"{end}_port"] = _numbers(port)
    return columns
