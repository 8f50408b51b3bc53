from __future__ import annotations

import pytest

from tests.engine.scenario import ISN_PAIRS, check
from tests.engine.scenarios import OPEN_QUESTIONS, REUSED_WITH_LAST_NUMBER, SCENARIOS


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


def test_sockets_used_again_with_the_last_number_of_all() -> None:
    check(REUSED_WITH_LAST_NUMBER)
