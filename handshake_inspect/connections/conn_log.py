"""The columns of Zeek's conn.log, a block of connections at a time, each cell as text.

In: `Connections`. Out: lists of cells, without an object per connection (as `flat`). What a capture cannot tell, or
what this project does not look at, is `UNSET`. Rules: Zeek 7, base/protocols/conn/main.zeek. Zeek reads whole
microseconds (libpcap cuts nanoseconds off), and leaves duration and octets unset where the duration is 0.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import numpy as np
from numpy.typing import NDArray

from handshake_inspect.connections.answers import NONE
from handshake_inspect.connections.flat import sockets
from handshake_inspect.connections.model import BLOCK_CONNECTIONS, Connections
from handshake_inspect.connections.zeek_uid import capture_codes, connection_hashes, uids

#: Names, types and order of the cells: Zeek 6 and 7.0. Later ones add `ip_proto`; readers go by the names.
CONN_LOG = {
    "ts": "time",
    "uid": "string",
    "id.orig_h": "addr",
    "id.orig_p": "port",
    "id.resp_h": "addr",
    "id.resp_p": "port",
    "proto": "enum",
    "service": "string",  # not looked at, as the names of what is below
    "duration": "interval",  # to the last segment that counts: see `zeek_sizes`
    "orig_bytes": "count",
    "resp_bytes": "count",
    "conn_state": "string",
    "local_orig": "bool",  # whose networks are local is a setting of Zeek's site
    "local_resp": "bool",
    "missed_bytes": "count",
    "history": "string",
    "orig_pkts": "count",
    "orig_ip_bytes": "count",  # the tables keep payload, not the length of headers
    "resp_pkts": "count",
    "resp_ip_bytes": "count",
    "tunnel_parents": "set[string]",  # a tunnel is no connection of its own here
}
UNSET = "-"
Integers = NDArray[np.int64]


def conn_log_rows(connections: Connections, streams: Integers) -> Iterator[Iterator[tuple[str, ...]]]:
    """Yield, in blocks, the cells of each stream in the order of `CONN_LOG`."""
    captures = capture_codes(connections.captures)
    missed = np.zeros(len(connections), np.int64)
    missed[connections.verdicts.gaps["connection"]] = connections.verdicts.gaps["octets"]
    for a in range(0, len(streams), BLOCK_CONNECTIONS):
        rows = connections.rows_of(streams[a : a + BLOCK_CONNECTIONS])
        columns = _columns(connections, rows) | {
            "uid": _uids(connections, rows, captures),
            "missed_bytes": list(map(str, missed[rows].tolist())),
        }
        nothing = [UNSET] * len(rows)
        yield zip(*(columns.get(name, nothing) for name in CONN_LOG), strict=True)


def _columns(connections: Connections, rows: Integers) -> dict[str, list[str]]:
    table, words = connections.verdicts.table, connections.verdicts.words
    ended = table["both_ended_ns"][rows]
    first_ns = table["first_ns"][rows]
    last_ns = np.where(ended == NONE, table["last_ns"][rows], ended)
    duration_us = last_ns // 1000 - first_ns // 1000
    lasts = (duration_us > 0).tolist()
    columns = {
        "ts": list(seconds((first_ns // 1000).tolist())),
        "proto": ["tcp"] * len(rows),
        "duration": _where(lasts, seconds(duration_us.tolist())),
        "conn_state": [words[number] for number in table["conn_state"][rows].tolist()],
        "history": [words[number] for number in table["history"][rows].tolist()],
    }
    for end, suffix in (("orig", "o"), ("resp", "r")):
        sent = table[f"sent_octets_{suffix}"][rows]
        octets = np.where(sent == NONE, table[f"reach_octets_{suffix}"][rows], sent)
        columns[f"{end}_bytes"] = _where(lasts, map(str, octets.tolist()))
        columns[f"{end}_pkts"] = list(map(str, table[f"segments_{suffix}"][rows].tolist()))
    ends = sockets(connections, rows)
    for end, ours in (("orig", "originator"), ("resp", "responder")):
        columns[f"id.{end}_h"] = ends[f"{ours}_ip"]
        columns[f"id.{end}_p"] = ends[f"{ours}_port"]
    return columns


def _uids(connections: Connections, rows: Integers, captures: NDArray[np.uint64]) -> list[str]:
    table = connections.verdicts.table
    place = captures[table["first_capture"][rows]] << np.uint64(32) | table["first_frame"][rows].astype(np.uint64)
    keys = connections.keys.take(table["conversation"][rows])
    return uids(*connection_hashes(keys, table["first_ns"][rows], place, connections.names))


def seconds(microseconds: Iterable[int]) -> Iterator[str]:
    """Spell times and intervals as Zeek does: "1795243228.188806"."""
    for value in microseconds:
        whole, rest = divmod(abs(value), 1_000_000)
        yield f"{'-' * (value < 0)}{whole}.{rest:06d}"


def _where(known: list[bool], cells: Iterable[str]) -> list[str]:
    return [cell if there else UNSET for there, cell in zip(known, cells, strict=True)]
