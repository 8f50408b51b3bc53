"""Findings about data on the SYN."""

from __future__ import annotations

from tests.findings.captures import messages_in

CASES = {
    "syn-with-data": (
        ["syn-with-data.server.pcap", "arkime__tcpseq_synthetic.pcap"],
        ["syn-with-data.pcap", "fast-open-accepted.pcap", "fast-open-declined.pcap"],
    ),
    "fast-open-requested": (
        ["fast-open-requested.pcap", "fast-open-unknown.pcap"], ["four-way.pcap", "arkime__tcpseq_synthetic.pcap"],
    ),
    "fast-open": (
        ["fast-open-accepted.pcap", "suricata-verify__tcp_fastopen_segmentation.pcap"],
        ["fast-open-requested.pcap", "fast-open-declined.pcap", "third-ack-with-data.pcap"],
    ),
    "fast-open-declined": (
        ["fast-open-declined.pcap"], ["fast-open-accepted.pcap", "fast-open-unknown.pcap", "fast-open-requested.pcap"],
    ),
}  # fmt: skip


def test_it_says_whether_a_cookie_came() -> None:
    asks = "the client asks for a Fast Open cookie, and the SYN-ACK brings "
    assert messages_in("fast-open-requested.pcap", "fast-open-requested") == [asks + "one of 8 octets"]
    assert messages_in("fast-open-unknown.pcap", "fast-open-requested") == [asks + "none"]


def test_it_says_how_many_octets_were_taken() -> None:
    said = "4 octets on the SYN (Fast Open), and the SYN-ACK acknowledges them"
    assert messages_in("fast-open-accepted.pcap", "fast-open") == [said]


def test_it_says_that_the_data_were_not_taken() -> None:
    said = "the SYN-ACK acknowledges none of the 4 octets on the SYN, and brings another cookie"
    assert messages_in("fast-open-declined.pcap", "fast-open-declined") == [said]
