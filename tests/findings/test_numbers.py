"""Findings about SYN-ACKs and acknowledgments with numbers of something else."""

from __future__ import annotations

import pytest

from tests.engine.scenario import ISN_PAIRS, inspect_lines
from tests.findings.captures import messages_in

CASES = {
    "syn-ack-wrong-ack": (
        ["old-duplicate-syn.pcap"],
        ["old-duplicate-syn-passive.pcap", "syn-ack-other-number.pcap", "fast-open-accepted.pcap", "lost-syn-ack.pcap"],
    ),
    "syn-ack-changed": (
        ["syn-ack-other-number.pcap", "old-duplicate-syn-passive.pcap"],
        ["late-duplicate-syn-ack.pcap", "lost-syn-ack.server.pcap", "old-duplicate-syn.pcap", "isn-rewritten.pcap"],
    ),
    # A SYN-ACK that is sent again because the third segment was lost or ignored, and a copy made at once.
    "syn-ack-in-connection": (
        ["late-duplicate-syn-ack.pcap"],
        [
            "late-duplicate-syn-ack.server.pcap",
            "lost-third-ack.pcap",
            "accept-queue-overflow.pcap",
            "duplicate-syn.pcap",
        ],
    ),
    "syn-ack-from-client": (
        ["syn-ack-from-client.server.pcap"],
        ["syn-ack-from-client.pcap", "simultaneous-open.pcap", "self-connect.pcap", "zeek__tcp_missing-syn.pcap"],
    ),
    # The capture has missed what is acknowledged in the last three.
    "ack-of-unsent": (
        ["third-segment-wrong-ack.server.pcap", "suricata-verify__urgent11_cve_2019_12260.pcap"],
        [
            "third-segment-wrong-ack.pcap",
            "zeek__tcp_missing-syn.pcap",
            "zeek__iso-download.pcap.gz",
            "tcpdump__ipoib.pcap",
        ],
    ),
}


def codes_of(text: str, isns: tuple[int, int] = ISN_PAIRS["plain"]) -> list[str]:
    return [
        one.code
        for connection in inspect_lines(text, isns).connections
        for one in connection.findings
        if one.code in CASES
    ]


def test_it_says_which_number_was_acknowledged_and_which_was_right() -> None:
    said = "a SYN-ACK acknowledges 3058848747 where 3058870606 is right, and the client refuses it with an RST"
    assert messages_in("old-duplicate-syn.pcap", "syn-ack-wrong-ack") == [said]


def test_it_says_how_another_syn_ack_was_answered() -> None:
    (challenged,) = messages_in("syn-ack-other-number.pcap", "syn-ack-changed")
    (reset,) = messages_in("old-duplicate-syn-passive.pcap", "syn-ack-changed")
    assert challenged == (
        "a SYN-ACK for the same SYN has sequence number 3007521881 where the other has 3007520881: "
        "the client answers with a challenge ACK"
    )
    assert reset.endswith("the client answers with an RST")


def test_a_late_copy_is_told_from_one_that_was_sent_again() -> None:
    text = "A > S x\nB > SA y ack x+1 id 7\nA > A x+1 ack y+1\nA > PA x+1 (4) ack y+1\nB > A y+1 ack x+5\n"
    for ip_id, said in ((7, "the same IP packet, delivered late"), (8, "the opening was over")):
        again = f"{text}0.5 B > SA y ack x+1 id {ip_id}\nA > A x+5 ack y+1"
        (found,) = (one for one in inspect_lines(again).connections[0].findings if one.code in CASES)
        assert (found.code, found.message.rpartition(": ")[2]) == ("syn-ack-in-connection", said)


@pytest.mark.parametrize("isns", ISN_PAIRS.values(), ids=ISN_PAIRS)
def test_a_wrong_acknowledgment_is_told_whatever_the_initial_numbers(isns: tuple[int, int]) -> None:
    opened = "A > S x\nB > SA y ack x+1\nA > A x+1 ack y+1\n"
    assert codes_of("A > S x\nB > SA y ack x+2\nA > R x+2\nB > SA y ack x+1\nA > A x+1 ack y+1", isns) == [
        "syn-ack-wrong-ack"
    ]
    assert codes_of(opened + "A > PA x+1 (4) ack y+9\nA > PA x+1 (4) ack y+1\nB > A y+1 ack x+5", isns) == [
        "ack-of-unsent"
    ]
    # The capture has missed what is acknowledged, or it comes a little later.
    assert codes_of(opened + "A > PA x+1 (4) ack y+9\nA > PA x+5 (4) ack y+9\nB > A y+9 ack x+9", isns) == []
    assert codes_of(opened + "A > A x+1 ack y+9\nB > PA y+1 (8) ack x+1\nA > A x+1 ack y+1", isns) == []


def test_it_says_what_the_client_sent_in_the_place_of_the_server() -> None:
    said = "the client, which had asked with a SYN, sends 1 SYN-ACK, and the server refuses it with an RST"
    assert messages_in("syn-ack-from-client.server.pcap", "syn-ack-from-client") == [said]


def test_it_says_how_far_an_acknowledgment_goes_beyond_what_was_sent() -> None:
    said = (
        "1 segment of the client with an acknowledgment of what was never sent: 1,000 octets above the next number, "
        "and an RST answers"
    )
    assert messages_in("third-segment-wrong-ack.server.pcap", "ack-of-unsent") == [said]
