"""ICMP errors find the connection whose segment they quote: captures built octet by octet, through both readers."""

from __future__ import annotations

import io
import time
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from handshake_inspect.capture.inputs import Input
from handshake_inspect.connections.connection import Connection, IcmpError
from handshake_inspect.inspection import Inspection
from handshake_inspect.inspector import Inspector, inspect
from handshake_inspect.table import Block, IcmpErrorTable, SegmentTable
from tests.capture.builders import pcap
from tests.capture.icmp_builders import (
    ACK,
    ASKING,
    CLIENT,
    FIN,
    ICMP,
    PSH,
    ROUTER,
    ROUTER_6,
    RST,
    SERVER,
    SERVING,
    SYN,
    UDP,
    Conversation,
    capture,
    error,
    ethernet,
    ip,
    tcp,
)
from tests.oracles.everything import everything

SYN_ACK = SYN | ACK


def inspected(*packets: Any) -> Inspection:
    """Inspect a capture of these packets, in every way that must give the same."""
    octets = capture(*packets)
    found = inspect(io.BytesIO(octets))
    answers = everything(found)
    assert everything(inspect(io.BytesIO(octets), reader="scapy")) == answers
    assert everything(inspect(io.BytesIO(octets), block_octets=64)) == answers
    return found


def only(*packets: Any) -> Connection:
    (connection,) = inspected(*packets).connections
    return connection


def only_error(*packets: Any) -> IcmpError:
    (found,) = only(*packets).icmp_errors
    return found


# --- every message about every segment ------------------------------------------------------------------------------

#: By IP version: type, how many codes are tried, and those that say of a SYN that it was not delivered.
MESSAGES = {
    4: {3: (17, set(range(17)) - {4}), 4: (2, set()), 5: (5, set()), 11: (3, {0, 1, 2}), 12: (4, {0, 1, 2, 3})},
    6: {1: (10, set(range(10))), 2: (2, set()), 3: (3, {0, 1, 2}), 4: (12, set(range(12)))},
}
GRID = [
    (version, icmp_type, code, code in undelivered)
    for version, types in MESSAGES.items()
    for icmp_type, (codes, undelivered) in types.items()
    for code in range(codes)
]


@pytest.mark.parametrize(("version", "icmp_type", "code", "undelivered"), GRID)
def test_each_message_about_each_kind_of_segment(version: int, icmp_type: int, code: int, undelivered: bool) -> None:
    """Three conversations in one capture: a SYN that was sent is quoted, one that was not, and data."""
    syn, other, data = (Conversation(v6=version == 6, port=ASKING + number) for number in range(3))

    def about(packet: bytes) -> bytes:
        return error(syn.router, packet, icmp_type, code)

    early = [syn.sent(SYN), about(syn.sent(SYN)), other.sent(SYN), about(other.sent(ACK, 77, 0))]
    sent, answer = data.sent(ACK | PSH, 1, 1, b"bith"), data.answered(ACK, 1, 5)
    packets = [*early, *data.handshake(), sent]
    unanswered, not_quoted, with_error = inspected(*packets, about(sent), answer).connections
    _, _, without = inspected(*packets, (len(packets) + 1.0, answer)).connections

    assert unanswered.handshake.kind == ("unreachable" if undelivered else "unanswered")
    assert unanswered.handshake.complete is False
    assert [(one.answers_syn, one.was_sent, one.relative_seq) for one in unanswered.icmp_errors] == [(True, True, 0)]
    assert (unanswered.icmp_errors[0].type, unanswered.icmp_errors[0].code) == (icmp_type, code)

    assert not_quoted.handshake.kind == "unanswered"
    assert [(one.answers_syn, one.was_sent) for one in not_quoted.icmp_errors] == [(False, False)]

    assert [(one.quotes, one.flags, one.was_sent) for one in with_error.icmp_errors] == [
        ("originator", "PSH,ACK", True)
    ]
    moved_nothing = replace(with_error, icmp_errors=(), last_frame=without.last_frame, findings=without.findings)
    assert moved_nothing == replace(without, last_ns=with_error.last_ns)


# --- a SYN ---------------------------------------------------------------------------------------------------------


def test_a_syn_that_is_answered_after_an_error_is_what_it_became() -> None:
    one = Conversation()
    syn, syn_ack, ack = one.handshake()
    found = only(syn, error(ROUTER, syn, 3, 1), (1000.0, syn), (1001.0, syn_ack), (1002.0, ack))
    assert (found.handshake.kind, found.handshake.complete) == ("three-way", True)
    assert [(error.message, error.answers_syn) for error in found.icmp_errors] == [("host unreachable", True)]


def test_a_refused_syn_stays_refused() -> None:
    one = Conversation()
    syn = one.sent(SYN)
    reset = ip(SERVER, CLIENT, tcp(SERVING, one.port, RST | ACK, 0, one.x + 1))
    assert only(syn, error(ROUTER, syn, 3, 1), reset).handshake.kind == "refused"


@pytest.mark.parametrize("octets", [40, 28])
def test_the_quote_of_a_syn_ack_is_no_answer_to_a_syn(octets: int) -> None:
    one = Conversation(5000, 5000)
    answer = one.answered(SYN_ACK, 0, 1)
    found = only(one.sent(SYN), answer, error(ROUTER, answer, 3, 1, octets=octets))
    assert found.handshake.kind == "half-open"
    assert [(error.quotes, error.answers_syn, error.seq) for error in found.icmp_errors] == [("responder", False, 5000)]


@pytest.mark.parametrize(("octets", "seq", "flags"), [(40, 1000, "SYN"), (28, 1000, None), (26, None, None)])
def test_a_quote_of_any_length_answers_the_syn(octets: int, seq: int | None, flags: str | None) -> None:
    """A quote that ends before the number can only be of the SYN where nothing else was sent."""
    one = Conversation()
    found = only(one.sent(SYN), error(ROUTER, one.sent(SYN), 3, 1, octets=octets))
    assert found.handshake.kind == "unreachable"
    (told,) = found.icmp_errors
    assert (told.seq, told.flags, told.answers_syn) == (seq, flags, True)
    assert told.was_sent is (None if seq is None else True)
    later = only(*one.handshake(), error(ROUTER, one.sent(SYN), 3, 1, octets=octets))
    assert later.icmp_errors[0].answers_syn is (seq is not None)


def test_an_error_that_quotes_the_number_of_the_syn_but_another_segment_is_no_answer() -> None:
    one = Conversation()
    found = only(one.sent(SYN), error(ROUTER, one.sent(ACK, 0, 0), 3, 1))
    assert found.handshake.kind == "unanswered"


# --- numbers -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("relative", "was_sent"), [(-1, False), (0, True), (1, True), (4, True), (5, True), (6, False), (1 << 31, False)]
)
def test_the_number_must_lie_in_what_was_sent(relative: int, was_sent: bool) -> None:
    """RFC 5927 §4.1. The number after the last octet is that of a bare ACK."""
    one = Conversation(0xFFFFFFFE)
    packets = [*one.handshake(), one.sent(ACK, 1, 1, b"bith")]
    assert only_error(*packets, error(ROUTER, one.sent(ACK, relative), 3, 3)).was_sent is was_sent


def test_what_only_the_peer_acknowledged_was_sent_too() -> None:
    one = Conversation()
    found = only_error(*one.handshake(), one.answered(ACK, 1, 2001), error(ROUTER, one.sent(ACK, 1500), 11, 0))
    assert (found.was_sent, found.relative_seq, found.symbolic_seq) == (True, 1500, "x+1+1499")


def test_before_the_first_number_of_a_capture_that_begins_later_nothing_can_be_told() -> None:
    one = Conversation()
    packets = [one.sent(ACK, 100, 100, b"a"), one.answered(ACK, 100, 101)]
    before, within, beyond = (
        only_error(*packets, error(ROUTER, one.sent(ACK, number), 3, 1)) for number in (50, 100, 5000)
    )
    assert [one.was_sent for one in (before, within, beyond)] == [None, True, False]
    assert [one.relative_seq for one in (before, within, beyond)] == [-49, 1, 4901]
    assert before.symbolic_seq is None


def test_of_an_end_that_was_never_heard_nothing_can_be_told() -> None:
    one = Conversation()
    found = only_error(one.sent(SYN), error(ROUTER, one.answered(ACK, 3, 1), 3, 1))
    assert (found.quotes, found.was_sent, found.seq, found.relative_seq) == ("responder", None, 5003, None)


def test_numbers_beyond_four_gigabytes_are_counted_on() -> None:
    one = Conversation()
    packets, sent = [*one.handshake()], 1
    for _ in range(10):
        packets += [one.sent(ACK, sent, 1, b"x"), one.answered(ACK, 1, sent + 1)]
        packets += [one.answered(ACK, 1, sent + 500_000_000)]
        sent += 500_000_000
    last = one.sent(ACK, sent, 1, b"y")
    found = only_error(*packets, last, error(ROUTER, last, 3, 1))
    assert (found.relative_seq, found.was_sent) == (sent, True)


def test_the_mtu_is_told() -> None:
    one = Conversation()
    data = one.sent(ACK, 1, 1, bytes(1460))
    found = only_error(*one.handshake(), data, error(ROUTER, data, 3, 4, mtu=1400))
    assert (found.mtu, found.kind, found.message, found.source) == (1400, "path-mtu", "fragmentation needed", ROUTER)
    assert only_error(*one.handshake(), data, error(ROUTER, data, 3, 4)).mtu is None
    six = Conversation(v6=True)
    data = six.sent(ACK, 1, 1, bytes(1440))
    found = only_error(*six.handshake(), data, error(ROUTER_6, data, 2, 0, mtu=1280))
    assert (found.mtu, found.kind, found.source) == (1280, "path-mtu", ROUTER_6)


# --- which connection ----------------------------------------------------------------------------------------------


def closing(one: Conversation) -> list[bytes]:
    return [one.sent(FIN | ACK, 1, 1), one.answered(FIN | ACK, 1, 2), one.sent(ACK, 2, 2)]


def test_of_several_connections_of_the_same_sockets_the_number_chooses() -> None:
    first, second = Conversation(1000, 5000), Conversation(900_000, 800_000)
    packets = [*first.handshake(), *closing(first), *second.handshake(), second.sent(ACK, 1, 1, b"bith")]
    about = [first.sent(SYN), first.sent(FIN | ACK, 1), second.sent(SYN), second.answered(SYN_ACK), second.sent(ACK, 5)]
    found = inspected(*packets, *(error(ROUTER, one, 3, 1) for one in about)).connections
    assert [[one.relative_seq for one in connection.icmp_errors] for connection in found] == [[0, 1], [0, 0, 5]]
    assert [[one.quotes for one in connection.icmp_errors] for connection in found] == [
        ["originator"] * 2, ["originator", "responder", "originator"],
    ]  # fmt: skip
    assert all(one.was_sent for connection in found for one in connection.icmp_errors)


def test_an_error_whose_number_fits_none_stays_with_the_latest_that_had_begun() -> None:
    first, second = Conversation(1000, 5000), Conversation(900_000, 800_000)
    forged = error(ROUTER, first.sent(ACK, 1_000_000_000), 3, 2)
    packets = [*first.handshake(), *closing(first), forged, *second.handshake()]
    found = inspected(*packets, forged, error(ROUTER, second.sent(SYN), 3, 1, octets=24)).connections
    assert [[one.was_sent for one in connection.icmp_errors] for connection in found] == [[False], [False, None]]


def test_the_same_initial_number_twice_is_told_apart_by_time() -> None:
    one = Conversation()
    answer = ip(SERVER, CLIENT, tcp(SERVING, one.port, RST | ACK, 0, one.x + 1))
    packets = [one.sent(SYN), answer, one.sent(SYN), error(ROUTER, one.sent(SYN), 3, 1)]
    found = inspected(*packets).connections
    assert [connection.handshake.kind for connection in found] == ["refused", "unreachable"]
    assert [len(connection.icmp_errors) for connection in found] == [0, 1]


def test_an_error_that_was_captured_before_the_segment_it_quotes_is_joined_by_its_number() -> None:
    one = Conversation()
    found = inspected((1.0, error(ROUTER, one.sent(SYN), 3, 1)), (1.5, one.sent(SYN)))
    assert found.connections[0].handshake.kind == "unreachable"
    other = inspected((1.0, error(ROUTER, one.sent(ACK, 400), 3, 1)), (1.5, one.sent(SYN)))
    assert (other.connections[0].icmp_errors, other.unmatched_icmp_errors) == ((), 1)
    unheard = inspected((1.0, error(ROUTER, one.answered(ACK, 3, 1), 3, 1)), (1.5, one.sent(SYN)))
    assert (unheard.connections[0].icmp_errors, unheard.unmatched_icmp_errors) == ((), 1)


def test_errors_about_other_sockets_are_counted() -> None:
    """A router behind an address translation quotes addresses that were not captured here."""
    one, translated = Conversation(), Conversation(port=61000)
    found = inspected(one.sent(SYN), error(ROUTER, translated.sent(SYN), 3, 1), error(ROUTER, one.sent(SYN), 3, 1))
    assert found.unmatched_icmp_errors == 1
    assert [len(connection.icmp_errors) for connection in found.connections] == [1]


def test_both_ends_of_a_socket_connected_to_itself_are_one() -> None:
    syn = ip("127.0.0.1", "127.0.0.1", tcp(700, 700, SYN, 9))
    found = only(syn, error("127.0.0.1", syn, 3, 3))
    assert [(one.quotes, one.answers_syn) for one in found.icmp_errors] == [("originator", True)]


def test_errors_stand_in_the_order_of_time_with_the_frames_of_their_files() -> None:
    one = Conversation()
    syn = one.sent(SYN)
    first = capture(syn, (9.0, error(ROUTER, syn, 3, 1)))
    second = capture((5.0, error(ROUTER, syn, 11, 0)))
    files = [io.BytesIO(first), io.BytesIO(second)]
    files[0].name, files[1].name = "a.pcap", "b.pcap"
    (found,) = inspect(files).connections
    assert [(error.frame, error.message) for error in found.icmp_errors] == [
        (("b.pcap", 1), "time to live exceeded"), (2, "host unreachable"),
    ]  # fmt: skip


def test_a_vlan_tag_of_one_direction_does_not_part_an_error_from_its_connection() -> None:
    one = Conversation()
    octets = [ethernet(one.sent(SYN), 10), ethernet(error(ROUTER, one.sent(SYN), 3, 1), 20)]
    (found,) = inspect(io.BytesIO(pcap([(each, len(each), 10**18 + n) for n, each in enumerate(octets)]))).connections
    assert (found.handshake.kind, found.encapsulation) == ("unreachable", ("vlan:10",))


# --- second copies -------------------------------------------------------------------------------------------------


def local(flags: int, seq: int) -> bytes:
    return ip("127.0.0.1", "127.0.0.1", tcp(40000, 80, flags, seq))


def test_second_copies_on_loopback_are_told_once() -> None:
    told = error("127.0.0.1", local(SYN, 9), 3, 3, ip_id=5)
    found = inspected((0.0, local(SYN, 9)), (0.01, local(SYN, 9)), (0.02, told), (0.03, told))
    assert [len(connection.icmp_errors) for connection in found.connections] == [1]
    assert (found.icmp_error_copies, found.unmatched_icmp_errors) == (1, 0)


def test_errors_about_a_syn_and_its_repetition_are_two() -> None:
    told = error("127.0.0.1", local(SYN, 9), 3, 3, ip_id=5)
    found = inspected(local(SYN, 9), told, (1000.0, local(SYN, 9)), (1001.0, told))
    assert [len(connection.icmp_errors) for connection in found.connections] == [2]


def test_second_copies_of_errors_about_datagrams_are_told_once() -> None:
    datagram = ip("127.0.0.1", "127.0.0.1", b"\x9c\x40\0\x35\0\x0c\0\0bith", UDP, ip_id=3)
    told = error("127.0.0.1", datagram, 3, 3, ip_id=5)
    found = inspected((0.0, datagram), (0.01, datagram), (0.02, told), (0.03, told))
    assert [(one.duplicates, len(one.errors)) for one in found.exchanges] == [(1, 1)]


@pytest.mark.parametrize("v6", [False, True])
def test_an_error_that_comes_again_where_a_file_ends_is_two(v6: bool) -> None:
    """Neither the router nor the end numbers its packets: nothing but the time tells one from the other."""
    one = Conversation(v6=v6)
    syn, told = one.sent(SYN), error(one.router, one.sent(SYN), 1 if v6 else 3, 0)
    begin_ns = 10**18
    whole = capture((0, syn), (1, told), (1000, syn), (1001, told))
    files = [capture((0, syn), (1, told), start_ns=begin_ns), capture((1000, syn), (1001, told), start_ns=begin_ns)]
    for captures in ([whole], files):
        found = inspect([io.BytesIO(octets) for octets in captures])
        (connection,) = found.connections
        assert (len(connection.icmp_errors), found.icmp_error_copies) == (2, 0)
        assert connection.handshake.syn_retransmissions == 1


def test_an_error_that_two_captures_show_is_one() -> None:
    """They overlap: both show the same."""
    one = Conversation(v6=True)
    syn, told = one.sent(SYN), error(one.router, one.sent(SYN), 1, 0)
    captures = [capture((0, syn), (1, told), (1000, one.sent(SYN)), start_ns=10**18 + apart) for apart in (0, 500_000)]
    found = inspect([io.BytesIO(octets) for octets in captures])
    assert [len(connection.icmp_errors) for connection in found.connections] == [1]
    assert found.icmp_error_copies == 1


# --- many ----------------------------------------------------------------------------------------------------------


def tables(ports: np.ndarray[Any, Any], numbers: np.ndarray[Any, Any]) -> Block:
    """Return SYNs of these ports and numbers, a microsecond apart, each answered by an error at the end."""
    count = len(ports)
    syns, errors = SegmentTable.empty(count), IcmpErrorTable.empty(count)
    for table in (syns, errors):
        table.columns |= {"src_port": ports.astype(np.uint16), "dst_port": np.full(count, 80, np.uint16)}
        table.columns |= {"ip_version": np.full(count, 4, np.uint8), "seq": numbers.astype(np.uint32)}
        table.columns |= {"src_lo": (1 + ports // 65536).astype(np.uint64), "dst_lo": np.full(count, 99, np.uint64)}
    frames = np.arange(1, count + 1)
    syns.columns |= {"flags": np.full(count, SYN, np.uint16), "frame": frames, "time_ns": frames * 1000}
    errors.columns |= {
        "frame": count + frames, "time_ns": (count + frames) * 1000, "protocol": np.full(count, 6, np.uint8),
        "has_seq": np.ones(count, np.uint8), "quoted_flags": np.full(count, -1, np.int16),
        "icmp_type": np.full(count, 3, np.uint8), "icmp_code": np.ones(count, np.uint8),
    }  # fmt: skip
    return Block(SegmentTable(syns.columns), icmp_errors=IcmpErrorTable(errors.columns))


@pytest.mark.parametrize("same_sockets", [False, True])
def test_a_scan_that_is_answered_by_errors_costs_little_more_than_the_scan(same_sockets: bool) -> None:
    """100,000 SYNs: of as many sockets, or of one pair of sockets that is used again and again."""
    count = 100_000
    ports = np.full(count, 7) if same_sockets else np.arange(count)
    block = tables(ports, np.arange(count) * 40_000)

    def timed(block: Block) -> tuple[float, Inspection]:
        begin = time.process_time()
        inspector = Inspector()
        number = inspector.begin_capture("scan.pcap", "pcap")
        inspector.add_block(block, number, count, block.segments["time_ns"])
        return time.process_time() - begin, inspector.result()

    alone, _ = timed(replace(block, icmp_errors=IcmpErrorTable.empty()))
    both, found = timed(block)
    assert both < 3 * alone + 5
    assert (found.unmatched_icmp_errors, len(found.connections)) == (0, count)
    assert [len(found.connections[number].icmp_errors) for number in (0, 1, count - 1)] == [1, 1, 1]
    assert found.connections[count // 2].handshake.kind == "unreachable"
    assert {int(one) for one in found.connections.verdicts.icmp_errors["was_sent"]} == {1}


def test_one_connection_may_have_a_hundred_thousand() -> None:
    count = 100_000
    block = tables(np.full(count, 7), np.full(count, 1000))
    inspector = Inspector()
    number = inspector.begin_capture("one.pcap", "pcap")
    begin = time.process_time()
    inspector.add_block(block, number, count, block.segments["time_ns"])
    (found,) = inspector.result().connections
    assert len(found.icmp_errors) == count
    assert time.process_time() - begin < 15


@pytest.mark.parametrize("fold", [False, True])
def test_a_long_transfer_is_folded_and_its_errors_are_not(fold: bool) -> None:
    one = Conversation()
    packets, sent = one.handshake(), 1
    for number in range(3000):
        packets += [one.sent(ACK, sent, 1, b"x" * 100), one.answered(ACK, 1, sent + 100)]
        if number % 500 == 0:
            packets.append(error(ROUTER, one.sent(ACK, sent, 1), 3, 4, mtu=1400))
        sent += 100
    octets = capture(*packets)
    inspector = Inspector(fold=fold)
    inspector.analysis.gathering._fold_rows = 500
    inspector.read([Input(io.BytesIO(octets), block_octets=4096)])
    assert (len(inspector.analysis.gathering) < 3000) == fold
    (found,) = inspector.result().connections
    assert [one.relative_seq for one in found.icmp_errors] == [1 + 50_000 * n for n in range(6)]
    assert all(one.was_sent for one in found.icmp_errors)


# --- elsewhere ------------------------------------------------------------------------------------------------------


def test_steps_are_the_same_with_and_without_errors() -> None:
    one = Conversation()
    syn = one.sent(SYN)
    found = inspected(syn, (5.0, error(ROUTER, syn, 3, 1)), (1000.0, syn))
    without = inspected(syn, (1000.0, syn))
    assert [replace(step, frame=0) for step in found.steps(0)] == [replace(step, frame=0) for step in without.steps(0)]


def test_what_is_no_error_is_joined_to_nothing() -> None:
    one = Conversation()
    reply = ip(ROUTER, CLIENT, b"\0\0\0\0" + bytes(4) + one.sent(SYN), ICMP)
    found = inspected(one.sent(SYN), reply)
    assert (found.connections[0].icmp_errors, dict(found.unread)) == ((), {"ICMP": 1})
