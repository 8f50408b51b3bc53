"""`diff`: exit codes, what stands in its text and in its JSON, and what it refuses."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from handshake_inspect.cli import cli
from handshake_inspect.compared.difference import LEVELS
from tests.cli.running import PCAPS, run

FOUR, THREE, RESET = (str(PCAPS / f"{name}.pcap") for name in ("four-way", "three-segment", "reset"))
#: Two connections and three.
FULL, OVERFLOW = (str(PCAPS / f"accept-queue-{name}.pcap") for name in ("full", "overflow"))


def diff(*arguments: str) -> Result:
    return CliRunner().invoke(cli, ["diff", *arguments])


def document(*arguments: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(diff(*arguments, "--format", "json").stdout)
    return found


def test_equal_captures_give_0_and_say_so() -> None:
    done = diff(FOUR, FOUR)
    assert (done.exit_code, done.stderr) == (0, "")
    assert done.stdout.splitlines()[-1] == "the same: 1 connection"
    assert done.stdout.count("\n") == 4


def test_captures_that_differ_give_1_and_the_segment() -> None:
    done = run("diff", FOUR, THREE)
    assert (done.returncode, done.stderr) == (1, "")
    lines = done.stdout.splitlines()
    assert lines[3] == "stream 0 of A and stream 0 of B part at segment 9"
    assert lines[4].split()[:2] == ["A", "ACK"]
    assert lines[5].split()[:2] == ["B", "FIN,ACK"]
    assert sum("they part here" in line for line in lines) == 1
    assert lines[-1] == "1 different, 0 the same"


def test_a_level_says_how_closely_captures_are_compared() -> None:
    assert diff(FOUR, THREE, "--level", "conversation").exit_code == 0
    assert diff(FOUR, THREE, "--level", "verdict").exit_code == 0
    longer = str(PCAPS / "large-transfer.pcap")
    assert [diff(FOUR, longer, "--level", level).exit_code for level in LEVELS] == [1, 1, 0]
    ecn = diff(FOUR, str(PCAPS / "ecn.pcap"), "--level", "verdict")
    assert ecn.exit_code == 1
    assert "findings   A  none\n             B  ecn\n" in ecn.stdout


def test_what_only_one_of_them_has_is_named() -> None:
    done = diff(FULL, OVERFLOW)
    assert done.exit_code == 1
    assert [line for line in done.stdout.splitlines() if line.startswith("only in")] == [
        line for line in done.stdout.splitlines() if line.startswith("only in B: stream 2, ")
    ]
    assert done.stdout.splitlines()[-1] == "2 different, 1 only in B, 0 the same"


def test_json_says_the_same_as_the_text() -> None:
    found = document(FULL, OVERFLOW)
    assert found["schema"] == 1
    assert (found["is_same"], found["same"], found["only_a"], found["only_b"]) == (False, 0, [], [2])
    (alike,) = document(FOUR, RESET)["different"]
    assert alike["streams"] == [[0, 0]]
    assert {end: (at["segment"], at["frame"], at["flags"]) for end, at in alike["parted"].items()} == {
        "a": (8, 8, "FIN,ACK"),
        "b": (8, 8, "RST,ACK"),
    }
    assert alike["verdict"]["teardown"] == {"a": "four-way", "b": "aborted"}
    errors = document(str(PCAPS / "refused.pcap"), str(PCAPS / "unreachable.pcap"), "--level", "conversation")
    assert errors["different"][0]["parted"]["b"]["icmp"] == "network unreachable"


def test_the_end_of_one_of_them_has_no_segment() -> None:
    found = document(str(PCAPS / "half-closed.pcap"), str(PCAPS / "ecn.pcap"), "--level", "conversation")
    (alike,) = found["different"]
    assert alike["parted"]["a"] == {"segment": 10}


def test_of_those_chosen_it_is_said_of_how_many() -> None:
    done = diff(FOUR, FULL, "--port", "1")
    assert done.exit_code == 1
    assert done.stdout.splitlines()[:2] == [f"A  {FOUR}: 0 of 1 connection", f"B  {FULL}: 0 of 2 connections"]
    assert diff(FOUR, FOUR, "--stream", "0").stdout.startswith(f"A  {FOUR}: 1 connection\n")


def test_only_those_chosen_of_both() -> None:
    assert diff(FOUR, RESET, "--where", "segments.originator > 100").exit_code == 1
    done = diff(FULL, OVERFLOW, "-s", "2")
    assert done.exit_code == 2
    assert "there is no stream 2" in done.stderr
    assert diff(OVERFLOW, OVERFLOW, "-s", "2").stdout.splitlines()[-1] == "the same: 1 connection"


def test_nothing_to_compare() -> None:
    done = diff(str(PCAPS / "udp.pcap"), str(PCAPS / "udp.pcap"))
    assert done.exit_code == 1
    assert done.stdout.splitlines()[-1] == "there was no connection to compare"
    assert done.stderr.count("UDP: 2 datagrams") == 2


@pytest.mark.parametrize("where", [0, 1])
def test_what_cannot_be_used_gives_2(where: int) -> None:
    files = [FOUR, FOUR]
    files[where] = "no-such.pcap"
    done = diff(*files)
    assert (done.exit_code, done.stdout) == (2, "")
    assert done.stderr.splitlines() == ["Error: no-such.pcap: cannot be opened: No such file or directory"]


def test_standard_input_is_one_of_them_at_most() -> None:
    done = run("diff", "-", "-")
    assert done.returncode == 2
    assert "standard input" in done.stderr
    assert run("diff", FOUR, "-", stdin=Path(FOUR).read_bytes()).returncode == 0


def test_a_folder_is_one_run(tmp_path: Path) -> None:
    for name in ("before", "after"):
        (tmp_path / name).mkdir()
        for capture in (FOUR, RESET):
            (tmp_path / name / Path(capture).name).write_bytes(Path(capture).read_bytes())
    done = diff(str(tmp_path / "before"), str(tmp_path / "after"))
    assert (done.exit_code, done.stdout.splitlines()[-1]) == (0, "the same: 2 connections")
    assert done.stdout.splitlines()[0] == f"A  {tmp_path / 'before'}: 2 connections"
