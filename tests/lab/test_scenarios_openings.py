"""What the recorded openings and losses show beyond their promises: when segments were sent again, and how often."""

from __future__ import annotations

from pathlib import Path

import pytest

from handshake_inspect import inspect

PCAPS = Path(__file__).parents[2] / "pcaps"


def seconds_of(name: str, sender: str, flags: str) -> list[float]:
    """When an end sent segments with these control bits, from the first one on."""
    times = [step.time_ns for step in inspect(PCAPS / name).steps(0) if (step.sender, step.flags) == (sender, flags)]
    return [(time - times[0]) / 1e9 for time in times]


# Linux's timer wheel fires late, never early: by less than an eighth of the wait, and what the machine's load adds.
@pytest.mark.parametrize(
    ("name", "sender", "flags", "schedule"),
    [
        ("unanswered.pcap", "originator", "SYN", [0, 1, 2, 3]),
        ("unanswered-exponential.pcap", "originator", "SYN", [0, 1, 3]),
        ("lost-syn.pcap", "originator", "SYN", [0, 1]),
        ("lost-third-ack.server.pcap", "responder", "SYN,ACK", [0, 1]),
    ],
)
def test_segments_of_the_opening_are_repeated_on_schedule(
    name: str, sender: str, flags: str, schedule: list[int]
) -> None:
    found = seconds_of(name, sender, flags)
    assert len(found) == len(schedule)
    for seconds, wanted in zip(found, schedule, strict=True):
        assert wanted - 0.001 <= seconds <= wanted * 1.125 + 0.1


def test_the_time_wait_of_a_lost_last_ack_begins_anew_with_each_fin() -> None:
    (at_the_client,), (at_the_server,) = (
        inspect(PCAPS / name).connections for name in ("lost-last-ack.pcap", "lost-last-ack.server.pcap")
    )
    (wait,) = at_the_client.time_wait
    fins = [
        step.time_ns
        for step in inspect(PCAPS / "lost-last-ack.pcap").steps(0)
        if (step.sender, step.flags) == ("responder", "FIN,ACK")
    ]
    assert len(fins) == 3
    assert list(wait.restarts_ns) == fins[1:]  # they are answered at once
    assert at_the_server.time_wait[0].restarts_ns == ()  # two of three answers never came here


def test_at_the_server_a_lost_third_segment_is_the_one_with_data() -> None:
    flags = [step.flags for step in inspect(PCAPS / "lost-third-ack-then-data.server.pcap").steps(0)]
    assert flags[:3] == ["SYN", "SYN,ACK", "PSH,ACK"]
    assert [step.flags for step in inspect(PCAPS / "third-ack-with-data.pcap").steps(0)][:3] == flags[:3]


def test_in_a_simultaneous_open_both_syns_and_both_syn_acks_cross() -> None:
    for name in ("simultaneous-open.pcap", "simultaneous-open.server.pcap"):
        steps = list(inspect(PCAPS / name).steps(0))[:4]
        assert [step.flags for step in steps] == ["SYN", "SYN", "SYN,ACK", "SYN,ACK"]
        assert [step.sender for step in steps] == ["originator", "responder"] * 2
        assert not any(step.retransmission for step in steps)
