"""Scenarios tried, many at once: is each as it promises?

In: names of scenarios. Out: a `Trial` of each, in the order in which they end. Each runs in a child of its own, which
makes its own private network: they do not see each other. Scenarios mostly wait, so more of them than there are
cores may run at once.
"""

from __future__ import annotations

import os
import selectors
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from typing import cast

from handshake_inspect.capture.records import CaptureError
from handshake_inspect.lab.record import what_is_wrong
from handshake_inspect.lab.session import run_demo
from handshake_inspect.lab.world import Child, LabError

#: How many run at once unless said: they wait more than they work.
JOBS = 4 * (os.cpu_count() or 1)


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
    waiting = list(reversed(names))
    with selectors.DefaultSelector() as selector:
        try:
            while waiting or selector.get_map():
                while waiting and len(selector.get_map()) < jobs:
                    selector.register(Child(partial(try_scenario, waiting.pop())), selectors.EVENT_READ)
                for key, _ in selector.select():
                    child = cast(Child[Trial], key.fileobj)
                    if not child.listen():
                        selector.unregister(child)
                        yield child.result()
        finally:
            for key in list(selector.get_map().values()):
                cast(Child[Trial], key.fileobj).end()
