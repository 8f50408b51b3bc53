"""An entry followed from look to look: looks put together by hand."""

from __future__ import annotations

from handshake_inspect.connections.connection import Endpoint
from handshake_inspect.lab.kernel.sock_diag import KernelSocket
from handshake_inspect.lab.time_wait.following import Following, KernelLook
from handshake_inspect.lab.time_wait.wheel import Wheel

MS = 1_000_000
WHEEL = Wheel(4 * MS, origin_ns=0, error_ns=0)
LOCAL, REMOTE = Endpoint("127.0.0.1", 40000), Endpoint("127.0.0.1", 8000)


def entry(expires_ms: int, *, state: str = "TIME-WAIT", cookie: int = 7) -> KernelSocket:
    return KernelSocket(LOCAL, REMOTE, state, "mini", "time-wait", expires_ms, 0, 0, 0, 0, cookie)


def at(ms: float) -> KernelLook:
    return KernelLook(round(ms * MS), round((ms + 0.01) * MS))


def begun(ms: float, expires_ms: int) -> Following:
    return Following.begun(entry(expires_ms), 0, at(ms), WHEEL)


def test_every_look_narrows_down_when_the_timer_runs_out() -> None:
    one = begun(1000.0, 60_000)
    assert (one.expiry.earliest_ns, one.expiry.latest_ns) == (60_996_000_000, 61_000_010_000)
    one.note(at(1003.0), entry(59_996))
    assert (one.expiry.earliest_ns, one.expiry.latest_ns) == (60_996_000_000, 60_999_010_000)
    one.note(at(1006.5), entry(59_992))
    assert (one.expiry.earliest_ns, one.expiry.latest_ns) == (60_996_000_000, 60_998_510_000)
    assert not one.restarts


def test_a_processor_that_was_held_up_counts_its_ticks_late_and_restarts_nothing() -> None:
    one = begun(1000.0, 60_000)
    one.note(at(1003.9), entry(59_996))
    one.note(at(1025.0), entry(59_996))
    assert not one.restarts
    assert one.expiry.latest_ns == 60_999_910_000
    assert one.expiry.earliest_ns == 60_995_910_000
    one.note(at(41_000), entry(20_000))
    one.note(at(41_060), entry(20_000))
    assert not one.restarts


def test_a_timer_that_was_set_just_before_may_show_no_more_when_it_is_set_again() -> None:
    one = begun(1000.0, 60_000)
    one.note(at(1020.0), entry(59_980))
    one.note(at(1080.0), entry(59_980))
    (restart,) = one.restarts
    assert abs(restart.time_ns - 1_060_000_000) <= 4 * MS


def test_a_timer_that_jumps_up_was_restarted() -> None:
    one = begun(1000, 60_000)
    one.note(at(31_000), entry(30_000))
    one.note(at(31_020), entry(59_988))
    (restart,) = one.restarts
    assert restart.left_ns == 30_000 * MS
    assert abs(restart.time_ns - 31_008 * MS) <= 4 * MS
    assert one.zero is None


def test_a_timer_is_restarted_also_after_it_has_run_out() -> None:
    one = begun(1000, 60_000)
    one.note(at(61_500), entry(0))
    assert one.zero == at(61_500)
    one.note(at(61_520), entry(59_996))
    assert [restart.left_ns for restart in one.restarts] == [0]
    assert one.zero is None


def test_it_is_gone_when_nothing_is_there_or_something_else() -> None:
    one, other, third = begun(1000, 60_000), begun(1000, 60_000), begun(1000, 60_000)
    one.note(at(2000), None)
    other.note(at(2000), entry(60_000, cookie=8))
    third.note(at(2000), entry(0, state="ESTABLISHED", cookie=9))
    assert (one.gone, one.instead) == (at(2000), None)
    assert other.instead is not None
    assert third.instead is not None
    assert third.instead.state == "ESTABLISHED"


def test_it_fires_at_the_step_after_its_time() -> None:
    one = begun(1000, 60_000)
    assert one.fires.earliest_ns == one.fires.latest_ns == 30 * 2_048 * MS
    one.note(at(61_441), None)
    assert one.late_ns is not None
    assert abs(one.late_ns - 443 * MS) <= 2 * MS
    assert one.is_due(61_440 * MS, 1)
    assert not one.is_due(61_200 * MS, 1)
