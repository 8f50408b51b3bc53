"""Where two connections part, at each level, on recorded captures and on scenarios in lines."""

from __future__ import annotations

from collections import Counter
from itertools import combinations
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from handshake_inspect.compared.alignment import Line, aligned, parting
from handshake_inspect.compared.difference import (
    LEVELS,
    ComparedConnection,
    Difference,
    Level,
    Speech,
    Turn,
    difference,
)
from handshake_inspect.compared.normal import normal_rows
from handshake_inspect.connections.connection import Step
from handshake_inspect.inspection import Inspection
from handshake_inspect.inspector import inspect
from tests.compared.another_run import PCAPS, Run, rerun
from tests.engine.scenario import inspect_lines

LATE = Run((2**32 - 3, 2**32 - 7), 4711, 86_400_000_000_000, 4711, 2**31)
OPEN = "open\n"
ECHO = "A > PA x+1 (4) ack y+1\nB > PA y+1 (4) ack x+5\n"
CLOSE = "A > FA x+5 ack y+5\nB > A y+5 ack x+6\nB > FA y+5 ack x+6\nA > A x+6 ack y+6\n"
CLOSE_IN_FOUR_UNTIL_FIN_WAIT_2 = "A > FA x+1 ack y+1\nB > A y+1 ack x+2\n"
CLOSE_IN_THREE = "A > FA x+5 ack y+5\nB > FA y+5 ack x+6\nA > A x+6 ack y+6\n"


def told(inspection: Inspection | Path | str) -> ComparedConnection:
    if isinstance(inspection, str):
        inspection = inspect_lines(inspection)
    elif isinstance(inspection, Path):
        inspection = inspect(inspection)
    connection = inspection.connections[0]
    return ComparedConnection(connection, normal_rows(connection, inspection.steps(0)))


def differ(a: Inspection | Path | str, b: Inspection | Path | str, level: Level = "segments") -> Difference:
    found = difference(told(a), told(b), level)
    assert found is not None
    return found


@pytest.mark.parametrize("level", LEVELS)
@pytest.mark.parametrize("name", ["four-way", "reset", "blind-reset", "unreachable", "large-transfer", "self-connect"])
def test_another_run_is_the_same(name: str, level: Level) -> None:
    path = PCAPS / f"{name}.pcap"
    assert difference(told(path), told(rerun(path, LATE)), level) is None


@pytest.mark.parametrize("name", ["ecn", "far-apart", "keep-alive", "half-closed", "fast-open-accepted"])
def test_both_ends_of_a_good_wire_show_the_same(name: str) -> None:
    assert difference(told(PCAPS / f"{name}.pcap"), told(PCAPS / f"{name}.server.pcap"), "conversation") is None


def test_four_segments_and_three_part_at_the_answer_to_the_fin() -> None:
    found = differ(PCAPS / "four-way.pcap", PCAPS / "three-segment.pcap")
    assert found.parted == (8, 8)
    flags = [row.flags for row in (found.a.rows[8], found.b.rows[8]) if isinstance(row, Step)]
    assert flags == ["ACK", "FIN,ACK"]
    assert found.unequal["teardown"] == ("four-way", "three-segment")
    assert set(found.unequal) == {"teardown", "states"}


def test_a_reset_parts_from_a_close_at_its_own_segment() -> None:
    found = differ(PCAPS / "reset.pcap", PCAPS / "four-way.pcap")
    assert found.parted == (7, 7)
    assert found.unequal["reset_by"] == ("originator", None)
    assert found.unequal["time_wait"] == ((), ("originator",))


def test_one_that_ends_early_parts_behind_its_last_segment() -> None:
    found = differ(OPEN + ECHO, OPEN + ECHO + CLOSE)
    assert found.parted == (5, 5)
    assert found.there[0] is None
    assert found.there[1] is not None


def test_options_count_among_segments_only() -> None:
    other = "A > S x mss 1460\nB > SA y ack x+1\nA > A x+1 ack y+1\n" + ECHO + CLOSE
    found = differ(OPEN + ECHO + CLOSE, other)
    assert found.parted == (0, 0)
    assert difference(told(OPEN + ECHO + CLOSE), told(other), "conversation") is None


def test_a_conversation_is_the_same_however_it_is_cut_acknowledged_and_repeated() -> None:
    cut = (
        OPEN + "A > PA x+1 (2) ack y+1\nB > A y+1 ack x+3\nA > PA x+3 (2) ack y+1\nA > PA x+3 (2) ack y+1\n"
        "B > PA y+1 (4) ack x+5\nA > A x+5 ack y+5\n" + CLOSE_IN_THREE
    )
    assert difference(told(OPEN + ECHO + CLOSE), told(cut), "conversation") is None
    assert differ(OPEN + ECHO + CLOSE, cut).parted == (3, 3)


def test_a_conversation_parts_by_what_is_said() -> None:
    longer = OPEN + "A > PA x+1 (4) ack y+1\nA > PA x+5 (4) ack y+1\nB > PA y+1 (4) ack x+9\n"
    found = differ(OPEN + ECHO, longer, "conversation")
    assert found.turns == (Turn("originator", "octets", 4, False), Turn("originator", "octets", 8, False))
    assert found.parted == (3, 3)
    unanswered = differ(OPEN + ECHO, OPEN + "A > PA x+1 (4) ack y+1\n", "conversation")
    assert unanswered.turns == (Turn("responder", "octets", 4, False), None)


def test_octets_that_come_out_of_order_are_said_once() -> None:
    in_order = OPEN + "A > PA x+1 (4) ack y+1\nA > PA x+5 (4) ack y+1\nB > A y+1 ack x+9\n"
    swapped = OPEN + "A > PA x+5 (4) ack y+1\nA > PA x+1 (4) ack y+1\nB > A y+1 ack x+9\n"
    assert differ(in_order, swapped).parted == (3, 3)
    assert difference(told(in_order), told(swapped), "conversation") is None
    again = in_order.replace("B > A y+1 ack x+9", "A > PA x+3 (6) ack y+1\nB > A y+1 ack x+9")
    assert difference(told(in_order), told(again), "conversation") is None
    more = in_order.replace("B > A y+1 ack x+9", "A > PA x+3 (7) ack y+1\nB > A y+1 ack x+10")
    assert difference(told(in_order), told(more), "conversation") is not None


@given(st.lists(st.tuples(st.integers(1, 9), st.integers(1, 6)), max_size=8), st.booleans())
def test_speech_is_the_same_in_any_order_pieces_and_repeats(more: list[tuple[int, int]], fin_first: bool) -> None:
    """Ten octets and a FIN, with other pieces of the same octets before, between and behind."""
    pieces = [*((begin, min(begin + size, 11)) for begin, size in more), (1, 6), (6, 11)]
    speech = Speech("originator")
    assert [turn.what for turn in speech.once("SYN")] == ["SYN"]
    turns = speech.octets(11, 11, is_last=True) if fin_first else []
    for begin, stop in pieces:
        turns += speech.octets(begin, stop, is_last=False)
    turns += [] if fin_first else speech.octets(11, 11, is_last=True)
    turns += speech.left()
    assert sum(turn.octets for turn in turns) == 10
    assert [turn.what for turn in turns if turn.what != "octets"] == ["FIN"]
    assert turns[-1].what == "FIN"


def test_a_stuck_close_is_another_conversation() -> None:
    stuck = OPEN + ECHO + "A > FA x+5 ack y+5\nB > A y+5 ack x+6\nB > FA y+5 ack x+6\n"
    found = differ(OPEN + ECHO + CLOSE, stuck, "conversation")
    assert found.parted is None
    assert found.unequal["teardown"] == ("four-way", "incomplete")


def test_a_verdict_does_not_look_at_segments() -> None:
    more = OPEN + ECHO + "A > PA x+5 (4) ack y+5\nB > A y+5 ack x+9\nA > FA x+9 ack y+5\nB > A y+5 ack x+10\n"
    more += "B > FA y+5 ack x+10\nA > A x+10 ack y+6\n"
    assert difference(told(OPEN + ECHO + CLOSE), told(more), "verdict") is None
    found = differ(OPEN + ECHO + CLOSE, OPEN + ECHO + "A > R x+5\n", "verdict")
    assert found.parted is None
    assert found.unequal["reset_by"] == (None, "originator")


def test_whether_the_ack_of_the_fin_was_a_segment_of_its_own_counts_among_segments_only() -> None:
    four, three = told(PCAPS / "four-way.pcap"), told(PCAPS / "three-segment.pcap")
    assert [difference(four, three, level) is None for level in LEVELS] == [False, True, True]
    stays = differ(OPEN + CLOSE_IN_FOUR_UNTIL_FIN_WAIT_2, OPEN + "A > FA x+1 ack y+1\n", "verdict")
    assert stays.unequal["states"] is not None


def test_what_is_the_same_at_one_level_is_the_same_at_those_behind_it() -> None:
    """Over all pairs of recorded connections that opened alike."""
    inspections = [inspect(path) for path in sorted(PCAPS.glob("*.pcap")) if ".server" not in path.name]
    connections = [told(one) for one in inspections if len(one.connections) == 1]
    same: Counter[tuple[bool, ...]] = Counter()
    for one, other in combinations(connections, 2):
        if one.connection.handshake.kind == other.connection.handshake.kind:
            same[tuple(difference(one, other, level) is None for level in LEVELS)] += 1
    assert LEVELS == ("segments", "conversation", "verdict")
    assert {*same} == {(False,) * 3, (False, False, True), (False, True, True), (True,) * 3}
    assert same.total() > 3000


@pytest.mark.parametrize(("name", "code"), [("lost-syn", "syn-retransmitted"), ("lost-last-ack", "lost-last-ack")])
def test_a_repetition_counts_in_a_conversation_if_something_was_found_of_it(name: str, code: str) -> None:
    found = differ(PCAPS / f"{name}.pcap", PCAPS / "four-way.pcap", "conversation")
    assert found.parted is None
    assert code in found.verdicts[0].findings
    assert found.verdicts[1].findings == ()


@pytest.mark.parametrize(
    ("name", "other", "code"),
    [
        ("half-close", "four-way", "half-close"),
        ("simultaneous-close", "four-way", "simultaneous-close"),
        ("timestamps-declined", "fin-out-of-window", "options-declined"),
    ],
)
def test_chat_of_what_happened_was_found_too(name: str, other: str, code: str) -> None:
    found = differ(PCAPS / f"{name}.pcap", PCAPS / f"{other}.pcap", "verdict")
    assert code in found.verdicts[0].findings
    assert code not in found.verdicts[1].findings


def test_states_follow_from_segments_so_segments_part_first() -> None:
    """That the third segment was lost shows when the SYN-ACK is repeated; that changes what was assumed before."""
    lost = OPEN + "B > SA y ack x+1\nA > A x+1 ack y+1\n" + ECHO
    assert differ(OPEN + ECHO, lost).parted == (3, 3)


def test_equal_rows_stand_beside_each_other_and_others_by_their_sender() -> None:
    found = differ(PCAPS / "four-way.pcap", PCAPS / "three-segment.pcap")
    lines = aligned(found)
    assert lines[8:] == [Line(8, None), Line(9, 8, True), Line(10, 9, True)]
    assert parting(found, lines) == 8
    reset = differ(PCAPS / "four-way.pcap", PCAPS / "reset.pcap")
    assert aligned(reset)[7:] == [Line(7, 7), Line(8, None), Line(9, None), Line(10, None)]


def test_every_row_stands_somewhere_once() -> None:
    found = differ(PCAPS / "large-transfer.pcap", PCAPS / "blind-reset.server.pcap")
    lines = aligned(found)
    assert [line.a for line in lines if line.a is not None] == list(range(len(found.a.rows)))
    assert [line.b for line in lines if line.b is not None] == list(range(len(found.b.rows)))
