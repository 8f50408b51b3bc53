"""Scenarios tried, many at once: is each as it promises?

In: names of scenarios. Out: a `Trial` of each, in the order in which they end. Each runs in a child of its own, which
makes its own private network: they do not see each other. Scenarios mostly wait, so more of them than there are
cores may run at once.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import partial

from handshake_inspect.capture.records import CaptureError
from handshake_inspect.lab.record import JOBS, what_is_wrong
from handshake_inspect.lab.session import run_demo
from handshake_inspect.lab.world import LabError, in_children


@dataclass(frozen=True)
class Trial:
    """One run of a scenario, held against what it promises."""

    name: str
    #: What is not as promised, one line each.
    wrong: tuple[str, ...]
    seconds: float


def try_scenario(name: str) -> Trial:
    """Run a scenario and hold it against what it promises; what keeps it from running is wrong too."""
    began = time.monotonic()
    try:
        wrong = what_is_wrong(run_demo(name))
    except (LabError, CaptureError) as error:
        wrong = [str(error)]
    return Trial(name, tuple(wrong), time.monotonic() - began)


def trials(names: Sequence[str], jobs: int = JOBS) -> Iterator[Trial]:
    """Try scenarios, at most `jobs` at once."""
    return in_children([partial(try_scenario, name) for name in names], jobs)
