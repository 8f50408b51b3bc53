"""Findings about what comes after the end, or with numbers that are not those of the connection."""

from __future__ import annotations

from dataclasses import replace

import pytest

from handshake_inspect.connections.folding.gather import GatheredRows
from handshake_inspect.connections.splitting.rows import SYN
from handshake_inspect.inspector import Inspector
from handshake_inspect.table import Block
from tests.engine.scenario import ISN_PAIRS, inspect_segments, parse, table_of
from tests.findings.captures import codes_in, messages_in

#: Code -> captures in which it must appear, and captures in which it must not.
CASES = {
    "data-after-fin": (
        ["data-after-fin.server.pcap"],
        ["half-close.pcap", "fin-before-data.server.pcap", "christmas-tree.server.pcap", "syn-fin.server.pcap"],
    ),
    "fin-other-number": (
        ["fin-other-number.server.pcap"],
        ["lost-fin.pcap", "fin-out-of-window.server.pcap", "christmas-tree.server.pcap", "zeek__pppoe-over-qinq.pcap"],
    ),
    "fin-out-of-window": (
        ["fin-out-of-window.server.pcap", "suricata-verify__with_evasion_windows.pcap"],
        ["fin-other-number.server.pcap", "fin-before-data.server.pcap", "lost-fin.server.pcap"],
    ),
    "ack-beyond-fin": (
        ["ack-beyond-fin.server.pcap"],
        [
            "ack-beyond-fin.pcap",
            "data-after-fin.server.pcap",
            "fin-other-number.server.pcap",
            "made: ack-beyond-fin-taken-back",
        ],
    ),
    "fin-storm": (["fin-storm.server.pcap"], ["fin-storm.pcap", "lost-last-ack.pcap", "duplicate-fin.server.pcap"]),
    "fin-after-reset": (
        ["fin-after-reset.server.pcap", "zeek__ipv6-violation.pcap"],
        ["fin-after-reset.pcap", "reset-half-closed.pcap", "forged-reset.pcap"],
    ),
    "fin-without-connection": (
        ["icsnpp-opcua-binary__open62541_browse_has_server_idx.pcap"],
        ["four-way.pcap", "ipfixprobe__mqtt.pcap"],
    ),
}


def test_they_say_how_far_away_the_number_is() -> None:
    assert messages_in("fin-out-of-window.server.pcap", "fin-out-of-window") == [
        "the number of a FIN of the client lies 999,996 octets below the first after its SYN: it closes nothing"
    ]
    assert messages_in("fin-other-number.server.pcap", "fin-other-number") == [
        "a second FIN of the client has a number 2 octets below that of the first: forged, or its sender is broken"
    ]
    assert messages_in("data-after-fin.server.pcap", "data-after-fin") == [
        "the client sent 1 segment with data beyond its own FIN, up to 4 above its number: "
        "forged, or its sender is broken"
    ]


def test_a_storm_is_no_retransmission() -> None:
    assert messages_in("fin-storm.server.pcap", "fin-storm") == ["21 FINs of the client within 183.436 ms"]
    assert not codes_in("fin-storm.server.pcap")["fin-retransmitted"]


def test_what_lies_beyond_a_fin_is_not_folded() -> None:
    beyond = "\n".join(f"A > PA x+{2 + 9 * i} (9) ack y+1\n B > A y+1 ack x+{11 + 9 * i}" for i in range(20))
    segments = parse(f"open\n A > FA x+1 ack y+1\n B > A y+1 ack x+2\n {beyond}").segments(ISN_PAIRS["last"])
    said = []
    for gathering in (GatheredRows(fold=False), GatheredRows(fold_rows=4, long_rows=4)):
        inspector = Inspector()
        inspector.analysis.gathering = gathering
        capture = inspector.begin_capture("late", "pcap")
        table = table_of(segments, inspector)
        for a in range(0, len(table), 5):
            part = table.take(slice(a, a + 5))
            inspector.add_block(Block(part), capture, len(part), part["time_ns"])
        said.append([one.message for one in inspector.result().connections[0].findings if one.code == "data-after-fin"])
    assert said[0] == said[1] != []
    assert said[0][0].startswith("the client sent 20 segments with data beyond its own FIN, up to 180 above its number")


@pytest.mark.parametrize("octets", [b"", b"\xfe"])
def test_a_window_whose_scale_was_cut_off_is_taken_for_the_largest(octets: bytes) -> None:
    """RFC 7323 §2.3: up to 1 GiB. A list that was cut is no whole number of words."""
    text = "open\nA > PA x+1 (4) ack y+1\nB > A y+1 ack x+5\nA > FA x+200000 ack y+1\nB > A y+1 ack x+5"
    segments = [
        replace(one, options=octets) if one.flags & SYN else one for one in parse(text).segments(ISN_PAIRS["plain"])
    ]
    found = {one.code for one in inspect_segments(segments).connections[0].findings}
    assert ("fin-out-of-window" in found) == (octets == b"")
