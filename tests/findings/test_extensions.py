"""Findings about congestion notification and several paths."""

from __future__ import annotations

import pytest

from handshake_inspect.connections.connection import Finding
from handshake_inspect.connections.splitting.rows import ACK, AE, CWR, ECE, SYN
from tests.engine.scenario import Segment, inspect_segments
from tests.findings.answers import answered
from tests.findings.captures import messages_in

#: Code -> captures in which it must appear, and captures in which it must not.
CASES = {
    "ecn": (["ecn.pcap", "huginn-net__macos_tcp_flags.pcap"], ["ecn-declined.pcap", "four-way.pcap"]),
    # Of tcpdump__ipoib.pcap no SYN-ACK was captured.
    "ecn-declined": (["ecn-declined.pcap"], ["ecn.pcap", "four-way.pcap", "tcpdump__ipoib.pcap"]),
    "multipath": (["mptcp.pcap", "tcpdump__mptcp-fclose.pcap"], ["mptcp-declined.pcap", "four-way.pcap"]),
    "multipath-declined": (["mptcp-declined.pcap"], ["mptcp.pcap", "four-way.pcap"]),
}


@pytest.mark.parametrize(
    ("name", "code", "message"),
    [
        ("tcpdump__mptcp-fclose.pcap", "multipath", "both ends agreed on Multipath TCP, version 0"),
        ("ecn.pcap", "ecn", "both ends agreed on ECN"),
        ("ecn-declined.pcap", "ecn-declined", "the client offered ECN, the server did not"),
        (
            "mptcp-declined.pcap",
            "multipath-declined",
            "the client offered Multipath TCP, version 1, the server did not",
        ),
    ],
)
def test_the_message_has_the_numbers(name: str, code: str, message: str) -> None:
    assert messages_in(name, code) == [message]


# SYN ECN bits, SYN-ACK ECN bits (RFC 3168 §6.1.1; RFC 9768 §3.1.2, table 2).
@pytest.mark.parametrize(
    ("offer", "answer", "message"),
    [
        (ECE | CWR, ECE, "both ends agreed on ECN"),
        (ECE | CWR, 0, "the client offered ECN, the server did not"),
        (ECE | CWR, ECE | CWR, "the server sends the ECN bits of the client's SYN back as they came: no ECN"),
        (AE | ECE | CWR, ECE, "Accurate ECN was offered, and the older ECN agreed on"),
        (AE | ECE | CWR, CWR, "both ends agreed on Accurate ECN"),
        (AE | ECE | CWR, ECE | CWR, "both ends agreed on Accurate ECN"),
        (AE | ECE | CWR, AE, "both ends agreed on Accurate ECN"),
        (AE | ECE | CWR, AE | ECE, None),  # reserved
        (AE | ECE | CWR, 0, "the client offered ECN, the server did not"),
        (
            AE | ECE | CWR,
            AE | ECE | CWR,
            "the server sends the ECN bits of the client's SYN back as they came: no ECN",
        ),
        (0, ECE, None),
        (ECE, ECE, None),
    ],
)
def test_control_bits_of_congestion_notification(offer: int, answer: int, message: str | None) -> None:
    found = _opened(SYN | offer, SYN | ACK | answer)
    assert [one.message for one in found if one.code in ("ecn", "ecn-declined")] == [message] * (message is not None)


def _opened(syn: int, syn_ack: int) -> tuple[Finding, ...]:
    """Return what is found of a handshake with these control bits."""
    segments = [Segment(0, "A", syn, 1000), *answered(syn_ack, 1_000_000)]
    return inspect_segments(segments).connections[0].findings
