"""Findings about where the time goes."""

from __future__ import annotations

import pytest

from tests.findings.captures import messages_in
from tests.findings.lines import found_in
from tests.findings.made import SCENARIOS

CASES = {
    "lost-before-capture": (
        ["made: lost-before-capture"],
        ["swapped-data.server.pcap", "zeek__pppoe-over-qinq.pcap", "zeek__tcp_retransmit-fast009.pcap"],
    ),
    "slow-answer": (
        ["tcpdump__mptcp-fclose.pcap", "suricata-verify__output-eve-ftp-data.pcap"],
        # There the round trip is so long.
        [
            "zeek__ipv6-violation.pcap",
            "four-way.pcap",
            "half-close.pcap",
            "mtu-black-hole.pcap",
            "zeek__wikipedia.pcap",
            "zeek__rdp-x509.pcap",
        ],
    ),
    "hole-not-filled": (
        ["made: hole-not-filled"],
        [
            "mtu-black-hole.pcap",
            "mtu-black-hole.server.pcap",
            "zeek__tunnels_gtp_gtp1_gn_normal_incl_fragmentation.pcap",
        ],
    ),
    "retransmission-stall": (
        ["mtu-black-hole-probed.pcap", "zeek__connect-with-smtp.pcap", "zeek__rdp-x509.pcap"],
        [
            "lost-data.pcap",
            "zero-window.pcap",
            "user-timeout.pcap",
            "keep-alive.pcap",
            "zeek__tcp_retransmit-fast009.pcap",
        ],
    ),
}


def test_how_long_nothing_was_sent() -> None:
    assert messages_in("zeek__connect-with-smtp.pcap", "retransmission-stall") == [
        "nothing was sent for 2.738 s, until the server sent 69 octets again: its timer had run out"
    ]
    assert messages_in("suricata-verify__output-eve-ftp-data.pcap", "retransmission-stall") == [
        "nothing was sent 4 times for 3.218 s in all, up to 1.201 s, until the client sent octets again: its timer had "
        "run out"
    ]


LOST = """
    open
    A > PA x+1 (100) ack y+1
    0.5 A > PA x+1 (100) ack y+1
    """
AGAIN = "1.5 A > PA x+1 (100) ack y+1\n"
ARRIVED = "B > A y+1 ack x+101\n"


def test_what_is_sent_again_after_a_silence_and_arrives_is_told() -> None:
    assert found_in(LOST + AGAIN + ARRIVED) == {
        "retransmission-stall": "nothing was sent 2 times for 1.497 s in all, up to 1.000 s, until the client sent "
        "octets again: its timer had run out"
    }


@pytest.mark.parametrize(
    ("text", "why"),
    [
        (LOST + ARRIVED, "half a second is not long"),
        (LOST + AGAIN, "it never arrives: peer-silent"),
        (LOST + "1.499 B > A y+1 ack x+1\n" + AGAIN + ARRIVED, "something was sent meanwhile"),
        (LOST + "B > A y+1 ack x+101\n" + AGAIN, "it had arrived"),
        (LOST + "B > A y+1 ack x+1 win 0\n" + AGAIN + ARRIVED, "there was no room for it"),
        (LOST + "2 A > PA x+101 (100) ack y+1\nB > A y+1 ack x+201", "the program was silent"),
    ],
)
def test_no_timer_made_it_wait_for_a_second(text: str, why: str) -> None:
    assert "retransmission-stall" not in found_in(text), why


def test_what_fills_a_gap_was_sent_again_too_if_it_took_so_long() -> None:
    found = found_in(
        "open\nA > A x+101 (100) ack y+1\nB > A y+1 ack x+1\n1.2 A > A x+1 (100) ack y+1\nB > A y+1 ack x+201"
    )
    assert found["retransmission-stall"].startswith(
        "nothing was sent for 1.196 s, until the client sent 100 octets again"
    )


HOLE = SCENARIOS["hole-not-filled"].partition("        1 A")[0]


def test_octets_that_never_come_are_told_where_the_receiver_waits_for_them() -> None:
    assert messages_in("made: hole-not-filled", "hole-not-filled") == [
        "1,000 octets of the client never came, but later ones, 3 segments in all: the server said 3 times within "
        "995.000 ms that it waits for them, to the end"
    ]


@pytest.mark.parametrize(
    ("text", "why"),
    [
        (HOLE, "the capture ends too soon"),
        (HOLE + "1 A > A x+1001 (1000) ack y+1\nB > A y+1 ack x+4001", "they came"),
        (HOLE + "1 A > A x+1001 (1000) ack y+1\n2 B > A y+1 ack x+1001", "they were captured"),
        (HOLE + "1 A > A x+4001 (10) ack y+1\nB > A y+1 ack x+4011", "the capture had missed them"),
        ("open\nA > A x+1001 (9) ack y+1\n2 A > A x+1001 (9) ack y+1", "the receiver says nothing"),
    ],
)
def test_no_hole_stays(text: str, why: str) -> None:
    assert "hole-not-filled" not in found_in(text), why


def test_a_server_that_is_slow_though_the_network_is_not() -> None:
    asked = "open\nA > PA x+1 (9) ack y+1\nB > A y+1 ack x+10\n"
    assert found_in(asked + "5 B > PA y+1 (9) ack x+10\nA > A x+10 ack y+10") == {
        "slow-answer": "the server's first octets came 4.996 s after it had acknowledged the client's request: its "
        "program took so long"
    }
    assert found_in("open\n5 B > PA y+1 (9) ack x+1\nA > A x+1 ack y+10") == {
        "slow-answer": "the server's first octets came 4.998 s after the opening, before the client said anything: its "
        "program took so long"
    }


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("A > PA x+1 (9) ack y+1\nB > A y+1 ack x+10\n0.9 B > PA y+1 (9) ack x+10", "it is not long"),
        ("A > PA x+1 (9) ack y+1\n5 B > PA y+1 (9) ack x+10", "the request may have been late"),
        ("A > PA x+1 (9) ack y+1\nB > A y+1 ack x+10\n5 B > PA y+10 (9) ack x+10", "the first octets are missing"),
        ("A > PA x+1 (9) ack y+1\nB > A y+1 ack x+10\nA > A x+10 ack y+1 win 0\n5 B > PA y+1 (9) ack x+10", "no room"),
        ("5 A > PA x+1 (9) ack y+1\nB > PA y+1 (9) ack x+10", "it was the client that waited"),
    ],
)
def test_nothing_says_that_the_server_is_slow(text: str, why: str) -> None:
    assert "slow-answer" not in found_in(f"open\n{text}"), why


def test_how_many_segments_were_lost_on_their_way_to_the_capture() -> None:
    assert messages_in("made: lost-before-capture", "lost-before-capture") == [
        "10 of the 22 segments of the client fill gaps, after three or more that follow them: lost on their way to "
        "this capture, and sent again"
    ]
    sooner = SCENARIOS["lost-before-capture"].replace("(300)", "(200)")
    assert "lost-before-capture" not in found_in(sooner)
