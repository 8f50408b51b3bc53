from __future__ import annotations

import pytest

from tests.engine.scenario import ISN_PAIRS, check
from tests.engine.scenarios import OPEN_QUESTIONS, SCENARIOS


def names() -> list[object]:
    assert set(OPEN_QUESTIONS) <= set(SCENARIOS)
    return [
        pytest.param(name, marks=pytest.mark.xfail(reason=OPEN_QUESTIONS[name])) if name in OPEN_QUESTIONS else name
        for name in SCENARIOS
    ]


@pytest.mark.parametrize("isns", ISN_PAIRS.values(), ids=ISN_PAIRS)
@pytest.mark.parametrize("name", names())
def test_scenario(name: str, isns: tuple[int, int]) -> None:
    check(SCENARIOS[name], isns)
