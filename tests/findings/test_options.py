"""Findings about options of the handshake."""

from __future__ import annotations

import pytest

from handshake_inspect import inspect
from tests.findings.captures import messages_in
from tests.findings.snapped import snapped

#: Code -> captures in which it must appear, and captures in which it must not. "a+b": a run of both captures.
CASES = {
    "options-declined": (
        [
            "sack-declined.pcap", "window-scale-declined.pcap", "timestamps-declined.pcap", "timestamps-stripped.pcap",
            "zeek__tunnels_ayiya3.pcap",
        ],
        # Neither end offers; only the SYN-ACK was captured; the firewall took it out before this capture.
        [
            "four-way.pcap", "arkime__gre-erspan-vxlan.pcap", "zeek__tcp_missing-syn.pcap",
            "timestamps-stripped.server.pcap", "timestamps-stripped.pcap+timestamps-stripped.server.pcap",
        ],
    ),
    "window-unscaled": (
        ["window-scale-declined.pcap", "arkime__pppoe.pcap", "zeek__tunnels_ayiya3.pcap"],
        # A short way; not measured.
        ["four-way.pcap", "window-scale-declined.server.pcap", "desynchronized.pcap", "far-apart.pcap"],
    ),
    "timestamps-missing": (
        ["timestamps-dropped.server.pcap"],
        # The firewall comes after this capture; declined; an RST comes next.
        ["timestamps-dropped.pcap", "timestamps-declined.pcap", "reset-syn-received.pcap", "four-way.pcap"],
    ),
    "window-scale-above-14": (["window-scale-15.server.pcap"], ["window-scale-15.pcap", "four-way.pcap"]),
    "options-malformed": (
        ["malformed-option.server.pcap", "suricata-verify__urgent11_cve_2019_12260.pcap"],
        ["malformed-option.pcap", "mptcp.pcap", "fast-open-accepted.pcap"],
    ),
}  # fmt: skip


@pytest.mark.parametrize(
    ("name", "code", "message"),
    [
        ("sack-declined.pcap", "options-declined", "the client offered SACK, the server did not"),
        (
            "zeek__tunnels_ayiya3.pcap",
            "options-declined",
            "the client offered window scale, SACK and timestamps, the server did not",
        ),
        (
            "arkime__pppoe.pcap",
            "window-unscaled",
            "neither end offers window scale: at most 65,535 octets per round trip, 694 kB/s if that"
            " takes the 94.306 ms of the handshake",
        ),
        (
            "window-scale-15.server.pcap",
            "window-scale-above-14",
            "the client offers to shift its windows by 15 bits: taken for 14",
        ),
        (
            "timestamps-dropped.server.pcap",
            "timestamps-missing",
            "timestamps were agreed on, and the client's first segment after its SYN has none",
        ),
        (
            "suricata-verify__urgent11_cve_2019_12260.pcap",
            "options-malformed",
            "option 29 (TCP-AO) on the SYN of the client is 3 octets long, which it must not be",
        ),
    ],
)
def test_the_message_has_the_numbers(name: str, code: str, message: str) -> None:
    assert message in messages_in(name, code)


@pytest.mark.parametrize("name", ["window-scale-declined.pcap", "syn-without-mss.server.pcap"])
@pytest.mark.parametrize("captured_octets", [54, 56, 58, 60])
def test_options_that_the_capture_cut_off_are_not_missed(name: str, captured_octets: int) -> None:
    """Of Ethernet frames that hold IPv4 these are at most 6 octets of the options: what stood behind, nobody knows."""
    (connection,) = inspect(snapped(name, captured_octets)).connections
    found = {one.code for one in connection.findings}
    assert not found & {*CASES, "mss-missing"}
    assert messages_in(name, "options-declined") or messages_in(name, "mss-missing")
