"""Every capture in `pcaps/` has its lines in the page beside it, and shows what the lines say."""

from __future__ import annotations

from pathlib import Path

import pytest
from click.testing import CliRunner

from handshake_inspect import inspect
from handshake_inspect.cli import cli
from handshake_inspect.expect.beside import beside
from handshake_inspect.lab.expected import nearest_differences, outcome_of
from handshake_inspect.lab.page import Page, connection_line
from handshake_inspect.lab.scenarios import SCENARIOS

FOLDER = Path(__file__).parent.parent / "pcaps"
PAGE = Page.read(FOLDER)
NAMES = [line["file"] for line in PAGE.captures]


def test_every_capture_is_listed_and_every_scenario_recorded() -> None:
    assert {path.name for path in FOLDER.glob("*.pcap*")} == set(NAMES)
    assert {name.split(".")[0] for name in NAMES} == set(SCENARIOS)
    assert len(NAMES) == len(set(NAMES))


def test_every_capture_has_its_expectations_beside_it_and_meets_them() -> None:
    captures = [*FOLDER.rglob("*.pcap")]
    assert {beside(str(path)) for path in captures} == {*FOLDER.rglob("*.toml")}
    done = CliRunner().invoke(cli, ["check", str(FOLDER)])
    assert done.stdout.endswith(f" in {len(captures)} captures\n"), done.output
    assert done.stdout.startswith("ok: ")


@pytest.mark.parametrize("line", PAGE.captures, ids=NAMES)
def test_a_line_of_provenance_says_what_was_recorded_how(line: dict[str, str]) -> None:
    name = line["file"].split(".")[0]
    assert line["recorded by"] == f"`handshake-inspect lab record {name} -o pcaps`"
    assert line["kernel"].startswith("Linux ")
    assert line["shows"] == SCENARIOS[name].shows


@pytest.mark.parametrize("name", NAMES)
def test_a_capture_shows_what_its_scenario_promises(name: str) -> None:
    scenario, vantage = name.split(".")[:2]  # NAME.pcap, NAME.server.pcap
    outcomes = SCENARIOS[scenario].outcomes_at(vantage)
    found = inspect(FOLDER / name)
    assert outcomes is not None
    assert nearest_differences(outcomes, found.connections) == []
    outcome = outcome_of(outcomes, found.connections) or ()
    lines = [line for line in PAGE.connections if line["file"] == name]
    assert lines == [connection_line(name, stream, outcome) for stream in range(len(found.connections))]
    assert not found.damage
    assert any(one.duplicates for one in found.connections) == SCENARIOS[scenario].is_seen_twice
    assert found.captures[0].dropped is None


@pytest.mark.parametrize("line", PAGE.exchanges, ids=lambda line: line["file"])
def test_a_udp_capture_shows_what_its_line_says(line: dict[str, str]) -> None:
    (one,) = inspect(FOLDER / line["file"]).exchanges
    words = [f"{one.datagrams.originator} datagram", f"{one.datagrams.responder} answer"]
    words[1] += "s" if one.datagrams.responder != 1 else ""
    words += [error for _, error in one.errors]
    assert ", ".join(words) == line["must be found"] == SCENARIOS[line["file"].split(".")[0]].exchange
