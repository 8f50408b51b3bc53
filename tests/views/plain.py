"""The lists of connections written the plain way, a connection at a time: the oracle of what is made of columns.

In: connections. Out: the same text. Of each format there is one function, which knows nothing of cells and blocks.
"""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterable, Iterator
from typing import Any

from handshake_inspect.connections.conn_log import CONN_LOG
from handshake_inspect.connections.connection import Connection
from handshake_inspect.connections.deciding.answers import NONE
from handshake_inspect.connections.flat import FLAT_COLUMNS
from handshake_inspect.connections.model import Connections
from handshake_inspect.views.contract import connection_object
from handshake_inspect.views.escape import printable


def json_lines(connections: Iterable[Connection]) -> Iterator[str]:
    """Yield the object of each connection."""
    return (json.dumps(connection_object(one)) for one in connections)


def csv_text(connections: Iterable[Connection]) -> str:
    """Write what the contract says of csv: the fields of the JSON, flat."""
    buffer = io.StringIO()
    writer = csv.writer(buffer, lineterminator="\n")
    writer.writerow(FLAT_COLUMNS)
    for connection in connections:
        cells = flat_cells(connection_object(connection))
        writer.writerow(cells[name] for name in FLAT_COLUMNS)
    return buffer.getvalue()


def flat_cells(found: dict[str, Any]) -> dict[str, Any]:
    """Return the cells of one connection by the names of their columns; None is an empty cell."""
    cells = {name: found[name] for name in ("stream", "first_ns", "last_ns", "conn_state", "history", "completeness")}
    for end in ("originator", "responder"):
        cells |= {f"{end}_{part}": found[end][part] for part in ("ip", "port")}
        cells |= {f"{name}_{end}": found[name][end] for name in ("segments", "octets", "missing_octets")}
        cells[f"states_{end}"] = ">".join(found["states"][end] or ())
    return cells | {
        "capture": printable(found["capture"]),
        "handshake": found["handshake"]["kind"],
        "teardown": found["teardown"]["kind"],
        "closed_first": found["teardown"]["closed_first"],
        "reset_by": found["teardown"]["reset_by"],
        "initial_rtt_ns": found["handshake"]["initial_rtt_ns"],
        "findings": " ".join(dict.fromkeys(finding["code"] for finding in found["findings"])),
    }


def conn_log_lines(connections: Connections) -> Iterator[str]:
    """Yield the lines of Zeek's conn.log without their identifiers, which are nobody else's."""
    missed = dict(zip(*(connections.verdicts.gaps[name].tolist() for name in ("connection", "octets")), strict=True))
    table = connections.verdicts.table
    for one, row in zip(connections, connections.order.tolist(), strict=True):
        ended = int(table["both_ended_ns"][row])
        duration_us = (one.last_ns if ended == NONE else ended) // 1000 - one.first_ns // 1000
        cells: dict[str, object] = {
            "ts": seconds(one.first_ns // 1000), "proto": "tcp", "conn_state": one.conn_state, "history": one.history,
            "id.orig_h": one.originator.ip, "id.orig_p": one.originator.port, "orig_pkts": one.segments.originator,
            "id.resp_h": one.responder.ip, "id.resp_p": one.responder.port, "resp_pkts": one.segments.responder,
            "missed_bytes": missed.get(row, 0),
        }  # fmt: skip
        if duration_us > 0:
            sent, reach = one.sent_octets, (int(table[f"reach_octets_{suffix}"][row]) for suffix in "or")
            octets = [
                most if own is None else own for own, most in zip((sent.originator, sent.responder), reach, strict=True)
            ]
            cells |= {"duration": seconds(duration_us), "orig_bytes": octets[0], "resp_bytes": octets[1]}
        yield "\t".join(str(cells.get(name, "-")) for name in CONN_LOG if name != "uid")


def seconds(microseconds: int) -> str:
    """Spell a time as Zeek does."""
    whole, rest = divmod(abs(microseconds), 1_000_000)
    return f"{'-' * (microseconds < 0)}{whole}.{rest:06d}"
