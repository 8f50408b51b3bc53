"""Findings about openings."""

from __future__ import annotations

from tests.findings.captures import messages_in

#: Code -> captures in which it must appear, and captures in which it must not.
CASES = {
    "unanswered": (["unanswered.pcap", "unanswered-exponential.pcap"], ["refused.pcap", "unreachable.pcap"]),
    "half-open": (["syn-flood.pcap"], ["four-way.pcap", "reset-syn-received.pcap"]),
}


def test_it_says_how_often_the_syn_was_sent() -> None:
    assert messages_in("unanswered.pcap", "unanswered") == ["4 SYNs to port 37661, no answer within 3.049 s"]
