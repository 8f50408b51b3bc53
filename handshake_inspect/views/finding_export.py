"""Findings for other programs: one object for each, with the connection or the thing that it is about."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterable, Iterator, Sequence

from handshake_inspect.capture.summary import CaptureSummary
from handshake_inspect.connections.connection import Connection, Finding, RunFinding
from handshake_inspect.views.contract import (
    SCHEMA,
    Json,
    capture_object,
    endpoint_object,
    finding_object,
    run_finding_object,
)
from handshake_inspect.views.escape import printable
from handshake_inspect.views.export import json_list

CSV_COLUMNS = ("severity", "code", "about", "stream", "capture", "frames", "message")

Found = Iterable[tuple[Connection, Sequence[Finding]]]

_ENCODE = json.JSONEncoder().encode


def objects(of_run: Iterable[RunFinding], found: Found) -> Iterator[Json]:
    """Yield an object for each finding, those about the run first."""
    for one in of_run:
        yield run_finding_object(one)
    for connection, findings in found:
        whose = {
            "stream": connection.stream,
            "capture": connection.capture,
            "originator": endpoint_object(connection.originator),
            "responder": endpoint_object(connection.responder),
        }
        yield from (finding_object(finding) | whose for finding in findings)


def ndjson(of_run: Iterable[RunFinding], found: Found) -> Iterator[str]:
    """Yield each as a line."""
    return (_ENCODE(one) + "\n" for one in objects(of_run, found))


def json_document(captures: Iterable[CaptureSummary], of_run: Iterable[RunFinding], found: Found) -> Iterator[str]:
    """Yield one document."""
    yield f'{{"schema": {SCHEMA},\n "captures": '
    yield _ENCODE([capture_object(capture) for capture in captures])
    yield ',\n "findings": '
    yield from json_list(map(_ENCODE, objects(of_run, found)))
    yield "}\n"


def csv_lines(of_run: Iterable[RunFinding], found: Found) -> Iterator[str]:
    """Yield a header and a line for each; frames are joined by spaces."""
    yield f"{','.join(CSV_COLUMNS)}\n"
    for one in objects(of_run, found):
        about = one.get("about") or f"{_socket(one['originator'])} → {_socket(one['responder'])}"
        frames = [str(frame) if isinstance(frame, int) else ":".join(map(str, frame)) for frame in one["frames"]]
        cells = {**one, "about": about, "frames": " ".join(frames)}
        buffer = io.StringIO()
        csv.writer(buffer, lineterminator="\n").writerow([printable(str(cells.get(name, ""))) for name in CSV_COLUMNS])
        yield buffer.getvalue()


def _socket(endpoint: Json) -> str:
    ip, port = endpoint["ip"], endpoint["port"]
    return f"[{ip}]:{port}" if ":" in ip else f"{ip}:{port}"
