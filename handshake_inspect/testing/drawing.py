"""Ladders, lists of connections and paths as plain text, for messages of tests.

In: an inspection, and the paths of its captures, to read payload again. Out: text without colour, one string.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from itertools import islice
from pathlib import Path

from handshake_inspect.cli.drawing import LadderSettings, draw
from handshake_inspect.connections.connection import Connection
from handshake_inspect.inspection import Inspection
from handshake_inspect.quantities import counted
from handshake_inspect.views.address_names import names_of_ends
from handshake_inspect.views.ladder import Marks
from handshake_inspect.views.table import GAP, connection_columns, layout

#: Most connections in a list.
MOST_LISTED = 10


def ladder_text(
    inspection: Inspection, connection: Connection, paths: Mapping[str, str], marks: Marks | None = None
) -> str:
    """Return the ladder of a connection, with the payload of its segments, read from the `paths` of the captures."""
    steps = inspection.steps(connection.stream)
    names = names_of_ends(inspection, connection)
    lines = draw(connection, steps, LadderSettings(), paths=paths, names=names, marks=marks).lines
    return "\n".join(line.plain.rstrip() for line in lines)


def list_text(connections: Iterable[Connection], count: int, captures: int) -> str:
    """Return a table of the first ones of `count` connections."""
    table = layout(islice(connections, MOST_LISTED), connection_columns(captures), None)
    lines = [GAP.join(cell.text for cell in cells).rstrip() for cells in table.lines]
    if count > MOST_LISTED:
        lines.append(f"and {counted(count - MOST_LISTED, 'more connection')}")
    return "\n".join(lines)


def from_here(path: Path) -> Path:
    """Return a path relative to the working directory, if it lies below that; else unchanged."""
    here = Path.cwd()
    return path.relative_to(here) if path.is_relative_to(here) else path
