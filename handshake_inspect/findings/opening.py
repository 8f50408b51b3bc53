"""Openings that failed, or took more than three segments (RFC 9293 §3.5)."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from handshake_inspect.connections.found import Found
from handshake_inspect.findings.evidence import Evidence
from handshake_inspect.findings.rule import NOTE, WARN, rule


@rule("unanswered", NOTE, example="unanswered.pcap")
def unanswered(e: Evidence) -> Iterator[Found]:
    """Nothing answered the SYN.

    What it means. The client asked for a connection, and no SYN-ACK, no RST and no ICMP error came back. A filter drops
    the SYN or the answer, the host is down, the SYN was lost, or the listener's accept queue is full: Linux then drops
    the SYN silently.

    Why it matters. connect() blocks until the retries are used up: two minutes on Linux.

    Reported when. A SYN was captured, and no segment of the other end in this connection.

    Not reported when. An RST answers (`refused`) or an ICMP error (`unreachable`).

    Source. RFC 9293 §3.10.7.3, §3.8.3; RFC 6298 §2.
    """
    at = np.flatnonzero(e.handshake("unanswered"))
    first, last = e.first_row(e.is_syn), e.last_row(e.is_syn)
    at = at[first[at] >= 0]
    tries = e.table["syn_retransmissions"][at].astype(np.int64) + 1
    yield e.found(
        "{tries:count SYN} to port {port:d}, no answer within {waited:duration}",
        at,
        first[at],
        last[at],
        tries=tries,
        port=e.responder_port[at],
        waited=e.until_end_ns(first[at]),
    )


@rule("half-open", WARN, example="syn-flood.pcap")
def half_open(e: Evidence) -> Iterator[Found]:
    """The SYN-ACK was never acknowledged: the server waits for the third segment.

    What it means. The server is in SYN-RECEIVED and holds an entry of its SYN queue. The client is gone, never was
    there (a forged address), or its ACK is lost.

    Why it matters. Each such connection takes one place of the backlog until the server gives up: Linux repeats the
    SYN-ACK five times, the last after 31 s, and drops the entry after 63 s. Many of them at once are a SYN flood.

    Reported when. A SYN-ACK was captured, and nothing that acknowledges it, until the capture ends.

    Not reported when. An RST ended the attempt (`abandoned`).

    Source. RFC 9293 §3.5, §3.10.7.4; RFC 4987 §2.
    """
    at = np.flatnonzero(e.handshake("half-open"))
    first, last = e.first_row(e.is_syn_ack), e.last_row(e.is_syn_ack)
    at = at[first[at] >= 0]
    tries = e.table["syn_ack_retransmissions"][at].astype(np.int64) + 1
    yield e.found(
        "half-open for {since:duration}: {tries:count SYN-ACK}, none acknowledged",
        at,
        first[at],
        last[at],
        since=e.until_end_ns(first[at]),
        tries=tries,
    )
