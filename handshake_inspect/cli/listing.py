"""Writes the connections of an inspection in the chosen format."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import partial
from itertools import chain, islice

import numpy as np
from numpy.typing import NDArray

from handshake_inspect.cells import Utf8
from handshake_inspect.cli.choose import Choice
from handshake_inspect.cli.output import terminal_width, write, write_blocks, write_fitted, write_octets, write_table
from handshake_inspect.cli.standard_error import remark
from handshake_inspect.connections.connection import Connection, Step
from handshake_inspect.connections.model import Connections
from handshake_inspect.exchanges import Exchange
from handshake_inspect.inspection import Inspection
from handshake_inspect.processes import Workers
from handshake_inspect.quantities import counted, listed
from handshake_inspect.views import export, parquet, table
from handshake_inspect.views.json_lines import connection_lines

Streams = NDArray[np.int64]

#: Connections whose lines are made at once by one of several processes.
PART_CONNECTIONS = 1 << 13


def write_part(inspection: Inspection, chosen: Choice, format_: str, *, is_first: bool) -> None:
    """Write the chosen ones of the connections that leave a run early, as csv, ndjson or zeek."""
    connections, streams = inspection.connections, chosen.streams(inspection)
    if format_ == "csv":
        write_blocks(export.csv_lines(connections, streams, head=is_first))
    elif format_ == "ndjson":
        write_blocks(connection_lines(connections, streams))
    else:
        from handshake_inspect.views import zeek_log

        head = [zeek_log.head(inspection.captures)] if is_first else []
        write_blocks(chain(head, zeek_log.rows(connections, streams)))


def write_listing(
    inspection: Inspection,
    chosen: Choice,
    format_: str,
    *,
    udp: bool = False,
    steps: bool = False,
    has_begun: bool = False,
) -> None:
    """Write the chosen connections, and UDP exchanges if asked for. `has_begun`: below parts that are written."""
    connections = chosen.of(inspection)
    exchanges = chosen.exchanges(inspection) if udp or format_ == "json" else iter(())

    def steps_of(connection: Connection) -> tuple[Step, ...]:
        return inspection.steps(connection.stream)

    def json_lines() -> Iterator[Utf8]:
        if steps:
            return export.lines_with_steps(connections, steps_of)
        return in_parts(partial(connection_lines, inspection.connections))

    def in_parts(lines_of: Callable[[Streams], Iterator[Utf8]]) -> Iterator[Utf8]:
        return _in_parts(lines_of, inspection.connections, chosen.streams(inspection), inspection.workers)

    if format_ == "json":
        captures, damage, findings = inspection.captures, inspection.damage, inspection.findings
        write_blocks(export.json_document(captures, json_lines(), exchanges, damage, findings))
    elif format_ == "ndjson":
        write_blocks(json_lines())
        write(export.ndjson_exchanges(exchanges))
    elif format_ == "csv":
        head = [] if has_begun else [export.csv_head()]
        write_blocks(chain(head, in_parts(partial(export.csv_lines, inspection.connections, head=False))))
    elif format_ == "zeek":
        from handshake_inspect.views import zeek_log

        rows = in_parts(partial(zeek_log.rows, inspection.connections))
        write_blocks(islice(zeek_log.conn_log(inspection.captures, rows, exchanges), 1 if has_begun else 0, None))
    elif format_ == "parquet":
        parquet.write_parquet(write_octets, inspection.connections, chosen.streams(inspection))
    elif format_ == "markdown":
        write_markdown(connections, exchanges if udp else None, len(inspection.captures))
    elif not write_tables(connections, exchanges if udp else None, len(inspection.captures)):
        known = {"connection": len(inspection.connections), "exchange": len(inspection.exchanges) if udp else 0}
        passed_over = [counted(count, thing) for thing, count in known.items() if count]
        is_said = chosen.beyond_limit or chosen.absence(inspection)
        if passed_over and not is_said:  # else other remarks say why there is no table
            remark(f"none of {listed(passed_over)} was chosen")


def _in_parts(
    lines_of: Callable[[Streams], Iterator[Utf8]], connections: Connections, streams: Streams, workers: Workers
) -> Iterator[Utf8]:
    """Yield the lines of these streams: those of many made by several processes, the first here, with what all need.

    One more finds meanwhile what is to be told of the run behind them.
    """
    parts = [streams[a : a + PART_CONNECTIONS] for a in range(0, len(streams), PART_CONNECTIONS)]
    if len(parts) <= 1 or not workers.are_forks:
        yield from lines_of(streams)
        return

    def made(part: Streams) -> NDArray[np.uint8]:  # processes hand arrays over without a pipe, and without a copy
        first, *others = lines_of(part)
        return np.frombuffer(b"".join([first, *others]) if others else first, np.uint8)

    with connections.finding_of_run(workers):
        yield made(parts[0]).data
        yield from (lines.data for lines in workers.share(made, parts[1:]))


def write_kinds(kinds: Mapping[tuple[str, str], int]) -> None:
    """Write how many connections there are of each pair of kinds, most first; for more than anybody reads."""
    counts = [table.KindCount(*kind, count) for kind, count in sorted(kinds.items(), key=lambda one: (-one[1], one[0]))]
    write_table(table.layout(counts, table.kind_columns(), terminal_width()).lines)


def write_markdown(connections: Iterable[Connection], exchanges: Iterable[Exchange] | None, captures: int) -> None:
    """Write Markdown tables; without rows, their headings alone, because another program may read them."""
    columns = table.connection_columns(captures)
    write(export.markdown_table([column.title for column in columns], table.rows(connections, columns)))
    if exchanges is not None:
        columns = table.exchange_columns()
        write(["\n"])
        write(export.markdown_table([column.title for column in columns], table.rows(exchanges, columns)))


def write_tables(connections: Iterable[Connection], exchanges: Iterable[Exchange] | None, captures: int) -> bool:
    """Write the tables that have rows, for people; return whether there was one."""
    width = terminal_width()
    tables = [table.layout(connections, table.connection_columns(captures), width)]
    if exchanges is not None:
        tables.append(table.layout(exchanges, table.exchange_columns(), width))
    return write_fitted(tables)
