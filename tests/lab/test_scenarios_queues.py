"""What the promises of the scenarios of queues do not say: counts of half-open connections, and when is retried."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path

import pytest

from handshake_inspect import inspect
from handshake_inspect.lab.scenarios.queues import BACKLOG, FLOOD
from handshake_inspect.lab.session import Session, run_demo
from tests.lab.privileges import needs_private_world

PCAPS = Path(__file__).parents[2] / "pcaps"


def half_open(session: Session) -> list[str]:
    """The counts that the server's kernel gave, as the ladder shows them."""
    return [call.result for call in session.calls if call.name == "sock_diag"]


@pytest.mark.parametrize("name", ["syn-flood", "syn-flood-cookies"])
def test_the_kernel_holds_one_more_half_open_connection_than_the_backlog(name: str) -> None:
    needs_private_world()
    session = run_demo(name)
    assert half_open(session) == [str(BACKLOG + 1)]
    answered = [one.handshake.kind for one in session.vantages[0].inspected().connections].count("half-open")
    assert answered == (FLOOD if name == "syn-flood-cookies" else BACKLOG + 1)


def test_with_a_cookie_the_kernel_holds_nothing() -> None:
    needs_private_world()
    assert half_open(run_demo("syn-cookie")) == ["0"]


def test_what_found_no_room_is_sent_again_after_a_second() -> None:
    for name, stream, sender, flags in (
        ("accept-queue-full", 1, "originator", "SYN"),
        ("accept-queue-overflow", 0, "responder", "SYN,ACK"),
    ):
        steps = inspect(PCAPS / f"{name}.pcap").steps(stream)
        times = [step.time_ns for step in steps if (step.sender, step.flags) == (sender, flags)]
        (wait_ns,) = [later - earlier for earlier, later in pairwise(times)]
        assert 1_000_000_000 <= wait_ns < 1_200_000_000


def test_the_data_that_rescue_a_connection_are_sent_again_until_there_is_room() -> None:
    steps = inspect(PCAPS / "syn-cookie-rescued.pcap").steps(0)
    data = [step.seq for step in steps if step.sender == "originator" and step.payload_octets]
    assert len(data) >= 4
    assert len(set(data)) == 1
