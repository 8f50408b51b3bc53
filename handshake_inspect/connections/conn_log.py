"""The columns of Zeek's conn.log as text, a block of connections at a time.

In: `Connections`. Out: columns of cells, made without an object per connection (as in `flat`). A value that the capture
cannot tell, or that this project does not examine, is `UNSET`. Rules: Zeek 7, base/protocols/conn/main.zeek. Zeek reads
whole microseconds (libpcap cuts nanoseconds off), and leaves duration and octets unset where the duration is 0.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from handshake_inspect.cells import Cells, addresses, numbers, seconds, where, words
from handshake_inspect.connections.deciding.answers import NONE
from handshake_inspect.connections.flat import BLOCK_ROWS, sockets
from handshake_inspect.connections.model import Connections
from handshake_inspect.connections.zeek.uid import capture_codes, connection_hashes, uids

#: Names, types and order of the cells in Zeek 6 and 7.0. Later versions add `ip_proto`; readers use the names.
CONN_LOG = {
    "ts": "time",
    "uid": "string",
    "id.orig_h": "addr",
    "id.orig_p": "port",
    "id.resp_h": "addr",
    "id.resp_p": "port",
    "proto": "enum",
    "service": "string",  # unset: protocols above TCP are not examined
    "duration": "interval",  # up to the last segment that Zeek counts: see `zeek.sizes`
    "orig_bytes": "count",
    "resp_bytes": "count",
    "conn_state": "string",
    "local_orig": "bool",  # which networks are local is a setting of the Zeek site
    "local_resp": "bool",
    "missed_bytes": "count",
    "history": "string",
    "orig_pkts": "count",
    "orig_ip_bytes": "count",  # unset: the tables hold payload octets, not header lengths
    "resp_pkts": "count",
    "resp_ip_bytes": "count",
    "tunnel_parents": "set[string]",  # unset: tunnels are not connections here
}
UNSET = b"-"
Integers = NDArray[np.int64]


def conn_log_blocks(connections: Connections, streams: Integers) -> Iterator[dict[str, Cells | bytes]]:
    """Yield, in blocks, the cells of these streams, in the order of `CONN_LOG`."""
    captures = capture_codes(connections.captures)
    missed = np.zeros(len(connections), np.int64)
    missed[connections.verdicts.gaps["connection"]] = connections.verdicts.gaps["octets"]
    for a in range(0, len(streams), BLOCK_ROWS):
        rows = connections.rows_of(streams[a : a + BLOCK_ROWS])
        columns = _columns(connections, rows) | {
            "uid": _uids(connections, rows, captures),
            "missed_bytes": numbers(missed[rows]),
        }
        yield {name: columns.get(name, UNSET) for name in CONN_LOG}


def _columns(connections: Connections, rows: Integers) -> dict[str, Cells | bytes]:
    table, texts = connections.verdicts.table, connections.verdicts.words
    ended = table["both_ended_ns"][rows]
    first_us = table["first_ns"][rows] // 1000
    duration_us = np.where(ended == NONE, table["last_ns"][rows], ended) // 1000 - first_us
    lasts = duration_us > 0
    columns: dict[str, Cells | bytes] = {
        "ts": seconds(first_us),
        "proto": b"tcp",
        "duration": where(lasts, seconds(duration_us), UNSET),
        "conn_state": words(texts, table["conn_state"][rows]),
        "history": words(texts, table["history"][rows]),
    }
    for end, suffix in (("orig", "o"), ("resp", "r")):
        sent = table[f"sent_octets_{suffix}"][rows]
        octets = np.where(sent == NONE, table[f"reach_octets_{suffix}"][rows], sent)
        columns[f"{end}_bytes"] = where(lasts, numbers(octets), UNSET)
        columns[f"{end}_pkts"] = numbers(table[f"segments_{suffix}"][rows])
    for end, (socket, port) in zip(("orig", "resp"), sockets(connections, rows), strict=True):
        columns[f"id.{end}_h"] = addresses(*socket)
        columns[f"id.{end}_p"] = numbers(port)
    return columns


def _uids(connections: Connections, rows: Integers, captures: NDArray[np.uint64]) -> Cells:
    table = connections.verdicts.table
    place = captures[table["first_capture"][rows]] << np.uint64(32) | table["first_frame"][rows].astype(np.uint64)
    keys = connections.keys.take(table["conversation"][rows])
    return uids(*connection_hashes(keys, table["first_ns"][rows], place, connections.names))
