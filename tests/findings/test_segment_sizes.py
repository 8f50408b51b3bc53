"""Findings about how large segments may be."""

from __future__ import annotations

import pytest

from tests.findings.captures import messages_in

#: Code -> captures in which it must appear, and captures in which it must not. "a+b": a run of both captures.
CASES = {
    "mss-missing": (
        ["syn-without-mss.server.pcap", "zeek__cisco-fabric-path.pcap"],
        ["syn-without-mss.pcap", "four-way.pcap", "cut-in-mid-session.pcap"],
    ),
    "mss-small": (
        ["small-mss.pcap", "small-mss.server.pcap"],
        ["four-way.pcap", "mss-clamped.pcap", "zeek__tunnels_ayiya3.pcap"],
    ),
    "mss-clamped": (
        ["mss-clamped.pcap+mss-clamped.server.pcap"],
        ["mss-clamped.pcap", "mss-clamped.server.pcap", "four-way.pcap", "small-mss.pcap+small-mss.server.pcap"],
    ),
    "path-mtu": (["path-mtu.pcap"], ["unreachable.pcap", "four-way.pcap"]),
}


@pytest.mark.parametrize(
    ("name", "code", "messages"),
    [
        ("zeek__http_http-single-conn-22.pcap", "mss-missing", ["neither SYN has an MSS: 536 octets are assumed"]),
        ("small-mss.pcap", "mss-small", ["the client takes segments of 88 octets at most"]),
        (
            "mss-clamped.pcap+mss-clamped.server.pcap",
            "mss-clamped",
            [
                f"the {end}'s MSS is 1,460 octets in one place and 1,200 octets in another: lowered on the way"
                for end in ("client", "server")
            ],
        ),
        (
            "path-mtu.pcap",
            "path-mtu",
            ["1 ICMP error: a packet of the client is too large, 1,200 octets pass"],
        ),
    ],
)
def test_the_message_has_the_numbers(name: str, code: str, messages: list[str]) -> None:
    assert messages_in(name, code) == messages


def test_what_is_assumed_of_ipv6() -> None:
    said = set(messages_in("zeek__cisco-fabric-path.pcap", "mss-missing"))
    assert said == {f"the SYN of the client has no MSS: {mss} octets are assumed" for mss in ("536", "1,220")}
