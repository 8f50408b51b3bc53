"""The ledger of TIME-WAIT for other programs: JSON, a JSON object per line, CSV.

In: a `TimeWaitLedger`, read one row at a time. Out: pieces of text. The names are part of the contract: more may be
added; none changes its meaning without a new `SCHEMA`.
"""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterable, Iterator

from handshake_inspect.capture.records import Damage
from handshake_inspect.capture.summary import CaptureSummary
from handshake_inspect.connections.ledger.ledger import Owed, TimeWaitLedger
from handshake_inspect.connections.ledger.owing import HostOwes
from handshake_inspect.connections.ledger.port_use import PortUse
from handshake_inspect.views.contract import (
    SCHEMA,
    Json,
    capture_object,
    damage_object,
    endpoint_object,
    time_wait_object,
)
from handshake_inspect.views.escape import printable
from handshake_inspect.views.export import json_list
from handshake_inspect.views.words import frame_text

CSV_COLUMNS = (
    "stream", "capture", "owner", "owner_ip", "owner_port", "peer_ip", "peer_port", "entered_ns", "entered_frame",
    "restarts", "last_restart_ns", "profile", "earliest_end_ns", "outcome", "ended_ns", "ended_frame", "reuse_stream",
    "reuse_by", "reuse_rules",
)  # fmt: skip
#: `at_once` of a host: how many equal parts of the time in which any TIME-WAIT was owed, and of how many hosts.
PARTS, HOSTS_IN_PARTS = 60, 100

_ENCODE = json.JSONEncoder().encode


def owed_object(owed: Owed) -> Json:
    """Return the object of one TIME-WAIT: that of a connection's `time_wait`, and between whom."""
    return {
        "stream": owed.stream,
        "capture": owed.capture,
        "host": endpoint_object(owed.owner),
        "peer": endpoint_object(owed.peer),
        **time_wait_object(owed.wait),
    }


def ndjson(owed: Iterable[Owed]) -> Iterator[str]:
    """Yield one JSON object per TIME-WAIT, each a line."""
    for one in owed:
        yield _ENCODE(owed_object(one)) + "\n"


def json_document(
    captures: Iterable[CaptureSummary], owed: Iterable[Owed], ledger: TimeWaitLedger, damage: Iterable[Damage]
) -> Iterator[str]:
    """Yield one document, a TIME-WAIT per line. The summary is that of the whole ledger, whatever rows are shown."""
    yield f'{{"schema": {SCHEMA},\n "captures": {_ENCODE([capture_object(one) for one in captures])},\n "time_waits": '
    yield from json_list(_ENCODE(owed_object(one)) for one in owed)
    yield f',\n "summary": {_ENCODE(summary_object(ledger))},\n "damage": '
    yield _ENCODE([damage_object(place) for place in damage])
    yield "}\n"


def summary_object(ledger: TimeWaitLedger) -> Json:
    """Return the summary of the ledger."""
    profile, ports = ledger.profile, ledger.ports
    begin_ns, end_ns = ledger.span_ns or (None, None)
    return {
        "profile": {
            "name": profile.name,
            "length_ns": profile.length_ns,
            "assumption": profile.assumption,
            "any_segment_restarts": profile.any_segment_restarts,
        },
        "ports": {"first": ports.first, "last": ports.last, "count": ports.count, "source": ports.source or None},
        "connections": ledger.connections,
        "time_waits": len(ledger),
        "outcomes": ledger.outcomes,
        "begin_ns": begin_ns,
        "end_ns": end_ns,
        "captured_until_ns": ledger.captured_ns[1],
        "hosts": [
            {**_host(host), "at_once": list(ledger.over_time(place, PARTS)) if place < HOSTS_IN_PARTS else None}
            for place, host in enumerate(ledger.hosts())
        ],
        "port_use": [_port_use(use) for use in ledger.port_use()],
    }


def _host(host: HostOwes) -> Json:
    return {
        "ip": host.ip,
        "tunnel": host.tunnel or None,
        "time_waits": host.time_waits,
        "connecting": host.connecting,
        "accepting": host.accepting,
        "peak": host.peak,
        "peak_ns": host.peak_ns,
        "most_at": endpoint_object(host.most_at),
        "most_at_count": host.most_at_count,
    }


def _port_use(use: PortUse) -> Json:
    return {
        "ip": use.ip,
        "tunnel": use.tunnel or None,
        "remote": endpoint_object(use.remote),
        "connections": use.connections,
        "time_waits": use.time_waits,
        "outside": use.outside,
        "peak": use.peak,
        "peak_ns": use.peak_ns,
        "peak_time_waits": use.peak_time_waits,
        "peak_open": use.peak_open,
        "share": use.share,
        "opened_in_window": use.opened_in_window,
        "window_ns": use.window_ns,
        "seen_per_s": use.seen_per_s,
        "mean_held_ns": use.mean_held_ns,
        "runs_out_at_per_s": use.runs_out_at_per_s,
    }


def csv_lines(owed: Iterable[Owed]) -> Iterator[str]:
    """Yield a header and one line per TIME-WAIT; quoted as RFC 4180 says, lines end with a line feed."""
    buffer = io.StringIO()
    writer = csv.writer(buffer, lineterminator="\n")
    writer.writerow(CSV_COLUMNS)
    for one in owed:
        writer.writerow(_cells(one))
        yield buffer.getvalue()
        buffer.seek(0)
        buffer.truncate()
    yield buffer.getvalue()


def _cells(owed: Owed) -> list[object]:
    wait, reuse = owed.wait, owed.wait.reuse
    return [
        owed.stream,
        printable(owed.capture),
        wait.owner,
        owed.owner.ip,
        owed.owner.port,
        owed.peer.ip,
        owed.peer.port,
        wait.entered_ns,
        frame_text(wait.entered_frame),
        len(wait.restarts),
        wait.restarts_ns[-1] if wait.restarts else None,
        wait.profile,
        wait.earliest_end_ns,
        wait.outcome,
        wait.ended_ns,
        None if wait.ended_frame is None else frame_text(wait.ended_frame),
        reuse and reuse.stream,
        reuse and reuse.by,
        reuse and " ".join(reuse.rules),
    ]
