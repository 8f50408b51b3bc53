"""Ephemeral ports that run out, because each TIME-WAIT of a connecting end keeps one.

Counted by `connections.ledger.ledger`. Read RFC 6335 §6 and `connections.ledger.port_use`.
"""

from __future__ import annotations

from collections.abc import Iterator

from handshake_inspect.connections.ledger.ledger import TimeWaitLedger
from handshake_inspect.connections.ledger.port_use import PortUse
from handshake_inspect.findings.rule import WARN, about_rule
from handshake_inspect.findings.run import About, Run
from handshake_inspect.quantities import duration
from handshake_inspect.tcp.time_wait import SECOND_NS

#: How many pairs of host and remote socket are told of: those with the highest peak.
MOST_REMOTES = 10
#: From which part of the ephemeral ports on they are said to run out.
LOW_SHARE = 0.75
#: A rate of connections tells nothing if it was seen for a shorter time, or of fewer connections.
LEAST_RATE_NS, LEAST_RATE_CONNECTIONS = SECOND_NS, 100


@about_rule("ephemeral-ports-low", WARN)
def ephemeral_ports_low(run: Run) -> Iterator[About]:
    """The ports from which a host can connect to one remote socket are running out.

    What it means. Each connection takes one of the host's ephemeral ports for one remote socket, from its SYN until its
    TIME-WAIT is over. At the rate seen here, or as many as were taken at once, there are hardly any left.

    Why it matters. connect() fails with EADDRNOTAVAIL, or takes long to find a port. Keep connections open and use them
    again; let the server close first; more local or remote addresses; a wider range; on Linux tcp_tw_reuse.

    Reported when. Three quarters of the ports of the profile were taken at once; or in a stretch of at least 1 s so
    many connections left TIME-WAIT, 100 or more, that at this rate no port is left before the first one is free again.

    Not reported when. The server closes first: its TIME-WAIT takes no port of the client's.

    Source. RFC 9293 §3.6.1; RFC 6335 §6; RFC 6056 §3.2.
    """
    if len(run.connections.verdicts.waits) < LEAST_RATE_CONNECTIONS:
        return
    if run.paths.sizes.max(initial=0) < LEAST_RATE_CONNECTIONS:
        return
    times = [time for one in run.captures for time in (one.first_ns, one.last_ns) if time is not None]
    captured_ns = (min(times, default=0), max(times, default=0))
    ledger = TimeWaitLedger(run.connections, None, run.connections.profile.ports, captured_ns)
    for use in ledger.port_use(MOST_REMOTES):
        low = use.share >= LOW_SHARE
        rate_known = use.window_ns >= LEAST_RATE_NS and use.opened_in_window >= LEAST_RATE_CONNECTIONS
        if low or (rate_known and use.seen_per_s >= use.runs_out_at_per_s):
            yield About(f"{use.ip} to {use.remote}", _ports_in_words(use), use.connections)


def _ports_in_words(use: PortUse) -> str:
    taken = (
        f"{use.peak:,} of the {use.ports.count:,} ports {use.ports} taken at once, {use.peak_time_waits:,} by TIME-WAIT"
    )
    rate = f"{use.opened_in_window:,} connections in {duration(use.window_ns)} left TIME-WAIT"
    if use.seen_per_s < use.runs_out_at_per_s:
        return f"{taken}; {rate}"
    return f"{taken}; {rate}: at that rate none is left after {duration(round(use.ports.count / use.seen_per_s * 1e9))}"
