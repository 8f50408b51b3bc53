from __future__ import annotations

import pytest

from tests.engine.scenario import ISN_PAIRS, check
from tests.engine.scenarios import SCENARIOS
from tests.engine.scenarios.reused import REUSED_WITH_LAST_NUMBER


@pytest.mark.parametrize("isns", ISN_PAIRS.values(), ids=ISN_PAIRS)
@pytest.mark.parametrize("name", SCENARIOS)
def test_a_scenario_is_judged_as_an_expert_would(name: str, isns: tuple[int, int]) -> None:
    check(SCENARIOS[name], isns)


def test_sockets_used_again_with_the_last_number_of_all() -> None:
    check(REUSED_WITH_LAST_NUMBER)
