"""Findings about data on the SYN."""

from __future__ import annotations

from dataclasses import replace

import pytest

from handshake_inspect import inspect
from tests.engine.scenario import ISN_PAIRS, inspect_lines, inspect_segments, parse
from tests.findings.captures import messages_in
from tests.findings.lines import found_in
from tests.findings.snapped import snapped

CASES = {
    "syn-with-data": (
        ["syn-with-data.server.pcap", "arkime__tcpseq_synthetic.pcap"],
        ["syn-with-data.pcap", "fast-open-accepted.pcap", "fast-open-declined.pcap"],
    ),
    "fast-open-requested": (
        ["fast-open-requested.pcap", "fast-open-unknown.pcap"], ["four-way.pcap", "arkime__tcpseq_synthetic.pcap"],
    ),
    "fast-open": (
        ["fast-open-accepted.pcap", "suricata-verify__tcp_fastopen_segmentation.pcap"],
        ["fast-open-requested.pcap", "fast-open-declined.pcap", "third-ack-with-data.pcap"],
    ),
    "fast-open-declined": (
        ["fast-open-declined.pcap"], ["fast-open-accepted.pcap", "fast-open-unknown.pcap", "fast-open-requested.pcap"],
    ),
}  # fmt: skip


def test_it_says_whether_a_cookie_came() -> None:
    asks = "the client asks for a Fast Open cookie, and the SYN-ACK brings "
    assert messages_in("fast-open-requested.pcap", "fast-open-requested") == [asks + "one of 8 octets"]
    assert messages_in("fast-open-unknown.pcap", "fast-open-requested") == [asks + "none"]


def test_it_says_how_many_octets_were_taken() -> None:
    said = "4 octets on the SYN (Fast Open), and the SYN-ACK acknowledges them"
    assert messages_in("fast-open-accepted.pcap", "fast-open") == [said]


def test_it_says_that_the_data_were_not_taken() -> None:
    said = "the SYN-ACK acknowledges none of the 4 octets on the SYN, and brings another cookie"
    assert messages_in("fast-open-declined.pcap", "fast-open-declined") == [said]


#: The SYN with 8 octets and a cookie comes again without both, and is answered then.
DROPPED = """
    A > S x (8) tfo 0658f98130be4622 {}
    1.016272 A > S x {}
    1.016344 B > SA y ack x+1 {}
    A > PA x+1 (8) ack y+1
    B > A y+1 ack x+9
"""
FIRST, AGAIN = 1200319734, 1200320751


@pytest.mark.parametrize("echo", [AGAIN, None])
def test_a_syn_without_data_that_is_answered_declines_nothing(echo: int | None) -> None:
    """RFC 7413 §7.1. Something on the way dropped the SYN with data; the SYN-ACK echoes the one without."""
    stamps = ("", "", "") if echo is None else (f"ts {FIRST} 0", f"ts {AGAIN} 0", f"ts 999934224 {echo}")
    text = DROPPED.format(*stamps)
    assert inspect_lines(text).connections[0].handshake.fast_open == "requested"
    found = found_in(text)
    assert "fast-open-declined" not in found
    assert found["syn-retransmitted"] == (
        "no answer to the SYN with 8 octets was captured; one without them was answered 1.016 s after it: the first "
        "was lost, or dropped for its data, or its answer was lost"
    )


def test_a_syn_ack_that_echoes_the_syn_with_data_declines_them() -> None:
    """RFC 7323 §3.2. Its first copy was lost; the one that the SYN without data calls forth shows what had arrived."""
    text = DROPPED.format(f"ts {FIRST} 0", f"ts {AGAIN} 0", f"ts 999934224 {FIRST}")
    assert inspect_lines(text).connections[0].handshake.fast_open == "declined"
    assert "fast-open-declined" in found_in(text)


@pytest.mark.parametrize(
    ("name", "octets", "messages"),
    [
        # Of a SYN with data nobody knows whether it asked; it is told only where the whole list was captured.
        ("syn-with-data.server.pcap", 70, []),
        (
            "syn-with-data.server.pcap",
            74,
            ["5 octets on the SYN without Fast Open; the SYN-ACK acknowledges none of them"],
        ),
        # The whole list of the SYN, and that of the SYN-ACK up to its cookie.
        (
            "fast-open-requested.pcap",
            78,
            ["the client asks for a Fast Open cookie; not all options of the SYN-ACK were captured"],
        ),
    ],
)
def test_an_option_that_the_snapshot_length_cut_off_is_not_missed(name: str, octets: int, messages: list[str]) -> None:
    (connection,) = inspect(snapped(name, octets)).connections
    assert [one.message for one in connection.findings if one.code in CASES] == messages


@pytest.mark.parametrize(("octets", "why"), [(b"", ": no Fast Open at this listener now"), (b"\xfe", "")])
def test_another_cookie_may_have_been_cut_off(octets: bytes, why: str) -> None:
    """A list that was cut is no whole number of words."""
    text = "A > S x (4) tfo 0102030405060708\nB > SA y ack x+1\nA > PA x+1 (4) ack y+1"
    syn, answer, data = parse(text).segments(ISN_PAIRS["plain"])
    (connection,) = inspect_segments([syn, replace(answer, options=octets), data]).connections
    (declined,) = [one.message for one in connection.findings if one.code == "fast-open-declined"]
    assert declined == f"the SYN-ACK acknowledges none of the 4 octets on the SYN{why}"
