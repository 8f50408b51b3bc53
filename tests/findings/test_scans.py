"""Findings about scans."""

from __future__ import annotations

from tests.findings.captures import messages_in

CASES = {
    "port-scan": (["port-scan.pcap"], ["address-sweep.pcap", "syn-flood.pcap", "refused.pcap"]),
    "host-scan": (["address-sweep.pcap"], ["port-scan.pcap", "bro-simple-scan__445_scan.pcap"]),
}


def test_it_says_which_ports_and_what_they_answered() -> None:
    assert messages_in("port-scan.pcap", "port-scan") == [
        "tried 29 ports of 198.18.0.2 within 13.359 ms (20, 21, 23 … 48, 49): 29 refused"
    ]
    assert messages_in("address-sweep.pcap", "host-scan") == [
        "tried port 22 of 19 hosts within 21.588 ms: 10 unanswered, 9 refused"
    ]
