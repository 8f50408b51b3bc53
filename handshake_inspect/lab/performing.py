"""Who performs a scenario, on its ground: two programs in two processes, or a script.

In: a scenario and its `Ground`. Out: the `Account` of what was called, when it is over: when two programs have left no
socket in the kernel but those in TIME-WAIT (or after CLOSING_LIMIT_S), so that the last ACK is captured too; with the
last line of a script, while its sockets are still open.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

from handshake_inspect.lab.bench import Bench, Host
from handshake_inspect.lab.echo import EchoPlan, Stage
from handshake_inspect.lab.ground import Ground, RunOptions
from handshake_inspect.lab.hosts import enter
from handshake_inspect.lab.programs import Account, Server, run_programs, running_script
from handshake_inspect.lab.scenarios.scenario import Programs, Scenario

#: How long to wait, after both programs have ended, for the kernel to finish the closing.
CLOSING_LIMIT_S = 0.5
#: How long a script may take: the longest waits for the retries of a SYN.
SCRIPT_LIMIT_S = 60.0
#: Socket states in /proc/net/tcp that owe nothing to anybody (<net/tcp_states.h>): TIME_WAIT and LISTEN.
QUIET_STATES = {"06", "0A"}
TABLES = ("tcp", "tcp6")

#: Called every few milliseconds while a scenario runs.
Meanwhile = Callable[[], object]


@contextmanager
def performing(
    scenario: Scenario, how: RunOptions, ground: Ground, meanwhile: Meanwhile, look: Meanwhile
) -> Iterator[Account]:
    """Perform a scenario; the body of the context runs when it is over, and before a script's sockets are closed.

    `look` has the kernel asked now: a script calls it at moments that no segment marks.
    """
    if isinstance(scenario.performance, Programs):
        performance, plan = scenario.performance, scenario.plan
        if scenario.network != "router" and ground.server != plan.host:
            plan = replace(plan, address=ground.server)
        account = run_programs(on_host(performance.server, ground), performance.client, plan, meanwhile=meanwhile)
        wait_until_closed(account.servers[0][1], ground.server_host)
        yield account
        return
    script = scenario.performance

    def perform(stage: Stage) -> Bench:
        client = Host("client", ground.client, stage, is_private=how.is_private)
        server = Host("server", ground.server, stage, ground.server_host, is_private=how.is_private)
        bench = Bench(client, server, ground.wire, look)
        script(bench)
        return bench

    with running_script(perform, SCRIPT_LIMIT_S, meanwhile=meanwhile) as account:
        yield account


def on_host(server: Server, ground: Ground) -> Server:
    """Return a program that runs on the server's host."""

    def serve(plan: EchoPlan, stage: Stage) -> None:
        if ground.server_host is not None:
            enter(ground.server_host)
        server(plan, stage)

    return serve


def are_closing() -> bool:
    """May any TCP socket of this process's network still send or await a segment?"""
    return any(is_closing(None, Path("/proc/self/net", table)) for table in TABLES)


def wait_until_closed(port: int, server_host: int | None = None) -> None:
    """Wait until the kernel holds no TCP socket of `port` but in LISTEN or TIME-WAIT, CLOSING_LIMIT_S at most."""
    deadline = time.monotonic() + CLOSING_LIMIT_S
    tables = [Path("/proc", str(host or "self"), "net", table) for host in {None, server_host} for table in TABLES]
    while time.monotonic() < deadline and any(is_closing(port, table) for table in tables):
        time.sleep(0.005)


def is_closing(port: int | None, table: Path) -> bool:
    """Has a table of sockets one of `port`, or any, that may still send or await a segment?"""
    return any(port is None or port in ports for ports in busy_sockets(table))


def busy_sockets(table: Path) -> Iterator[tuple[int, int]]:
    """Yield the own and the other port of each socket of a table that may still send or await a segment."""
    try:
        lines = table.read_text().splitlines()[1:]
    except OSError:  # no IPv6 in this kernel
        return
    for line in lines:
        _, local, remote, state, *_ = line.split()
        if state not in QUIET_STATES:
            yield int(local[-4:], 16), int(remote[-4:], 16)
