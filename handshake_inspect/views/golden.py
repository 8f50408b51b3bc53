"""The golden text of a capture: its ladders without anything that differs when the same programs run again.

In: an inspection. Out: lines, each with the connection and the segment that it is about. A changed segment changes only
its own line: lines have no numbers, and everything that follows from the segments stands below them.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from rich.text import Text

from handshake_inspect.compared.golden import FORMAT, GoldenLine
from handshake_inspect.compared.normal import normal_rows, verdict
from handshake_inspect.connections.connection import Connection, Step, end_names
from handshake_inspect.inspection import Inspection
from handshake_inspect.views.account import books
from handshake_inspect.views.compact_rows import CompactRows
from handshake_inspect.views.verdict_lines import verdict_lines

#: What stands above the ladders.
PREFACE = (
    FORMAT,
    "",
    "x and y are the numbers of the two SYNs, u is that of the first FIN, v the next",
    "number of the other end when it acknowledges u, w the number of its own FIN.",
    "Behind a state: ? assumed, ✗ assumed and disproved by a later segment.",
    "Findings of severity chat that are a matter of times are left out.",
)
INDENT = 2
WIDTH = 80 - INDENT
HEADING = 11
#: A kernel gives no program a port below by itself (RFC 6335 §6, System Ports): such a one is the same in every run.
FIRST_USER_PORT = 1024


def golden(inspection: Inspection, streams: Iterable[int] | None = None) -> Iterator[GoldenLine]:
    """Yield the golden text of all connections, or of these streams."""
    yield from (GoldenLine(text) for text in PREFACE)
    streams = inspection.connections.streams.tolist() if streams is None else streams
    for number, stream in enumerate(streams, start=1):
        yield from of_connection(inspection.connections[stream], inspection.steps(stream), number)


def of_connection(connection: Connection, steps: tuple[Step, ...], number: int) -> Iterator[GoldenLine]:
    """Yield the lines of one connection, the `number`th."""
    stream, rows = connection.stream, CompactRows(connection, WIDTH)
    port = connection.responder.port
    service = f", port {port}" if port < FIRST_USER_PORT else ""
    above = [Text(), Text(f"connection {number}{service}"), Text(), *_indented(rows.heading())]
    yield from (GoldenLine(line.plain, stream) for line in above)
    for row in normal_rows(connection, steps):
        yield from (GoldenLine(line.plain, stream, row.frame) for line in _indented(rows.lines(row)))
    yield GoldenLine("", stream)
    names = end_names(connection.handshake.kind)
    said = verdict_lines(verdict(connection), names)
    of_books = books(connection, steps, names)
    said += [("" if place else "books", line.plain) for place, line in enumerate(of_books)]
    yield from (GoldenLine(f"{'':{INDENT}}{heading:{HEADING}}{text}", stream) for heading, text in said)


def _indented(lines: Iterable[Text]) -> Iterator[Text]:
    return (Text(" " * INDENT).append_text(line) if line else line for line in lines)
