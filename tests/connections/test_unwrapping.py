from __future__ import annotations

from unittest import mock

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from handshake_inspect.connections.splitting import unwrapping
from handshake_inspect.connections.splitting.unwrapping import SAFE_SPAN, unwrapped

HALF = 1 << 31

#: Numbers that go on and some that are absurd, of three ends; four of five are trusted.
steps = st.one_of(st.integers(-3000, SAFE_SPAN - 1), st.integers(-HALF, HALF - 1))
series = st.lists(st.tuples(st.integers(0, 2), steps, st.integers(0, 4)), max_size=30)


def plainly(end: list[int], numbers: list[int], trusted: list[bool]) -> list[int]:
    reference, out = {0: 0, 1: 0, 2: 0}, []
    for one, number, is_trusted in zip(end, numbers, trusted, strict=True):
        step = (number - reference[one] + HALF) % (1 << 32) - HALF
        out.append(reference[one] + step)
        if is_trusted and abs(step) < SAFE_SPAN:
            reference[one] += step
    return out


@given(series, st.integers(1, 9))
def test_columns_say_what_one_number_after_the_other_says(drawn: list[tuple[int, int, int]], piece: int) -> None:
    drawn.sort(key=lambda one: one[0])
    end = [one for one, _, _ in drawn]
    sums = np.cumsum([step for _, step, _ in drawn]).astype(np.int64)
    numbers = (sums + HALF) % (1 << 32) - HALF
    trusted = [chance > 0 for _, _, chance in drawn]
    with mock.patch.object(unwrapping, "PIECE", piece):
        found = unwrapped(np.array(end, np.int64), numbers, np.array(trusted, np.bool_))
    assert found.tolist() == plainly(end, numbers.tolist(), trusted)
