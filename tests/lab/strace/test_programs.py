"""Whole programs under strace: each call stands beside its connection, in its lane, whatever strace was asked to write.

Recorded logs are read everywhere; where strace is installed the same programs are run anew.
"""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from handshake_inspect.inspector import inspect
from handshake_inspect.lab.strace.beside import attribute
from handshake_inspect.lab.strace.log import read_log
from tests.lab.privileges import needs_strace
from tests.lab.strace.programs import FLAGS, PROGRAMS, lanes, record
from tests.lab.strace.record import FOLDER

EACH = [(program, flags) for program in PROGRAMS for flags in FLAGS]


def expected(program: str) -> list[tuple[tuple[str, ...], tuple[str, ...]]]:
    one = PROGRAMS[program]
    return [(one.client, one.server)] * one.connections


def test_every_recorded_pair_is_listed_on_its_page() -> None:
    names = set(re.findall(r"^\| (\w+-\w+) \|", (FOLDER / "README.md").read_text(), re.MULTILINE))
    assert names == {path.name.partition(".")[0] for path in FOLDER.glob("*.*") if path.name != "README.md"}
    assert names == {f"{program}-{flags}" for program, flags in EACH}


@pytest.mark.parametrize(("program", "flags"), EACH)
def test_the_lanes_of_a_recorded_program(program: str, flags: str) -> None:
    log = FOLDER / f"{program}-{flags}.log"
    assert lanes(log.with_suffix(".pcap"), log) == expected(program)
    assert not read_log(str(log)).unread


@pytest.mark.parametrize(("program", "flags"), EACH)
def test_the_lanes_of_a_program_that_runs_now(program: str, flags: str, tmp_path: Path) -> None:
    needs_strace()
    capture, log = record(program, flags, tmp_path)
    assert lanes(capture, log) == expected(program)


@pytest.mark.parametrize(("program", "flags"), EACH)
def test_a_segment_leaves_while_its_call_runs(program: str, flags: str) -> None:
    log = FOLDER / f"{program}-{flags}.log"
    inspection = inspect(log.with_suffix(".pcap"))
    found = attribute(read_log(str(log)).sockets, inspection.connections)
    for connection in inspection.connections:
        calls = found.calls_of(connection)
        steps = inspection.steps(connection.stream)
        (connect,) = [call for call in calls if call.name == "connect"]
        assert connect.entered_ns < steps[0].time_ns
        if connect.returned_ns != connect.entered_ns:
            assert steps[0].time_ns < connect.returned_ns
        fin = next(step for step in steps if "FIN" in step.flags)
        closing = [call for call in calls if call.name in ("close", "shutdown") and call.end == "client"]
        if fin.sender == "originator":
            assert closing[0].entered_ns < fin.time_ns
