"""Findings about what lies between the ends."""

from __future__ import annotations

import pytest

from tests.findings.captures import inspected, messages_in

#: Code -> captures in which it must appear, and captures in which it must not. "a+b": a run of both captures.
CASES = {
    "syn-ack-ttl": (
        ["syn-ack-other-ttl.pcap", "zeek__tunnels_ayiya3.pcap", "zeek__tunnels_teredo_bubble_with_payload.pcap"],
        # Before the box; one router less; the client's.
        [
            "syn-ack-other-ttl.server.pcap", "zeek__tunnels_geneve-47101.pcap", "zeek__ldap_simpleauth.pcap",
            "far-apart.pcap+far-apart.server.pcap",
        ],
    ),
    "ttl-changed": (
        ["ttl-changed.server.pcap", "zeek__ldap_simpleauth.pcap", "zeek__ldap_simpleauth-diff-port.pcap"],
        # Before the box; a SYN-ACK; two routers more; one less; a forged RST with a TTL of its own.
        [
            "ttl-changed.pcap", "syn-ack-other-ttl.pcap", "path-changed.pcap", "zeek__tunnels_geneve-47101.pcap",
            "injected-reset.server.pcap",
        ],
    ),
    "path-changed": (
        ["path-changed.pcap", "zeek__tunnels_geneve-47101.pcap"],
        # Before the ways part; other machines; two captures of one connection, three routers apart.
        [
            "path-changed.server.pcap", "ttl-changed.server.pcap", "syn-ack-other-ttl.pcap",
            "far-apart.pcap+far-apart.server.pcap",
        ],
    ),
    "icmp-never-sent": (
        ["forged-icmp-error.server.pcap"],
        # It quotes what was sent: a segment that is too large, a SYN.
        ["forged-icmp-error.pcap", "path-mtu.pcap", "unreachable.pcap"],
    ),
    "isn-rewritten": (
        ["isn-rewritten.pcap+isn-rewritten.server.pcap"],
        # One side of the box; the numbers as they were; the port taken again.
        [
            "isn-rewritten.pcap", "far-apart.pcap+far-apart.server.pcap",
            "time-wait-reused.pcap+time-wait-reused.server.pcap",
        ],
    ),
    "address-translated": (
        # The other one is one whose ports somebody has rewritten in the file.
        ["nat.pcap+nat.server.pcap", "zeek__ldap_simpleauth.pcap+zeek__ldap_simpleauth-diff-port.pcap"],
        # One side of the router; the same addresses; the same capture twice.
        [
            "nat.pcap", "isn-rewritten.pcap+isn-rewritten.server.pcap", "four-way.pcap+four-way.pcap",
        ],
    ),
}  # fmt: skip


@pytest.mark.parametrize(
    ("name", "code", "messages"),
    [
        (
            "syn-ack-other-ttl.pcap",
            "syn-ack-ttl",
            ["the SYN-ACK has a TTL of 255, the server's next segment one of 64: likely not of one machine"],
        ),
        (
            "zeek__ldap_simpleauth.pcap",
            "ttl-changed",
            ["the client's TTL goes from 251 to 52: likely not all its segments are of one machine"],
        ),
        (
            "zeek__tunnels_geneve-47101.pcap",
            "path-changed",
            ["the server's TTL goes from 51 to 52: its segments took another way, or a box on the way speaks for it"],
        ),
        (
            "forged-icmp-error.server.pcap",
            "icmp-never-sent",
            [
                "1 ICMP error about a segment that the server never sent: its number is 999,991 octets above all that"
                " it sent"
            ],
        ),
        (
            "nat.pcap+nat.server.pcap",
            "address-translated",
            ["stream 0 of another capture is the same connection, but for the client's address: translated"],
        ),
        (
            "isn-rewritten.pcap+isn-rewritten.server.pcap",
            "isn-rewritten",
            ["its SYN stands in another capture too, there with a number 1,000,000,000 lower (stream 0)"],
        ),
    ],
)
def test_the_message_has_the_numbers(name: str, code: str, messages: list[str]) -> None:
    assert messages_in(name, code) == messages


def test_a_number_that_is_rewritten_shows_at_the_syns_of_both_captures() -> None:
    connection = inspected("isn-rewritten.pcap+isn-rewritten.server.pcap").connections[1]
    (found,) = (one for one in connection.findings if one.code == "isn-rewritten")
    where, here = found.frames
    assert isinstance(where, tuple)
    assert (where[0].endswith("isn-rewritten.pcap"), where[1], here) == (True, 1, 1)
