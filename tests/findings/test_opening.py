"""Findings about openings that failed, or took another form."""

from __future__ import annotations

from tests.findings.captures import messages_in

#: Code -> captures in which it must appear, and captures in which it must not.
CASES = {
    # An RST that comes after a SYN-ACK, or from the client, refuses nothing.
    "refused": (
        ["refused.pcap", "refused-wire.pcap", "trex-core__tcp2_http_wrong_port_c.pcap", "zeek__pop3.pcap"],
        ["accept-queue-overflow-reset.pcap", "reset-syn-received.pcap", "unanswered.pcap", "unreachable.pcap"],
    ),
    # An ICMP error about the size of a segment of an open connection.
    "unreachable": (["unreachable.pcap"], ["path-mtu.pcap", "refused.pcap", "udp-unreachable.pcap"]),
    "syn-answered-by-syn": (
        ["syn-answered-by-syn.pcap", "trex-core__no_tcp_syn_ack.pcap"],
        ["syn-answered-by-syn.server.pcap", "simultaneous-open.pcap", "self-connect.pcap"],
    ),
    "simultaneous-open": (
        ["simultaneous-open.pcap", "simultaneous-open.server.pcap"], ["self-connect.pcap", "simultaneous-close.pcap"],
    ),
    "self-connect": (["self-connect.pcap"], ["simultaneous-open.pcap", "four-way.pcap"]),
}  # fmt: skip


def test_it_says_what_a_closed_port_answers() -> None:
    said = "port 35023 refused the connection 0.010 ms after the SYN: RST,ACK, as a closed port does"
    assert messages_in("refused.pcap", "refused") == [said]


def test_an_rst_that_no_kernel_sends_is_told_by_its_numbers() -> None:
    (said,) = messages_in("trex-core__tcp2_http_wrong_port_c.pcap", "refused")
    assert said.endswith("after the SYN, with window 32768 in its RST where a closed port sends 0")


def test_it_says_what_is_unreachable_and_who_said_so() -> None:
    said = "ICMP network unreachable from a router on the way, 0.017 ms after the SYN to port 80"
    assert messages_in("unreachable.pcap", "unreachable") == [said]
