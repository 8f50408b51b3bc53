"""The ledger of a run: who owed how many at once, and how near the ports were to running out.

The oracle asks every connection for its own TIME-WAIT and counts in plain Python.
"""

from __future__ import annotations

import random
from collections import Counter
from dataclasses import replace
from pathlib import Path

import pytest

from handshake_inspect import Connection, Endpoint, Owed, PortRange, PortUse, TimeWait, inspect
from handshake_inspect.inspection import Inspection
from handshake_inspect.tcp.time_wait import SECOND_NS, profile_of
from tests.engine.scenario import BEGIN_NS, Ends, Segment, inspect_many, parse

PCAPS = Path(__file__).parents[2] / "pcaps"
CLIENT, OTHER_CLIENT, SERVER = 0x0A000001, 0x0A000002, 0x0A000063
CLOSED_BY_A = "open\n A > FA x+1 ack y+1\n B > FA y+1 ack x+2\n A > A x+2 ack y+2"
CLOSED_BY_B = "open\n B > FA y+1 ack x+1\n A > FA x+1 ack y+2\n B > A y+2 ack x+2"
CLOSED_BY_BOTH = "open\n A > FA x+1 ack y+1\n B > FA y+1 ack x+1\n A > A x+2 ack y+2\n B > A y+2 ack x+2"
OPEN = "open"
KINDS = [
    CLOSED_BY_A,
    CLOSED_BY_B,
    CLOSED_BY_BOTH,
    OPEN,
    "open\n A > FA x+1 ack y+1\n B > A y+1 ack x+2",
    "A > S x\n B > RA 0 ack x+1",
    "open\n A > RA x+1 ack y+1",
    "A > FA x+1 ack y+1\n B > FA y+1 ack x+2\n A > A x+2 ack y+2",
]


def connection(
    lines: str, at_s: float, port: int, client: int = CLIENT, server: tuple[int, int] = (SERVER, 80), isn: int = 1000
) -> tuple[list[Segment], Ends]:
    """Return a connection that begins at a time, between these sockets; A opens it."""
    segments = [
        replace(one, time_ns=one.time_ns + round(at_s * SECOND_NS)) for one in parse(lines).segments((isn, isn + 5000))
    ]
    return segments, Ends((4, client, port), (4, *server))


# --- an oracle --------------------------------------------------------------------------------------------------------

Interval = tuple[int, int]


def peak(intervals: list[Interval]) -> tuple[int, int]:
    """Return the most that hold at once, and when that is first so: it is when one begins."""
    best = (0, 0)
    for moment in sorted(begin for begin, _ in intervals):
        count = sum(begin <= moment < end for begin, end in intervals)
        best = (count, moment) if count > best[0] else best
    return best


def until(wait: TimeWait) -> int:
    return wait.earliest_end_ns if wait.ended_ns is None else min(wait.ended_ns, wait.earliest_end_ns)


def opened_by(found: Inspection) -> dict[tuple[str, Endpoint], list[Connection]]:
    """Return the connections of which the opening was captured, by host and remote socket."""
    opened: dict[tuple[str, Endpoint], list[Connection]] = {}
    for one in found.connections:
        if one.handshake.kind != "not-captured":
            opened.setdefault((one.originator.ip, one.responder), []).append(one)
    return opened


def taken(found: Inspection, one: Connection, last_ns: int) -> Interval:
    """Return from when to when a connection took a port of its originator."""
    own = [wait for wait in one.time_wait if wait.owner == "originator"]
    if own:
        return one.first_ns, until(own[0])
    later = [
        other.first_ns
        for other in found.connections
        if (other.originator, other.responder) == (one.originator, one.responder) and other.first_ns > one.first_ns
    ]
    states = one.states.originator or ()
    return one.first_ns, one.last_ns if states[-1] in ("CLOSED", "TIME-WAIT") else min([*later, last_ns])


def held_for(one: Connection) -> int:
    """Return how long a connection holds a port of its originator if nothing ends its TIME-WAIT before the time."""
    (wait,) = (wait for wait in one.time_wait if wait.owner == "originator")
    return wait.earliest_end_ns - one.first_ns


def random_run(rng: random.Random) -> tuple[Inspection, PortRange]:
    """Return some dozens of connections of all kinds between few sockets, ports used again among them."""
    conversations = []
    for client, port, server_port in {
        (rng.choice([CLIENT, OTHER_CLIENT]), rng.randrange(40000, 40012), rng.choice([80, 443])) for _ in range(25)
    }:
        begin, isn, segments, ends = rng.uniform(0, 40), rng.randrange(1 << 32), [], Ends()
        for _ in range(rng.choice([1, 1, 2, 3])):
            more, ends = connection(rng.choice(KINDS), begin, port, client, (SERVER, server_port), isn)
            segments += more
            begin, isn = begin + rng.choice([1, 20, 50, 100]), (isn + rng.choice([-30_000, 30_000])) % (1 << 32)
        conversations.append((segments, ends))
    return inspect_many(conversations, profile=rng.choice(["linux", "macos", "rfc", "5"])), PortRange(40003, 40009)


@pytest.mark.parametrize("seed", range(40))
def test_hosts_are_counted_as_one_by_one(seed: int) -> None:
    found, _ = random_run(random.Random(f"hosts {seed}"))
    ledger = found.time_wait_ledger()
    rows = list(ledger)
    assert [one.wait for one in rows] == [wait for one in found.connections for wait in one.time_wait]
    by_host: dict[str, list[Owed]] = {}
    for one in rows:
        by_host.setdefault(one.owner.ip, []).append(one)
    hosts = ledger.hosts()
    assert {host.ip for host in hosts} == by_host.keys()
    assert [host.peak for host in hosts] == sorted((host.peak for host in hosts), reverse=True)
    for place, host in enumerate(hosts):
        owed = by_host[host.ip]
        intervals = [(one.wait.entered_ns, until(one.wait)) for one in owed]
        assert host.time_waits == len(owed)
        assert (host.peak, host.peak_ns) == peak(intervals)
        streams = [found.connections[one.stream] for one in owed]
        known = [one.wait.owner for one, of in zip(owed, streams, strict=True) if of.handshake.kind != "not-captured"]
        assert (host.connecting, host.accepting) == (known.count("originator"), known.count("responder"))
        at = Counter(one.responder for one in streams)
        assert host.most_at_count == max(at.values()) == at[host.most_at]
        assert ledger.span_ns is not None
        assert max(ledger.over_time(place, 7)) == host.peak
    assert ledger.outcomes == Counter(one.wait.outcome for one in rows)


@pytest.mark.parametrize("seed", range(40))
def test_ports_are_counted_as_one_by_one(seed: int) -> None:
    found, ports = random_run(random.Random(f"ports {seed}"))
    ledger = found.time_wait_ledger(ports=ports)
    uses = {(use.ip, use.remote): use for use in ledger.port_use()}
    last_ns = ledger.captured_ns[1]
    window_ns = min(ledger.profile.length_ns, last_ns - ledger.captured_ns[0])
    for key, connections in opened_by(found).items():
        inside = [one for one in connections if ports.first <= one.originator.port <= ports.last]
        waiting = [one for one in inside if any(wait.owner == "originator" for wait in one.time_wait)]
        assert (key in uses) == bool(waiting)
        if not waiting:
            continue
        use = uses[key]
        assert (use.connections, use.time_waits) == (len(inside), len(waiting))
        assert use.outside == len(connections) - len(inside)
        assert (use.peak, use.peak_ns) == peak([taken(found, one, last_ns) for one in inside])
        assert use.opened_in_window == peak([(one.first_ns, one.first_ns + window_ns) for one in waiting])[0]
        at_peak = [wait for one in waiting for wait in one.time_wait if wait.owner == "originator"]
        held = [wait.entered_ns <= use.peak_ns < until(wait) for wait in at_peak]
        assert (use.peak_time_waits, use.peak_open) == (sum(held), use.peak - sum(held))
        held_ns = [held_for(one) for one in waiting]
        assert use.mean_held_ns == pytest.approx(sum(held_ns) / len(held_ns), abs=1)
        assert use.runs_out_at_per_s == pytest.approx(ports.count / (sum(held_ns) / len(held_ns) / SECOND_NS))


# --- by hand ----------------------------------------------------------------------------------------------------------


def only_use(found: Inspection, ports: PortRange | None = None) -> PortUse:
    (use,) = found.time_wait_ledger(ports=ports).port_use()
    return use


def test_a_range_has_both_its_ends() -> None:
    ports = PortRange(40000, 40002)
    found = inspect_many([connection(CLOSED_BY_A, 0, port) for port in range(39999, 40004)])
    use = only_use(found, ports)
    assert (ports.count, use.connections, use.outside, use.peak, use.share) == (3, 3, 2, 3, 1.0)
    assert str(ports) == "40000-40002"


def test_the_default_range_lasts_for_470_and_a_half_connections_per_second() -> None:
    use = only_use(inspect_many([connection(CLOSED_BY_A, 0, 40000)]))
    assert use.ports.count == 28_232
    assert use.mean_held_ns == 60 * SECOND_NS + 5_000_000  # its last ACK is its sixth segment, 1 ms after another
    assert use.runs_out_at_per_s == pytest.approx(28_232 / 60.005)
    assert use.runs_out_at_per_s == pytest.approx(470.5, abs=0.05)


@pytest.mark.parametrize("every_s", [3, 4])
def test_ports_run_out_by_the_time_for_which_each_is_held(every_s: int) -> None:
    """Open for 60 s and in TIME-WAIT for 60 s: all that begin within 120 s hold a port at once."""
    conversations = []
    for i in range(80):
        segments, ends = connection(CLOSED_BY_A, i * every_s, 40000 + i)
        closing = [replace(one, time_ns=one.time_ns + 60 * SECOND_NS) for one in segments[3:]]
        conversations.append(([*segments[:3], *closing], ends))
    use = only_use(inspect_many(conversations), PortRange(40000, 40079))
    assert use.mean_held_ns == 120 * SECOND_NS + 5_000_000
    assert use.peak == 120 // every_s + 1
    assert use.runs_out_at_per_s == pytest.approx(80 / 120.005)


@pytest.mark.parametrize(("profile", "window_s"), [("linux", 10.005), ("4", 4), ("rfc", 10.005)])
def test_the_rate_is_seen_over_the_time_of_time_wait_or_over_the_capture_if_it_is_shorter(
    profile: str, window_s: float
) -> None:
    at = [0, 1, 2, 3, 3.5, 10]
    found = inspect_many([connection(CLOSED_BY_A, s, 50000 + i) for i, s in enumerate(at)], profile=profile)
    use = only_use(found)
    assert use.window_ns == window_s * SECOND_NS
    assert use.opened_in_window == (5 if profile == "4" else 6)
    assert use.seen_per_s == pytest.approx(use.opened_in_window / window_s)
    assert use.ports == profile_of(profile).ports
    assert use.mean_held_ns == profile_of(profile).length_ns + 5_000_000


def test_one_remote_socket_does_not_take_the_ports_of_another() -> None:
    servers = [(SERVER, 80), (SERVER, 81), (SERVER + 1, 80)]
    found = inspect_many(
        [connection(CLOSED_BY_A, i, 40000 + port, server=server) for i, server in enumerate(servers) for port in (0, 1)]
    )
    ledger = found.time_wait_ledger()
    assert [use.peak for use in ledger.port_use()] == [2, 2, 2]
    (host,) = ledger.hosts()
    assert (host.time_waits, host.peak, host.most_at_count) == (6, 6, 2)


def test_who_accepted_takes_no_port() -> None:
    found = inspect_many([connection(CLOSED_BY_B, 0, port) for port in (40000, 40001)])
    ledger = found.time_wait_ledger()
    assert ledger.port_use() == ()
    (host,) = ledger.hosts()
    assert (host.connecting, host.accepting, host.most_at, host.most_at_count) == (0, 2, Endpoint("10.0.0.99", 80), 2)


def test_an_open_connection_takes_its_port_too() -> None:
    found = inspect_many([connection(OPEN, 0, 40000), connection(CLOSED_BY_A, 1, 40001)])
    use = only_use(found)
    assert (use.peak, use.time_waits, use.connections) == (2, 1, 2)


def test_a_port_that_is_used_again_is_taken_once() -> None:
    old, ends = connection(CLOSED_BY_A, 0, 40000)
    new, _ = connection(CLOSED_BY_A, 5, 40000, isn=90_000)
    found = inspect_many([([*old, *new], ends)])
    use = only_use(found)
    assert [wait.outcome for one in found.connections for wait in one.time_wait] == ["reused", "not-captured"]
    assert (use.connections, use.time_waits, use.peak, use.opened_in_window) == (2, 2, 1, 2)


def test_a_time_wait_of_thirty_years_fits_the_parts_of_the_time() -> None:
    ledger = inspect_many(
        [connection(CLOSED_BY_A, i, 40000 + i) for i in range(3)], profile="1000000000"
    ).time_wait_ledger()
    assert ledger.over_time(0, 60) == (3,) * 60
    (use,) = ledger.port_use()
    assert use.mean_held_ns == pytest.approx(1_000_000_000 * SECOND_NS, rel=1e-9)


def test_a_selection_is_a_ledger_of_its_own_in_its_order() -> None:
    found = inspect_many([connection(CLOSED_BY_BOTH, i, 40000 + i) for i in range(4)])
    ledger = found.time_wait_ledger([3, 1])
    assert [(one.stream, one.wait.owner) for one in ledger] == [
        (3, "originator"), (3, "responder"), (1, "originator"), (1, "responder"),
    ]  # fmt: skip
    assert [one.stream for one in ledger.owed(1)] == [3]
    assert (len(ledger), ledger.connections, ledger.hosts()[0].peak) == (4, 2, 2)
    assert ledger.span_ns == (BEGIN_NS + SECOND_NS + 6_000_000, BEGIN_NS + 63 * SECOND_NS + 6_000_000)


def test_where_nobody_owes_it_there_is_nothing() -> None:
    for found in (inspect(PCAPS / "refused.pcap"), inspect(PCAPS / "udp.pcap")):
        ledger = found.time_wait_ledger()
        assert (list(ledger), ledger.hosts(), ledger.port_use(), ledger.span_ns, ledger.outcomes) == (
            [],
            (),
            (),
            None,
            {},
        )
        with pytest.raises(IndexError):
            ledger.over_time(0, 5)


def test_a_self_connect_is_one_socket_that_owes_once() -> None:
    ledger = inspect(PCAPS / "self-connect.pcap").time_wait_ledger()
    (owed,) = ledger
    assert owed.owner == owed.peer
    (use,) = ledger.port_use()
    assert (use.peak, use.remote) == (1, owed.owner)
