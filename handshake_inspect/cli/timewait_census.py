"""Prints a census of TIME-WAIT: a table for people, or one document for programs.

In: a `Census`. Out: who holds how many towards whom, with the time that the kernel's timers still show and the share of
the ephemeral range; and how full the kernel's table is.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

from handshake_inspect.cli.output import hanging, terminal_width, write_fitted
from handshake_inspect.cli.standard_error import remark
from handshake_inspect.connections.connection import Endpoint
from handshake_inspect.lab.time_wait.census import Census, Holding, entries_of
from handshake_inspect.quantities import counted
from handshake_inspect.views.table import Column, layout


def print_census(census: Census, format_: str, limit: int) -> None:
    """Print the census; as a table its first `limit` lines, as a document all."""
    if format_ == "json":
        print(json.dumps(as_json(census), indent=2))
        return
    print(hanging("", how_full(census)))
    if not census.holdings:
        return
    print()
    write_fitted([layout(census.holdings[:limit], columns(census), terminal_width())])
    if (more := len(census.holdings) - limit) > 0:
        remark(f"--limit {limit}: {more:,} more not shown")
    print()
    for line in remarks(census):
        print(hanging("", line))


def how_full(census: Census) -> str:
    """Return how many entries there are, and how many the kernel allows."""
    sides = f"{entries_of(census.holdings, 'client'):,} as client, {entries_of(census.holdings, 'server'):,} as server"
    many = counted(census.count, "connection")
    share = f"{100 * census.count / census.limit:.1f} %" if census.limit else "none fits"
    return f"{many} in TIME-WAIT ({sides}); the kernel keeps {census.limit:,} (tcp_max_tw_buckets): {share}"


def columns(census: Census) -> list[Column]:
    """Return the columns of the table."""
    return [
        Column("held by", lambda one: f"{socket_or_address(one.local)} as {one.role}"),
        Column("towards", lambda one: socket_or_address(one.remote)),
        Column("entries", lambda one: f"{one.count:,}", right=True),
        Column("first end", lambda one: f"{one.nearest_ms / 1000:.1f} s", right=True, rank=1),
        Column("last end", lambda one: f"{one.farthest_ms / 1000:.1f} s", right=True, rank=2),
        Column("ephemeral ports", lambda one: share_of(one, census), right=True, rank=3),
    ]


def socket_or_address(end: Endpoint) -> str:
    """Return the socket of a server, or the address of a client, whose port differs in each entry."""
    return str(end) if end.port else f"[{end.ip}]" if ":" in end.ip else end.ip


def share_of(one: Holding, census: Census) -> str:
    """Return which share of the ephemeral range a client has used up for one remote socket."""
    if one.role == "server":
        return "-"
    taken, size = len(one.ephemeral), len(census.ephemeral)
    return f"{taken:,} of {size:,} = {100 * taken / size:.1f} %" if size else "none"


def remarks(census: Census) -> Iterator[str]:
    """Return sentences that explain the figures on this host."""
    step = census.wheel.step_ns() / 1e9
    yield f"Ends by the kernel's timers; an entry stays up to {step:.3f} s longer (timer wheel, HZ={census.wheel.hz})."
    if any(one.role == "client" for one in census.holdings):
        first, last = census.ports.first, census.ports.last
        again = {
            0: "connect() takes none of them again before its end",
            1: "connect() may take one again after a second",
            2: "connect() may take one again after a second, on loopback only",
        }.get(census.reuse, f"tcp_tw_reuse={census.reuse}")
        yield f"Ephemeral ports: {first}-{last} (ip_local_port_range); with tcp_tw_reuse={census.reuse} {again}."


def as_json(census: Census) -> dict[str, Any]:
    """Return the census as one document."""
    return {
        "schema": 1,
        "time_ns": census.time_ns,
        "entries": census.count,
        "max_entries": census.limit,
        "ephemeral_ports": {"first": census.ports.first, "last": census.ports.last, "count": len(census.ephemeral)},
        "tcp_tw_reuse": census.reuse,
        "wheel_step_ns": census.wheel.step_ns(),
        "holdings": [
            {
                "role": one.role,
                "local": {"ip": one.local.ip, "port": one.local.port or None},
                "remote": {"ip": one.remote.ip, "port": one.remote.port or None},
                "entries": one.count,
                "first_end_ms": one.nearest_ms,
                "last_end_ms": one.farthest_ms,
                "ephemeral_ports_taken": len(one.ephemeral) if one.role == "client" else None,
            }
            for one in census.holdings
        ],
    }
