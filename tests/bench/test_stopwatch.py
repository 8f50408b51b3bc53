"""Processes timed: what they take, and what becomes of one that fails."""

from __future__ import annotations

import pickle
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.bench.peers import OURS
from tests.bench.stopwatch import Amount, CommandError, Run, amount, in_turn, timed

PCAPS = Path(__file__).parents[2] / "pcaps"
PYTHON = [sys.executable, "-I", "-c"]


def test_time_and_memory_are_of_the_process_that_is_timed() -> None:
    busy = _timed_by_a_small_process("octets = bytes(range(256)) * 1_000_000; sum(octets[:3_000_000])")
    idle = _timed_by_a_small_process("import time; time.sleep(0.2)")
    assert 256_000_000 <= busy.peak_octets < 300_000_000
    assert idle.peak_octets < 30_000_000
    assert idle.seconds >= 0.2
    assert 0 < idle.cpu_seconds < idle.seconds


def test_memory_is_that_of_all_processes_and_what_they_share_counts_once() -> None:
    """200 MB, and a child that has 100 MB more and looks at those of its parent."""
    program = (
        "import os, time; shared = bytes(range(256)) * 800_000; child = os.fork()\n"
        "if not child: own = bytes(range(256)) * 400_000; sum(shared[::4096]); time.sleep(0.3); os._exit(0)\n"
        "os.waitpid(child, 0)"
    )
    assert 300_000_000 <= _by_a_small_process("peak_of_all", program) < 350_000_000, "not 500 MB"


def _timed_by_a_small_process(program: str) -> Run:
    run = _by_a_small_process("timed", program)
    assert isinstance(run, Run)
    return run


def _by_a_small_process(function: str, program: str) -> Any:
    """Return what a function of the stopwatch says of a program, when a process as small as that of `make bench` asks.

    This one has the peak memory of all tests before, and would hand it down to what it starts.
    """
    script = f"import pickle, sys; from pathlib import Path; from tests.bench.stopwatch import {function}; "
    script += f"sys.stdout.buffer.write(pickle.dumps({function}({[*PYTHON, program]!r}, Path())))"
    return pickle.loads(subprocess.run([sys.executable, "-c", script], stdout=subprocess.PIPE, check=True).stdout)


def test_who_holds_the_stopwatch_is_small() -> None:
    """What a process is started from hands its peak memory down to it."""
    program = (
        "import sys; import tests.bench.measure; "
        "assert not {'numpy', 'click', 'rich'} & set(sys.modules); "
        "lines = dict(line.split(':') for line in open('/proc/self/status')); "
        "assert int(lines['VmHWM'].split()[0]) < 30_000"
    )
    timed([sys.executable, "-c", program], Path())


def test_a_command_gets_its_file_and_no_more_memory_than_there_is(tmp_path: Path) -> None:
    program = [*PYTHON, "import sys; sys.exit(open(sys.argv[1]).read() != 'bith')", "{file}"]
    (tmp_path / "a").write_text("bith")
    timed(program, tmp_path / "a")
    (tmp_path / "a").write_text("other")
    with pytest.raises(CommandError, match="ended with 1"):
        timed(program, tmp_path / "a")
    with pytest.raises(CommandError):
        timed([*PYTHON, "import time; time.sleep(0.3); bytes(1 << 30)"], tmp_path, memory_octets=1 << 29)


def test_commands_run_in_turn_and_one_that_fails_has_no_runs(tmp_path: Path) -> None:
    noted = tmp_path / "noted"
    note = [*PYTHON, "import sys; open(sys.argv[1], 'a').write('x')", "{file}"]
    fails_later = [*PYTHON, "import sys; sys.exit(open(sys.argv[1]).read() != 'x')", "{file}"]
    commands = {"note": (note, noted), "later": (fails_later, noted), "absent": (["there-is-none"], noted)}
    runs = in_turn(commands, 2)
    assert {name: len(found) for name, found in runs.items()} == {"note": 2, "later": 0, "absent": 0}
    assert noted.read_text() == "xx"


def test_what_a_capture_holds_is_counted() -> None:
    assert amount(OURS, PCAPS / "four-way.pcap") == Amount(segments=11, connections=1)
