"""Connections as JSON, an object a line, from columns: a block of connections at a time.

In: `Connections`. Out: blocks of text in UTF-8. The part that connections of one shape share is made once for each
shape by `contract` (see `json_forms`); this module spells the values that differ, by their paths. Rare connections are
made as objects of their own: those with many RSTs or findings, with ICMP errors, with a TIME-WAIT that was restarted or
reused, and those in several captures.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

from handshake_inspect.arrays import Mask
from handshake_inspect.cells import Cells, Integers, Utf8, addresses, beside, lines, numbers, where, words
from handshake_inspect.connections.deciding.answers import NONE
from handshake_inspect.connections.flat import sockets
from handshake_inspect.connections.model import BLOCK_CONNECTIONS, Connections, syn_options
from handshake_inspect.views.contract import Json, connection_object, syn_options_object
from handshake_inspect.views.json_forms import Forms, encode
from handshake_inspect.views.json_lists import LISTS, ListCells

#: Paths of the contract that are equal in all connections of one judgement.
OF_JUDGEMENT = {
    "protocol", "handshake.kind", "handshake.complete", "handshake.missing", "handshake.fast_open", "teardown.kind",
    "teardown.complete", "teardown.missing", "teardown.closed_first", "teardown.reset_by", "states.originator",
    "states.responder",
}  # fmt: skip


def _of_both_ends(*names: str) -> dict[str, str]:
    return {f"{name}.{end}": f"{name}_{end[0]}" for name in names for end in ("originator", "responder")}


#: Columns of the `VerdictTable` by their paths, and those of them that are null where the capture cannot tell.
COLUMNS = {
    "first_frame": "first_frame", "last_frame": "last_frame", "first_ns": "first_ns", "last_ns": "last_ns",
    "duplicates": "duplicates", "completeness": "completeness",
    "handshake.syn_retransmissions": "syn_retransmissions",
    "handshake.syn_ack_retransmissions": "syn_ack_retransmissions",
    "teardown.fin_retransmissions": "fin_retransmissions",
    **_of_both_ends("segments", "octets"),
}  # fmt: skip
COLUMNS_OR_NULL = {
    "handshake.syn_to_syn_ack_ns": "syn_to_syn_ack_ns", "handshake.syn_ack_to_ack_ns": "syn_ack_to_ack_ns",
    "handshake.initial_rtt_ns": "initial_rtt_ns", "teardown.half_closed_ns": "half_closed_ns",
    **_of_both_ends("sent_octets", "missing_octets"),
}  # fmt: skip


def connection_lines(connections: Connections, streams: NDArray[np.int64]) -> Iterator[Utf8]:
    """Yield one JSON object for each stream, each a line, some at a time."""
    lists = [kind(connections) for kind in LISTS]
    forms = Forms()
    for a in range(0, len(streams), BLOCK_CONNECTIONS):
        yield _block(connections, streams[a : a + BLOCK_CONNECTIONS], lists, forms)


def _block(connections: Connections, streams: Integers, lists: Sequence[ListCells], forms: Forms) -> Utf8:
    cells, apart = with_lists(connections, streams, lists)

    def example(line: int) -> Json:
        return connection_object(next(connections.of_streams(streams[[line]])))

    judgement = connections.verdicts.table["judgement"][connections.rows_of(streams)]
    text = lines(forms.filled(judgement, example, cells))
    if not apart.any():
        return text
    made: list[Utf8] = [*text.splitlines(keepends=True)]
    places = np.flatnonzero(apart)
    for place, connection in zip(places.tolist(), connections.of_streams(streams[places]), strict=True):
        made[place] = encode(connection_object(connection)).encode() + b"\n"
    return b"".join(made)


def with_lists(
    connections: Connections, streams: Integers, lists: Sequence[ListCells]
) -> tuple[dict[str, Cells], Mask]:
    """Return `cells_of` with these lists, and mark the rare connections that need an object of their own."""
    rows, table = connections.rows_of(streams), connections.verdicts.table
    cells = cells_of(connections, streams)
    apart: Mask = table["last_capture"][rows] != table["first_capture"][rows]
    for one in lists:
        cells[one.path], is_rare = one.cells(rows)
        apart |= is_rare
    return cells, apart


def cells_of(connections: Connections, streams: Integers) -> dict[str, Cells]:
    """Return, by path, the values that differ between connections of one judgement, except the lists of objects."""
    rows = connections.rows_of(streams)
    table, texts, names = connections.verdicts.table, connections.verdicts.words, connections.names
    sent_again = (table["syn_retransmissions"][rows] != 0) | (table["syn_ack_retransmissions"][rows] != 0)
    cells = {
        "stream": numbers(streams),
        "capture": words(connections.captures, table["first_capture"][rows], encode),
        "ip_version": numbers(connections.keys["ip_version"][table["conversation"][rows]]),
        "encapsulation": words(
            names.encapsulation.values, table["encapsulation"][rows], lambda text: encode(text.split())
        ),
        "handshake.rtt_ambiguous": words([False, True], sent_again.astype(np.intp), encode),
        "conn_state": words(texts, table["conn_state"][rows], encode),
        "history": words(texts, table["history"][rows], encode),
    }
    cells |= {path: numbers(table[name][rows]) for path, name in COLUMNS.items()}
    cells |= {path: numbers_or_null(table[name][rows]) for path, name in COLUMNS_OR_NULL.items()}
    options = [None, *names.options.values]
    for end, (address, port) in zip(("originator", "responder"), sockets(connections, rows), strict=True):
        cells[f"{end}.ip"] = beside([b'"', addresses(*address), b'"'])
        cells[f"{end}.port"] = numbers(port)
        offered = table[f"options_{end[0]}"][rows] + 1  # NONE is before all others
        cells[f"handshake.options.{end}"] = words(options, offered, _offer)
    return cells


def _offer(octets: bytes | None) -> str:
    return encode(syn_options_object(None if octets is None else syn_options(octets)))


def numbers_or_null(values: Integers) -> Cells:
    """Return numbers as JSON, with null for NONE."""
    known = values != NONE
    return where(known, numbers(values * known), b"null")
