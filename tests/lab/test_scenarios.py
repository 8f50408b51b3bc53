"""Every scenario once, live: as it promises, and as the kernel says. All run at once, in one worker of the tests."""

from __future__ import annotations

import pytest

from handshake_inspect.lab.scenarios import echoes
from handshake_inspect.lab.trials import Trial, trials
from tests.lab.privileges import needs_private_world

NAMES = [scenario.name for scenario in echoes.CHAPTER.scenarios]


@pytest.fixture(scope="module")
def tried() -> dict[str, Trial]:
    needs_private_world()
    return {trial.name: trial for trial in trials(NAMES)}


@pytest.mark.xdist_group("scenarios")
@pytest.mark.parametrize("name", NAMES)
def test_a_scenario_is_as_it_promises_and_the_kernel_agrees(name: str, tried: dict[str, Trial]) -> None:
    assert tried[name].wrong == ()
