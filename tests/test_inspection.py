"""What `inspect()` gives, in the hand of somebody who tries it: short texts, and errors that name what is not there."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

import handshake_inspect
from handshake_inspect import Inspection, inspect

PCAPS = Path(__file__).parent.parent / "pcaps"


@pytest.fixture(scope="module")
def found() -> Inspection:
    return inspect(PCAPS / "four-way.pcap")


def test_its_text_is_one_line(found: Inspection) -> None:
    assert repr(found) == f"<Inspection of {PCAPS / 'four-way.pcap'}: 1 connection>"
    assert repr(found.connections) == "<1 connection>"
    assert repr(found.exchanges) == "<0 exchanges>"


@pytest.mark.parametrize(
    ("ask", "says"),
    [
        (lambda found: found.connections[1], "there is no connection 1: 1 connection in all"),
        (lambda found: found.connections[-2], "there is no connection -2: 1 connection in all"),
        (lambda found: found.steps(1), "there is no stream 1: 1 connection in all"),
        (lambda found: found.steps(-1), "there is no stream -1: 1 connection in all"),
        (lambda found: found.with_steps(1), "there is no stream 1: 1 connection in all"),
        (lambda found: found.described(1), "there is no stream 1: 1 connection in all"),
        (lambda found: found.time_wait_ledger([0, 7]), "there is no stream 7: 1 connection in all"),
    ],
)
def test_a_connection_that_is_not_there(found: Inspection, ask: Callable[[Inspection], object], says: str) -> None:
    with pytest.raises(IndexError, match=f"^{says}$"):
        ask(found)


def test_the_first_connection_of_a_capture_without_any() -> None:
    with pytest.raises(IndexError, match=r"^there is no connection 0: 0 connections in all$"):
        inspect(PCAPS / "udp.pcap").connections[0]


def test_two_are_equal_that_say_the_same(found: Inspection) -> None:
    other = inspect(PCAPS / "four-way.pcap")
    assert found == other
    assert found.connections == other.connections == [*other.connections]
    assert found.connections != inspect(PCAPS / "reset.pcap").connections
    assert found.exchanges == []
    udp = inspect(PCAPS / "udp.pcap")
    assert udp.connections == []
    assert udp.exchanges == inspect(PCAPS / "udp.pcap").exchanges != found.exchanges


def test_what_is_public_is_listed_before_it_is_imported() -> None:
    """For `help()`, and for whoever presses Tab."""
    script = "import sys, handshake_inspect; print(*dir(handshake_inspect)); assert 'numpy' not in sys.modules"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert {*handshake_inspect.__all__} <= {*done.stdout.split()}
