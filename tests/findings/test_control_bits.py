"""Findings about control bits that contradict each other, or are missing."""

from __future__ import annotations

from tests.findings.captures import messages_in

CASES = {
    "control-bits-contradict": (
        ["syn-fin.server.pcap", "syn-reset.server.pcap", "tcpdump__tcp_eight_lowest_weight_flags_set.pcap"],
        ["christmas-tree.server.pcap", "fin-with-data.pcap", "reset-unread.pcap", "ecn.pcap"],
    ),
    "ack-bit-missing": (
        ["no-control-bit.server.pcap", "christmas-tree.server.pcap", "zeek__fragmented-4.pcap"],
        ["no-control-bit.pcap", "syn-fin.server.pcap", "reset-syn-received.pcap", "suricata-verify__tcp-urgent1.pcap"],
    ),
    "ack-field-without-ack": (
        ["ack-field-without-ack.server.pcap", "suricata-verify__bug-7657-01.pcap", "trex-core__no_tcp_syn_ack.pcap"],
        ["ack-field-without-ack.pcap", "four-way.pcap", "reset-syn-received.pcap", "time-wait-reused.pcap"],
    ),
}


def test_it_names_the_bits() -> None:
    said = "the client sends 1 segment with control bits that contradict each other: SYN,FIN"
    assert messages_in("syn-fin.server.pcap", "control-bits-contradict") == [said]


def test_it_names_what_stands_there_instead_of_ack() -> None:
    tree, null = (
        messages_in(f"{name}.server.pcap", "ack-bit-missing") for name in ("christmas-tree", "no-control-bit")
    )
    assert tree == ["the client sends 1 segment without ACK (FIN,PSH,URG), which its receiver drops"]
    assert null == ["the client sends 1 segment without ACK (no control bits), which its receiver drops"]


def test_it_says_the_number_in_the_field() -> None:
    said = "123456789 in the acknowledgment field of a segment without ACK (SYN)"
    assert messages_in("ack-field-without-ack.server.pcap", "ack-field-without-ack") == [said]
