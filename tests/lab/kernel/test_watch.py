"""The watcher: ready in time, gone in time, bounded, and not mixed with others."""

from __future__ import annotations

import itertools
import os
import signal
import socket
from pathlib import Path

import pytest

from handshake_inspect.lab.kernel import watch as watch_module
from handshake_inspect.lab.kernel.account import KernelAccount, SocketFilter, address_of_its_own
from handshake_inspect.lab.kernel.watch import Sampler, watching
from handshake_inspect.lab.world import LabError, in_private_world
from tests.lab.kernel.runs import Place, Seen, listener_at, observe, observed
from tests.lab.kernel.test_real_kernel import four_way, three_segments
from tests.lab.privileges import as_ordinary_user, children, needs_tracepoint


def watched(*, trace: bool = True, concern: SocketFilter | None = None) -> KernelAccount:
    """A connection on this host's own loopback."""
    address = address_of_its_own()
    with watching(concern or SocketFilter(addresses={address}), trace=trace) as watch:
        place = Place(address, watch)
        four_way(place)
        place.look()
        return watch.end()


def test_an_ordinary_user_gets_samples_and_is_told_why() -> None:
    account = as_ordinary_user(watched)
    assert account.why_sampled == "tracing is for root of the host"
    assert {change.source for change in account.changes} == {"sampled"}
    assert {change.new for change in account.changes} >= {"ESTABLISHED", "FIN-WAIT-2", "TIME-WAIT"}
    assert account.samples > 3
    assert account.lost == 0


def test_what_is_there_when_it_is_told_to_look_is_seen() -> None:
    address = address_of_its_own()
    with watching(SocketFilter(addresses={address}), trace=False) as watch:
        for _ in range(20):
            with listener_at(address):
                watch.look()
        account = watch.end()
    assert [change.new for change in account.changes if change.new] == ["LISTEN"] * 20


def test_only_changes_are_kept() -> None:
    account = watched(trace=False)
    for name in {change.socket for change in account.changes}:
        own = [change for change in account.changes if change.socket == name]
        assert own[0].old is None
        for before, after in itertools.pairwise(own):
            assert before.new == after.old


def test_it_is_ready_when_the_context_is_entered(private_world: None) -> None:
    for _ in range(5):
        seen = observed(three_segments)
        if seen.account.traced:
            assert seen.kernel("originator")[:2] == ["CLOSED", "SYN-SENT"]
        assert seen.account.samples >= 2


def test_runs_side_by_side_do_not_mix(private_world: None) -> None:
    def run(number: int) -> Seen:
        return in_private_world(observe, (four_way, three_segments)[number % 2])

    # each from a process of its own: a thread cannot make a network namespace
    pids = []
    for number in range(6):
        pid = os.fork()
        if pid == 0:
            code = 1
            try:
                seen = run(number)
                address = seen.connections[0].responder.ip
                alone = all(address in (change.local.ip, change.remote.ip) for change in seen.account.changes)
                sockets = {change.remote.port for change in seen.account.changes if change.local.ip == address}
                right = alone and not seen.agreement.contradicts and len(sockets - {0}) <= 1
                whole = seen.agreement.complete and len(sockets - {0}) == 1
                code = 0 if right and (whole or not seen.account.traced) else 1
            finally:
                os._exit(code)
        pids.append(pid)
    assert [os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) for pid in pids] == [0] * 6


def test_several_hosts_are_watched_at_once(private_world: None) -> None:
    from handshake_inspect.lab.hosts import inside
    from handshake_inspect.lab.router import SERVER, three_hosts

    def across() -> set[str]:
        with three_hosts() as server_host, watching(SocketFilter(addresses={SERVER}), (None, server_host)) as watch:
            with inside(server_host):
                listener = listener_at(SERVER)
            with listener, socket.create_connection(listener.getsockname()):
                watch.look()
                account = watch.end()
        return {change.socket.partition("/")[0] for change in account.changes if change.source == "sampled"}

    assert in_private_world(across) == {"cookie 0", "cookie 1"}


def test_memory_is_bounded_and_what_does_not_fit_is_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(watch_module, "CHANGES_MAX", 3)
    account = watched(trace=False)
    assert len(account.changes) == 3
    assert account.lost > 0


def test_a_watcher_that_cannot_begin_says_so_and_is_gone(monkeypatch: pytest.MonkeyPatch) -> None:
    before = children()
    monkeypatch.setattr("handshake_inspect.lab.kernel.sock_diag.NETLINK_SOCK_DIAG", 999)
    with pytest.raises(LabError, match=r"^the kernel's sockets cannot be read here"), watching(SocketFilter()):
        pass
    assert children() == before


def test_it_is_gone_whatever_happens_inside() -> None:
    before = children()
    with pytest.raises(ZeroDivisionError), watching(SocketFilter(ports={1})):
        print(1 // 0)
    assert children() == before


def test_a_watcher_that_was_killed_is_reported() -> None:
    with watching(SocketFilter(ports={1})) as watch:
        os.kill(watch.pid, signal.SIGKILL)
        with pytest.raises(RuntimeError, match="ended without an account"):
            watch.end()


def test_addresses_of_its_own_are_of_loopback_and_differ() -> None:
    drawn = {address_of_its_own() for _ in range(200)}
    assert len(drawn) > 190
    for address in drawn:
        first, second, _, last = map(int, address.split("."))
        assert (first, 64 <= second < 192, 0 < last < 255) == (127, True, True)


def test_ipv6_is_told_apart_by_ports() -> None:
    needs_tracepoint()

    def two_servers() -> tuple[int, KernelAccount]:
        with watching(SocketFilter(addresses={"::1"})) as watch:
            ports = []
            for _ in range(2):
                with socket.create_server(("::1", 0), family=socket.AF_INET6) as listener:
                    ports.append(listener.getsockname()[1])
                    socket.create_connection(("::1", ports[-1])).close()
            watch.look()
            return ports[0], watch.end().about(SocketFilter(ports={ports[0]}))

    port, account = in_private_world(two_servers)
    assert account.changes
    assert all(port in (change.local.port, change.remote.port) for change in account.changes)


def test_a_sampler_leaves_no_socket_open() -> None:
    descriptors = Path("/proc/self/fd")
    before = len([*descriptors.iterdir()])
    with Sampler(SocketFilter(), (None, None)) as sampler:
        sampler.look()
    assert len([*descriptors.iterdir()]) == before
