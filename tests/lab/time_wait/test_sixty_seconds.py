"""Forty connections, waited out: the end that the capture predicts is the one that the kernel gave them."""

from __future__ import annotations

import os
import pickle
from collections.abc import Callable

import pytest

from handshake_inspect.lab.time_wait.wheel import TIME_WAIT_NS
from tests.lab.privileges import NOBODY
from tests.lab.time_wait.sixty_seconds import CONNECTIONS, IPS, WHO, Measured, Watched
from tests.test_readme import LONG, README_TEXT, blocks, exchanges, stable_part

#: An end is seen by the first look after it, and the looks are 2 ms apart then: more on a machine that is held up.
LOOK_NS = 200_000_000

Read = Callable[[str], bytes]


def measured(read: Read, who: str, ip_version: int) -> Measured:
    found = pickle.loads(read(f"{who}-{ip_version}.pickle"))
    assert isinstance(found, Measured)
    return found


@pytest.mark.parametrize("ip_version", IPS)
@pytest.mark.parametrize("who", WHO)
def test_the_predicted_end_is_that_of_the_kernel(who: str, ip_version: int, after_sixty_seconds: Read) -> None:
    found = measured(after_sixty_seconds, who, ip_version)
    assert found.uid == (os.geteuid() if who == "root" else NOBODY if os.geteuid() == 0 else os.geteuid())
    assert (len(found.reckonings), found.dropped) == (CONNECTIONS, 0)
    for one in found.reckonings:
        assert one.connection.ip_version == ip_version
        assert one.ending.cause == "ran-out"
        assert one.kernel_expiry_ns is not None
        assert one.gone_ns is not None
        # The kernel's timer: 60 s after the last ACK, counted in whole ticks.
        assert abs(one.kernel_expiry_ns - one.predicted_ns) <= 3 * one.wheel.tick_ns
        # The entry: gone after that, by one step of the wheel at most.
        assert one.gone_ns - one.predicted_ns + one.wheel.tick_ns >= 0
        assert one.gone_ns - one.predicted_ns <= one.wheel.step_ns() + LOOK_NS
        # And by the grid of the wheel: at the step that was computed.
        assert one.wheel.origin_ns is not None
        assert one.predicted_gone.earliest_ns <= one.gone_ns <= one.predicted_gone.latest_ns + LOOK_NS


def test_the_ends_lie_on_one_grid_and_are_never_early(after_sixty_seconds: Read) -> None:
    found = [measured(after_sixty_seconds, who, version) for who in WHO for version in IPS]
    ones = [one for each in found for one in each.reckonings]
    step_ns, tick_ns = ones[0].wheel.step_ns(), ones[0].wheel.tick_ns
    lives_ns = [one.gone_ns - one.entered_ns for one in ones if one.gone_ns is not None]
    assert len(lives_ns) == len(WHO) * len(IPS) * CONNECTIONS
    assert min(lives_ns) >= TIME_WAIT_NS - tick_ns
    origin_ns = ones[0].wheel.origin_ns or 0
    phases_ns = [(one.entry.gone.before_ns - origin_ns) % step_ns for one in ones if one.entry and one.entry.gone]
    assert all(phase_ns < LOOK_NS or phase_ns > step_ns - LOOK_NS for phase_ns in phases_ns)
    # What the timers show are whole ticks, which is how HZ can be told too.
    assert all(shown_ms * 1_000_000 % tick_ns == 0 for each in found for shown_ms in each.shown_ms if tick_ns >= 10**6)


def test_whoever_watches_sees_each_begin_run_out_and_go(after_sixty_seconds: Read) -> None:
    found = pickle.loads(after_sixty_seconds("watched.pickle"))
    assert isinstance(found, Watched)
    kinds: dict[tuple[str, str], list[str]] = {}
    for change in found.changes:
        kinds.setdefault((str(change.local), str(change.remote)), []).append(change.kind)
    assert len(kinds) == CONNECTIONS
    assert all(seen in (["began", "at-0", "gone"], ["began", "gone"]) for seen in kinds.values())
    ends = [change.gone for change in found.changes if change.gone is not None]
    assert [end.cause for end in ends] == ["ran-out"] * CONNECTIONS
    for end in ends:
        assert -found.known.tick_ns <= end.late_ns <= found.known.step_ns() + end.seen_within_ns + LOOK_NS
    # The first end that was seen has told where the grid lies, as far as that look was exact.
    step_ns = found.known.step_ns()
    assert found.learned.origin_ns is not None
    assert found.known.origin_ns is not None
    apart_ns = (found.learned.origin_ns - found.known.origin_ns + step_ns // 2) % step_ns - step_ns // 2
    assert abs(apart_ns) <= found.learned.error_ns + found.known.error_ns + LOOK_NS


def test_the_demo_says_so_as_the_readme_shows(after_sixty_seconds: Read) -> None:
    """The countdown stands on standard error; how many of its lines there are depends on when it is at 0."""
    (shown,) = exchanges(blocks(README_TEXT, "console", LONG)[0].text)
    printed, expected = (
        [
            line.replace("ms before the", "ms after the")  # either may be
            for line in text.splitlines()
            if not line.endswith("; Ctrl-C ends")
        ]
        for text in (after_sixty_seconds("demo").decode(), shown.output)
    )
    assert stable_part("\n".join(printed)) == stable_part("\n".join(expected))
    assert any(line.split()[1:2] == ["gone"] for line in printed)
    countdown = [line for line in shown.output.splitlines() if line.endswith("; Ctrl-C ends")]
    assert len(countdown) in (6, 7)
