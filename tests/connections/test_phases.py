"""In which phase connections were, against what every single segment shows.

The oracle asks for the states of both ends after every segment, and walks through them in plain Python.
"""

from __future__ import annotations

import random
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from handshake_inspect import Connection, inspect
from handshake_inspect.connections.over_time.attempts import HELD_NS
from handshake_inspect.connections.over_time.phases import PHASES
from handshake_inspect.inspection import Inspection
from handshake_inspect.tcp.time_wait import SECOND_NS
from tests.engine.fuzz import conversation
from tests.engine.scenario import (
    BEGIN_NS,
    MILLISECOND_NS,
    Ends,
    inspect_lines,
    inspect_many,
    inspect_segments,
    parse,
)

PCAPS = Path(__file__).parents[2] / "pcaps"
#: (phase, from when, until when, whether it went on when the capture ended)
Told = tuple[str, int, int, bool]


def told(found: Inspection) -> list[list[Told]]:
    """Return the phases of each stream."""
    phases: list[list[Told]] = [[] for _ in range(len(found.connections))]
    table = found.phases.table
    columns = [table[name].tolist() for name in ("connection", "phase", "begin_ns", "end_ns", "goes_on")]
    for row, phase, begin, end, goes_on in zip(*columns, strict=True):
        phases[int(found.connections.stream_of[row])].append((PHASES[phase], begin, end, bool(goes_on)))
    return phases


# --- an oracle --------------------------------------------------------------------------------------------------------


def name_of(one: str | None, other: str | None, *, refused: bool) -> str | None:
    """Say in which phase two states are together; None: before it begins, or after it is over.

    `refused`: has an end lost the connection that it had begun to open?
    """
    states = (one, other)
    if refused and "SYN-SENT" in states and "SYN-RECEIVED" not in states and "TIME-WAIT" not in states:
        return None
    for state, phase in (("TIME-WAIT", "time-wait"), ("SYN-RECEIVED", "half-open"), ("SYN-SENT", "opening")):
        if state in states:
            return phase
    known = [state for state in states if state is not None]
    if sorted(known) in (["FIN-WAIT-2"], ["CLOSE-WAIT", "FIN-WAIT-2"], ["ESTABLISHED", "FIN-WAIT-2"]):
        return "half-closed"
    if known and all(state in ("CLOSED", "LISTEN") for state in known):
        return None
    if known and all(state == "ESTABLISHED" for state in known):
        return "open"
    return "closing" if known else None


def walked(found: Inspection, stream: int) -> list[tuple[str | None, int]]:
    """Return every phase that a segment begins, and its time; None: the connection is over."""
    _, steps = found.described(stream)
    states = found.connections[stream].states
    # A capture that begins later finds ends ESTABLISHED; others begin with their first move.
    told = {"originator": states.originator, "responder": states.responder}
    now = {end: "ESTABLISHED" if some and some[0] == "ESTABLISHED" else None for end, some in told.items()}
    changes: list[tuple[str | None, int]] = []
    latest, gone = 0, dict.fromkeys(now, False)
    for step in steps:
        for end in ("originator", "responder"):
            after = step.states.originator if end == "originator" else step.states.responder
            gone[end] = after.state == "CLOSED" and (gone[end] or now[end] not in (None, "CLOSED", "LISTEN"))
            # One segment may prove that an end was ESTABLISHED, and close it.
            closes = step.sender == end and "FIN" in step.flags and "ESTABLISHED" in (told[end] or ())
            now[end] = after.state or ("some state of closing" if now[end] or closes else None)
        latest = max(latest, step.time_ns)
        phase = name_of(now["originator"], now["responder"], refused=any(gone.values()))
        if (changes or phase) and [phase] != [before for before, _ in changes[-1:]]:
            goes_on = bool(changes) and changes[-1][0] is None
            changes.append((phase, changes.pop()[1] if goes_on else latest))
    return changes


def is_disproved(found: Inspection, stream: int) -> bool:
    """Is there a state that later segments disprove? Then the states after single segments hide what was so instead."""
    states = (step.states for step in found.described(stream)[1])
    return any(one.originator.disproved or one.responder.disproved for one in states)


def following(found: Inspection, one: Connection) -> Connection | None:
    """Return the connection that took the same sockets next."""
    sockets = {one.originator, one.responder}
    later = (other for other in found.connections if {other.originator, other.responder} == sockets)
    return next((other for other in later if other.stream > one.stream), None)


def lasting(found: Inspection, one: Connection, phase: str, begin: int) -> tuple[int, bool]:
    """Return until when the last phase of a connection lasts, and whether it went on when the capture ended."""
    if phase == "opening" and one.handshake.kind == "unreachable":
        return one.last_ns, False
    after = following(found, one)
    limit = found.captured_ns[1] if after is None else after.first_ns
    if phase in ("opening", "half-open"):
        limit = min(limit, (begin if phase == "half-open" else one.last_ns) + HELD_NS)
    end = max(limit, one.last_ns)
    return end, after is None and end >= found.captured_ns[1]


def expected(found: Inspection, stream: int) -> list[Told]:
    one = found.connections[stream]
    until = [min(w.ended_ns or w.earliest_end_ns, w.earliest_end_ns) for w in one.time_wait]
    phases: list[Told] = []
    changes = walked(found, stream)
    for (phase, begin), (_, next_begin) in pairwise([*changes, (None, -1)]):
        if phase == "time-wait":
            phases.append((phase, begin, max(until), False))
        elif phase and next_begin >= 0:
            phases.append((phase, begin, next_begin, False))
        elif phase:
            phases.append((phase, begin, *lasting(found, one, phase, begin)))
    over = changes[-1:] and changes[-1][0] is None
    lasting_ones = [one for one in phases[:-1] if one[2] > one[1]]
    final = [] if over and lasting_ones and phases[-1][1] == phases[-1][2] else phases[-1:]
    return merged([*lasting_ones, *final])


def merged(phases: list[Told]) -> list[Told]:
    """Put neighbours together that are the same phase: nothing that lasted was between them."""
    found: list[Told] = []
    for one in phases:
        if found and found[-1][0] == one[0]:
            found[-1] = (one[0], found[-1][1], one[2], one[3])
        else:
            found.append(one)
    return found


@given(st.integers(0, 1 << 40))
@example(338880460143)
def test_phases_are_those_that_the_states_after_every_segment_show(seed: int) -> None:
    segments, ends = conversation(random.Random(f"phases {seed}"))
    found = inspect_segments(segments, ends)
    for stream, phases in enumerate(told(found)):
        assert all(begin <= end for _, begin, end, _ in phases)
        assert all(end == begin for (*_, end, _), (_, begin, *_) in pairwise(phases))
        if not is_disproved(found, stream):
            assert phases == expected(found, stream)


@pytest.mark.parametrize(
    "name",
    [
        "four-way",
        "half-close",
        "simultaneous-open",
        "self-connect",
        "syn-flood",
        "time-wait-reused",
        "unanswered",
        "unreachable",
        "old-duplicate-syn",
    ],
)
def test_so_are_those_of_recorded_captures(name: str) -> None:
    found = inspect(PCAPS / f"{name}.pcap")
    assert told(found) == [expected(found, stream) for stream in range(len(found.connections))]


def names(found: Inspection) -> list[list[str]]:
    return [[phase for phase, *_ in one] for one in told(found)]


def test_an_ordinary_connection_goes_through_all_of_them() -> None:
    found = inspect(PCAPS / "four-way.pcap")
    assert names(found) == [["opening", "half-open", "open", "closing", "half-closed", "closing", "time-wait"]]
    ((*_, (_, begin, end, goes_on)),) = told(found)
    assert (end - begin, goes_on) == (60 * SECOND_NS, False)


def test_a_third_segment_that_is_lost_leaves_it_half_open_until_it_is_repeated() -> None:
    """The assumption that it arrived is disproved when the SYN-ACK comes again."""
    (phases,) = told(inspect(PCAPS / "lost-third-ack.pcap"))
    phase, begin, end, _ = phases[1]
    assert phase == "half-open" and SECOND_NS < end - begin < 1.1 * SECOND_NS


def test_an_end_that_goes_on_after_the_other_was_reset_was_not_over() -> None:
    """The server's RST says that it is gone; its ACK, that it had the third segment, which was not captured."""
    found = inspect_lines("A > S x\nB > SA y ack x+1\nB > R y+1\nB > A y+9 ack x+9")
    assert names(found) == [["opening", "half-open", "closing"]]
    (phases,) = told(found)
    assert phases[-1][1] == BEGIN_NS + 2 * MILLISECOND_NS


def test_nobody_answers_one_syn() -> None:
    found = inspect_lines("A > S x")
    assert told(found) == [[("opening", BEGIN_NS, BEGIN_NS, True)]]


def test_a_client_waits_for_an_answer_until_it_has_given_up() -> None:
    silent = parse("A > S x\n 1 A > S x").segments((1000, 2000))
    for later_s, end_s, goes_on in ((30, 30, True), (100, 64, False)):
        later = [replace(one, time_ns=BEGIN_NS + later_s * SECOND_NS) for one in parse("A > S x").segments((1, 2))]
        found = inspect_many([(silent, Ends()), (later, Ends(b=(4, 0x0A000003, 80)))])
        assert told(found)[0] == [("opening", BEGIN_NS, BEGIN_NS + end_s * SECOND_NS, goes_on)]
        assert found.phases.table["given_up"].tolist() == [not goes_on, False]
        assert found.phases.unfinished(np.arange(2), found.captured_ns[1] + 1) == (2, 2 if goes_on else 1)


def test_its_next_attempt_from_the_same_port_ends_the_first() -> None:
    found = inspect_lines("A > S x\n 5 A > S x+100000")
    first, second = told(found)
    assert first == [("opening", BEGIN_NS, BEGIN_NS + 5 * SECOND_NS, False)]
    assert second == [("opening", BEGIN_NS + 5 * SECOND_NS, BEGIN_NS + 5 * SECOND_NS, True)]
    assert found.phases.unfinished(np.arange(2), found.captured_ns[1] + 1) == (1, 1), (
        "the second one goes on, the first is no attempt any more"
    )


@pytest.mark.parametrize("reset", ["A > R x+1", "B > R y+1", "B > RA y+1 ack x+1"])
def test_an_rst_of_either_end_takes_a_half_open_connection_away(reset: str) -> None:
    found = inspect_lines(f"A > S x\n B > SA y ack x+1\n 0.03 {reset}")
    answered, over = BEGIN_NS + MILLISECOND_NS, BEGIN_NS + 30 * MILLISECOND_NS
    assert told(found) == [[("opening", BEGIN_NS, answered, False), ("half-open", answered, over, False)]]
    assert found.phases.unfinished(np.arange(2), over + 1) == (0, 0)


def test_a_capture_that_begins_later_shows_an_open_connection() -> None:
    found = inspect_lines("A > A x+1 ack y+1\n 0.5 B > A y+1 (10) ack x+1")
    assert told(found) == [[("open", BEGIN_NS, BEGIN_NS + 500 * MILLISECOND_NS, True)]]


def test_an_rst_alone_shows_no_phase() -> None:
    assert told(inspect(PCAPS / "reset-alone.pcap")) == [[]]


def test_nothing_captured_has_no_phases() -> None:
    found = inspect_segments([])
    assert (told(found), found.captured_ns) == ([], (0, 0))


def test_half_open_ends_when_the_listener_gives_up() -> None:
    unfinished = parse("A > S x\n B > SA y ack x+1").segments((1000, 2000))
    later = parse("100 A > S x").segments((1000, 2000))
    found = inspect_many([(unfinished, Ends()), (later, Ends(b=(4, 0x0A000003, 80)))])
    begin = BEGIN_NS + MILLISECOND_NS
    assert told(found)[0][-1] == ("half-open", begin, begin + HELD_NS, False)


def test_a_clock_that_was_set_back_ends_no_phase_before_it_begins() -> None:
    found = inspect_lines("1 A > S x\n 2 B > SA y ack x+1\n 0.5 A > A x+1 ack y+1\n 3 A > FA x+1 ack y+1")
    table = found.phases.table
    assert (table["end_ns"] >= table["begin_ns"]).all()
    assert (np.diff(table["begin_ns"]) >= 0).all()
