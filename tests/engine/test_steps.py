"""One connection segment by segment: numbers in three spellings, sums that hold or do not, times, who waits."""

from __future__ import annotations

import io
import random
import re
import struct
from dataclasses import replace
from itertools import groupby

import pytest

from handshake_inspect import inspect
from handshake_inspect.connections.connection import ENDS, NONE_PASSED, Step, SynOptions
from handshake_inspect.connections.splitting.rows import SYN
from handshake_inspect.inspection import Inspection
from handshake_inspect.tcp.states import Event
from tests.engine.fuzz import conversation
from tests.engine.scenario import ISN_PAIRS, MODULUS, Segment, inspect_lines, inspect_segments, parse
from tests.engine.scenarios import SCENARIOS

ECHO = """
    0.000000  A > S  x
    0.000040  B > SA y          ack x+1
    0.000060  A > A  x+1        ack y+1
    0.1       A > PA x+1   (4)  ack y+1
    0.2       B > A  y+1        ack x+5
    0.3       B > PA y+1   (4)  ack x+5
    0.4       A > A  x+5        ack y+5
    1.0       A > FA x+5        ack y+5
    1.1       B > A  y+5        ack x+6
    1.2       B > PA y+5  (10)  ack x+6
    1.3       A > A  x+6        ack y+15
    1.5       B > FA y+15       ack x+6
    1.6       A > A  x+6        ack y+16
"""


def sums(step: Step) -> set[tuple[str, str, bool | None]]:
    return {(one.name, one.symbolic, one.holds) for one in step.arithmetic}


@pytest.mark.parametrize("isns", ISN_PAIRS.values(), ids=ISN_PAIRS)
def test_numbers_of_an_echo_session(isns: tuple[int, int]) -> None:
    x, y = isns
    steps = inspect_lines(ECHO, isns).steps(0)
    assert [(one.relative_seq, one.relative_ack) for one in steps] == [
        (0, None), (0, 1), (1, 1), (1, 1), (1, 5), (1, 5), (5, 5), (5, 5), (5, 6), (5, 6), (6, 15), (15, 6), (6, 16),
    ]  # fmt: skip
    bases = {"originator": (x, y), "responder": (y, x)}
    for one in steps:
        own, other = bases[one.sender]
        assert one.seq == (own + one.relative_seq) % MODULUS
        assert one.ack == (None if one.relative_ack is None else (other + one.relative_ack) % MODULUS)


def test_letters_of_an_echo_session() -> None:
    steps = inspect_lines(ECHO).steps(0)
    assert [(one.symbolic_seq, one.symbolic_ack) for one in steps[:8]] == [
        ("x", None),
        ("y", "x+1"),
        ("x+1", "y+1"),
        ("x+1", "y+1"),
        ("y+1", "x+1+4"),
        ("y+1", "x+1+4"),
        ("x+1+4", "y+1+4"),
        ("u", "v"),  # v: what the responder had reached when it acknowledged u
    ]
    assert (steps[8].symbolic_seq, steps[8].symbolic_ack) == ("v", "u+1")
    assert (steps[11].symbolic_seq, steps[11].symbolic_ack) == ("w", "u+1")
    assert (steps[12].symbolic_seq, steps[12].symbolic_ack) == ("u+1", "w+1")


def test_the_sums_that_must_be_shown() -> None:
    steps = inspect_lines(ECHO).steps(0)
    assert ("ack", "x+1", True) in sums(steps[1])
    assert ("ack", "y+1", True) in sums(steps[2])
    assert ("seq", "x+1", True) in sums(steps[2])
    assert ("ack", "x+1+4", True) in sums(steps[4])
    assert ("u", "x+1+4", True) in sums(steps[7])
    assert ("ack", "u+1", True) in sums(steps[8])
    assert ("w", "y+1+14", True) in sums(steps[11])
    assert ("ack", "w+1", True) in sums(steps[12])
    assert all(one.holds for step in steps for one in step.arithmetic)


def test_every_sum_is_true_to_the_numbers_in_the_segment() -> None:
    """What holds has equal numbers, what does not has different ones, in all scenarios."""
    seen = set()
    for text in SCENARIOS.values():
        found = inspect_lines(text, ISN_PAIRS["last"])
        for stream in range(len(found.connections)):
            for step in found.steps(stream):
                for one in step.arithmetic:
                    seen.add(one.holds)
                    if one.holds is not None:
                        assert one.holds == (one.expected == one.actual), (text, step.frame, str(one))
                    assert 0 <= one.expected < MODULUS
                    assert 0 <= one.actual < MODULUS
    assert seen == {True, False, None}


def test_a_wrong_number_says_by_how_much() -> None:
    step = inspect_lines("A > S x\n B > SA y ack x+5").steps(0)[1]
    (one,) = step.arithmetic
    assert (one.name, one.symbolic, one.holds, one.actual - one.expected) == ("ack", "x+1", False, 4)
    assert "4 octets" in one.reason
    assert step.ignored is not None


def test_the_number_of_a_third_segment_before_the_window_is_wrong() -> None:
    step = inspect_lines("A > S x\n B > SA y ack x+1\n A > A x-999 ack y+1").steps(0)[2]
    assert sums(step) == {("seq", "x+1", False), ("ack", "y+1", True)}
    assert "1,000 octets too low" in step.arithmetic[0].reason


@pytest.mark.parametrize("forged", ["A > S x+5000", "A > FA x+5000 ack y+1", "B > SA y+5000 ack x+1"])
def test_the_number_of_what_is_ignored_leaves_no_gap(forged: str) -> None:
    steps = inspect_lines(
        f"open\n{forged}\n A > PA x+1 (4) ack y+1 \n B > PA y+1 (4) ack x+5 \n A > FA x+5 ack y+5 \n B > A y+5 ack x+6"
    ).steps(0)
    assert not [one.reason for step in steps[4:] for one in step.arithmetic if re.search("gap|captured", one.reason)]


@pytest.mark.parametrize(
    ("lines", "wrong", "words"),
    [
        ("B > PA y+1 (9) ack x+1 \n A > A x+1 ack y+10 \n B > R y+4", 2, "below"),
        ("B > R y+500 \n B > A y+1 ack x+1", 0, "at most a challenge ACK (RFC 5961 §3.2)"),
        ("B > R y+1073741825 \n B > A y+1 ack x+1", 0, "outside any window"),
        ("A > S x+999 \n B > A y+1 ack x+1", 0, "challenge ACK"),
        ("A > A x+1 ack y+999 \n A > A x+1 ack y+1 \n B > A y+1 ack x+1", 0, "never sent"),
        ("A > FA x+999 ack y+1 \n A > FA x+1 ack y+1 \n B > A y+1 ack x+2", 0, "FIN with another number"),
        ("A > SA x ack y+1 \n B > A y+1 ack x+1", 0, "SYN,ACK of the end that had asked"),
    ],
)
def test_what_is_ignored_says_why(lines: str, wrong: int, words: str) -> None:
    steps = inspect_lines(f"open\n{lines}").steps(0)[3:]
    assert words in (steps[wrong].ignored or "")
    assert [one.ignored for k, one in enumerate(steps) if k != wrong] == [None] * (len(steps) - 1)


def test_an_rst_that_answers_a_syn_ack_of_another_number_is_not_called_wrong() -> None:
    """It belongs to another connection of the same sockets, whose end no segment shows (RFC 9293 Figure 11)."""
    inspection = inspect_lines(
        "open\n A > PA x+1 (4) ack y+1 \n B > A y+1 ack x+5 \n A > RA x+5 ack y+1 \n B > SA y+5000 ack x+1 \n A > R x+1"
    )
    answer = inspection.steps(0)[-1]
    assert answer.ignored is None
    assert sums(answer) == {("seq", "x+1", True)}
    assert [reset.valid for reset in inspection.connections[0].resets] == [True, None]


def test_an_end_whose_start_was_not_captured_counts_from_the_first_number_seen() -> None:
    steps = inspect_lines("A > PA x+77 (4) ack y+9 \n B > A y+9 ack x+81").steps(0)
    assert [(one.relative_seq, one.relative_ack) for one in steps] == [(1, 1), (1, 5)]
    assert all("x" not in one.symbolic_seq and "y" not in one.symbolic_seq for one in steps)


def test_a_lone_rst_counts_from_the_first_number_seen_too() -> None:
    (step,) = inspect_lines("B > RA 0 ack x+1").steps(0)
    assert (step.relative_seq, step.relative_ack) == (1, 1)


def test_retransmissions_are_marked() -> None:
    steps = inspect_lines(
        """
        A > S  x
        A > S  x                    # again
        B > SA y          ack x+1
        A > A  x+1        ack y+1
        A > A  x+1        ack y+1   # no length: nothing to retransmit
        A > PA x+1   (4)  ack y+1
        A > PA x+1   (4)  ack y+1   # again
        A > PA x+3   (4)  ack y+1   # two octets are new
        A > FA x+7        ack y+1
        A > FPA x+3  (4)  ack y+1   # again
        """
    ).steps(0)
    assert [k for k, one in enumerate(steps) if one.retransmission] == [1, 6, 9]


@pytest.mark.parametrize(
    ("lines", "words"),
    [
        ("A > PA x+1 (4) ack y+1 \n 0.3 A > PA x+1 (4) ack y+1", "sent before: a retransmission, "),
        ("A > PA x+1 (4) ack y+1 id 9 \n A > PA x+1 (4) ack y+1 id 9", "the same IP packet again: a copy"),
        ("A > PA x+1 (4) ack y+1 id 0 \n A > PA x+1 (4) ack y+1 id 0", "sent before: a retransmission"),
        # Some stacks keep the identification; a timer may have sent that, or what has other bits.
        ("A > PA x+1 (4) ack y+1 id 9 \n 0.3 A > PA x+1 (4) ack y+1 id 9", "sent before: a retransmission, 29"),
        ("A > PA x+1 (4) ack y+1 id 9 \n A > A x+1 (4) ack y+1 id 9", "sent before: a retransmission"),
        (
            "A > A x+1 (4) ack y+1 \n B > A y+1 ack x+5 \n 0.3 A > A x+1 (4) ack y+1",
            "sent before, and acknowledged: that ACK was lost or came too late",
        ),
        (
            "A > A x+1 (4) ack y+1 \n A > A x+5 (4) ack y+1 \n" + 4 * "B > A y+1 ack x+1 \n" + "A > A x+1 (4) ack y+1",
            "sent before: a retransmission, after 4 duplicate ACKs",
        ),
        ("A > PA x+1 (4) ack y+1 \n B > A y+1 ack x+5 \n A > A x+4 ack y+1", "a keep-alive (RFC 9293 §3.8.4)"),
        ("A > A x+1 (4) ack y+1 \n B > A y+1 ack x+5 \n A > A x+4 (1) ack y+1", "a keep-alive (RFC 9293 §3.8.4)"),
        ("A > A x+1 (4) ack y+1 \n B > A y+1 ack x+5 \n A > PA x+4 (1) ack y+1", "sent before, and acknowledged"),
        ("A > PA x+1 (4) ack y+1 \n B > A y+1 ack x+5 win 0 \n A > A x+4 ack y+1", "a probe of the closed window"),
    ],
)
def test_why_a_number_comes_again(lines: str, words: str) -> None:
    (line,) = inspect_lines(f"open\n{lines}").steps(0)[-1].arithmetic
    assert line.name == "seq"
    assert words in line.reason


@pytest.mark.parametrize(("rows", "words"), [(6, r"a retransmission, [\d.]+ ms later$"), (5, "a retransmission$")])
def test_what_led_to_a_repetition_is_looked_for_among_the_last_rows(
    rows: int, words: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("handshake_inspect.connections.steps.sent_again.LOOK_BACK", rows)
    again = "A > PA x+1 (4) ack y+1 \n"
    (line,) = inspect_lines("open\n" + again + 5 * "A > A x+5 ack y+1 \n" + "0.3 " + again).steps(0)[-1].arithmetic
    assert re.search(words, line.reason)


@pytest.mark.parametrize(
    ("lines", "why"),
    [
        (
            "A > PA x+1 (4) ack y+1\nB > A y+1 ack x+5\nA > PA x+1 (4) ack y+1\nB > A y+1 ack x+5",
            "answers what came again",
        ),
        ("A > PA x+1 (4) ack y+1\nB > A y+1 ack x+5\nA > A x+4 ack y+1\nB > A y+1 ack x+5", "answers the keep-alive"),
        (
            "A > PA x+1 (4) ack y+1\nB > A y+1 ack x+5 win 0\nA > A x+4 ack y+1\nB > A y+1 ack x+5 win 0",
            "answers the probe",
        ),
        ("A > PA x+1 (4) ack y+1\nB > A y+1 ack x+5 win 4\nB > A y+1 ack x+5 win 9", "a window update"),
        ("A > PA x+1 (4) ack y+1\nB > A y+1 ack x+5 win 4\nB > A y+1 ack x+5 win 3", "a smaller window"),
        (
            "B > A y+1 ack x+1\nA > A x+9 (4) ack y+1\nB > A y+1 ack x+1 win 4 sack x+9:x+13",
            "SACK tells of a gap",
        ),
    ],
)
def test_an_ack_that_brings_nothing_new_says_why_it_was_sent(lines: str, why: str) -> None:
    """RFC 9293 §3.8.4, §3.8.6.1, §3.8.6.2.2, §3.10.7.4 (first); RFC 6675 §2."""
    assert [one.reason for one in inspect_lines("open\n" + lines).steps(0)[-1].arithmetic] == [f"again: {why}"]


def test_an_ack_after_the_syn_whose_window_is_not_scaled_tells_of_no_other_window() -> None:
    """RFC 7323 §2.2."""
    steps = inspect_lines("open\nA > A x+1 ack y+1 win 9\nB > A y+1 ack x+1 win 7").steps(0)
    assert [one.reason for one in steps[3].arithmetic] == ["again: a smaller window"]
    assert not any("window" in one.reason for one in steps[4].arithmetic)


def test_what_was_captured_ahead_of_its_own_fin_is_not_said_to_lack_an_octet() -> None:
    """zeek__mysql_tls-13-amazon-rds.pcap: an ACK overtook the FIN that was sent before it."""
    steps = inspect_lines("open\nA > FA x+1 ack y+1\nB > A y+2 ack x+2\nB > FA y+1 ack x+1\nA > A x+2 ack y+2").steps(0)
    assert [one.reason for one in steps[4].arithmetic] == ["behind its FIN, which was captured later", "FIN counts one"]
    assert steps[5].arithmetic[-1].reason == "not the FIN: sent before that came, or seen late"


LATE_FIN = """
    open
    A > FA x+1  ack y+2
    B > FA y+1  ack x+1
    B > A  y+2  ack x+2
"""


def test_a_fin_captured_after_its_answer_is_the_first_one() -> None:
    steps = inspect_lines(LATE_FIN).steps(0)
    assert [(one.symbolic_seq, one.symbolic_ack) for one in steps[3:]] == [("w", "u+1"), ("u", "w"), ("u+1", "w+1")]
    assert [(one.holds, one.reason) for one in steps[3].arithmetic] == [
        (True, "0 octets sent"),
        (True, "the FIN, which was captured later"),
    ]


def test_flags_are_spelled_in_the_order_in_which_people_say_them() -> None:
    steps = inspect_lines("A > SEC x\n B > SAE y ack x+1\n A > FPUA x+1 ack y+1").steps(0)
    assert [one.flags for one in steps] == ["SYN,ECE,CWR", "SYN,ECE,ACK", "FIN,PSH,URG,ACK"]


def test_events_name_the_end_to_which_they_happen() -> None:
    steps = inspect_lines(ECHO).steps(0)
    assert steps[0].events == (("originator", Event.SEND_SYN),)
    assert tuple(map(str, steps[2].events)) == (
        "originator: receive SYN",
        "originator: receive ACK of SYN",
        "responder: receive ACK of SYN",
    )
    assert steps[8].events == (("responder", Event.RECEIVE_FIN), ("originator", Event.RECEIVE_ACK_OF_FIN))


def test_what_an_end_passes_within_one_segment_has_the_basis_of_its_own_move() -> None:
    """What is passed is known as well as its own event is, not as what follows it."""
    closing = inspect_lines("open\nA > FA x+1 ack y+1\nB > FA y+1 ack x+2\nA > A x+2 ack y+2").steps(0)
    assert [(one.state, one.basis) for one in closing[4].passed.responder] == [("CLOSE-WAIT", "acknowledged")]
    reset = inspect_lines("A > S x\nB > SA y ack x+1\nB > R y+1\nA > A x+1 ack y+1").steps(0)[-1]
    assert [(one.state, one.basis) for one in reset.passed.originator] == [("ESTABLISHED", "acknowledged")]
    assert (reset.states.originator.state, reset.states.originator.basis) == ("CLOSED", "assumed")
    assert all(step.passed == NONE_PASSED for step in inspect_lines(ECHO).steps(0))


@pytest.mark.parametrize("seed", range(40))
def test_passed_states_and_those_after_each_segment_are_those_of_the_connection(seed: int) -> None:
    segments, ends = conversation(random.Random(f"passed {seed}"))
    found = inspect_segments(segments, ends)
    for connection, steps in (found.described(stream) for stream in range(len(found.connections))):
        for end in ENDS:
            told = [at for step in steps for at in (*step.passed[end], step.states[end])]
            states = [at.state for at in told if at.state is not None and not at.disproved]
            listed = connection.states[end] or ()
            assert tuple(state for state, _ in groupby(states)) in (listed, listed[1:])


def test_a_clock_that_stands_still_measures_no_round_trip() -> None:
    (connection,) = inspect_lines("0 A > S x\n0 B > SA y ack x+1\n0 A > A x+1 ack y+1").connections
    opening = connection.handshake
    assert (opening.syn_to_syn_ack_ns, opening.syn_ack_to_ack_ns, opening.initial_rtt_ns) == (None, None, None)


def test_handshake_times_are_those_between_the_segments() -> None:
    one = inspect_lines(ECHO).connections[0]
    assert one.handshake.syn_to_syn_ack_ns == 40_000
    assert one.handshake.syn_ack_to_ack_ns == 20_000
    assert one.handshake.initial_rtt_ns == 60_000
    assert one.handshake.rtt_ambiguous is False
    assert one.teardown.half_closed_ns == 500_000_000
    (wait,) = one.time_wait
    assert (wait.owner, wait.entered_ns) == ("originator", one.first_ns + 1_600_000_000)
    assert one.last_ns - one.first_ns == 1_600_000_000


@pytest.mark.parametrize(("profile", "seconds"), [("linux", 60), ("rfc", 240)])
def test_time_wait_lasts_as_long_as_the_profile_says(profile: str, seconds: int) -> None:
    (wait,) = inspect_lines(ECHO, profile=profile).connections[0].time_wait
    assert (wait.profile, wait.earliest_end_ns) == (profile, wait.entered_ns + seconds * 1_000_000_000)


def test_after_a_simultaneous_close_both_ends_wait() -> None:
    found = inspect_lines("open\n A > FA x+1 ack y+1\n B > FA y+1 ack x+1\n A > A x+2 ack y+2\n B > A y+2 ack x+2")
    assert {one.owner for one in found.connections[0].time_wait} == {"originator", "responder"}


def test_options_of_both_ends() -> None:
    options = (
        inspect_lines("A > S x mss 1460 sackok ts 1 0 wscale 7\n B > SA y ack x+1 mss 536\n A > A x+1 ack y+1")
        .connections[0]
        .handshake.options
    )
    assert options.originator == SynOptions(mss=1460, window_scale=7, sack_permitted=True, timestamps=True)
    assert options.responder == SynOptions(mss=536, window_scale=None, sack_permitted=False, timestamps=False)


WHOLE = bytes.fromhex("020405b4 0402080a 00000000 00000000 01030307")


@pytest.mark.parametrize(
    ("octets", "known"),
    [
        (0, SynOptions(None, None, None, None, is_cut=True)),
        (4, SynOptions(1460, None, None, None, is_cut=True)),
        (6, SynOptions(1460, None, True, None, is_cut=True)),
        (18, SynOptions(1460, None, True, True, is_cut=True)),
        (20, SynOptions(1460, 7, True, True)),
    ],
)
def test_an_option_that_the_snapshot_length_cut_off_is_not_called_absent(octets: int, known: SynOptions) -> None:
    """RFC 7323 §2.2: nor are the windows known to be unscaled."""
    segments = parse("open\n A > PA x+1 (5) ack y+1 win 64").segments(ISN_PAIRS["plain"])
    cut = WHOLE[:octets] + b"\xfe" * (octets in (0, 4))  # as `capture.headers.options` marks a cut between two words
    inspection = inspect_segments([replace(one, options=cut) if one.flags & SYN else one for one in segments])
    (connection,) = inspection.connections
    assert connection.handshake.options.originator == connection.handshake.options.responder == known
    steps = inspection.steps(connection.stream)
    assert steps[0].window_octets == steps[0].window
    assert steps[-1].window_octets == (64 << 7 if octets == 20 else None)


def test_one_whole_list_without_window_scale_tells_that_windows_are_not_scaled() -> None:
    segments = parse("open\n A > PA x+1 (5) ack y+1 win 64").segments(ISN_PAIRS["plain"])
    segments[0] = replace(segments[0], options=WHOLE[:6])
    steps = inspect_segments(segments).steps(0)
    assert steps[-1].window_octets == 64


def test_a_closed_window_is_told_in_octets_when_it_closes_while_it_is_closed_and_when_it_opens() -> None:
    told = """
        A > S  x    mss 1460 wscale 7
        B > SA y    ack x+1 win 65535 wscale 2
        A > A  x+1  ack y+1 win 10
        B > A  y+1  ack x+1 win 0
        B > A  y+1  ack x+1 win 0
        B > A  y+1  ack x+1 win 3
        B > A  y+1  ack x+1 win 4
        B > R  y+1  win 0
    """
    steps = inspect_lines(told).steps(0)
    assert [one.at_closed_window for one in steps] == [False, False, False, True, True, True, False, False]
    assert [one.window_octets for one in steps[1:7]] == [65535, 10 << 7, 0, 0, 3 << 2, 4 << 2]
    assert [one.options is not None for one in steps[:3]] == [True, True, False]


def test_a_window_is_scaled_only_if_both_syns_are_known_to_agree() -> None:
    one_offers = inspect_lines("A > S x wscale 7\n B > SA y ack x+1\n A > A x+1 ack y+1 win 10").steps(0)
    assert one_offers[2].window_octets == 10
    one_captured = inspect_lines("B > SA y ack x+1 wscale 7\n A > A x+1 ack y+1 win 10").steps(0)
    assert one_captured[1].window_octets is None


def test_a_fast_open_option_asks_for_a_cookie_or_is_one() -> None:
    steps = inspect_lines("A > S x tfo\n B > SA y ack x+1 tfo 0102030405060708\n A > A x+1 ack y+1").steps(0)
    assert [one.options and one.options.fast_open for one in steps] == ["request", "cookie", None]


def test_options_of_a_syn_that_was_not_captured_are_not_known() -> None:
    options = inspect_lines("B > SA y ack x+1 mss 536\n A > A x+1 ack y+1").connections[0].handshake.options
    assert options.originator is None
    assert options.responder is not None


@pytest.mark.parametrize("seed", range(60))
def test_steps_and_verdict_tell_one_story(seed: int) -> None:
    """The states of the steps are the list of states, in order; disproved ones stand in the steps only.

    The list ends with the last state that is certain: what follows a FIN of unknown place stands as None in the steps.
    """
    segments, ends = conversation(random.Random(f"story {seed}"))
    found = inspect_segments(segments, ends)
    for stream in range(len(found.connections)):
        one = found.with_steps(stream)
        for side in ("originator", "responder"):
            shown = [getattr(step.states, side) for step in one.steps or ()]
            listed = list(getattr(one.states, side) or ())
            is_lost = shown[-1].state is None and any(state.state for state in shown)
            assert shown[-1].state == (listed[-1] if listed else None) or shown[-1].disproved or is_lost
            position = 0
            for state in (state.state for state in shown if state.state and not state.disproved):
                while listed[position] != state:
                    position += 1
                    assert position < len(listed), f"{state} comes back in {[s.state for s in shown]}, not in {listed}"


def test_payload_cut_by_the_snapshot_length_counts_in_full() -> None:
    """A capture of headers only (snapshot length 54): octets and numbers come from the IP length."""
    text = """
        open
        A > PA x+1 (700)  ack y+1
        B > A  y+1        ack x+701
        A > FA x+701      ack y+1
        B > FA y+1        ack x+702
        A > A  x+702      ack y+2
    """
    (one,) = _captured(parse(text).segments(ISN_PAIRS["plain"]), snapshot_octets=54).connections
    assert (one.octets.originator, one.sent_octets.originator, one.missing_octets.originator) == (700, 700, 0)
    assert (one.handshake.kind, one.teardown.kind) == ("three-way", "three-segment")


def _captured(segments: list[Segment], snapshot_octets: int) -> Inspection:
    """Write the segments as an Ethernet capture and read it."""
    out = io.BytesIO()
    out.write(struct.pack("<IHHiIII", 0xA1B23C4D, 2, 4, 0, 0, snapshot_octets, 1))
    for one in segments:
        source, destination = (1, 2) if one.sender == "A" else (2, 1)
        ports = (40000, 80) if one.sender == "A" else (80, 40000)
        tcp = struct.pack(">HHIIBBHHH", *ports, one.seq, one.ack, 0x50, one.flags & 0xFF, one.window, 0, 0)
        ip = struct.pack(
            ">BBHHHBBH4B4B", 0x45, 0, 40 + one.octets, 0, 0, 64, 6, 0, 10, 0, 0, source, 10, 0, 0, destination
        )
        frame = bytes(12) + b"\x08\x00" + ip + tcp + bytes(one.octets)
        seconds, nanoseconds = divmod(one.time_ns, 1_000_000_000)
        kept = frame[:snapshot_octets]
        out.write(struct.pack("<IIII", seconds, nanoseconds, len(kept), len(frame)) + kept)
    out.seek(0)
    return inspect(out)
