"""Writes the ledger of TIME-WAIT of an inspection in the format asked for."""

from __future__ import annotations

from dataclasses import replace

from handshake_inspect.cli.choose import Choice
from handshake_inspect.cli.output import DEFAULT_WIDTH, terminal_width, write, write_fitted, write_lines
from handshake_inspect.inspection import Inspection
from handshake_inspect.tcp.time_wait import PortRange
from handshake_inspect.views import export, ledger_export, table
from handshake_inspect.views.ledger_rows import owed_columns
from handshake_inspect.views.ledger_summary import summary_lines


def write_ledger(inspection: Inspection, chosen: Choice, format_: str, ports: tuple[int, int] | None) -> None:
    """Write the TIME-WAITs of the chosen connections, and their summary, which a limit does not change."""
    streams = replace(chosen, limit=None).streams(inspection)
    ledger = inspection.time_wait_ledger(streams, ports=None if ports is None else PortRange(*ports, "--ports"))
    owed = ledger.owed(chosen.limit)
    chosen.beyond_limit = 0 if chosen.limit is None else max(len(ledger) - chosen.limit, 0)
    zero_ns = ledger.captured_ns[0]
    columns = owed_columns(len(inspection.captures), zero_ns)
    if format_ == "json":
        write(ledger_export.json_document(inspection.captures, owed, ledger, inspection.damage))
    elif format_ == "ndjson":
        write(ledger_export.ndjson(owed))
    elif format_ == "csv":
        write(ledger_export.csv_lines(owed))
    elif format_ == "markdown":
        write(export.markdown_table([column.title for column in columns], table.rows(owed, columns)))
    else:
        if write_fitted([table.layout(owed, columns, terminal_width())]):
            write(["\n"])
        write_lines(summary_lines(ledger, zero_ns, terminal_width() or DEFAULT_WIDTH))
