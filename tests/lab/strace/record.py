"""Record the logs and captures that stand in `recorded`: `python -m tests.lab.strace.record`, with strace installed."""

from __future__ import annotations

from pathlib import Path

from tests.lab.strace.programs import FLAGS, PROGRAMS, record

FOLDER = Path(__file__).parent / "recorded"

if __name__ == "__main__":
    FOLDER.mkdir(exist_ok=True)
    for program in PROGRAMS:
        for flags in FLAGS:
            print(*record(program, flags, FOLDER))
