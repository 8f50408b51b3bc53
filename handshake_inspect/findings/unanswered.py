"""SYNs that nobody answered, and what the other connections of that listener and host tell of the cause."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from handshake_inspect.connections.at_once import number_groups
from handshake_inspect.connections.found import Found
from handshake_inspect.findings.rule import NOTE, run_rule
from handshake_inspect.findings.run import Run
from handshake_inspect.table import frame_numbers

#: RFC 6298 §2.1: before this time has passed a SYN is not sent again; until then it is not unanswered, only not yet.
FIRST_RETRY_NS = 1_000_000_000


@run_rule("unanswered", NOTE, example="unanswered.pcap")
def unanswered(run: Run) -> Iterator[Found]:
    """Nothing answered the SYN.

    What it means. The client asked for a connection, and no SYN-ACK, no RST and no ICMP error came back. What the
    capture shows of others ranks the causes. The same port opened connections with others: the SYN was lost, or the
    listener's accept queue or SYN queue was full; Linux then drops a SYN silently. The host answered other SYNs only,
    at other ports or with an RST: a filter drops what goes to this port, or the SYN was lost. It answered nobody: there
    is no such host, a filter hides it, or its answers take another way than the one captured.

    Why it matters. connect() blocks until the retries are used up: more than two minutes on Linux.

    Reported when. A SYN was captured, and no segment of the other end in this connection, and the capture goes on
    for a second.

    Not reported when. An RST answers (`refused`) or an ICMP error (`unreachable`).

    Source. RFC 9293 §3.8.3, §3.10.7.3; RFC 6298 §2.1. Zeek conn_state S0.
    """
    table = run.table
    unanswered = run.judged(lambda one: one.handshake_kind == "unanswered" and not one.handshake_missing)
    at = np.flatnonzero(unanswered)
    ends = np.array([one.last_ns or 0 for one in run.captures] or [0], np.int64)
    waited = np.maximum(ends[table["first_capture"][at]] - table["first_ns"][at], 0)
    at, waited = at[waited >= FIRST_RETRY_NS], waited[waited >= FIRST_RETRY_NS]
    if not len(at):
        return
    tries = table["syn_retransmissions"][at].astype(np.int64) + 1
    listener, example = run.listeners
    host, hosts = number_groups(run.servers.take(example).host)
    answered = table["segments_r"] > 0
    opened = answered & ~run.judged(lambda one: one.handshake_kind == "refused")
    by_port = (np.bincount(listener[opened], minlength=len(example)) > 0)[listener[at]]
    by_host = (np.bincount(host[listener[answered]], minlength=len(hosts)) > 0)[host[listener[at]]]
    for which, hint in (
        (by_port, "the port answered others: lost, or dropped by a full queue"),
        (by_host & ~by_port, "the host answered other SYNs: filtered, or lost"),
        (~by_host, "that host answered nobody: filtered, or no host there"),
    ):
        one = at[which]
        yield Found(
            f"{{tries:count SYN}} to port {{port:d}}, no answer within {{waited:duration}}; {hint}",
            one,
            (
                frame_numbers(table["first_capture"][one], table["first_frame"][one]),
                frame_numbers(table["last_capture"][one], table["last_frame"][one]),
            ),
            {"tries": tries[which], "port": run.servers.port[one], "waited": waited[which]},
        )
