"""Where the time goes: processor seconds of each stage of `read --format csv`, in one thread.

    python -m tests.bench.stages short.pcap

In: a capture. Out: a line of JSON, seconds by stage. A profiler looks on, which makes calls dearer than they are: what
is done in few calls, as most of it is here, hardly differs. Start-up is what a capture without packets takes.
"""

from __future__ import annotations

import cProfile
import json
import os
import pstats
import sys
import time
from collections.abc import Iterable
from contextlib import redirect_stdout

#: Where each stage is: by file and function, all below it included.
STAGES = {
    "reading records": [("capture/inputs.py", "__iter__")],
    "decoding headers": [("capture_reading.py", "_decode")],
    "gathering and folding": [("connections/analysis.py", "add")],
    "deciding what happened": [("connections/analysis.py", "_split"), ("connections/analysis.py", "_decide")],
    "findings": [
        ("findings/catalogue.py", "examine"),
        ("findings/catalogue.py", "of_connections"),
        ("findings/catalogue.py", "of_run"),
    ],
    "writing csv": [("cli/output.py", "write_blocks")],
}
#: What is begun within another stage is not counted there.
WITHIN = {"writing csv": [("findings/catalogue.py", "of_connections")]}

Place = tuple[str, str]


def profiled(path: str) -> pstats.Stats:
    """Read a capture under a profiler that counts processor time."""
    from handshake_inspect.cli import main

    profile = cProfile.Profile(time.process_time)
    arguments, sys.argv = sys.argv, ["handshake-inspect", "read", path, "--format", "csv", "--jobs", "1"]
    try:
        with open(os.devnull, "w") as nowhere, redirect_stdout(nowhere), profile:  # noqa: PTH123
            main()
    except SystemExit as ended:
        if ended.code:
            raise
    finally:
        sys.argv = arguments
    return pstats.Stats(profile)


def seconds_by_stage(stats: pstats.Stats) -> dict[str, float]:
    """Return the seconds of each stage. Raises ValueError if one is not where it was."""
    taken: dict[Place, float] = {}
    for (file, _, function), (_, _, _, seconds, _) in stats.stats.items():  # type: ignore[attr-defined]
        place = file.replace(os.sep, "/").partition("handshake_inspect/")[2], function
        taken[place] = max(taken.get(place, 0.0), seconds)

    def of(places: Iterable[Place]) -> float:
        if missing := [f"{file}: {function}" for file, function in places if (file, function) not in taken]:
            raise ValueError(f"nothing was done in {missing[0]}: where is that stage now?")
        return sum(taken[place] for place in places)

    return {stage: of(places) - of(WITHIN.get(stage, [])) for stage, places in STAGES.items()}


if __name__ == "__main__":
    print(json.dumps(seconds_by_stage(profiled(sys.argv[1]))))
