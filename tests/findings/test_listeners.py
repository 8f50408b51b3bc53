"""Findings about listeners."""

from __future__ import annotations

from tests.findings.captures import messages_in

CASES = {
    "syn-flood": (["syn-flood.pcap", "syn-flood-cookies.pcap"], ["accept-queue-full.pcap", "half-open-silent.pcap"]),
    "accept-queue-full": (
        ["accept-queue-full.pcap"],
        ["lost-syn.pcap", "accept-queue-overflow.pcap", "unanswered.pcap"],
    ),
}


def test_it_says_which_backlog_would_have_been_enough() -> None:
    assert messages_in("syn-flood-cookies.pcap", "syn-flood") == [
        "24 attempts unfinished at once, 3.919 ms after the first: 24 answered and half-open; from 1 address; a backlog"
        " of 24 would hold them"
    ]
