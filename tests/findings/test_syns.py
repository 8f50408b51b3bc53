"""Findings about SYNs beside the one that opened the connection."""

from __future__ import annotations

from tests.engine.scenario import inspect_lines
from tests.findings.captures import messages_in

CASES = {
    # SYNs with the same number, one after an RST, and ports that are used again in the ordinary way.
    "syn-changed": (
        ["old-duplicate-syn.pcap", "suricata-verify__bug-7657-01.pcap"],
        [
            "lost-syn.pcap",
            "half-open-syn.pcap",
            "zeek__pop3.pcap",
            "time-wait-reused.pcap",
            "duplicate-syn.server.pcap",
        ],
    ),
    # A SYN with FIN has its own finding; one that the server takes begins another connection.
    "syn-in-connection": (
        ["half-open-syn.pcap", "syn-inside.server.pcap", "time-wait-old-syn.server.pcap"],
        ["syn-fin.server.pcap", "time-wait-reopened.pcap", "duplicate-syn.server.pcap", "simultaneous-open.pcap"],
    ),
}


def test_it_says_how_far_apart_the_numbers_of_two_attempts_are() -> None:
    said = (
        "another SYN of the same sockets, 1.220 ms later and 21,859 above the first, "
        "which nothing had answered or acknowledged"
    )
    assert messages_in("old-duplicate-syn.pcap", "syn-changed") == [said]


def test_another_attempt_minutes_later_is_none_while_the_first_is_open() -> None:
    text = "A > S x\n---\n{}  A > S x+70000\nB > SA y ack x+70001\nA > A x+70001 ack y+1"
    found = [inspect_lines(text.format(seconds)).connections[1].findings for seconds in ("130", "132")]
    assert [[one.code for one in some if one.code in CASES] for some in found] == [["syn-changed"], []]


def test_it_says_what_the_challenge_ack_led_to() -> None:
    inside, lost, waiting = (
        messages_in(name, "syn-in-connection")[0]
        for name in ("syn-inside.server.pcap", "half-open-syn.pcap", "time-wait-old-syn.server.pcap")
    )
    assert inside == (
        "1 SYN of the client inside the connection, 1,000,000 octets off the next number: "
        "a challenge ACK answers, and nothing changes"
    )
    assert lost == (
        "1 SYN of the client inside the connection, 4,788,298 octets off the next number: "
        "a challenge ACK answers, and the client resets: it knows no such connection"
    )
    assert waiting.startswith("1 SYN of the client after both FINs, 6 octets off the next number: an ACK of the old")
