"""Findings about TIME-WAIT, and about sockets that are used again."""

from __future__ import annotations

from dataclasses import replace

import pytest

from handshake_inspect.connections.splitting.rows import SYN
from tests.engine.scenario import ISN_PAIRS, inspect_segments, parse
from tests.findings.captures import inspected, messages_in

#: Code -> captures in which it must appear, and captures in which it must not.
CASES = {
    "time-wait-at-server": (
        ["server-first.pcap", "half-close-server.server.pcap", "spindump__trace_tcp_short.pcap"],
        ["four-way.pcap", "simultaneous-close.pcap", "simultaneous-open.server.pcap"],
    ),
    "time-wait-killed": (
        ["time-wait-killed.pcap", "time-wait-old-syn.server.pcap"],
        ["time-wait-protected.pcap", "time-wait-overflow.pcap", "reset-half-closed.pcap"],
    ),
    "time-wait-forgotten": (
        ["time-wait-overflow.pcap", "time-wait-overflow.server.pcap"],
        ["time-wait-killed.pcap", "lost-last-ack.pcap", "orphan-fin-wait-2.pcap"],
    ),
    "time-wait-restarted": (
        ["time-wait-restarted.pcap", "lost-last-ack.pcap"],
        ["lost-last-ack.server.pcap", "time-wait-overflow.pcap", "four-way.pcap"],
    ),
    "time-wait-reused": (
        ["time-wait-reused.pcap", "time-wait-reopened.server.pcap", "time-wait-reopened-by-number.pcap"],
        ["time-wait-not-reused.pcap", "time-wait-reused-early.server.pcap", "made: time-wait-over"],
    ),
    "time-wait-reused-early": (
        ["time-wait-reused-early.server.pcap", "made: time-wait-reused-older"],
        [
            "time-wait-reused-early.pcap",
            "time-wait-reused.pcap",
            "time-wait-reopened-by-number.server.pcap",
            "made: time-wait-over",
        ],
    ),
    "ephemeral-ports-low": (
        ["made: ports-run-out", "made: ports-taken"],
        ["made: ports-last", "four-way.pcap", "suricata-verify__output-eve-ftp-data.pcap"],
    ),
    "sockets-reused": (
        ["half-open-syn.pcap", "made: sockets-reused-while-open"],
        ["time-wait-reused.pcap", "old-duplicate-syn-passive.server.pcap", "zeek__pop3.pcap", "made: time-wait-over"],
    ),
}


def test_they_say_how_long_it_lasted() -> None:
    assert messages_in("time-wait-killed.pcap", "time-wait-killed") == [
        "an RST came into the TIME-WAIT of the client after 60.983 ms of 60.000 s: it is over, unless its system "
        "ignores RSTs there (RFC 1337)"
    ]
    assert messages_in("time-wait-overflow.pcap", "time-wait-forgotten") == [
        "the client owes TIME-WAIT, but sent an RST 50.774 ms after that should have begun: it kept none"
    ]
    assert messages_in("lost-last-ack.pcap", "time-wait-restarted") == [
        "the TIME-WAIT of the client was restarted 2 times, last 415.481 ms after it began"
    ]


def test_they_say_by_which_rule_it_was_reused() -> None:
    assert messages_in("time-wait-reused.pcap", "time-wait-reused") == [
        "a SYN took the sockets 16.044 ms into the TIME-WAIT of the client: its timestamp is 16 above the last one, "
        "and its number is 65,538 octets above the last one used"
    ]
    assert messages_in("time-wait-reopened-by-number.pcap", "time-wait-reused") == [
        "a SYN took the sockets 52.306 ms into the TIME-WAIT of the server: its number is 5,245,791 octets above the "
        "last one used"
    ]


def test_they_say_which_rule_does_not_hold() -> None:
    assert messages_in("time-wait-reused-early.server.pcap", "time-wait-reused-early") == [
        "a SYN took the sockets 180.702 ms into the TIME-WAIT of the server, of 60.000 s: its number is 495,634,011 "
        "octets below the last one used"
    ]
    assert messages_in("made: time-wait-reused-older", "time-wait-reused-early") == [
        "a SYN took the sockets 1.995 s into the TIME-WAIT of the client, of 60.000 s: its timestamp is 103 below the "
        "last one, which no number makes good"
    ]


def test_how_many_ports_are_left_and_for_how_long() -> None:
    assert messages_in("made: ports-run-out", "ephemeral-ports-low") == [
        "1,000 of the 28,232 ports 32768-60999 (Linux: ip_local_port_range) taken at once, 997 by TIME-WAIT; 1,000 "
        "connections in 2.003 s left TIME-WAIT: at that rate none is left after 56.549 s"
    ]
    assert messages_in("made: ports-taken", "ephemeral-ports-low") == [
        "22,000 of the 28,232 ports 32768-60999 (Linux: ip_local_port_range) taken at once, 21,998 by TIME-WAIT; "
        "22,000 connections in 55.003 s left TIME-WAIT"
    ]


def test_it_stands_at_the_connection_that_takes_the_sockets() -> None:
    first, second = inspected("time-wait-reused.pcap").connections
    assert "time-wait-reused" not in {one.code for one in first.findings}
    assert "time-wait-reused" in {one.code for one in second.findings}


def test_what_became_of_the_connection_before() -> None:
    assert messages_in("half-open-syn.pcap", "sockets-reused") == [
        "it uses the sockets of the connection before, which an RST had ended, 11.509 ms after the last segment of that"
    ]
    assert messages_in("made: sockets-reused-while-open", "sockets-reused") == [
        "it uses the sockets of the connection before, which was not closed, 4.996 s after the last segment of that"
    ]


def test_which_server_owes_how_much() -> None:
    assert messages_in("suricata-verify__output-eve-ftp-data.pcap", "time-wait-at-server") == [
        "accepted 24 connections and closed first: it owes TIME-WAIT, up to 18 at once (Linux: 60 s after the last ACK)"
    ]


@pytest.mark.parametrize("octets", [b"", b"\xfe"])
def test_a_syn_whose_timestamps_may_have_been_cut_off_is_not_called_too_early(octets: bytes) -> None:
    """RFC 6191 §2: a newer timestamp allows a lower number. A list that was cut is no whole number of words."""
    text = """
        open
        A > FA x+1  ack y+1
        B > FA y+1  ack x+2
        A > A  x+2  ack y+2
        2.0  A > S  x-70000
        B > SA y+70000    ack x-69999
        A > A  x-69999  ack y+70001
    """
    segments = [
        replace(one, options=octets) if one.flags & SYN else one for one in parse(text).segments(ISN_PAIRS["plain"])
    ]
    found = {one.code for one in inspect_segments(segments).connections[1].findings}
    assert ("time-wait-reused-early" in found) == (octets == b"")
