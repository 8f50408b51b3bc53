"""Connections for other programs: one JSON document, a JSON object per line, CSV, or a Markdown table.

In: connections (any iterable; it is read once, one at a time). Out: pieces of text, to be written as they come, so
that a capture of any size needs no more memory than one connection.
"""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Callable, Iterable, Iterator

from handshake_inspect.capture.records import Damage
from handshake_inspect.connections.connection import Connection, Step
from handshake_inspect.exchanges import Exchange
from handshake_inspect.inspection import CaptureSummary
from handshake_inspect.views.contract import (
    SCHEMA,
    Json,
    capture_object,
    connection_object,
    damage_object,
    exchange_object,
)
from handshake_inspect.views.escape import printable

#: Gives the steps of a connection, for `--steps`.
StepsOf = Callable[[Connection], tuple[Step, ...]]

CSV_COLUMNS = (
    "stream", "capture", "originator_ip", "originator_port", "responder_ip", "responder_port", "first_ns",
    "last_ns", "segments_originator", "segments_responder", "octets_originator", "octets_responder",
    "missing_octets_originator", "missing_octets_responder", "handshake", "teardown", "closed_first",
    "reset_by", "states_originator", "states_responder", "initial_rtt_ns", "conn_state", "history",
    "completeness", "findings",
)  # fmt: skip

_ENCODE = json.JSONEncoder().encode


def ndjson(connections: Iterable[Connection], steps_of: StepsOf | None = None) -> Iterator[str]:
    """Yield one JSON object per connection, each a line."""
    for connection in connections:
        yield _connection_line(connection, steps_of) + "\n"


def ndjson_exchanges(exchanges: Iterable[Exchange]) -> Iterator[str]:
    """Yield one JSON object per UDP exchange, each a line (`"protocol": "udp"`)."""
    for exchange in exchanges:
        yield _ENCODE(exchange_object(exchange)) + "\n"


def json_document(
    captures: Iterable[CaptureSummary],
    connections: Iterable[Connection],
    exchanges: Iterable[Exchange],
    damage: Iterable[Damage],
    steps_of: StepsOf | None = None,
) -> Iterator[str]:
    """Yield the one document of the contract, a connection per line."""
    yield f'{{"schema": {SCHEMA},\n "captures": '
    yield _ENCODE([capture_object(capture) for capture in captures])
    yield ',\n "connections": '
    yield from _json_list(_connection_line(connection, steps_of) for connection in connections)
    yield ',\n "exchanges": '
    yield from _json_list(_ENCODE(exchange_object(exchange)) for exchange in exchanges)
    yield ',\n "damage": '
    yield _ENCODE([damage_object(place) for place in damage])
    yield "}\n"


def _connection_line(connection: Connection, steps_of: StepsOf | None) -> str:
    found: Json = connection_object(connection, steps=steps_of(connection) if steps_of else None)
    return _ENCODE(found)


def _json_list(items: Iterable[str]) -> Iterator[str]:
    separator = "["
    for item in items:
        yield f"{separator}\n  {item}"
        separator = ","
    yield "[]" if separator == "[" else "]"


def csv_lines(connections: Iterable[Connection]) -> Iterator[str]:
    """Yield a header and one line per connection; quoted as RFC 4180 says, lines end with a line feed."""
    buffer = io.StringIO()
    writer = csv.writer(buffer, lineterminator="\n")
    writer.writerow(CSV_COLUMNS)
    for connection in connections:
        writer.writerow(_csv_row(connection))
        if buffer.tell() > 1 << 16:
            yield buffer.getvalue()
            buffer.seek(0)
            buffer.truncate()
    yield buffer.getvalue()


def _csv_row(connection: Connection) -> list[str | int | None]:
    """Return the cells in the order of `CSV_COLUMNS`; None is written as an empty cell."""
    return [
        connection.stream,
        printable(connection.capture),
        connection.originator.ip,
        connection.originator.port,
        connection.responder.ip,
        connection.responder.port,
        connection.first_ns,
        connection.last_ns,
        connection.segments.originator,
        connection.segments.responder,
        connection.octets.originator,
        connection.octets.responder,
        connection.missing_octets.originator,
        connection.missing_octets.responder,
        connection.handshake.kind,
        connection.teardown.kind,
        connection.teardown.closed_first,
        connection.teardown.reset_by,
        ">".join(connection.states.originator or ()),
        ">".join(connection.states.responder or ()),
        connection.handshake.initial_rtt_ns,
        connection.conn_state,
        connection.history,
        connection.completeness,
        " ".join(finding.code for finding in connection.findings),
    ]


def markdown_table(header: Iterable[str], rows: Iterable[Iterable[str]]) -> Iterator[str]:
    """Yield a Markdown table, line by line. Cells are escaped: a pipe or a markup sign in them stays text."""
    names = list(header)
    yield f"| {' | '.join(names)} |\n"
    yield f"|{'|'.join(' --- ' for _ in names)}|\n"
    for row in rows:
        yield f"| {' | '.join(_markdown_cell(cell) for cell in row)} |\n"


def _markdown_cell(text: str) -> str:
    return "".join(f"\\{char}" if char in "|\\`*_<>[]" else char for char in printable(text)) or " "
