"""TIME-WAIT in the model: by which segment it began, what restarts it, and how it ended.

What a kernel did stands in pcaps/; what no kernel would do is written as lines. The oracle at the end says the same as
the columns, one TIME-WAIT at a time.
"""

from __future__ import annotations

import random
from pathlib import Path

import pytest

from handshake_inspect import Restart, TimeWait, inspect
from handshake_inspect.tcp.time_wait import SECOND_NS, profile_of
from tests.engine.scenario import ISN_PAIRS, inspect_lines

PCAPS = Path(__file__).parents[2] / "pcaps"
BEGIN_NS = 1_732_143_600_000_000_000


def waits_of(lines: str, profile: str = "linux", isns: tuple[int, int] = ISN_PAIRS["plain"]) -> list[TimeWait]:
    """TIME-WAITs of the first connection of these lines."""
    return list(inspect_lines(lines, isns, profile=profile).connections[0].time_wait)


# --- what kernels did -------------------------------------------------------------------------------------------------

#: Capture -> owner, frame that entered it, frames and kinds of its restarts, outcome, frame that ended it.
RECORDED: dict[str, tuple[str, int, list[tuple[int, str]], str, int | None]] = {
    "four-way": ("originator", 11, [], "not-captured", None),
    "server-first": ("responder", 11, [], "not-captured", None),
    "self-connect": ("originator", 7, [], "not-captured", None),
    "time-wait-bind": ("responder", 11, [], "not-captured", None),
    "time-wait-killed": ("originator", 11, [(12, "FIN")], "killed", 14),
    "time-wait-killed.server": ("originator", 11, [], "killed", 13),
    "time-wait-not-reused": ("originator", 11, [], "not-captured", None),
    "time-wait-old-syn": ("responder", 11, [], "killed", 13),
    "time-wait-overflow": ("originator", 11, [], "forgotten", 13),
    "time-wait-protected": ("originator", 11, [(12, "FIN"), (15, "data")], "not-captured", None),
    "time-wait-protected.server": ("originator", 11, [], "killed", 13),
    "time-wait-reopened": ("responder", 11, [], "reused", 12),
    "time-wait-reopened-by-number": ("responder", 11, [], "reused", 12),
    "time-wait-restarted": ("originator", 11, [(12, "FIN")], "not-captured", None),
    "time-wait-reused": ("originator", 11, [], "reused", 12),
}


@pytest.mark.parametrize("name", RECORDED)
def test_a_recorded_time_wait_ended_as_the_kernel_ended_it(name: str) -> None:
    found = inspect(PCAPS / f"{name}.pcap")
    (wait,) = found.connections[0].time_wait
    owner, entered, restarts, outcome, ended = RECORDED[name]
    assert (wait.owner, wait.entered_frame, wait.outcome, wait.ended_frame) == (owner, entered, outcome, ended)
    assert [(one.frame, one.segment) for one in wait.restarts] == restarts
    times = {step.frame: step.time_ns for stream in range(len(found.connections)) for step in found.steps(stream)}
    assert wait.entered_ns == times[entered]
    assert wait.ended_ns == (None if ended is None else times[ended])
    assert wait.restarts_ns == tuple(times[frame] for frame, _ in restarts)
    assert wait.earliest_end_ns == (wait.entered_ns, *wait.restarts_ns)[-1] + 60 * SECOND_NS


def test_after_a_simultaneous_close_both_owe_it() -> None:
    (connection,) = inspect(PCAPS / "simultaneous-close.pcap").connections
    assert [one.owner for one in connection.time_wait] == ["originator", "responder"]
    assert not any(one.restarts for one in connection.time_wait)


@pytest.mark.parametrize(
    ("name", "by", "rules"),
    [
        ("time-wait-reused", "originator", ("timestamps", "initial-number")),
        ("time-wait-reopened", "originator", ("timestamps", "initial-number")),
        ("time-wait-reopened-by-number", "originator", ("initial-number",)),
    ],
)
def test_the_rule_of_reuse_comes_with_its_numbers(name: str, by: str, rules: tuple[str, ...]) -> None:
    old, new = inspect(PCAPS / f"{name}.pcap").connections
    reuse = old.time_wait[0].reuse
    assert reuse is not None
    assert (reuse.stream, reuse.by, reuse.rules) == (1, by, rules)
    sent, first = old.sent_octets.originator, old.initial_seq.originator
    assert sent is not None and first is not None
    assert reuse.initial_seq == new.initial_seq.originator
    assert reuse.last_seq == (first + 1 + sent) % (1 << 32)
    answered, before = old.sent_octets.responder, old.initial_seq.responder
    assert answered is not None and before is not None
    assert reuse.answer_seq == new.initial_seq.responder
    assert reuse.last_answer_seq == (before + 1 + answered) % (1 << 32)


def test_every_public_capture_says_of_each_what_its_segments_say(captures_dir: Path) -> None:
    seen = 0
    for path in sorted(captures_dir.glob("*.pcap*")):
        found = inspect(path)
        for connection in found.connections:
            if not connection.time_wait:
                continue
            steps = {step.frame: step for step in found.steps(connection.stream)}
            for wait in connection.time_wait:
                seen += 1
                assert steps[wait.entered_frame].time_ns == wait.entered_ns
                assert all(steps[one.frame].sender != wait.owner for one in wait.restarts)
                assert (wait.ended_ns is None) == (wait.outcome == "not-captured") == (wait.ended_frame is None)
                assert wait.reuse is not None or not wait.outcome.startswith("reused")
    assert seen > 100


# --- restarts ---------------------------------------------------------------------------------------------------------

CLOSED = """
    open
    A > FA x+1  ack y+1
    B > A  y+1  ack x+2
    B > FA y+1  ack x+2
    1 A > A  x+2  ack y+2
"""
LATE = {
    "FIN": "B > FA y+1  ack x+2  id 77\n A > A x+2 ack y+2",
    "data": "B > PA y-9 (5) ack x+2\n A > A x+2 ack y+2",
    "ACK": "B > A y+2 ack x+2",
}


@pytest.mark.parametrize("profile", ["linux", "rfc", "freebsd", "45"])
@pytest.mark.parametrize("segment", LATE)
def test_a_fin_restarts_it_everywhere_other_segments_where_the_profile_says_so(segment: str, profile: str) -> None:
    (wait,) = waits_of(CLOSED + f"3 {LATE[segment]}", profile)
    counts = segment == "FIN" or profile == "linux"
    assert wait.restarts == ((Restart(8, BEGIN_NS + 3 * SECOND_NS, segment),) if counts else ())
    length = {"linux": 60, "rfc": 240, "freebsd": 60, "45": 45}[profile]
    assert wait.earliest_end_ns == BEGIN_NS + ((3 if counts else 1) + length) * SECOND_NS


@pytest.mark.parametrize(
    "late",
    ["B > RA y+2 ack x+2", "B > S y+99", "A > A x+2 ack y+2", "B > FA y+1 ack x+2 id 77\n A > R x+2"],
    ids=["an RST", "a SYN", "its own ACK", "a FIN that an RST answers"],
)
def test_other_things_restart_nothing(late: str) -> None:
    (wait,) = waits_of(CLOSED + f"3 {late}")
    assert wait.restarts == ()


def test_nothing_restarts_what_an_rst_has_killed() -> None:
    late = "3 B > R y+2\n 4 B > FA y+1 ack x+2 id 77\n 5 B > A y+2 ack x+2"
    (wait,) = waits_of(CLOSED + late)
    assert (wait.outcome, wait.restarts, wait.ended_frame) == ("killed", (), 8)


def test_an_rst_after_its_time_kills_nothing() -> None:
    lines = CLOSED + "50 B > R y+2"
    assert waits_of(lines, "linux")[0].outcome == "killed"
    (wait,) = waits_of(lines, "macos")
    assert (wait.outcome, wait.ended_frame, wait.ended_ns) == ("expired", 8, BEGIN_NS + 50 * SECOND_NS)


# --- reuse ------------------------------------------------------------------------------------------------------------


def closed_with(stamps: bool) -> str:
    """A connection that A closes first, with or without timestamps; A's last number is x+1, B's y+1."""
    lines = """
        0     A > S  x              ts 1000 0
        0.01  B > SA y    ack x+1   ts 5000 1000
        0.02  A > A  x+1  ack y+1   ts 1000 5000
        1     A > FA x+1  ack y+1   ts 2000 5000
        1.01  B > FA y+1  ack x+2   ts 6000 2000
        1.02  A > A  x+2  ack y+2   ts 2010 6000
    """
    return lines if stamps else "\n".join(line.partition(" ts ")[0] for line in lines.splitlines())


#: RFC 6191 §2: had the old connection timestamps, how A's new ISN and timestamp lie to the last ones (x+1, 2010; None:
#: no timestamps) -> the rules that hold.
RFC_6191 = [
    (True, "x+50", 2011, ("timestamps", "initial-number")),
    (True, "x-50", 2011, ("timestamps",)),
    (True, "x+50", 2010, ("initial-number",)),
    (True, "x-50", 2010, ()),
    (True, "x+50", 2009, ()),
    (True, "x-50", 2009, ()),
    (True, "x+50", None, ("initial-number",)),
    (True, "x-50", None, ()),
    (False, "x+50", 1, ("timestamps", "initial-number")),
    (False, "x-50", 1, ("timestamps",)),
    (False, "x+50", None, ("initial-number",)),
    (False, "x-50", None, ()),
    # The last number is that of the FIN: the next one is above it.
    (False, "x+2", None, ("initial-number",)),
    (False, "x+2147483648", None, ("initial-number",)),
    (False, "x+2147483650", None, ()),
]


@pytest.mark.parametrize("isns", ISN_PAIRS.values(), ids=ISN_PAIRS)
@pytest.mark.parametrize(("stamped", "isn", "stamp", "rules"), RFC_6191)
def test_the_rules_of_rfc_6191(
    stamped: bool, isn: str, stamp: int | None, rules: tuple[str, ...], isns: tuple[int, int]
) -> None:
    stamps = ("", "") if stamp is None else (f"ts {stamp} 0", f"ts 9000 {stamp}")
    lines = f"""{closed_with(stamped)}
        let n = {isn}
        5     A > S  n              {stamps[0]}
        5.01  B > SA y+1000000  ack n+1 {stamps[1]}
    """
    old, new = inspect_lines(lines, isns).connections
    (wait,) = old.time_wait
    assert wait.reuse is not None
    assert (wait.outcome, wait.reuse.rules) == ("reused" if rules else "reused-early", rules)
    assert (wait.reuse.initial_seq, wait.reuse.last_seq) == (new.initial_seq.originator, (isns[0] + 1) % (1 << 32))
    assert (wait.reuse.timestamp, wait.reuse.last_timestamp) == (stamp, 2010 if stamped else None)
    assert (wait.ended_frame, wait.ended_ns) == (7, BEGIN_NS + 5 * SECOND_NS)


def test_timestamps_are_in_use_only_if_both_syns_have_them() -> None:
    lines = f"{closed_with(True)}\n 5 A > S x-50 ts 3000 0\n B > SA y+1000000 ack x-49"
    (wait,) = waits_of(lines)
    assert (wait.outcome, wait.reuse and wait.reuse.rules) == ("reused-early", ())


def test_the_syns_timestamp_counts_not_those_behind_it() -> None:
    lines = f"{closed_with(True)}\n 5 A > S x-50 ts 2000 0\n B > SA y+1000000 ack x-49 ts 9000 2000\n"
    assert waits_of(lines + "A > A x-49 ack y+1000001 ts 3000 9000")[0].outcome == "reused-early"


@pytest.mark.parametrize(("profile", "outcome"), [("linux", "reused-early"), ("macos", "expired"), ("4", "expired")])
def test_whether_its_time_was_over_is_a_matter_of_the_profile(profile: str, outcome: str) -> None:
    lines = closed_with(False) + "\n 40 A > S x-50\n B > SA y+1000000 ack x-49"
    (wait,) = waits_of(lines, profile)
    assert wait.reuse is not None
    assert (wait.outcome, "expired" in wait.reuse.rules) == (outcome, outcome == "expired")


def test_the_end_is_exact_to_the_nanosecond() -> None:
    at_the_end, before = (
        waits_of(f"{closed_with(False)}\n {at} A > S x-50\n B > SA y+1000000 ack x-49")[0]
        for at in ("61.02", "61.019999999")
    )
    assert (at_the_end.outcome, before.outcome) == ("expired", "reused-early")


def test_of_both_that_owe_it_each_is_asked_for_itself() -> None:
    lines = """
        open
        A > FA x+1  ack y+1
        B > FA y+1  ack x+1
        A > A  x+2  ack y+2
        B > A  y+2  ack x+2
        5 B > S  y+700
        A > SA x+1000000  ack y+701
    """
    waits = waits_of(lines)
    assert [(one.owner, one.outcome, one.reuse and one.reuse.by) for one in waits] == [
        ("originator", "reused", "responder"),
        ("responder", "reused", "responder"),
    ]
    assert all(one.reuse and one.reuse.rules == ("initial-number",) for one in waits)


@pytest.mark.parametrize(("answer", "higher"), [("y+2", True), ("y+1", False), ("y-500", False)])
@pytest.mark.parametrize("isns", ISN_PAIRS.values(), ids=ISN_PAIRS)
def test_may_2_asks_the_owner_for_a_number_above_its_own_last_one(
    answer: str, higher: bool, isns: tuple[int, int]
) -> None:
    lines = (
        """
        open
        B > FA y+1  ack x+1
        A > FA x+1  ack y+2
        B > A  y+2  ack x+2
        let n = """
        + f"{answer}\n 5 A > S x+700 \n B > SA n ack x+701"
    )
    (wait,) = waits_of(lines, isns=isns)
    assert wait.reuse is not None
    assert (wait.owner, wait.outcome, wait.reuse.answer_is_higher) == ("responder", "reused", higher)


def test_a_syn_from_the_other_end_takes_it_only_if_it_is_answered() -> None:
    asked = closed_with(False) + "\n 5 B > S y+700"
    assert (waits_of(asked)[0].outcome, waits_of(asked)[0].reuse) == ("not-captured", None)
    assert waits_of(asked + "\n 5.1 A > SA x+1000000 ack y+701")[0].outcome == "reused"
    # TIME-WAIT answers with an ACK, never with an RST: there was none any more.
    (wait,) = waits_of(asked + "\n 5.1 A > RA 0 ack y+701")
    assert (wait.outcome, wait.ended_frame, wait.reuse) == ("forgotten", 8, None)
    # The owner's own SYN ends it, whatever becomes of it.
    assert waits_of(closed_with(False) + "\n 5 A > S x+700")[0].outcome == "reused"


# --- an oracle --------------------------------------------------------------------------------------------------------

CLOSINGS = {  # -> who owes TIME-WAIT
    "A > FA x+1 ack y+1 {ts}\n B > FA y+1 ack x+2 {ts}\n A > A x+2 ack y+2 {ts}": "A",
    "B > FA y+1 ack x+1 {ts}\n A > FA x+1 ack y+2 {ts}\n B > A y+2 ack x+2 {ts}": "B",
    "A > FA x+1 ack y+1 {ts}\n B > FA y+1 ack x+1 {ts}\n A > A x+2 ack y+2 {ts}\n B > A y+2 ack x+2 {ts}": "AB",
}
#: The last timestamp of either end.
LAST_STAMP = 300


def expected(owner: str, *, opener: str, ahead: int, stamp: int | None, stamped: bool, answer: str, over: bool) -> str:
    """RFC 9293 §3.6.1 and RFC 6191 §2 as they are written; `ahead`: of the new number, above the last one."""
    if over:
        return "expired"
    if opener != owner and answer != "SA":
        return {"RA": "forgotten", "": "not-captured"}[answer]
    if stamped and stamp is not None:
        legal = stamp > LAST_STAMP or (stamp == LAST_STAMP and ahead > 0)
    else:
        legal = stamp is not None or ahead > 0
    return "reused" if legal else "reused-early"


@pytest.mark.parametrize("seed", range(150))
def test_columns_and_the_rules_one_by_one_agree(seed: int) -> None:
    rng = random.Random(f"reuse {seed}")
    closing, owners = rng.choice([*CLOSINGS.items()])
    opener, answer = rng.choice("AB"), rng.choice(["SA", "SA", "SA", "RA", ""])
    stamped, stamp = rng.random() < 0.5, rng.choice([None, LAST_STAMP - 1, LAST_STAMP, LAST_STAMP + 1])
    ahead = rng.choice([-1, 1]) * rng.choice([1, 2, 1000, (1 << 31) - 1])
    profile, delay_s = rng.choice(["linux", "rfc", "macos", "7"]), rng.choice([3, 20, 50, 100, 300])
    new, others, peer = ("x", "y", "B") if opener == "A" else ("y", "x", "A")
    syn_stamp = "" if stamp is None else f"ts {stamp} 0"
    lines = f"""
        A > S  x              {"ts 5 0" if stamped else ""}
        B > SA y    ack x+1   {"ts 5 5" if stamped else ""}
        A > A  x+1  ack y+1   {"ts 5 5" if stamped else ""}
        {closing.format(ts=f"ts {LAST_STAMP} 1" if stamped else "")}
        {delay_s} {opener} > S {new}+{1 + ahead} {syn_stamp}
    """
    lines = lines.replace("+-", "-")
    if answer == "SA":
        lines += f"{peer} > SA {others}+1000000 ack {new}+{2 + ahead} {syn_stamp}".replace("+-", "-")
    elif answer:
        lines += f"{peer} > RA 0 ack {new}+{2 + ahead}".replace("+-", "-")
    waits = waits_of(lines, profile, rng.choice([*ISN_PAIRS.values()]))
    assert [{"originator": "A", "responder": "B"}[one.owner] for one in waits] == [*owners]
    over = delay_s * SECOND_NS >= profile_of(profile).length_ns + 10_000_000
    for owner, wait in zip(owners, waits, strict=True):
        assert wait.outcome == expected(
            owner, opener=opener, ahead=ahead, stamp=stamp, stamped=stamped, answer=answer, over=over
        ), (owner, lines)
