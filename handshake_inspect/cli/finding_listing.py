"""Writes the findings of an inspection in the format asked for.

Findings of the run as a whole are written only if all connections were chosen.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import cached_property

import numpy as np

from handshake_inspect.arrays import Rows
from handshake_inspect.cli.choose import Choice
from handshake_inspect.cli.output import text_width, write, write_lines
from handshake_inspect.cli.standard_error import remark
from handshake_inspect.cli.wanted import WantedCodes
from handshake_inspect.connections.connection import Connection, Finding, RunFinding
from handshake_inspect.connections.deciding.found import Severity
from handshake_inspect.findings.catalogue import BY_CODE
from handshake_inspect.inspection import Inspection
from handshake_inspect.quantities import counted
from handshake_inspect.sets import set_of
from handshake_inspect.views import finding_export
from handshake_inspect.views.finding_lines import Group, connection_lines, group_lines, run_lines

#: Connections that are named for each code.
EXAMPLES = 3


def write_findings(inspection: Inspection, chosen: Choice, wanted: WantedCodes, format_: str, *, verbose: bool) -> None:
    """Write the findings of the chosen connections, and those of the run."""
    streams = chosen.streams(inspection)
    whole = len(streams) == len(inspection.connections)
    of_run = [one for one in inspection.findings if whole and wanted.takes(one.code)]
    listing = _Listing(inspection, streams, wanted)
    width = text_width()
    captures, told = len(inspection.captures), True
    if format_ == "json":
        write(finding_export.json_document(inspection.captures, of_run, listing.by_connection()))
    elif format_ == "ndjson":
        write(finding_export.ndjson(of_run, listing.by_connection()))
    elif format_ == "csv":
        write(finding_export.csv_lines(of_run, listing.by_connection()))
    elif verbose:
        write_lines(run_lines(of_run, width))
        told = bool(of_run)
        for connection, findings in listing.by_connection():
            write_lines(connection_lines(connection, findings, width, captures=captures))
            told = True
    else:
        groups = listing.groups(of_run)
        write_lines(group_lines(groups, width, captures=captures))
        told = bool(groups)
    if not told:
        about = counted(len(streams), "connection")
        remark(f"nothing to say about {about}" if wanted.is_all else f"none of the findings asked for, of {about}")


class _Listing:
    """The wanted findings of some connections."""

    def __init__(self, inspection: Inspection, streams: Rows, wanted: WantedCodes) -> None:
        self._connections = inspection.connections
        self._streams, self._wanted = streams, wanted

    def by_connection(self) -> Iterator[tuple[Connection, list[Finding]]]:
        """Yield the connections with wanted findings, in order, with these findings."""
        found = np.zeros(len(self._connections), np.bool_)
        for rows in self._rows_by_code.values():
            found[rows] = True
        some = self._streams[found[self._connections.rows_of(self._streams)]]
        for connection in self._connections.of_streams(some):
            yield connection, [one for one in connection.findings if self._wanted.takes(one.code)]

    def groups(self, of_run: list[RunFinding]) -> list[Group]:
        """Return the findings by code, the worst and most frequent first."""
        chosen = np.zeros(len(self._connections), np.bool_)
        chosen[self._connections.rows_of(self._streams)] = True
        rows = {word: some[chosen[some]] for word, some in self._rows_by_code.items()}
        rows = {word: some for word, some in rows.items() if len(some)}
        examples = self._examples(rows)
        groups = [
            Group(
                code,
                BY_CODE[code].code.severity.word,
                BY_CODE[code].sentence,
                len(rows.get(code, ())),
                examples.get(code, []),
                [one for one in of_run if one.code == code],
            )
            for code in dict.fromkeys([*(one.code for one in of_run), *rows])
        ]
        worst = {group.code: -Severity[group.severity.upper()] for group in groups}
        return sorted(groups, key=lambda one: (worst[one.code], not one.run, -one.connections, one.code))

    @cached_property
    def _rows_by_code(self) -> dict[str, Rows]:
        found = self._connections.findings.rows_by_code()
        return {code.word: rows for code, rows in found.items() if self._wanted.takes(code.word)}

    def _examples(self, rows: dict[str, Rows]) -> dict[str, list[tuple[Connection, Finding]]]:
        """Return the first connections that show each code, with their findings; a connection is made once."""
        streams = {word: np.sort(self._connections.stream_of[some])[:EXAMPLES] for word, some in rows.items()}
        every = set_of(np.concatenate([np.zeros(0, np.int64), *streams.values()]))
        made = {connection.stream: connection for connection in self._connections.of_streams(every)}
        return {
            word: [
                (made[stream], next(one for one in made[stream].findings if one.code == word))
                for stream in some.tolist()
            ]
            for word, some in streams.items()
        }
