"""What ended TIME-WAIT, from entries and segments put together by hand; and real ones against the capture."""

from __future__ import annotations

from dataclasses import replace
from functools import partial

import pytest

from handshake_inspect.connections.connection import Endpoint
from handshake_inspect.lab.ground import RunOptions
from handshake_inspect.lab.kernel.sock_diag import KernelSocket
from handshake_inspect.lab.scenarios import scenario_named
from handshake_inspect.lab.segments import ACK, FIN, RST, SYN, Segment
from handshake_inspect.lab.session import Session
from handshake_inspect.lab.time_wait.endings import Captured, Ending, ending_of, ending_of_missing
from handshake_inspect.lab.time_wait.following import Following, KernelLook
from handshake_inspect.lab.time_wait.reckoning import Waiting
from handshake_inspect.lab.time_wait.staying import Glance, run_and_stay
from handshake_inspect.lab.time_wait.wheel import Wheel, this_wheel
from handshake_inspect.lab.world import in_children
from tests.lab.privileges import needs_private_world

MS = 1_000_000
LOCAL, REMOTE = Endpoint("192.0.2.1", 40000), Endpoint("192.0.2.2", 8000)
HERE, THERE = (LOCAL.ip, LOCAL.port), (REMOTE.ip, REMOTE.port)


def entry(state: str = "TIME-WAIT", cookie: int = 7) -> KernelSocket:
    return KernelSocket(LOCAL, REMOTE, state, "mini", "time-wait", 50_000, 0, 0, 0, 0, cookie)


def at(ms: int) -> KernelLook:
    return KernelLook(ms * MS, ms * MS + 1000)


def gone(ms: int, instead: KernelSocket | None = None) -> Following:
    """An entry whose timer runs out at 60 s and fires at 61.44 s; last seen 20 ms before."""
    one = Following.begun(entry(), 0, at(10_000), Wheel(4 * MS, origin_ns=0))
    one.note(at(ms - 20), replace(entry(), expires_ms=max(0, 60_000 - ms + 20)))
    one.note(at(ms), instead)
    return one


def segment(ms: int, flags: int, *, to_owner: bool, seq: int = 100, ack: int = 0) -> Captured:
    ends = (THERE, HERE) if to_owner else (HERE, THERE)
    return Captured(ms * MS, 9, Segment(*ends, seq, ack, flags, b"", b""))


@pytest.mark.parametrize(("ms", "cause"), [(30_000, "destroyed"), (61_000, "destroyed"), (61_440, "ran-out")])
def test_without_evidence_the_grid_tells_whether_it_ran_out(ms: int, cause: str) -> None:
    """Also a timer that has run out can be ended early: before the step of the wheel at which it fires."""
    assert ending_of(gone(ms), [], is_complete=True) == Ending(cause)  # type: ignore[arg-type]


def test_a_capture_that_missed_frames_proves_nothing() -> None:
    assert ending_of(gone(30_000), [], is_complete=False) == Ending("unknown")


def test_an_rst_counts_that_came_to_the_owner_between_the_two_looks() -> None:
    it = segment(29_990, RST, to_owner=True)
    assert ending_of(gone(30_000), [it], is_complete=True) == Ending("reset", it)
    for other in (segment(29_900, RST, to_owner=True), segment(29_990, RST, to_owner=False)):
        assert ending_of(gone(30_000), [other], is_complete=True).cause == "destroyed"


@pytest.mark.parametrize("by_owner", [True, False])
def test_a_syn_that_was_answered_opened_a_new_connection(by_owner: bool) -> None:
    syn = segment(29_990, SYN, to_owner=not by_owner)
    answer = segment(29_991, SYN | ACK, to_owner=by_owner, ack=101)
    reset = segment(29_995, RST, to_owner=True)
    assert ending_of(gone(30_000), [syn, answer, reset], is_complete=True) == Ending("reused", syn, by_owner)
    assert ending_of(gone(30_000), [syn], is_complete=True).cause == "destroyed"


def test_what_is_there_instead_tells_a_reuse_that_was_not_captured() -> None:
    one = gone(30_000, entry("ESTABLISHED", cookie=8))
    assert ending_of(one, [], is_complete=False) == Ending("reused")


def test_what_is_there_has_not_ended() -> None:
    one = Following.begun(entry(), 0, at(10_000), Wheel(4 * MS))
    assert ending_of(one, [], is_complete=True) == Ending("there")


def test_an_entry_that_never_was_had_no_room_or_was_ended_before() -> None:
    fin, reset = segment(500, FIN | ACK, to_owner=True), segment(600, RST, to_owner=True)
    ask = partial(ending_of_missing, port=LOCAL.port, entered_ns=400 * MS, asked_ns=1000 * MS)
    assert ask([fin], overflowed=True) == Ending("no-room")
    assert ask([fin, reset], overflowed=True) == Ending("reset", reset)
    assert ask([fin], overflowed=False) == Ending("unknown")


#: What the capture shows of scenarios of which every TIME-WAIT is followed: the ends that owe it, and the cause.
FOLLOWED = {
    "self-connect": ["there"],
    "simultaneous-close": ["there", "there"],
    "time-wait-bind": ["there"],
    "time-wait-killed": ["reset"],
    "time-wait-not-reused": ["there"],
    "time-wait-old-syn": ["reset"],
    "time-wait-overflow": ["no-room"],
    "time-wait-protected": ["there"],
    "time-wait-reopened": ["reused"],
    "time-wait-reopened-by-number": ["reused"],
    "time-wait-restarted": ["there"],
    "time-wait-reused": ["reused"],
}


def followed(name: str) -> tuple[str, list[str], int]:
    """Run a scenario; return what has become of each TIME-WAIT, and how many entries nobody claims."""
    told = run_and_stay(scenario_named(name), this_wheel(), RunOptions(), "private")
    session, glance = next(told), next(told)
    assert isinstance(session, Session)
    assert isinstance(glance, Glance)
    told.close()
    waiting = Waiting(session)
    waiting.take(glance)
    found = waiting.reckonings()
    return name, [one.ending.cause for one in found], len(glance.entries) - sum(one.entry is not None for one in found)


def test_the_kernel_holds_exactly_the_entries_that_the_captures_promise() -> None:
    needs_private_world()
    found = in_children([partial(followed, name) for name in FOLLOWED], 4)
    assert {name: (causes, unclaimed) for name, causes, unclaimed in found} == {
        name: (causes, 0) for name, causes in FOLLOWED.items()
    }
