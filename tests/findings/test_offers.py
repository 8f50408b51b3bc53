"""Findings about SYNs of one connection that do not offer the same."""

from __future__ import annotations

import pytest

from handshake_inspect import inspect
from handshake_inspect.connections.splitting.rows import ACK, CWR, ECE, SYN
from tests.engine.scenario import Segment, inspect_segments
from tests.findings.answers import answered
from tests.findings.captures import messages_in, path_of
from tests.findings.snapped import snapped

#: Code -> captures in which it must appear, and captures in which it must not. "a+b": a run of both captures.
CASES = {
    "syn-options-dropped": (
        ["syn-options-dropped.pcap", "bro-simple-scan__445_scan.pcap"],
        # Only the second was seen; sent again as it was; the SYN of another capture.
        [
            "syn-options-dropped.server.pcap", "unanswered.pcap", "lost-syn.pcap",
            "timestamps-stripped.pcap+timestamps-stripped.server.pcap",
        ],
    ),
    "options-stripped": (
        ["timestamps-stripped.pcap+timestamps-stripped.server.pcap"],
        # One of the captures; declined by the server; sent again with less.
        [
            "timestamps-stripped.pcap", "timestamps-declined.pcap+timestamps-declined.server.pcap",
            "bro-simple-scan__445_scan.pcap", "lost-syn.pcap+lost-syn.server.pcap",
        ],
    ),
}  # fmt: skip


def test_the_message_has_the_numbers() -> None:
    assert messages_in("syn-options-dropped.pcap", "syn-options-dropped") == ["2 SYNs, and not all of them offer ECN"]
    dropped = messages_in("bro-simple-scan__445_scan.pcap", "syn-options-dropped")
    assert set(dropped) == {"3 SYNs, and not all of them offer window scale"}
    stripped = messages_in("timestamps-stripped.pcap+timestamps-stripped.server.pcap", "options-stripped")
    assert stripped == ["the client's SYN offers timestamps in one capture and not in another: taken out on the way"]


def test_a_syn_that_is_sent_again_as_a_plain_one_does_not_tell_which_one_was_answered() -> None:
    """RFC 3168 §6.1.1.1; and as well for options."""
    offer = bytes.fromhex("020405b4 0402 030307 000000")
    again = Segment(1_000_000_000, "A", SYN, 1000, options=bytes.fromhex("020405b4"))
    segments = [Segment(0, "A", SYN | ECE | CWR, 1000, options=offer), again, *answered(SYN | ACK, 1_100_000_000)]
    found = {one.code: one.message for one in inspect_segments(segments).connections[0].findings}
    assert found["syn-options-dropped"] == "2 SYNs, and not all of them offer window scale, SACK and ECN"
    assert not found.keys() & {"ecn-declined", "options-declined", "window-unscaled"}


@pytest.mark.parametrize("octets", [54, 58, 62, 66])
def test_options_that_a_snapshot_length_cut_off_were_not_taken_out_on_the_way(octets: int) -> None:
    """Of the SYN 0, 4, 8 or 12 octets of options are left: timestamps and window scale seem to be missing."""
    for first in (True, False):
        captures = [snapped("far-apart.pcap", octets), path_of("far-apart.server.pcap")][:: 1 if first else -1]
        found = {one.code for connection in inspect(captures).connections for one in connection.findings}
        assert not found & {*CASES, "options-declined", "window-unscaled"}


def test_options_that_were_cut_off_one_syn_of_two_were_not_left_out() -> None:
    offer = bytes.fromhex("020405b4 0402 030307 000000")
    for first, second in ((offer, offer[:6]), (offer[:6], offer)):
        segments = [
            Segment(0, "A", SYN | ECE | CWR, 1000, options=first),
            Segment(1_000_000_000, "A", SYN, 1000, options=second),
        ]
        messages = {one.code: one.message for one in inspect_segments(segments).connections[0].findings}
        assert messages["syn-options-dropped"] == "2 SYNs, and not all of them offer ECN"
