"""Our connections against Arkime's sessions: packets, octets and control bits, session by session."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from handshake_inspect import inspect
from handshake_inspect.connections.connection import Connection, Step

#: What Arkime counts that one segment has; an "ack" is one without SYN, FIN, RST and PSH.
COUNTED = ("syn", "syn-ack", "fin", "rst", "psh", "urg", "ack")


#: (capture, port of the client) -> what differs: octets sent again, or on a SYN, count for us, not for Arkime.
EXPECTED = {
    ("arkime__tcpseq_synthetic.pcap", 40003): {"client octets"},
    ("arkime__tcpseq_synthetic.pcap", 0): {"client octets"},
}


def control_bits(step: Step) -> set[str]:
    """Return which of Arkime's counters a segment raises."""
    bits = {bit.lower() for bit in step.flags.split(",")}
    counters = bits & {"fin", "rst", "psh", "urg"}
    if "syn" in bits:
        counters.add("syn-ack" if "ack" in bits else "syn")
    return counters | (set() if bits & {"syn", "fin", "rst", "psh"} else bits & {"ack"})


def ours(connection: Connection, steps: tuple[Step, ...]) -> dict[str, int]:
    """Return what Arkime says of a session, as we see it."""
    counts = Counter(bit for step in steps for bit in control_bits(step))
    copies = connection.duplicates  # Arkime counts every packet
    return {
        **{bit: counts[bit] for bit in COUNTED},
        "packets": connection.segments.originator + connection.segments.responder + copies,
        "client octets": connection.octets.originator,
        "server octets": connection.octets.responder,
        "first ms": connection.first_ns // 1_000_000,
    }


def theirs(session: dict[str, Any]) -> dict[str, int]:
    return {
        **{bit: session["tcpflags"][bit] for bit in COUNTED},
        "packets": session["src_packets"] + session["dst_packets"],
        "client octets": session["client_databytes"],
        "server octets": session["server_databytes"],
        "first ms": session["first_ms"],
    }


def test_control_bits_packets_and_octets_are_those_of_arkime(captures_dir: Path) -> None:
    compared = 0
    with (captures_dir / "oracle_arkime.jsonl").open() as lines:
        sessions = [json.loads(line) for line in lines]
    for session in sessions:
        inspection = inspect(captures_dir / session["dev_file"])
        sockets = {(session["src"], session["sport"]), (session["dst"], session["dport"])}
        (connection,) = [
            one
            for one in inspection.connections
            if {(one.originator.ip, one.originator.port), (one.responder.ip, one.responder.port)} == sockets
        ]
        seen, expected = ours(connection, inspection.steps(connection.stream)), theirs(session)
        different = {name for name in expected if seen[name] != expected[name]}
        assert different == EXPECTED.get((session["dev_file"], session["sport"]), set()), session["dev_file"]
        compared += 1
    assert compared == 11


@pytest.mark.parametrize(
    ("name", "ends_in"),
    [
        # tcp.state "fin_wait1": the server's FIN, and nothing from the client, of which nothing was captured. The last
        # number of the client's that it acknowledges may be a FIN: LAST-ACK then; we stop at what is certain.
        ("suricata-verify__alert-testmyids-async.pcap", [("ESTABLISHED", "ESTABLISHED")]),
        # tcp.state "closed", of both flows.
        ("suricata-verify__tcp_fastopen_segmentation.pcap", [("CLOSED", "CLOSED")] * 2),
    ],
)
def test_what_suricata_expects_of_a_flow_is_what_we_say(
    captures_dir: Path, name: str, ends_in: list[tuple[str, str]]
) -> None:
    found = inspect(captures_dir / name).connections
    assert [(one.states.originator[-1], one.states.responder[-1]) for one in found] == ends_in  # type: ignore[index]
