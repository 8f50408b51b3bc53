"""Every capture in `pcaps/` has its line in the page beside it, and shows what the line says."""

from __future__ import annotations

from pathlib import Path

import pytest

from handshake_inspect import inspect
from handshake_inspect.lab.record import lines_of_page

FOLDER = Path(__file__).parent.parent / "pcaps"
LINES = {line["file"]: line for line in lines_of_page(FOLDER / "README.md")}


def spelled(states: tuple[str, ...] | None) -> str:
    return " > ".join(states) if states else "-"


def test_every_capture_is_listed() -> None:
    assert {path.name for path in FOLDER.glob("*.pcap*")} == set(LINES)


@pytest.mark.parametrize("name", [name for name, line in LINES.items() if "handshake" in line])
def test_a_tcp_capture_shows_what_its_line_says(name: str) -> None:
    line = LINES[name]
    found = inspect(FOLDER / name)
    (one,) = found.connections
    assert (one.handshake.kind, one.teardown.kind) == (line["handshake"], line["teardown"])
    assert (one.teardown.closed_first or "-") == line["closed first"]
    assert spelled(one.states.originator) == line["originator"]
    assert spelled(one.states.responder) == line["responder"]
    assert not found.damage
    assert not one.duplicates
    assert found.captures[0].dropped is None


@pytest.mark.parametrize("name", [name for name, line in LINES.items() if "must be found" in line])
def test_a_udp_capture_shows_what_its_line_says(name: str) -> None:
    (one,) = inspect(FOLDER / name).exchanges
    words = [f"{one.datagrams.originator} datagram", f"{one.datagrams.responder} answer"]
    words[1] += "s" if one.datagrams.responder != 1 else ""
    words += [error for _, error in one.errors]
    assert ", ".join(words) == LINES[name]["must be found"]
