"""Connections for other programs: one JSON document, a JSON object per line, CSV, or a Markdown table.

In: connections as columns, or as objects, one at a time. Out: pieces of text, to be written as they come, so that a
list of any length needs no more memory than some thousand connections.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import groupby

import numpy as np
from numpy.typing import NDArray

from handshake_inspect.arrays import Mask
from handshake_inspect.capture.records import Damage
from handshake_inspect.capture.summary import CaptureSummary
from handshake_inspect.cells import Cells, Integers, Utf8, addresses, distinct, is_one, lines, numbers, of_texts, where
from handshake_inspect.connections.connection import Connection, RunFinding, Step
from handshake_inspect.connections.flat import FLAT_COLUMNS, Addresses, Column, Lists, Numbers, Words, flat_blocks
from handshake_inspect.connections.model import Connections
from handshake_inspect.exchanges import Exchange
from handshake_inspect.views.contract import (
    SCHEMA,
    capture_object,
    connection_object,
    damage_object,
    exchange_object,
    run_finding_object,
)
from handshake_inspect.views.escape import printable
from handshake_inspect.views.ladder_calls import SocketCall

#: Gives the steps of a connection, for `--steps`.
StepsOf = Callable[[Connection], tuple[Step, ...]]

_ENCODE = json.JSONEncoder().encode


def lines_with_steps(connections: Iterable[Connection], steps_of: StepsOf) -> Iterator[bytes]:
    """Yield one JSON object per connection, with all of its segments, each a line."""
    for connection in connections:
        yield shown(connection, steps_of(connection), None).encode()


def shown(
    connection: Connection, steps: tuple[Step, ...], calls: Sequence[SocketCall] | None, *, payload: bool = True
) -> str:
    """Return the line of one connection, with all of its segments, and with its socket calls if a log told them.

    Without `payload` the octets in calls are counted, not shown.
    """
    return _ENCODE(connection_object(connection, steps=steps, calls=calls, payload=payload)) + "\n"


def ndjson_exchanges(exchanges: Iterable[Exchange]) -> Iterator[str]:
    """Yield one JSON object per UDP exchange, each a line (`"protocol": "udp"`)."""
    for exchange in exchanges:
        yield _ENCODE(exchange_object(exchange)) + "\n"


def json_document(
    captures: Iterable[CaptureSummary],
    connections: Iterable[Utf8],
    exchanges: Iterable[Exchange],
    damage: Iterable[Damage],
    findings: Iterable[RunFinding],
) -> Iterator[Utf8]:
    """Yield the one document of the contract, a connection per line. `connections`: their lines, some at a time."""
    yield f'{{"schema": {SCHEMA},\n "captures": '.encode()
    yield _ENCODE([capture_object(capture) for capture in captures]).encode()
    yield b',\n "connections": '
    yield from _list_of_lines(connections)
    yield b',\n "exchanges": '
    yield from _list_of_lines(line.encode() for line in ndjson_exchanges(exchanges))
    yield b',\n "damage": '
    yield _ENCODE([damage_object(place) for place in damage]).encode()
    yield b',\n "findings": '
    yield "".join(json_list(_ENCODE(run_finding_object(finding)) for finding in findings)).encode()
    yield b"}\n"


def _list_of_lines(blocks: Iterable[Utf8]) -> Iterator[bytes]:
    """Yield a list of JSON texts, each on a line of its own, of blocks of lines."""
    separator = b"["
    for block in blocks:
        yield separator + b"\n  " + bytes(block).removesuffix(b"\n").replace(b"\n", b",\n  ")
        separator = b","
    yield b"[]" if separator == b"[" else b"]"


def json_list(items: Iterable[str]) -> Iterator[str]:
    """Yield a list of JSON texts, each on a line of its own."""
    separator = "["
    for item in items:
        yield f"{separator}\n  {item}"
        separator = ","
    yield "[]" if separator == "[" else "]"


def csv_head() -> bytes:
    """Return the header."""
    return f"{','.join(FLAT_COLUMNS)}\n".encode()


def csv_lines(connections: Connections, streams: NDArray[np.int64], *, head: bool = True) -> Iterator[Utf8]:
    """Yield a header and one line for each stream; quoted as RFC 4180 says, lines end with a line feed."""
    if head:
        yield csv_head()
    for block in flat_blocks(connections, streams):
        yield lines(_csv_cells(block.values()), b",")


def _csv_cells(columns: Iterable[Column]) -> Iterator[Cells | bytes]:
    """Return columns as text, empty where the capture cannot tell; values that all lines share are spelled once.

    Words next to each other that go by the same numbers, as what connections of one shape do, are spelled together.
    """
    for _, group in groupby(columns, lambda column: id(column.number) if isinstance(column, Words | Lists) else None):
        alike = list(group)
        said = [column for column in alike if isinstance(column, Words | Lists)]
        if said:
            yield _csv_words(said)
        for column in alike:
            match column:
                case Numbers(values, known):
                    yield _csv_numbers(values, known)
                case Addresses(ip_version, upper, lower):
                    yield addresses(ip_version, upper, lower)


def _csv_numbers(values: Integers, known: Mask | None) -> Cells | bytes:
    if is_one(values) and (known is None or is_one(known)):
        return b"%d" % values[0] if known is None or known[0] else b""
    return numbers(values) if known is None else where(known, numbers(values), b"")


def _csv_words(columns: Sequence[Words | Lists]) -> Cells | bytes:
    """Return columns that are looked up by the same numbers as text: most of the work, if all connections differ."""
    occurring, place = distinct(columns[0].number)
    texts = [*map(",".join, zip(*(_csv_texts(column, occurring.tolist()) for column in columns), strict=True))]
    return texts[0].encode() if len(texts) == 1 else of_texts(texts, place)


def _csv_texts(column: Words | Lists, numbers: Iterable[int]) -> list[str]:
    if isinstance(column, Lists):
        return [column.separator.join(column.lists[one] or ()) for one in numbers]
    said = [column.texts[one] or "" for one in numbers]
    # Asked of all at once: those of a block of connections may all differ.
    return said if _is_plain("".join(said)) else [*map(_csv_cell, said)]


def _is_plain(text: str) -> bool:
    return text.isprintable() and "," not in text and '"' not in text


def _csv_cell(text: str) -> str:
    """Quote a cell if necessary, as for the name of a capture."""
    if _is_plain(text):
        return text
    text = printable(text)
    return '"' + text.replace('"', '""') + '"' if "," in text or '"' in text else text


def markdown_table(header: Iterable[str], rows: Iterable[Iterable[str]]) -> Iterator[str]:
    """Yield a Markdown table, line by line. Cells are escaped: a pipe or a markup sign in them stays text."""
    names = list(header)
    yield f"| {' | '.join(names)} |\n"
    yield f"|{'|'.join(' --- ' for _ in names)}|\n"
    for row in rows:
        yield f"| {' | '.join(_markdown_cell(cell) for cell in row)} |\n"


def _markdown_cell(text: str) -> str:
    return "".join(f"\\{char}" if char in "|\\`*_<>[]" else char for char in printable(text)) or " "
