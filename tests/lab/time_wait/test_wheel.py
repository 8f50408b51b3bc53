"""The timer wheel: its rules by hand, and the jiffies of this machine against what its kernel tells root."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from handshake_inspect.lab.time_wait.jiffies import BEFORE_START_S, narrowed, placed_wheel, start_by
from handshake_inspect.lab.time_wait.wheel import Span, Wheel, this_wheel
from tests.lab.privileges import as_ordinary_user, forbid_namespaces, needs_private_world, needs_root

SECOND_NS = 1_000_000_000


def of(hz: int) -> Wheel:
    return Wheel(round(SECOND_NS / hz))


@pytest.mark.parametrize(
    ("hz", "step_ticks", "step_s"), [(100, 512, 5.12), (250, 512, 2.048), (300, 512, 1.707), (1000, 4096, 4.096)]
)
def test_sixty_seconds_are_kept_in_the_steps_of_their_level(hz: int, step_ticks: int, step_s: float) -> None:
    assert of(hz).step_ticks() == step_ticks
    assert of(hz).step_ns() / 1e9 == pytest.approx(step_s, abs=0.001)


@pytest.mark.parametrize(
    ("ticks", "step_ticks"),
    # kernel/time/timer.c, table for HZ 1000: levels begin at 63, 504, 4032, 32256, 258048 ticks
    [(62, 1), (63, 8), (503, 8), (504, 64), (4031, 64), (4032, 512), (32255, 512), (32256, 4096), (258048, 32768)],
)
def test_a_timer_goes_to_the_level_that_its_length_reaches(ticks: int, step_ticks: int) -> None:
    assert of(1000).step_ticks(ticks * 1_000_000) == step_ticks


def test_a_timer_fires_at_the_next_step_and_never_at_once() -> None:
    step_ns = 2_048_000_000
    wheel = Wheel(4_000_000, origin_ns=1000)
    assert wheel.fires(1000) == Span(1000 + step_ns, 1000 + step_ns)
    assert wheel.fires(999) == Span(1000, 1000)
    assert wheel.fires(1000 + 5 * step_ns // 2) == Span(1000 + 3 * step_ns, 1000 + 3 * step_ns)


def test_it_may_be_one_step_or_the_next_where_the_grid_is_not_known_well_enough() -> None:
    step_ns = 2_048_000_000
    wheel = Wheel(4_000_000, origin_ns=0, error_ns=10)
    assert wheel.fires(5 * step_ns - 9) == Span(5 * step_ns - 10, 6 * step_ns + 10)
    assert wheel.fires(5 * step_ns - 11) == Span(5 * step_ns - 10, 5 * step_ns + 10)


def test_without_a_grid_it_fires_within_a_step() -> None:
    assert Wheel(4_000_000).fires(7) == Span(7, 7 + 2_048_000_000)


def test_the_length_of_a_tick_is_that_of_the_configuration_of_this_kernel() -> None:
    assert this_wheel().hz in (100, 250, 300, 1000)


def test_what_one_address_tells_of_jiffies_is_as_wide_as_a_hundredth_and_the_time_it_took() -> None:
    # HZ=250: 10,000 hundredths are jiffies 25000 to 25002 since the start, as they are from 100.000 to 100.012 s.
    span = start_by(4_000_000, 100 * SECOND_NS, 100 * SECOND_NS + 1000, 10_000)
    assert span == Span(100 * SECOND_NS - 25_003 * 4_000_000, 100 * SECOND_NS + 1000 - 25_000 * 4_000_000)


def test_an_address_that_was_stamped_late_is_overruled() -> None:
    exact, narrow, late = Span(0, 900), Span(500, 1000), Span(950, 2000)
    assert narrowed([exact, narrow]) == Span(500, 900)
    assert narrowed([exact, late, narrow]) == Span(500, 900)


def test_an_ordinary_user_finds_jiffies_out() -> None:
    needs_private_world()
    needs_root("the kernel tells its jiffies only to root: /proc/timer_list")
    wheel = as_ordinary_user(placed_wheel)
    assert wheel.origin_ns is not None
    assert wheel.error_ns < 10_000_000
    text = Path("/proc/timer_list").read_text()
    (now_ns,) = map(int, re.findall(r"^now at (\d+) nsecs", text, re.M))
    jiffies = max(int(found) for found in re.findall(r"^jiffies: (\d+)", text, re.M))
    computed = (now_ns - wheel.origin_ns) / wheel.tick_ns
    # A tick that an idle processor has not counted yet is missing in what it tells.
    assert jiffies - wheel.error_ns / wheel.tick_ns <= computed <= jiffies + 2 + wheel.error_ns / wheel.tick_ns
    assert jiffies >= 2**32 - BEFORE_START_S * wheel.hz


def test_where_no_private_network_is_allowed_only_the_step_is_known() -> None:
    def forbidden() -> Wheel:
        forbid_namespaces()
        return placed_wheel()

    wheel = as_ordinary_user(forbidden)
    assert wheel == this_wheel()
    assert wheel.origin_ns is None
