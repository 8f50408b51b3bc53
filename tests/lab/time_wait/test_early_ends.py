"""Each early end of TIME-WAIT, provoked by a real kernel's means, and explained by its true cause."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest

from handshake_inspect.cli.wait_report import conclusion, report_lines
from handshake_inspect.lab.ground import RunOptions
from handshake_inspect.lab.kernel.sock_diag import open_diagnosis, socket_between
from handshake_inspect.lab.kernel.tracepoint import ClockOffset, clock_offset
from handshake_inspect.lab.scenarios import scenario_named
from handshake_inspect.lab.scenarios.scenario import Script
from handshake_inspect.lab.session import Session
from handshake_inspect.lab.time_wait import staying
from handshake_inspect.lab.time_wait.following import KernelLook
from handshake_inspect.lab.time_wait.jiffies import placed_wheel
from handshake_inspect.lab.time_wait.reckoning import Reckoning, Waiting
from handshake_inspect.lab.time_wait.staying import Glance, Told, run_and_stay
from handshake_inspect.lab.time_wait.wheel import this_wheel
from handshake_inspect.lab.vantage import Vantage
from tests.lab.privileges import as_ordinary_user, children, needs_private_world, needs_root
from tests.lab.time_wait import provoking

SECOND_NS = 1_000_000_000
HOUR_NS = 3600 * SECOND_NS


@pytest.fixture(autouse=True)
def private_world() -> None:
    needs_private_world()


def waited(script: Script, until: Callable[[Glance], bool] = lambda glance: glance.is_last) -> Waiting:
    """Run a script and follow its TIME-WAIT to the end, or until some glance."""
    told = run_and_stay(provoking.scenario_of(script), placed_wheel(), RunOptions(), "private")
    waiting = Waiting(told_session(told))
    for glance in told:
        assert isinstance(glance, Glance)
        waiting.take(glance)
        if until(glance):
            break
    told.close()
    return waiting


def told_session(told: Told) -> Session:
    session = next(told)
    assert isinstance(session, Session)
    return session


def only(waiting: Waiting) -> Reckoning:
    (found,) = waiting.reckonings()[:1]
    return found


def said(waiting: Waiting) -> str:
    return " ".join(
        " ".join(line.plain for line in report_lines(waiting, waiting.session.vantages[0].inspected())).split()
    )


@pytest.mark.parametrize(
    ("script", "cause", "words"),
    [
        (provoking.is_destroyed, "destroyed", "so somebody destroyed it (SOCK_DESTROY, as ss -K does)."),
        (provoking.is_reset, "reset", "an RST ended it (RFC 1337), the server's RST in frame "),
        (provoking.is_reused_by_its_owner, "reused", "the client's SYN in frame "),
        (provoking.is_reused_by_the_other_end, "reused", "the client's SYN in frame "),
    ],
)
def test_what_ends_it_early_is_named(script: Script, cause: str, words: str) -> None:
    waiting = waited(script)
    one = only(waiting)
    assert one.ending.cause == cause
    assert one.entry is not None
    assert one.gone_ns is not None
    assert one.predicted_ns - one.gone_ns > 55 * SECOND_NS
    assert words in said(waiting)
    assert " s before its time: " in said(waiting)


def test_a_clock_that_is_set_meanwhile_hides_no_evidence(monkeypatch: pytest.MonkeyPatch) -> None:
    """From the second glance on, frames are stamped as by a clock that was put forward by an hour."""
    measured: list[int] = []

    def offset() -> ClockOffset:
        measured.append(0)
        return replace(clock_offset(), ns=clock_offset().ns + (len(measured) > 1) * HOUR_NS)

    monkeypatch.setattr(staying, "clock_offset", offset)
    told = run_and_stay(provoking.scenario_of(provoking.is_reset), placed_wheel(), RunOptions(), "private")
    waiting = Waiting(told_session(told))
    for number, glance in enumerate(told):
        assert isinstance(glance, Glance)
        waiting.take(replace(glance, fresh=tuple(later(one, HOUR_NS if number else 0) for one in glance.fresh)))
    one = only(waiting)
    assert one.ending.cause == "reset"
    assert one.gone_ns is not None
    assert one.ending.by is not None
    assert abs(one.gone_ns - one.ending.by.time_ns - one.offset_ns) < SECOND_NS


def later(vantage: Vantage, nanoseconds: int) -> Vantage:
    return replace(vantage, frames=[replace(one, time_ns=one.time_ns + nanoseconds) for one in vantage.frames])


def test_who_reused_it_is_told_apart() -> None:
    assert only(waited(provoking.is_reused_by_its_owner)).ending.by_owner is True
    assert only(waited(provoking.is_reused_by_the_other_end)).ending.by_owner is False


def test_an_ordinary_user_sees_the_same() -> None:
    cause = as_ordinary_user(lambda: only(waited(provoking.is_destroyed)).ending.cause)
    assert cause == "destroyed"


def test_what_had_no_room_never_was() -> None:
    waiting = waited(provoking.has_no_room)
    one = only(waiting)
    assert (one.ending.cause, one.entry) == ("no-room", None)
    assert "It never was: the kernel had no room for it (tcp_max_tw_buckets)" in said(waiting)


def test_a_restart_is_seen_in_the_capture_and_in_the_kernel() -> None:
    waiting = waited(provoking.is_restarted, lambda glance: any(entry.restarts for entry in glance.entries))
    one = only(waiting)
    assert one.entry is not None
    (restart,) = one.entry.restarts
    (captured_ns,) = one.restarts_ns
    assert abs(restart.time_ns + one.offset_ns - captured_ns) <= 3 * one.wheel.tick_ns
    assert one.ending.cause == "there"
    assert ", to which it had to answer once more" in said(waiting)
    assert "timer set kernel: to 60 s again, by the server's FIN in frame " in said(waiting)


def test_a_wait_that_is_broken_off_says_what_is_known_and_leaves_no_process() -> None:
    before = children()
    waiting = waited(provoking.is_left_alone, lambda _: True)
    assert only(waiting).ending.cause == "there"
    assert "s were left when the wait ended; its private network has ended too, and it with that." in said(waiting)
    assert children() == before


def test_on_this_hosts_own_loopback_it_runs_on() -> None:
    needs_root("to capture on this host's own loopback")
    told = run_and_stay(scenario_named("three-segment"), this_wheel(), RunOptions(), "host")
    waiting = Waiting(told_session(told))
    waiting.take(next(told))  # type: ignore[arg-type]
    told.close()
    assert "; it runs on in this host." in said(waiting)
    one = only(waiting)
    with open_diagnosis() as netlink:
        left = socket_between(netlink, one.local, one.remote)
    assert left is not None
    assert left.state == "TIME-WAIT"


def test_an_end_at_which_nobody_looked_is_not_said_to_be_late() -> None:
    """A machine that slept for 23 s in the last minute: the entry did not."""
    one = only(waited(provoking.is_destroyed))
    assert one.entry is not None
    for asleep_ns, words in (
        (23 * SECOND_NS, "the kernel was not asked for 23."),
        (0, " s longer than 60 s: the timer"),
    ):
        went_ns = one.entry.fires.latest_ns
        last = KernelLook(went_ns - 1000, went_ns)
        gone = KernelLook(went_ns + 1000 + asleep_ns, went_ns + 2000 + asleep_ns)
        ran_out = replace(
            one, ending=replace(one.ending, cause="ran-out"), entry=replace(one.entry, last=last, gone=gone)
        )
        assert words in conclusion(ran_out, is_private=True)
