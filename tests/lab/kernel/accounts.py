"""Kernel accounts and captures put together by hand: what the tests of translation and agreement judge."""

from __future__ import annotations

import itertools

from handshake_inspect.connections.connection import Endpoint
from handshake_inspect.lab.kernel.account import KernelAccount, KernelChange
from handshake_inspect.lab.kernel.sock_diag import Kind

CLIENT, SERVER = Endpoint("127.0.0.1", 54668), Endpoint("127.83.1.9", 8000)
MS = 1_000_000


def traced(ms: float, socket: str, old: str, new: str, *, server: bool = False, port: bool = True) -> KernelChange:
    """A change of the tracepoint; `port`: the client has its own already."""
    local, remote = (SERVER, CLIENT) if server else (CLIENT if port else Endpoint(CLIENT.ip, 0), SERVER)
    return KernelChange(int(ms * MS), local, remote, f"skaddr {socket}", "socket", old, new, "tracepoint")


def sampled(
    ms: float, cookie: str, kind: Kind, old: str | None, new: str | None, *, server: bool = False
) -> KernelChange:
    local, remote = (SERVER, CLIENT) if server else (CLIENT, SERVER)
    return KernelChange(int(ms * MS), local, remote, f"cookie {cookie}", kind, old, new, "sampled")


def account(*changes: KernelChange, sampled_only: bool = False, lost: int = 0) -> KernelAccount:
    return KernelAccount(
        changes=tuple(sorted(changes, key=lambda change: change.time_ns)),
        why_sampled="nobody traces" if sampled_only else None,
        lost=lost,
        samples=100,
        longest_gap_ns=2 * MS,
        clock_error_ns=50,
    )


def chain(start_ms: float, socket: str, *states: str, server: bool = False) -> list[KernelChange]:
    """The changes of one socket, a millisecond apart. Its first has no port yet if it opens actively."""
    return [
        traced(start_ms + n, socket, old, new, server=server, port=(n > 0 or old != "CLOSED"))
        for n, (old, new) in enumerate(itertools.pairwise(states))
    ]
