"""Ticks stand at round places, and say which."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from handshake_inspect.quantities import DAY_NS, HOUR_NS, MINUTE_NS, YEAR_NS
from handshake_inspect.tcp.time_wait import SECOND_NS
from handshake_inspect.views.page.charts.scales import (
    UNITS,
    Tick,
    count_ticks,
    decade_ticks,
    log_place,
    short_duration,
    time_ticks,
)


def said_ns(words: str) -> float:
    """Return what a tick says, in ns."""
    if words == "0":
        return 0
    number, unit = words.split(" ")
    return float(number.replace(",", "")) * {name: ns for one, ns in UNITS for name in (one, f"{one}s")}[unit]


@given(st.integers(0, 62).flatmap(lambda bits: st.integers(1 << bits, 2 << bits)))
def test_ticks_of_time_are_even_and_say_where_they_stand(end: int) -> None:
    ticks = time_ticks(end)
    assert 2 <= len(ticks) <= 10 and ticks[0] == Tick(0, "0")
    for tick in ticks:
        assert 0 <= tick.place <= 1 and len(tick.words) <= 9
        assert said_ns(tick.words) == pytest.approx(tick.place * end, abs=0.5, rel=1e-9)
    gaps = [b.place - a.place for a, b in pairwise(ticks)]
    assert all(gap == pytest.approx(gaps[0], rel=1e-6) for gap in gaps)


@pytest.mark.parametrize(
    ("end", "words"),
    [
        (357_000_000, "0,50 ms,100 ms,150 ms,200 ms,250 ms,300 ms,350 ms"),
        (2 * SECOND_NS, "0,0.5 s,1 s,1.5 s,2 s"),
        (125 * SECOND_NS, "0,15 s,30 s,45 s,60 s,75 s,90 s,105 s,120 s"),
        (20 * MINUTE_NS, "0,5 min,10 min,15 min,20 min"),
        (5 * HOUR_NS, "0,1 h,2 h,3 h,4 h,5 h"),
        (2 * DAY_NS, "0,6 h,12 h,18 h,24 h,30 h,36 h,42 h,48 h"),
        (3 * DAY_NS, "0,1 day,2 days,3 days"),
        (100 * DAY_NS, "0,20 days,40 days,60 days,80 days,100 days"),
        (3 * YEAR_NS, "0,1 year,2 years,3 years"),
        (47 * YEAR_NS, "0,10 years,20 years,30 years,40 years"),
        (1, "0,1 ns"),
    ],
)
def test_they_stand_at_round_moments(end: int, words: str) -> None:
    assert ",".join(tick.words for tick in time_ticks(end)) == words


@given(st.integers(0, 10**9))
def test_counts_are_round_and_few(most: int) -> None:
    ticks = count_ticks(most)
    assert len(ticks) <= 4
    assert all(0 < one <= most for one in ticks)
    assert bool(ticks) == bool(most)


def test_durations_stand_on_a_logarithmic_axis() -> None:
    assert [tick.words for tick in decade_ticks(1000, 10**9)] == [
        "1 µs",
        "10 µs",
        "100 µs",
        "1 ms",
        "10 ms",
        "100 ms",
        "1 s",
    ]
    assert [tick.words for tick in decade_ticks(10_000, 100_000)] == ["10 µs", "20 µs", "50 µs", "100 µs"]
    assert (log_place(0, 10, 1000), log_place(100, 10, 1000), log_place(1000, 10, 1000)) == (0, 0.5, 1)


@pytest.mark.parametrize(
    ("ns", "words"), [(0, "0"), (7, "7 ns"), (66_897, "66.9 µs"), (1_250_000, "1.25 ms"), (60 * SECOND_NS, "1 min")]
)
def test_a_duration_has_three_digits(ns: int, words: str) -> None:
    assert short_duration(ns) == words
