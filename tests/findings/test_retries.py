"""Findings about SYNs and SYN-ACKs that were sent again."""

from __future__ import annotations

import numpy as np
import pytest

from handshake_inspect.findings.retries import _recognised
from handshake_inspect.tcp.time_wait import SECOND_NS
from tests.findings.captures import messages_in
from tests.findings.lines import found_in

CASES = {
    # A copy made on the way, a SYN that comes again after a wrong SYN-ACK, and SYNs without an answer.
    "syn-retransmitted": (
        ["lost-syn.pcap", "lost-syn-ack.pcap", "accept-queue-full.pcap", "zeek__rdp-x509.pcap"],
        ["lost-syn.server.pcap", "duplicate-syn.server.pcap", "old-duplicate-syn.pcap", "unanswered.pcap"],
    ),
    "syn-ack-retransmitted": (
        ["lost-syn-ack.server.pcap", "lost-third-ack.server.pcap", "zeek__rdp-x509.pcap"],
        ["lost-syn-ack.pcap", "lost-third-ack.pcap", "duplicate-syn.server.pcap", "late-duplicate-syn-ack.pcap"],
    ),
    "rtt-ambiguous": (
        ["lost-syn.pcap", "lost-syn-ack.server.pcap", "lost-third-ack.server.pcap"],
        ["four-way.pcap", "lost-third-ack.pcap", "late-duplicate-syn-ack.pcap", "unanswered.pcap"],
    ),
    "retry-schedule": (
        ["unanswered.pcap", "unanswered-exponential.pcap", "bro-simple-scan__445_scan.pcap", "zeek__rdp-x509.pcap"],
        ["lost-syn.pcap", "lost-syn-ack.server.pcap", "zeek__cisco-fabric-path.pcap"],
    ),
}


#: What is said if it is not known which SYN was answered.
EITHER = "that was lost, or dropped by the server, or its answer was lost or slow"


def test_it_says_when_the_syn_was_answered_at_last() -> None:
    said = "the SYN was sent 2 times and answered 1.020 s after the first: "
    likely = "most likely that was lost, or dropped by the server, for the SYN-ACK echoes a later one"
    assert messages_in("lost-syn.pcap", "syn-retransmitted") == [said + likely]


@pytest.mark.parametrize(
    ("first", "again", "echo", "why"),
    [
        (77315344, 77316352, 77315344, "that had arrived, for the SYN-ACK echoes its timestamp: an earlier answer was "
         "lost, or this one is slow"),
        (77315344, 77316352, 77316352, "most likely that was lost, or dropped by the server, for the SYN-ACK echoes a "
         "later one"),
        # The clock of the timestamps stood still, or somebody writes others: nothing is shown.
        (77315344, 77315344, 77315344, EITHER),
        (77315344, 77316352, 5, EITHER),
        (None, None, None, EITHER),
    ],
)  # fmt: skip
def test_the_echoed_timestamp_says_which_syn_arrived(
    first: int | None, again: int | None, echo: int | None, why: str
) -> None:
    """RFC 7323 §3.2. The first answer was lost before the capture; Linux echoes the SYN that came first."""
    ts = [f"ts {first} 0", f"ts {again} 0", f"ts 2573833473 {echo}"] if first is not None else [""] * 3
    found = found_in(f"A > S x {ts[0]}\n1.007719 A > S x {ts[1]}\n1.007771 B > SA y ack x+1 {ts[2]}")
    assert found["syn-retransmitted"] == f"the SYN was sent 2 times and answered 1.008 s after the first: {why}"


def test_it_says_that_the_answer_was_there_before() -> None:
    said = "the SYN was sent 2 times, once more 1.017 s after the answer: that is late, or does not reach the client"
    assert messages_in("lost-syn-ack.server.pcap", "syn-retransmitted") == [said]


def test_it_says_how_often_the_syn_ack_was_sent() -> None:
    said = "the SYN-ACK was sent 2 times before the third segment came, 1.022 s after the first"
    assert messages_in("lost-third-ack.server.pcap", "syn-ack-retransmitted") == [said]


def test_a_syn_ack_that_answers_a_repeated_syn_was_sent_too() -> None:
    """A timer sends the second one; 0.2 ms later the client's own timer asks for the third."""
    found = found_in(
        """
        A > S x
        0.000024 B > SA y ack x+1
        1.016422 B > SA y ack x+1
        1.016594 A > S x
        1.016601 B > SA y ack x+1
        1.016607 A > A x+1 ack y+1
        """
    )
    assert found["syn-ack-retransmitted"] == (
        "the SYN-ACK was sent 3 times before the third segment came, 1.017 s after the first"
    )


def test_it_says_what_is_no_round_trip_time() -> None:
    said = "SYN to third segment took 1.020 s, and the SYN was sent again: no round-trip time"
    assert messages_in("lost-syn.pcap", "rtt-ambiguous") == [said]


def test_it_names_the_schedule() -> None:
    linear = "every second at first, as Linux from 6.5 on, macOS and iOS"
    times = "1.001 s, 2.025 s and 3.049 s"
    assert messages_in("unanswered.pcap", "retry-schedule") == [
        f"the client repeats its SYN {times} after the first: {linear}"
    ]


@pytest.mark.parametrize(
    ("times_s", "name"),
    [
        ((1, 2, 3, 4, 5, 7, 11, 19, 35, 67), "every second"),
        ((1.03, 2.06, 3.09, 4.12, 5.15, 7.3, 11.7), "every second"),
        ((1, 3, 7, 15, 31, 63), "1 s, doubling"),
        ((1.1, 3.3, 7.7), "1 s, doubling"),
        ((3, 9, 21), "a first timeout of 3 s"),
        ((3,), "a first timeout of 3 s"),
        ((1,), None),
        ((1, 2, 5), None),
        ((0.5, 1, 1.5), None),
        ((1, 3, 15), None),
    ],
)
def test_a_known_schedule_is_recognised_and_no_other(times_s: tuple[float, ...], name: str | None) -> None:
    passed = (np.array([times_s]) * SECOND_NS).astype(np.int64)
    found = [words for which, words in _recognised(passed, is_syn=True) if which.all()]
    assert len(found) == (name is not None) and all(words.startswith(str(name)) for words in found)
