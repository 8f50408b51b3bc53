"""Our connections against tshark's streams, line by line; each line that differs is named with the reason.

`completeness` is compared in tests/connections/test_derived.py, beside Zeek's words. An oracle is another opinion: the
reasons are RFC 9293's, or what is known of tshark 4.0.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.oracles.comparison import (
    Answer,
    Comparison,
    answers_of,
    compare_connections_with_tshark,
    compare_traffic_with_tshark,
    compare_with_tshark,
)

#: (capture, tshark's streams, names of the fields) -> why we differ.
Reasons = dict[tuple[str, tuple[int, ...], tuple[str, ...]], str]

#: The RST acknowledges the SYN, so the end that sent the SYN is CLOSED (RFC 9293 §3.10.7.3): the next SYN, of the same
#: number, opens another connection. Zeek logs three as well.
RESET_BETWEEN = "a SYN after the RST that refused the one before it: a new connection for us, not for tshark"
#: The originator has reset its connection itself, in SYN-SENT after the SYN-ACK; then it opens with a SYN,FIN.
ABORTED_BEFORE = "a SYN,FIN of the same number after its own RST: a new connection for us, not for tshark"

#: RFC 4380 §2.6: the addresses tell it. tshark has a heuristic for it that is off unless it is asked for.
TEREDO = "Teredo between ports of its own: Zeek logs the connection too"

CONNECTIONS: Reasons = {
    ("zeek__tunnels_teredo_bubble_with_payload.pcap", (), ("connections",)): TEREDO,
    ("suricata-verify__urgent11_cve_2019_12260.pcap", (0, 1), ("connections",)): ABORTED_BEFORE,
    ("zeek__pop3.pcap", (0,), ("connections",)): RESET_BETWEEN,
    ("zeek__pop3.pcap", (1,), ("connections",)): RESET_BETWEEN,
}
TRAFFIC: Reasons = {
    ("zeek__pop3.pcap", (0,), ("RST", "SYN", "last time", "packets")): RESET_BETWEEN,
    ("zeek__pop3.pcap", (1,), ("RST", "SYN", "last time", "packets")): RESET_BETWEEN,
    ("suricata-verify__urgent11_cve_2019_12260.pcap", (0,), ("FIN", "SYN", "last time", "packets")): ABORTED_BEFORE,
    ("zeek__pppoe-over-qinq.pcap", (0,), ("octets",)): (
        "six IP packets of 46 octets in PPPoE frames that say 40: tshark cuts them there, we follow the IP header"
    ),
    ("tcpdump__timestamp_invalid_nano.pcap", (0,), ("last time",)): (
        "2147483648 ns as the fraction of a second: we add them as they stand, to tshark they are negative"
    ),
}

SYN_REPEATED = (
    "the SYN was repeated: we measure from the first and say that it is ambiguous (Karn), tshark from the last"
)
NOT_A_SYN_ACK = "an RST answered the SYN: no third segment and no round trip of a handshake; to tshark any ACK ends it"
INITIAL_RTT: Reasons = {
    ("zeek__pop3.pcap", (0,), ("initial RTT",)): NOT_A_SYN_ACK,
    ("zeek__pop3.pcap", (1,), ("initial RTT",)): NOT_A_SYN_ACK,
    ("pcapplusplus__pcapng-example.pcapng", (11,), ("initial RTT",)): NOT_A_SYN_ACK,
    ("pcapplusplus__pcapng-example.pcapng", (0,), ("initial RTT",)): (
        "the clock jumps back by 46 years between the SYN,ACK and the third segment: no interval across that is known"
    ),
    ("tcpdump__of13_ericsson.pcapng", (3,), ("initial RTT",)): NOT_A_SYN_ACK,
    ("trex-core__tcp2_http_wrong_port_c.pcap", (0,), ("initial RTT",)): NOT_A_SYN_ACK,
    ("arkime__tcpseq_synthetic.pcap", (0,), ("initial RTT",)): "the second segment is far beyond the SYN: no third one",
    ("suricata-verify__with_evasion_windows.pcap", (0,), ("initial RTT",)): (
        "an RST that was ignored came before the SYN-ACK; to tshark its ACK ends the round trip"
    ),
    ("zeek__pop3.pcap", (3,), ("initial RTT",)): SYN_REPEATED,
    ("zeek__rdp-x509.pcap", (0,), ("initial RTT",)): SYN_REPEATED,
    ("suricata-verify__bug-6269-01.pcap", (0,), ("initial RTT",)): SYN_REPEATED,
    ("suricata-verify__tcp_fastopen_segmentation.pcap", (0,), ("initial RTT",)): (
        "the responder's data to a Fast Open came before the third segment; tshark takes them for it"
    ),
    ("suricata-verify__urgent11_cve_2019_12260.pcap", (1,), ("initial RTT",)): (
        "what tshark takes for the third segment acknowledges what was never sent, after an RST"
    ),
    ("trex-core__no_tcp_syn_ack.pcap", (0,), ("initial RTT",)): (
        "two bare SYNs, and an ACK where a SYN-ACK is due: it is no third segment, which tshark takes it for"
    ),
    ("tcpdump__timestamp_invalid_nano.pcap", (0,), ("initial RTT",)): (
        "a time of 2147483648 ns past the second, as above"
    ),
}


@pytest.fixture(scope="module")
def answers(captures_dir: Path) -> list[Answer]:
    found = []
    for path in sorted(captures_dir.glob("*__*")):
        found += answers_of(path)
    return found


def differing(comparison: Comparison) -> set[tuple[str, tuple[int, ...], tuple[str, ...]]]:
    """Return the lines that differ, each with all of its fields that do."""
    fields: dict[tuple[str, tuple[int, ...]], list[str]] = {}
    for one in comparison.differences:
        fields.setdefault((one.file, one.streams), []).append(one.name)
    return {(file, streams, tuple(sorted(names))) for (file, streams), names in fields.items()}


def test_every_pair_of_sockets_has_as_many_connections_as_tshark_sees(
    captures_dir: Path, answers: list[Answer]
) -> None:
    comparison = compare_connections_with_tshark(captures_dir, answers)
    assert differing(comparison) == set(CONNECTIONS)
    assert comparison.compared["connections"] == 337


def test_times_packets_octets_and_control_bits_are_those_of_tshark(captures_dir: Path, answers: list[Answer]) -> None:
    comparison = compare_traffic_with_tshark(captures_dir, answers)
    comparison.differences = [one for one in comparison.differences if one.name != "initial RTT"]
    assert differing(comparison) == set(TRAFFIC)
    assert {compared for name, compared in comparison.compared.items() if name != "initial RTT"} == {360}


def test_one_of_a_hundred_answers_differs_at_the_most(captures_dir: Path, answers: list[Answer]) -> None:
    """Of all lines and fields: connections per pair of sockets, packets, octets, control bits, completeness."""
    parts = (
        compare_connections_with_tshark(captures_dir, answers),
        compare_traffic_with_tshark(captures_dir, answers),
        compare_with_tshark(captures_dir, answers),
    )
    fields = {"connections", "packets", "octets", "SYN", "SYN-ACK", "FIN", "RST", "completeness"}
    compared = sum(part.compared[name] for part in parts for name in fields)
    equal = sum(part.equal[name] for part in parts for name in fields)
    assert compared == 337 + 7 * 360
    assert compared - equal <= 0.01 * compared


def test_initial_round_trip_times_are_those_of_tshark(captures_dir: Path, answers: list[Answer]) -> None:
    comparison = compare_traffic_with_tshark(captures_dir, answers)
    comparison.differences = [one for one in comparison.differences if one.name == "initial RTT"]
    assert differing(comparison) == set(INITIAL_RTT)
    assert comparison.equal["initial RTT"] >= 190
