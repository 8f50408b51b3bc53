"""Many token strings are walked over as each one is."""

from __future__ import annotations

import sys
from types import FrameType

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from handshake_inspect.connections.zeek import in_step as zeek_in_step
from handshake_inspect.connections.zeek.in_step import MOST_TOKENS, watch_all
from handshake_inspect.connections.zeek.rules import watch
from handshake_inspect.connections.zeek.tokens import Token

RANDOM = np.random.default_rng(8701)
#: Rare bits of a token, each a claim of its own.
MARKS = (Token.AGAIN, Token.ZERO_WINDOW, Token.GAP, 3 * Token.GAP, Token.REPEATS, 2 * Token.REPEATS)


def tokens() -> st.SearchStrategy[int]:
    marks = st.sets(st.sampled_from(MARKS), max_size=2).map(sum)
    return st.builds(int.__or__, st.integers(0, 2 * Token.BY_RESPONDER - 1), marks)


def strings() -> st.SearchStrategy[list[bytes]]:
    string = st.lists(tokens(), min_size=1, max_size=12)
    first = st.sampled_from((0, Token.EMPTY))
    return st.lists(st.builds(_string, first, string), min_size=1, max_size=40)


def _string(first: int, tokens: list[int]) -> bytes:
    return np.array([tokens[0] | first, *tokens[1:]], np.uint16).tobytes()


def one_by_one(strings: list[bytes]) -> tuple[list[str], list[str]]:
    answers = [watch(string) for string in strings]
    return [state for state, _ in answers], [history for _, history in answers]


@given(strings())
def test_many_strings_are_walked_over_as_each_one_is(strings: list[bytes]) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(zeek_in_step, "FEWEST_STRINGS", 1)
        patch.setattr(zeek_in_step, "MOST_TOKENS", 8)
        patch.setattr(zeek_in_step, "MOST_PAIRS", 2000)
        assert watch_all(strings) == one_by_one(strings)


def test_few_strings_and_long_ones_among_many() -> None:
    long = RANDOM.integers(0, 64, MOST_TOKENS + 1).astype(np.uint16).tobytes()
    many = [RANDOM.integers(0, 64, 1 + each % 20).astype(np.uint16).tobytes() for each in range(500)]
    for some in ([], [long], many[:3], [*many, long, *many]):
        assert watch_all(some) == one_by_one(some)


def test_a_string_takes_few_calls_however_many_tokens_it_has() -> None:
    calls = 0

    def count(_frame: FrameType, event: str, _what: object) -> None:
        nonlocal calls
        calls += event in ("call", "c_call")

    many = [RANDOM.integers(0, 64, 40).astype(np.uint16).tobytes() for _ in range(4000)]
    watch_all(many)  # which learns what tokens do
    sys.setprofile(count)
    try:
        watch_all(many)
    finally:
        sys.setprofile(None)
    assert calls / len(many) < 8  # one by one there are 40 questions each
