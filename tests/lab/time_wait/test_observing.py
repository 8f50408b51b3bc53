"""All entries of a host, watched by anybody: what begins, restarts, is gone, and why as far as that can be seen."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from handshake_inspect.connections.connection import Endpoint
from handshake_inspect.lab.bench import Bench, Host
from handshake_inspect.lab.ground import RunOptions
from handshake_inspect.lab.kernel.entry_table import Rows, read_rows
from handshake_inspect.lab.session import FinishedSession, run_session
from handshake_inspect.lab.time_wait import observing
from handshake_inspect.lab.time_wait.binding import Notebook
from handshake_inspect.lab.time_wait.jiffies import placed_wheel
from handshake_inspect.lab.time_wait.observing import Cause, Change, EntryEnd, Filter, Observer, Tally, told_by_whom
from handshake_inspect.lab.time_wait.wheel import Span
from handshake_inspect.lab.world import in_private_world
from tests.lab.kernel.runs import listener_at
from tests.lab.privileges import as_ordinary_user, needs_private_world
from tests.lab.time_wait import provoking
from tests.lab.time_wait.provoking import CLIENT, SERVER, close_in_turn, connect_again, destroy

#: How long a deed waits for somebody to see what it has done; and where nobody wants to.
PATIENCE_S, IN_VAIN_S = 60.0, 1.0
#: Closes a connection, and when that was seen does something to its TIME-WAIT.
Deed = Callable[[Bench, Callable[[], object]], object]
#: Connections of a busy host, and the share of one processor that watching them may take.
MANY, SHARE = 10_000, 0.2


@pytest.fixture(autouse=True)
def private_world() -> None:
    needs_private_world()


def seen(
    deed: Deed, wanted: Filter, *settings: str, patience_s: float = PATIENCE_S
) -> list[tuple[str, str, bool | None]]:
    """Watch a private network, as anybody, in which `deed` closes a connection, and goes on when that was seen."""

    def inside() -> list[tuple[str, str, bool | None]]:
        for name in settings:
            Path("/proc/sys/net/ipv4", name).write_text("1")
        observer, it_began = Observer(wheel, wanted), threading.Event()
        observer.look()
        changes: list[Change] = []
        bench = own_bench()
        actor = threading.Thread(target=lambda: deed(bench, lambda: it_began.wait(patience_s)))
        actor.start()
        while actor.is_alive():
            changes += observer.look()
            if changes:
                it_began.set()
                actor.join()  # not while the kernel is asked: whose connection it counted then cannot be told
            time.sleep(observer.next_look_s())
        changes += observer.look()
        observer.close()
        return [
            (one.kind, one.gone.cause if one.gone else "", one.gone.by_owner if one.gone else None) for one in changes
        ]

    wheel = placed_wheel()
    return as_ordinary_user(lambda: in_private_world(inside))


def own_bench() -> Bench:
    notes = Notebook()
    return Bench(Host("client", "127.0.0.1", notes), Host("server", "127.0.0.1", notes))


def then_destroyed(bench: Bench, until_seen: Callable[[], object]) -> None:
    owner, peer = close_in_turn(bench)
    until_seen()
    destroy(owner, peer)


def then_reused_by_its_owner(bench: Bench, until_seen: Callable[[], object]) -> None:
    close_in_turn(bench)
    until_seen()
    connect_again(bench)


def then_reused_by_the_other_end(bench: Bench, until_seen: Callable[[], object]) -> None:
    close_in_turn(bench, closes_first="server")
    until_seen()
    connect_again(bench)


def then_reused_and_closed_again(bench: Bench, until_seen: Callable[[], object]) -> None:
    listener = bench.server.listen(port=SERVER, reuse=True)
    for _ in range(2):
        client = bench.client.bound(CLIENT, reuse=True)
        client.connect(listener.address)
        accepted = listener.accept()
        client.close()
        accepted.recv()
        accepted.close()
        bench.pause()
        until_seen()


def test_what_is_gone_is_told_before_what_began_at_its_sockets() -> None:
    kinds = [kind for kind, _, _ in seen(then_reused_and_closed_again, Filter())]
    assert kinds == ["began", "gone", "began"]


@pytest.mark.parametrize(
    ("deed", "settings", "gone"),
    [
        (then_destroyed, (), ("gone", "reset-or-destroyed", None)),
        (then_destroyed, ("tcp_rfc1337",), ("gone", "destroyed", None)),
        (then_reused_by_its_owner, (), ("gone", "reused", True)),
        (then_reused_by_the_other_end, (), ("gone", "reused", False)),
    ],
)
def test_an_early_end_is_told_as_far_as_it_can_be_seen(
    deed: Deed, settings: tuple[str, ...], gone: tuple[str, str, bool | None]
) -> None:
    assert seen(deed, Filter(), *settings) == [("began", "", None), gone]


@pytest.mark.parametrize(
    ("wanted", "is_seen"),
    [
        (Filter(ports=(SERVER,)), True),
        (Filter(ports=(SERVER + 1, CLIENT)), True),
        (Filter(ports=(SERVER + 1,)), False),
        (Filter(ips=("127.0.0.1",)), True),
        (Filter(ips=("127.0.0.2", "127.0.0.3")), False),
    ],
)
def test_only_what_is_wanted_is_shown(wanted: Filter, is_seen: bool) -> None:
    assert bool(seen(then_destroyed, wanted, patience_s=PATIENCE_S if is_seen else IN_VAIN_S)) == is_seen


def test_what_was_there_before_is_told_at_the_first_look() -> None:
    def inside() -> list[str]:
        close_in_turn(own_bench())
        observer = Observer(wheel, Filter())
        kinds: list[str] = [change.kind for change in (*observer.look(), *observer.look())]
        observer.close()
        return kinds

    wheel = placed_wheel()
    assert in_private_world(inside) == ["there"]


def test_connections_without_room_are_counted() -> None:
    def inside() -> int:
        observer = Observer(wheel, Filter())
        observer.look()
        provoking.has_no_room(own_bench())
        observer.look()
        observer.close()
        return observer.overflowed

    wheel = placed_wheel()
    assert in_private_world(inside) == 1


def test_many_entries_take_little_of_a_processor() -> None:
    def inside() -> tuple[int, float]:
        with listener_at("127.0.0.1", backlog=50) as listener:
            Path("/proc/sys/net/ipv4/ip_local_port_range").write_text("10000 60999")
            Path("/proc/sys/net/ipv4/tcp_tw_reuse").write_text("0")
            for number in range(MANY):
                if number % 20 == 0:  # at once they would be too many for who traces the whole machine beside us
                    time.sleep(0.005)
                client = socket.create_connection(listener.getsockname())
                server, _ = listener.accept()
                client.close()
                server.close()
        observer = Observer(wheel, Filter())
        seen = len(observer.look())
        began, used = time.monotonic(), time.process_time()
        while time.monotonic() < began + 2:
            time.sleep(observer.next_look_s())
            # A connection of the last moment may still have been closing at the first look.
            seen += sum(change.kind == "began" for change in observer.look())
        observer.close()
        return seen, (time.process_time() - used) / (time.monotonic() - began)

    wheel = placed_wheel()
    count, share = in_private_world(inside)
    assert count == MANY
    assert share < SHARE


def test_a_restart_is_seen() -> None:
    """The last ACK of a connection is lost, and the FIN comes again."""
    told: list[str] = []

    def watch_until_restarted(_: FinishedSession) -> None:
        observer, deadline = Observer(wheel, Filter()), time.monotonic() + 60
        while "restarted" not in told and time.monotonic() < deadline:
            told.extend(change.kind for change in observer.look())
            time.sleep(observer.next_look_s())
        observer.close()

    def inside() -> list[str]:
        run_session(provoking.scenario_of(provoking.is_restarted), RunOptions(), stay=watch_until_restarted)
        return told

    wheel = placed_wheel()
    assert in_private_world(inside) == ["there", "restarted"]


def gone_after(late_ms: float, cause: Cause = "ran-out") -> EntryEnd:
    return EntryEnd(cause, round(60e9 + late_ms * 1e6), 5_000_000, Span(0, 0))


def test_the_tally_keeps_the_median_without_keeping_all() -> None:
    tally = Tally()
    for late_ms in (700, 1, 700, 2000.4, 3, 1500):
        tally.count(gone_after(late_ms))
    tally.count(gone_after(-30_000, "reused"))
    assert (tally.ended, tally.causes) == (7, {"ran-out": 6, "reused": 1})
    assert tally.late == (1, 700, 2000)
    assert len(tally.late_ms) == 5


@pytest.mark.parametrize(
    ("counted", "by_owner"),
    [
        ((1, 1), True),
        ((0, 0), False),
        ((0, 1), None),  # while it was asked: this one, or one that is still shown
        ((1, 2), None),
        ((2, 2), None),
    ],
)
def test_who_reused_it_is_told_only_if_the_kernel_counted_as_many(
    counted: tuple[int, int], by_owner: bool | None
) -> None:
    end = Endpoint("127.0.0.1", CLIENT)
    (change,) = told_by_whom([Change("gone", 0, end, end, 0, gone_after(-30_000, "reused"))], *counted)
    assert change.gone is not None
    assert change.gone.by_owner is by_owner


@pytest.mark.parametrize(("is_read_first", "by_owner"), [(True, True), (False, None)])
def test_what_is_counted_while_the_kernel_is_asked_counts_once(
    is_read_first: bool, by_owner: bool | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The owner connects again just after its entry was read, or just before: then it may be another's."""

    def inside() -> list[bool | None]:
        bench, told = own_bench(), []
        close_in_turn(bench)
        observer = Observer(wheel, Filter())
        observer.look()
        deeds = [connect_again]

        def read_and_act(netlink: socket.socket, states: int) -> Rows:
            rows = read_rows(netlink, states) if is_read_first else None
            for deed in deeds:
                deed(bench)
            deeds.clear()
            return read_rows(netlink, states) if rows is None else rows

        monkeypatch.setattr(observing, "read_rows", read_and_act)
        for _ in range(3):
            told += [one.gone.by_owner for one in observer.look() if one.gone]
        observer.close()
        return told

    wheel = placed_wheel()
    assert in_private_world(inside) == [by_owner]
