"""Findings about where the time goes."""

from __future__ import annotations

import pytest

from tests.findings.captures import messages_in
from tests.findings.lines import found_in
from tests.findings.made import SCENARIOS

CASES = {
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
