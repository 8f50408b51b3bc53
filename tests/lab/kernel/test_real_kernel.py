"""Lines of `differences`, and each way in which both accounts are compared, made by real sockets of this kernel."""

from __future__ import annotations

import socket
import time
from dataclasses import replace
from pathlib import Path

import pytest

from handshake_inspect.capture.live import LiveCapture
from handshake_inspect.lab.kernel.agreement import compare
from handshake_inspect.lab.vantage import raw_frames
from tests.lab.kernel.runs import (
    DROP_BARE_ACK,
    SETTLE_S,
    Place,
    Seen,
    Talk,
    connected,
    connecting,
    deafen,
    hear,
    inspect_frames,
    listener_at,
    observed,
    vanish,
)
from tests.lab.privileges import needs_private_world, needs_tracepoint

#: Retries of a SYN-ACK and of a FIN come so soon at the earliest.
SYN_ACK_RETRY_S, FIN_RETRY_S = 1.2, 0.5


@pytest.fixture(autouse=True)
def root() -> None:
    needs_tracepoint()
    needs_private_world()


def four_way(place: Place) -> None:
    with listener_at(place.address) as listener:
        client, server = connected(listener)
        place.look()
        client.close()
        place.look()
        server.close()


def three_segments(place: Place) -> None:
    with listener_at(place.address) as listener:
        client, server = connected(listener)
        client.shutdown(socket.SHUT_WR)
        server.close()
        client.close()


def simultaneous_close(place: Place) -> None:
    with listener_at(place.address) as listener:
        ends = connected(listener)
        for end in ends:
            deafen(end)
        for end in ends:
            end.shutdown(socket.SHUT_WR)
        for end in ends:
            hear(end)
        time.sleep(FIN_RETRY_S)


def self_connect(place: Place) -> None:
    with socket.socket() as one:
        one.bind((place.address, 0))
        one.connect(one.getsockname())
        place.look()


def half_open(place: Place) -> None:
    with listener_at(place.address) as listener, connecting(listener.getsockname()):
        place.look()


def half_open_and_reset(place: Place) -> None:
    with listener_at(place.address) as listener:
        with connecting(listener.getsockname()):
            place.look()
        time.sleep(SYN_ACK_RETRY_S)  # the kernel answers the next SYN-ACK with an RST


def given_up_at_once(place: Place) -> None:
    with listener_at(place.address) as listener:
        connecting(listener.getsockname()).close()


def refused(place: Place) -> None:
    with socket.socket() as holder, socket.socket() as client:
        holder.bind((place.address, 0))
        assert client.connect_ex(holder.getsockname()) != 0


def third_segment_with_fin(place: Place) -> None:
    with listener_at(place.address) as listener:
        deafen(listener, DROP_BARE_ACK)
        client = socket.create_connection(listener.getsockname())
        client.close()
        server, _ = listener.accept()
        hear(server)
        server.close()


def crash(place: Place) -> None:
    with listener_at(place.address) as listener:
        client, server = connected(listener)
        place.look()
        vanish(client)
        place.look()
        server.send(b"are you there?")  # RFC 9293 §3.5.1, Figure 10: an RST answers
        place.look()


def orphan_that_is_given_up(place: Place) -> None:
    with listener_at(place.address) as listener:
        client, server = connected(listener)
        client.close()
        time.sleep(3.3)  # tcp_fin_timeout=1, and the timer wheel is late by up to 2.05 s
        assert server.fileno() > 0


def port_used_again(place: Place) -> None:
    with listener_at(place.address) as listener:
        client, server = connected(listener)
        port = client.getsockname()[1]
        client.close()
        place.look()
        server.close()
        time.sleep(1.1)  # timestamps tell the new SYN from the old connection, RFC 6191: they count seconds
        client, server = connected(listener, port)
        client.close()
        place.look()
        server.close()


def time_wait_killed(place: Place) -> None:
    from scapy.layers.inet import IP, TCP

    with LiveCapture("lo") as capture:
        four_way(place)
        place.look()
        last_ack = [frame for block in capture.drain() for frame in raw_frames(block)][-1]
    ack = IP(last_ack.octets[14:])[TCP]
    reset = IP(src=place.address, dst="127.0.0.1") / TCP(sport=ack.dport, dport=ack.sport, seq=ack.ack, flags="R")
    with socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_RAW) as raw:
        raw.sendto(bytes(reset), ("127.0.0.1", 0))  # RFC 1337: the hazard


def full_at_the_third_segment(place: Place) -> None:
    with listener_at(place.address, backlog=1) as listener:
        waiting = socket.create_connection(listener.getsockname())
        late = [connecting(listener.getsockname()) for _ in range(2)]
        for one in late:
            hear(one)
        time.sleep(SYN_ACK_RETRY_S)
        assert waiting.fileno() > 0


def with_cookies_and_a_full_queue(place: Place) -> None:
    with listener_at(place.address, backlog=0) as listener:
        clients = [connecting(listener.getsockname()) for _ in range(2)]
        for client in clients:
            hear(client)
        time.sleep(SYN_ACK_RETRY_S)
        for client in clients:
            vanish(client)


#: What talks, settings below net.ipv4, the lines of `DIFFERENCES` that it needs at the originator and the responder.
RUNS: dict[str, tuple[Talk, dict[str, int], set[str], set[str]]] = {
    "four-way": (four_way, {}, {"orphan", "mini"}, {"request"}),
    "three-segment": (three_segments, {}, {"one-segment", "mini"}, {"request"}),
    "simultaneous-close": (simultaneous_close, {}, {"mini"}, {"request", "mini"}),
    "self-connect": (self_connect, {}, {"mini"}, {"mini"}),
    "half-open": (half_open, {}, {"silent"}, {"request"}),
    "half-open-and-reset": (half_open_and_reset, {}, {"silent"}, {"request", "request-gone"}),
    "refused": (refused, {}, set(), {"no-socket"}),
    "third-segment-with-fin": (third_segment_with_fin, {}, {"mini"}, {"request"}),
    "crash": (crash, {}, {"silent"}, {"request"}),
    "orphan-given-up": (orphan_that_is_given_up, {"tcp_fin_timeout": 1}, {"orphan", "silent"}, {"request"}),
    "no-time-wait": (four_way, {"tcp_max_tw_buckets": 0}, {"mini-unseen"}, {"request"}),
    "time-wait-killed": (time_wait_killed, {}, {"orphan", "mini", "time-wait-over"}, {"request"}),
    "cookies": (four_way, {"tcp_syncookies": 2}, {"orphan", "mini"}, {"request"}),
}


def notes(seen: Seen, end: str) -> set[str]:
    return {note for *_, note in seen.rows(end) if note}


@pytest.mark.parametrize("name", RUNS)
def test_the_kernel_says_what_the_capture_says(name: str) -> None:
    talk, settings, originator, responder = RUNS[name]
    seen = observed(talk, settings=settings)
    assert seen.account.traced
    assert seen.agreement.complete, [seen.rows("originator"), seen.rows("responder")]
    assert notes(seen, "originator") >= originator
    assert notes(seen, "responder") >= responder


def test_a_third_segment_that_finds_the_queue_full_did_not_arrive() -> None:
    seen = observed(full_at_the_third_segment)
    assert not seen.agreement.contradicts
    left_out = [n for n in (1, 2) if ("ESTABLISHED", None, "not-taken", "not-taken") in seen.rows("responder", n)]
    assert len(left_out) == 1, "of the two late ones the queue had room for one"


def test_with_cookies_the_third_segment_may_vanish_without_a_socket() -> None:
    seen = observed(with_cookies_and_a_full_queue, settings={"tcp_syncookies": 2})
    assert not seen.agreement.contradicts
    never_there = [
        ("LISTEN", None, "not-seen", "request-unseen"),
        ("SYN-RECEIVED", None, "not-seen", "request-unseen"),
        ("ESTABLISHED", None, "not-taken", "not-taken"),
    ]
    assert [seen.rows("responder", n)[:3] == never_there for n in (0, 1)].count(True) == 1
    assert not seen.agreement.complete


def test_a_socket_given_up_at_once_is_no_contradiction() -> None:
    seen = observed(given_up_at_once)
    assert not seen.agreement.contradicts
    assert seen.rows("originator")[-1] == (None, "CLOSED", "not-captured", "silent")


def test_a_pair_of_addresses_used_twice_is_two_connections() -> None:
    seen = observed(port_used_again)
    assert seen.agreement.complete
    assert [len(end.claims) for end in seen.agreement.ends] == [5, 5, 5, 5]
    assert seen.rows("originator", 0)[-1] == (None, "CLOSED", "not-captured", "time-wait-over")
    assert seen.kernel("originator", 1)[0] == "CLOSED"


#: Where the port of the server stands in a frame of it, and of its client: behind 14 octets of Ethernet, 20 of IPv4.
FROM_SERVER, TO_SERVER = slice(34, 36), slice(36, 38)


@pytest.mark.parametrize(
    ("talk", "direction"),
    [
        (four_way, TO_SERVER),
        (three_segments, TO_SERVER),
        (crash, TO_SERVER),
        (crash, FROM_SERVER),
        (four_way, FROM_SERVER),
    ],
)
def test_one_direction_claims_nothing_that_the_kernel_denies(talk: Talk, direction: slice) -> None:
    seen = observed(talk)
    port = seen.connections[0].responder.port.to_bytes(2)
    frames = [frame for frame in seen.frames if frame.octets[direction] == port]
    assert 0 < len(frames) < len(seen.frames)
    agreement = compare(inspect_frames(frames).result(), seen.account, partial=True)
    assert agreement.changes > 0
    assert not agreement.contradicts


def test_a_part_that_claims_what_did_not_happen_is_found_out() -> None:
    seen = observed(three_segments)
    account = replace(seen.account, changes=tuple(c for c in seen.account.changes if "LAST-ACK" not in (c.old, c.new)))
    assert compare(inspect_frames(seen.frames).result(), account, partial=True).contradicts


def test_samples_alone_never_contradict_a_right_capture() -> None:
    for name in ("four-way", "three-segment", "self-connect", "crash", "half-open-and-reset", "time-wait-killed"):
        talk, settings, *_ = RUNS[name]
        seen = observed(talk, trace=False, settings=settings)
        assert not seen.account.traced
        assert not seen.agreement.contradicts, (name, seen.rows("originator"), seen.rows("responder"))
        assert seen.agreement.count("agrees") > 0


def test_times_of_both_accounts_are_of_one_clock() -> None:
    seen = observed(four_way)
    assert seen.account.clock_error_ns < 100_000
    (syn_sent,) = [row for row in seen.rows_of("originator") if row.own and row.own.state == "SYN-SENT"]
    assert syn_sent.own and syn_sent.kernel and syn_sent.own.time_ns and syn_sent.kernel.time_ns
    # the kernel moves to SYN-SENT, then hands the SYN to the interface
    assert -100_000 <= syn_sent.own.time_ns - syn_sent.kernel.time_ns < SETTLE_S * 1e9


def test_nothing_is_mounted_where_others_see_it() -> None:
    before = Path("/proc/self/mounts").read_text()
    observed(four_way)
    assert Path("/proc/self/mounts").read_text() == before
