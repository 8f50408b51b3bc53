"""Every stage of `read` is where `make bench` looks for it, and its time is told."""

from __future__ import annotations

import pstats
from pathlib import Path

import pytest

from tests.bench.measure import stages_of
from tests.bench.stages import STAGES, seconds_by_stage
from tests.bench.workload import going_on, write


def test_every_stage_takes_its_time(tmp_path: Path) -> None:
    path = tmp_path / "short.pcap"
    write(going_on("short", 1, 200), path)
    stages = stages_of(path)
    assert list(stages) == list(STAGES)
    assert all(0 < seconds < 10 for seconds in stages.values())


def test_what_is_begun_within_another_stage_is_counted_once() -> None:
    stats = pstats.Stats()
    places = {place for stage in STAGES.values() for place in stage}
    stats.stats = {(f"/somewhere/handshake_inspect/{file}", 1, name): (1, 1, 0, 1.0, {}) for file, name in places}  # type: ignore[attr-defined]
    stats.stats["/somewhere/handshake_inspect/cli/output.py", 1, "write_blocks"] = (1, 1, 0, 1.5, {})  # type: ignore[attr-defined]
    found = seconds_by_stage(stats)
    assert (found["findings"], found["writing csv"]) == (3.0, 0.5)
    del stats.stats["/somewhere/handshake_inspect/capture_reading.py", 1, "_decode"]  # type: ignore[attr-defined]
    with pytest.raises(ValueError, match=r"^nothing was done in capture_reading.py: _decode"):
        seconds_by_stage(stats)
