"""Connections and UDP exchanges as Zeek's conn.log: tab-separated, with the header lines of Zeek's ASCII writer.

In: connections as columns, exchanges as objects. Out: text in UTF-8, in three parts. Read first: Zeek 7,
logging/writers/ascii and base/protocols/conn/main.zeek. No cell needs an escape: none can hold a tab, and none is text
from a capture.

`#open` and `#close` are when Zeek wrote its file. A time of day would make every run differ: here they are the times of
the first and the last frame, in UTC, so that the same captures give the same log.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from datetime import UTC, datetime, timedelta

import numpy as np
from numpy.typing import NDArray

from handshake_inspect.capture.summary import CaptureSummary
from handshake_inspect.cells import Utf8, lines, seconds
from handshake_inspect.connections.conn_log import CONN_LOG, UNSET, conn_log_blocks
from handshake_inspect.connections.model import Connections
from handshake_inspect.connections.zeek.uid import uid_of
from handshake_inspect.exchanges import Exchange

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def conn_log(
    captures: Sequence[CaptureSummary],
    of_connections: Iterable[Utf8],
    exchanges: Iterable[Exchange] = (),
) -> Iterator[Utf8]:
    """Yield the log: a header, the `rows` of connections, a line for each exchange, the time of the end."""
    yield head(captures)
    yield from of_connections
    for exchange in exchanges:
        yield b"\t".join(_exchange_row(exchange)) + b"\n"
    yield end(captures)


def head(captures: Sequence[CaptureSummary]) -> bytes:
    """Return the header."""
    opened = min((one.first_ns for one in captures if one.first_ns is not None), default=0)
    said = [
        "#separator \\x09",
        "#set_separator\t,",
        "#empty_field\t(empty)",
        f"#unset_field\t{UNSET.decode()}",
        "#path\tconn",
        f"#open\t{_log_time(opened)}",
        "\t".join(("#fields", *CONN_LOG)),
        "\t".join(("#types", *CONN_LOG.values())),
    ]
    return "".join(f"{line}\n" for line in said).encode()


def rows(connections: Connections, streams: NDArray[np.int64]) -> Iterator[Utf8]:
    """Yield a line for each stream, some at a time."""
    for block in conn_log_blocks(connections, streams):
        yield lines(block.values(), b"\t")


def end(captures: Sequence[CaptureSummary]) -> bytes:
    """Return the footer, with the time of the end."""
    closed = max((one.last_ns for one in captures if one.last_ns is not None), default=0)
    return f"#close\t{_log_time(closed)}\n".encode()


def _log_time(time_ns: int) -> str:
    try:
        return f"{EPOCH + timedelta(seconds=time_ns // 1_000_000_000):%Y-%m-%d-%H-%M-%S}"
    except OverflowError:  # a broken clock: pcapng can hold any year
        return _log_time(0)


def _exchange_row(exchange: Exchange) -> Iterator[bytes]:
    microseconds = exchange.last_ns // 1000 - exchange.first_ns // 1000
    sockets = f"{exchange.originator} {exchange.responder} {' '.join(exchange.encapsulation)}"
    cells = {
        "ts": _seconds(exchange.first_ns // 1000),
        "uid": uid_of(f"udp {sockets} {exchange.first_ns} {exchange.capture} {exchange.first_frame}"),
        "id.orig_h": exchange.originator.ip,
        "id.orig_p": exchange.originator.port,
        "id.resp_h": exchange.responder.ip,
        "id.resp_p": exchange.responder.port,
        "proto": "udp",
        "conn_state": exchange.conn_state,
        "missed_bytes": 0,
        "history": exchange.history,
        "orig_pkts": exchange.datagrams.originator,
        "resp_pkts": exchange.datagrams.responder,
    }
    if microseconds > 0:
        cells |= {
            "duration": _seconds(microseconds),
            "orig_bytes": exchange.octets.originator,
            "resp_bytes": exchange.octets.responder,
        }
    return (str(cells[name]).encode() if name in cells else UNSET for name in CONN_LOG)


def _seconds(microseconds: int) -> str:
    return lines([seconds(np.array([microseconds]))]).decode().strip()
