"""Every scenario of the lab, by name, in the order in which a learner would meet them."""

from __future__ import annotations

from collections.abc import Mapping

from handshake_inspect.lab.scenarios import (
    closings,
    echoes,
    fast_open,
    forged,
    forged_openings,
    half_open,
    idle,
    loopback,
    losses,
    middlebox,
    openings,
    options,
    order,
    queues,
    resets,
    scans,
    time_wait,
)
from handshake_inspect.lab.scenarios.scenario import Scenario
from handshake_inspect.lab.scenarios.unix import UNIX
from handshake_inspect.lab.world import LabError
from handshake_inspect.views.words import nearest

CHAPTERS = (
    echoes.CHAPTER,
    openings.CHAPTER,
    options.CHAPTER,
    middlebox.CHAPTER,
    losses.CHAPTER,
    order.CHAPTER,
    closings.CHAPTER,
    resets.CHAPTER,
    half_open.CHAPTER,
    queues.CHAPTER,
    fast_open.CHAPTER,
    forged_openings.CHAPTER,
    forged.CHAPTER,
    scans.CHAPTER,
    idle.CHAPTER,
    time_wait.CHAPTER,
    loopback.CHAPTER,
)
ALL: tuple[Scenario, ...] = tuple(scenario for chapter in CHAPTERS for scenario in chapter.scenarios)
SCENARIOS: Mapping[str, Scenario] = {scenario.name: scenario for scenario in ALL}


def scenario_named(name: str) -> Scenario:
    """Return the scenario of that name; LabError with the names that are near if there is none."""
    if name == UNIX.name:  # not among `SCENARIOS`, which can be recorded
        return UNIX
    if name not in SCENARIOS:
        raise LabError(f"{name}: no such scenario; `lab list` shows them.{nearest(name, [*SCENARIOS, UNIX.name])}")
    return SCENARIOS[name]
