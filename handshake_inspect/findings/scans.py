"""Who tries many ports or many hosts."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from handshake_inspect.arrays import Rows
from handshake_inspect.connections.conversations import conversation_order
from handshake_inspect.connections.ledger.at_once import number_groups
from handshake_inspect.connections.sockets import Sockets
from handshake_inspect.findings.rule import WARN, about_rule
from handshake_inspect.findings.run import About, Run, worst
from handshake_inspect.quantities import counted, duration
from handshake_inspect.sets import set_of

#: Distinct ports of one host, or hosts at one port, that make a scan.
SCANNED = 15
#: Of the attempts so many in a hundred did not open, or were ended by the client at once.
FAILED_PERCENT = 75
FAILED = ("refused", "unreachable", "unanswered", "half-open", "abandoned")


@about_rule("port-scan", WARN, example="port-scan.pcap")
def port_scan(run: Run) -> Iterator[About]:
    """One host tried many ports of another, and most of them did not open.

    What it means. Somebody looks for listeners. The answers tell them: SYN-ACK is an open port, RST a closed one,
    silence a filter.

    Why it matters. It is how attacks begin; it is also what inventory tools and health checks do.

    Reported when. One host sent SYNs to at least 15 ports of one other host, and at least three quarters of these
    attempts were refused, unreachable, unanswered, left half-open, or ended with an RST before they were open.

    Not reported when. Most attempts opened: a busy client with many services.

    Source. RFC 9293 §3.10.7.1, §3.10.7.2 (what closed and open ports answer); Zeek's policy misc/scan counts alike.
    """
    for mine, distinct in _scans(run, lambda client, server: [*client.host, *server.host[:2]]):
        server = run.servers.take(mine)
        ports = set_of(server.port)
        yield _about(run, mine, f"{counted(distinct, 'port')} of {server.ip(0)}", f" ({_some(ports)})")


@about_rule("host-scan", WARN, example="address-sweep.pcap")
def host_scan(run: Run) -> Iterator[About]:
    """One host tried the same port of many others, and most of them did not open.

    What it means. Somebody looks for one service, as worms do that know one hole.

    Why it matters. A host of yours that does it is likely infected, or runs an inventory.

    Reported when. One host sent SYNs to the same port of at least 15 others, and at least three quarters of these
    attempts were refused, unreachable, unanswered, left half-open, or ended with an RST before they were open.

    Not reported when. Most attempts opened, as those of a proxy or a crawler.

    Source. RFC 9293 §3.10.7.1, §3.10.7.2; Zeek's policy misc/scan counts alike.
    """
    for mine, distinct in _scans(run, lambda client, server: [*client.host, server.port]):
        yield _about(run, mine, f"port {run.servers.port[mine[0]]} of {counted(distinct, 'host')}", "")


def _scans(run: Run, same: Callable[[Sockets, Sockets], list[NDArray[Any]]]) -> Iterator[tuple[Rows, int]]:
    """Yield the failed attempts of each group that is a scan, in order of time, and how many targets they have."""
    known = run.judged(lambda one: one.handshake_kind != "not-captured") & ~run.one_sided
    failed = known & run.judged(lambda one: one.handshake_kind in FAILED)
    if np.count_nonzero(failed) < SCANNED:
        return
    tried, in_vain = run.paths.count(known), run.paths.count(failed)
    group, first = number_groups(same(run.clients.take(run.paths.example), run.servers.take(run.paths.example)))
    # Paths of one group differ in what is not the same in it: in port, or in host.
    distinct = np.bincount(group[in_vain > 0], minlength=len(first))
    mostly = 100 * np.bincount(group, in_vain) >= FAILED_PERCENT * np.bincount(group, tried)
    scans = np.sort(worst(distinct, mostly & (distinct >= SCANNED)))
    if not len(scans):
        return
    is_scan = np.zeros(len(first), np.bool_)
    is_scan[scans] = True
    group = group[run.paths.number]
    rows = np.flatnonzero(failed & is_scan[group])
    of_scan = group[rows]
    rows = rows[conversation_order(of_scan)]
    ends = np.cumsum(np.bincount(of_scan)[scans])
    for number, mine in zip(scans.tolist(), np.split(rows, ends[:-1]), strict=True):
        yield run.by_time(mine), int(distinct[number])


def _about(run: Run, mine: Rows, what: str, which: str) -> About:
    first, last = int(mine[0]), int(mine[-1])
    took = max(int(run.table["first_ns"][last] - run.table["first_ns"][first]), 0)
    return About(
        run.clients.ip(first),
        f"tried {what} within {duration(took)}{which}: {run.kinds(mine)}",
        connections=len(mine),
        frames=(run.first_frame(first), run.first_frame(last)),
    )


def _some(ports: NDArray[Any]) -> str:
    """Return the first and the last ports as text."""
    named = [str(port) for port in ports.tolist()]
    return ", ".join(named) if len(named) <= 6 else f"{', '.join(named[:3])} … {', '.join(named[-2:])}"
