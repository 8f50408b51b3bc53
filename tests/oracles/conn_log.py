"""Reads a conn.log as Zeek's documentation says a reader must, and compares ours with what Zeek wrote.

In: the text of a log; or the folder of public captures. Out: one mapping per line, its cells as Python values; or a
`Comparison` of the cells that oracle_zeek.jsonl has.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Callable, Mapping
from decimal import Decimal
from pathlib import Path
from typing import Any

import numpy as np

from handshake_inspect import inspect
from handshake_inspect.views.zeek_log import conn_log, rows
from tests.oracles.comparison import Answer, Comparison, Fields, compare_fields_with_zeek

HEADER = ("#separator", "#set_separator", "#empty_field", "#unset_field", "#path", "#open", "#fields", "#types")
LOG_TIME = re.compile(r"\d{4}(-\d\d){5}")


def _matching(pattern: str, value: Callable[[str], Any] = str) -> Callable[[str], Any]:
    def read(cell: str) -> Any:
        assert re.fullmatch(pattern, cell), (pattern, cell)
        return value(cell)

    return read


#: https://docs.zeek.org/en/master/script-reference/types.html, in the words of the ASCII writer.
READERS: Mapping[str, Callable[[str], Any]] = {
    "time": _matching(r"\d+\.\d{6}", Decimal),
    "interval": _matching(r"\d+\.\d{6}", Decimal),
    "string": _matching(r"[!-~]+"),
    "enum": _matching(r"[a-z_]+"),
    "addr": lambda cell: str(ipaddress.ip_address(cell)),
    "port": _matching(r"\d{1,5}", int),
    "count": _matching(r"\d+", int),
    "bool": lambda cell: {"T": True, "F": False}[cell],
}


def read_conn_log(text: str) -> list[dict[str, Any]]:
    """Read a whole log; an assertion fails where it is none. Unset cells are None."""
    assert text.endswith("\n")
    lines = text[:-1].split("\n")
    head, rows, last = lines[: len(HEADER)], lines[len(HEADER) : -1], lines[-1]
    assert head[0] == "#separator \\x09"
    values = dict(line.split("\t", 1) for line in head[1:])
    assert ("#separator", *values) == HEADER
    assert (values["#set_separator"], values["#empty_field"], values["#unset_field"]) == (",", "(empty)", "-")
    assert values["#path"] == "conn"
    assert LOG_TIME.fullmatch(values["#open"])
    assert last.startswith("#close\t")
    assert LOG_TIME.fullmatch(last.removeprefix("#close\t"))
    names, types = values["#fields"].split("\t"), values["#types"].split("\t")
    return [_read_row(row, names, types) for row in rows]


def _read_row(row: str, names: list[str], types: list[str]) -> dict[str, Any]:
    assert not row.startswith("#")
    cells = row.split("\t")
    found: dict[str, Any] = {}
    for name, kind, cell in zip(names, types, cells, strict=True):
        item = re.fullmatch(r"set\[(\w+)\]", kind)
        if cell == "-":
            found[name] = None
        elif item:
            found[name] = set() if cell == "(empty)" else {READERS[item[1]](part) for part in cell.split(",")}
        else:
            found[name] = READERS[kind](cell)
    return found


def compare_conn_logs(captures: Path, answers: list[Answer]) -> Comparison:
    """Compare the cells of our log with every line of oracle_zeek.jsonl that has them."""
    logs = {file: _log_of(captures / file) for file in sorted({answer.file for answer in answers})}

    def fields(answer: Answer, line: Mapping[str, Any]) -> Fields:
        cells = logs[answer.file][answer.stream]
        duration = None if line["duration"] is None else Decimal(str(line["duration"])).quantize(Decimal("0.000001"))
        return {
            "duration": (cells["duration"], duration),
            "missed_bytes": (cells["missed_bytes"], line["missed_bytes"]),
            **{
                name: (_pair(cells, name), _pair(line, name, flipped=_flipped(cells, line)))
                for name in ("bytes", "pkts")
            },
        }

    return compare_fields_with_zeek(captures, answers, fields)


def _pair(cells: Mapping[str, Any], name: str, *, flipped: bool = False) -> tuple[object, object]:
    pair = cells[f"orig_{name}"], cells[f"resp_{name}"]
    return pair[::-1] if flipped else pair


def _flipped(cells: Mapping[str, Any], line: Mapping[str, Any]) -> bool:
    return (cells["id.orig_h"], cells["id.orig_p"]) != (line["orig_h"], line["orig_p"])


def _log_of(path: Path) -> list[dict[str, Any]]:
    found = inspect(path)
    text = b"".join(conn_log(found.captures, rows(found.connections, np.arange(len(found.connections)))))
    return read_conn_log(text.decode())
