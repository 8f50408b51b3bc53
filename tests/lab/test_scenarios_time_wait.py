"""What the promises of the scenarios of TIME-WAIT do not say: restarts, and the numbers of the next connection."""

from __future__ import annotations

from pathlib import Path

import pytest

from handshake_inspect import inspect
from handshake_inspect.lab.session import run_demo
from tests.lab.privileges import needs_private_world

PCAPS = Path(__file__).parents[2] / "pcaps"
MINUTE_NS = 60_000_000_000
#: net/ipv4/tcp_minisocks.c: the first number of a connection that takes the sockets of one in TIME-WAIT.
ABOVE_OLD_SND_NXT = 65535 + 2


@pytest.mark.parametrize("name", ["time-wait-restarted", "time-wait-killed"])
def test_a_fin_that_comes_again_restarts_time_wait(name: str) -> None:
    (connection,) = inspect(PCAPS / f"{name}.pcap").connections
    (wait,) = connection.time_wait
    (again_ns,) = wait.restarts_ns
    assert wait.entered_ns < again_ns
    assert wait.earliest_end_ns == again_ns + MINUTE_NS


@pytest.mark.parametrize(
    ("name", "end"),
    [
        ("time-wait-reused", "originator"),
        ("time-wait-reopened", "responder"),
        ("time-wait-reopened-by-number", "responder"),
    ],
)
def test_the_end_in_time_wait_begins_65537_above_its_last_number(name: str, end: str) -> None:
    old, new = inspect(PCAPS / f"{name}.pcap").connections
    first, again = getattr(old.initial_seq, end), getattr(new.initial_seq, end)
    sent = getattr(old.sent_octets, end)
    assert (again - (first + 1 + sent + 1)) % (1 << 32) == ABOVE_OLD_SND_NXT


def test_who_may_take_the_port_is_told_by_the_calls() -> None:
    needs_private_world()
    (refused,) = [call for call in run_demo("time-wait-not-reused").calls if call.result == "EADDRNOTAVAIL"]
    assert refused.name == "connect"
    binds = [call.result for call in run_demo("time-wait-bind").calls if call.name == "bind"]
    assert binds == ["0", "EADDRINUSE", "0"]
