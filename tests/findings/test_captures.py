"""Findings about what a capture is worth."""

from __future__ import annotations

import pytest

from tests.findings.captures import inspected, messages_in

#: Code -> captures in which it must appear, and captures in which it must not. "a+b": a run of both captures.
CASES = {
    "vantage-point": (
        ["zeek__wikipedia.pcap", "zeek__pop3.pcap", "arkime__tcpseq_synthetic.pcap"],
        # Loopback; one handshake; handshakes of microseconds.
        ["four-way.pcap", "far-apart.pcap", "port-scan.pcap", "syn-flood.pcap"],
    ),
    "copies": (
        ["loopback-twice.pcap", "four-way.pcap+four-way.pcap", "far-apart.pcap+far-apart.server.pcap"],
        # What was really sent twice.
        ["four-way.pcap", "duplicate-data.pcap", "duplicate-syn.server.pcap"],
    ),
    "clock-set-back": (
        ["bro-simple-scan__445_scan.pcap", "pcapplusplus__pcapng-example.pcapng"],
        ["four-way.pcap", "arkime__tcpseq_synthetic.pcap", "zeek__tunnels_vxlan-encapsulated-http.pcap"],
    ),
    "frames-out-of-order": (
        ["arkime__tcpseq_synthetic.pcap", "zeek__tunnels_vxlan-encapsulated-http.pcap"],
        # The network brought them out of order.
        ["swapped-data.server.pcap", "bro-simple-scan__445_scan.pcap"],
    ),
    "times-equal": (["zeek__fragmented-4.pcap", "suricata-verify__frag-ip-tcp-syn.pcap"], ["four-way.pcap"]),
    "one-direction": (
        ["suricata-verify__alert-testmyids-async.pcap", "zeek__wikipedia.pcap", "zeek__mixed-vlan-mpls.pcap"],
        # Nothing came back.
        ["unanswered.pcap", "four-way.pcap", "syn-flood.pcap"],
    ),
    "octets-not-captured": (
        ["zeek__tunnels_gtp_gtp1_gn_normal_incl_fragmentation.pcap"],
        # The network lost them, and they came again; one direction only; a forged FIN far above.
        ["lost-data.server.pcap", "suricata-verify__alert-testmyids-async.pcap", "fin-out-of-window.server.pcap"],
    ),
}  # fmt: skip


@pytest.mark.parametrize(
    ("name", "code", "messages"),
    [
        (
            "zeek__wikipedia.pcap",
            "vantage-point",
            [
                "near the client: from here the server answers in 59.665 ms, the client in 0.012 ms (median of 8"
                " handshakes)"
            ],
        ),
        (
            "loopback-twice.pcap",
            "copies",
            [
                "11 segments captured twice within 0.1 ms, where they leave and where they arrive on loopback: counted"
                " once"
            ],
        ),
        (
            "bro-simple-scan__445_scan.pcap",
            "clock-set-back",
            [
                "the clock steps back 9 times, by up to 26.3 min, first at frame 2: intervals across a step are not"
                " known"
            ],
        ),
        (
            "zeek__tunnels_vxlan-encapsulated-http.pcap",
            "frames-out-of-order",
            ["1 frame out of order by up to 0.039 ms: put in order of time"],
        ),
        (
            "zeek__fragmented-4.pcap",
            "times-equal",
            ["all 6 frames have the same time: nothing is known of intervals"],
        ),
        (
            "suricata-verify__alert-testmyids-async.pcap",
            "one-direction",
            ["only the server was captured: what the client sent is known by acknowledgments alone"],
        ),
        (
            "zeek__tunnels_gtp_gtp1_gn_normal_incl_fragmentation.pcap",
            "octets-not-captured",
            ["5,760 octets of the server were acknowledged, and stand in no captured segment"],
        ),
    ],
)
def test_the_message_has_the_numbers(name: str, code: str, messages: list[str]) -> None:
    assert messages_in(name, code) == messages


def test_the_segment_behind_a_gap_is_shown() -> None:
    name = "zeek__tunnels_gtp_gtp1_gn_normal_incl_fragmentation.pcap"
    (connection,) = inspected(name).connections
    (found,) = (one for one in connection.findings if one.code == "octets-not-captured")
    assert len(found.frames) == 1
