"""What the promises of the idle scenarios do not say: how long the kernel waits, and what the windows were."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path

import pytest

from handshake_inspect import inspect
from handshake_inspect.connections.connection import Step

PCAPS = Path(__file__).parents[2] / "pcaps"
SECOND_NS = 1_000_000_000


def steps_of(name: str) -> tuple[Step, ...]:
    return inspect(PCAPS / f"{name}.pcap").steps(0)


def test_probes_come_a_second_apart_and_the_rst_after_the_second() -> None:
    *_, first, second, reset = steps_of("keep-alive-dead")
    assert [first.flags, second.flags, reset.flags] == ["ACK", "ACK", "RST,ACK"]
    assert first.seq == second.seq == reset.seq - 1
    for earlier, later in pairwise([first, second, reset]):
        assert SECOND_NS <= later.time_ns - earlier.time_ns < 1.2 * SECOND_NS


def test_a_keep_alive_is_answered_at_once() -> None:
    steps = steps_of("keep-alive")
    (at,) = [number for number, step in enumerate(steps) if number and step.seq < steps[number - 1].seq
             and step.sender == "originator" and steps[number - 1].sender == "originator"]  # fmt: skip
    assert steps[at + 1].sender == "responder"
    assert steps[at + 1].ack == steps[at].seq + 1


def test_the_window_closes_is_probed_and_opens() -> None:
    steps = steps_of("zero-window")
    windows = [step.window for step in steps if step.sender == "responder" and "SYN" not in step.flags]
    closed = windows.index(0)
    assert windows[closed + 1] == 0  # the answer to the probe
    assert any(windows[closed:])


def test_data_are_given_up_at_growing_distances_and_without_a_word() -> None:
    *_, last = steps = steps_of("user-timeout")
    times = [step.time_ns for step in steps if step.seq == last.seq and step.payload_octets]
    waits = [later - earlier for earlier, later in pairwise(times)]
    assert waits[-1] == pytest.approx(2 * waits[-2], rel=0.2)
    assert last.payload_octets
