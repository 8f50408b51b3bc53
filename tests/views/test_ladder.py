"""The ladder: golden pictures at fixed widths without colour, and what must hold at every width."""

from __future__ import annotations

import os
import re
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.cells import cell_len
from rich.text import Text

from handshake_inspect.connections.connection import Connection, Pair, SackBlock, StateAt, SynOptions
from handshake_inspect.views.account import books, closing, times
from handshake_inspect.views.folding import Fold, fold
from handshake_inspect.views.ladder import LadderOptions, Payload, ladder_parts
from handshake_inspect.views.ladder_calls import call_marks
from handshake_inspect.views.ladder_cells import Cells
from handshake_inspect.views.ladder_layout import wrap
from handshake_inspect.views.segment_words import Numbers, offer_words, payload_words
from tests.engine.scenario import inspect_lines
from tests.views.sessions import (
    PAYLOAD,
    aborted,
    call,
    calls,
    four_way,
    icmp_error,
    long_transfer,
    three_segment,
    too_big,
    unreachable,
)

GOLDEN = Path(__file__).parent / "golden"
SESSIONS: dict[str, Callable[[], Connection]] = {
    "four-way": four_way,
    "three-segment": three_segment,
    "aborted": aborted,
    "long-transfer": long_transfer,
    "unreachable": unreachable,
    "too-big": too_big,
}


def picture(name: str, options: LadderOptions) -> str:
    connection = SESSIONS[name]()
    assert connection.steps is not None
    lines = ladder_parts(
        connection,
        connection.steps,
        title="echo on 127.0.0.1:8000",
        facts=[f"{len(connection.steps)} segments"],
        calls=calls() if name == "four-way" else (),
        payload=None if name in ("long-transfer", "unreachable") else PAYLOAD,
        options=options,
    ).lines
    return "".join(line.plain.rstrip() + "\n" for line in lines)


@pytest.mark.parametrize("width", [80, 100, 120])
@pytest.mark.parametrize("name", SESSIONS)
def test_ladder_is_drawn_as_before(name: str, width: int) -> None:
    drawn = picture(name, LadderOptions(width=width))
    expected = GOLDEN / f"{name}-{width}.txt"
    if os.environ.get("UPDATE_GOLDEN"):
        expected.parent.mkdir(exist_ok=True)
        expected.write_text(drawn, encoding="utf-8")
    if not expected.exists() or drawn != expected.read_text(encoding="utf-8"):
        actual = expected.with_suffix(".actual.txt")
        actual.write_text(drawn, encoding="utf-8")
        pytest.fail(f"differs from {expected}; look at {actual}, then run with UPDATE_GOLDEN=1\n{drawn}")


@pytest.mark.parametrize("name", SESSIONS)
@pytest.mark.parametrize("numbers", ["symbolic", "relative", "absolute"])
def test_no_line_is_wider_than_the_terminal(name: str, numbers: str) -> None:
    for width in (*range(55, 72), *range(72, 200, 7)):
        for clock in ("relative", "utc"):
            options = LadderOptions(width=width, numbers=numbers, clock=clock)  # type: ignore[arg-type]
            for line in picture(name, options).splitlines():
                assert cell_len(line) <= max(width, 65 if clock == "utc" else 58), (width, line)


def test_three_spellings_of_the_same_segment() -> None:
    assert "SYN,ACK seq=y ack=x+1" in picture("four-way", LadderOptions(numbers="symbolic"))
    assert "SYN,ACK seq=0 ack=1" in picture("four-way", LadderOptions(numbers="relative"))
    assert "SYN,ACK seq=1094795585 ack=2868195533" in picture("four-way", LadderOptions(numbers="absolute"))


def test_socket_calls_stand_where_they_were_entered_and_returned() -> None:
    lines = picture("four-way", LadderOptions()).splitlines()
    told = ("connect(127.0.0.1:8000) ▸", "SYN-SENT", "SYN,ACK", "connect(127.0.0.1:8000) = 0", "= b'BITH'")
    order = [next(i for i, line in enumerate(lines) if text in line) for text in told]
    assert order == sorted(order)
    assert lines[order[0]].lstrip().startswith("0.000")


def test_a_call_that_returns_is_spelled_as_it_was_entered() -> None:
    drawn = picture("four-way", LadderOptions())
    for spelled in ("recv(1024) ▸", "recv(1024) = b'bith'", "send(b'bith') = 4", "connect(127.0.0.1:8000) = 0"):
        assert spelled in drawn
    assert "recv() =" not in drawn


def test_calls_of_the_right_end_begin_below_its_name_and_one_that_is_too_long_moves_alone() -> None:
    lines = picture("four-way", LadderOptions(width=80)).splitlines()
    name = next(line for line in lines if " ms " in line).index("server")
    begins = {text: next(line for line in lines if text in line).index(text) for text in ("recv(1024) ▸", "accept() =")}
    assert begins == {"recv(1024) ▸": name, "accept() =": 80 - len("accept() = 127.0.0.1:54668")}


@pytest.mark.parametrize("lacking", [0, 1, 2])
def test_a_call_of_the_right_end_that_lacks_a_column_or_two_draws_the_others_along(lacking: int) -> None:
    base, width = four_way(), 80
    calls = [call("server", "accept() ▸", "", 0, 1), call("server", "recv() ▸", "", 184, 185)]
    lines = ladder_parts(base, base.steps or (), title="echo", calls=calls, options=LadderOptions(width=width)).lines
    name = next(line.plain for line in lines if " ms " in line.plain).index("server")
    calls.append(call("server", f"bind({'x' * (width - name - 6 + lacking)})", "", 2, 3))
    lines = ladder_parts(base, base.steps or (), title="echo", calls=calls, options=LadderOptions(width=width)).lines
    begins = [line.plain.index(text) for text in ("accept", "bind", "recv") for line in lines if text in line.plain]
    assert begins == [name - lacking] * 3


def test_a_syn_offers_its_options_on_the_line_below_it() -> None:
    lines = picture("four-way", LadderOptions()).splitlines()
    offers = [i for i, line in enumerate(lines) if line.strip().startswith("mss=65495 ws=7 sack ts")]
    assert [lines[i - 1].split()[2:4] for i in offers] == [["─", "SYN"], ["SYN,ACK", "seq=y"]]


@pytest.mark.parametrize(("octets", "said"), [(0, "win=0"), (1280, "win=1280"), (None, "win=512 unscaled")])
def test_a_window_that_is_or_was_closed_stands_on_the_arrow(octets: int | None, said: str) -> None:
    step = (four_way().steps or ())[4]
    assert "win=" not in Cells(LadderOptions(), {}).label(step).plain
    told = replace(step, at_closed_window=True, window_octets=octets)
    assert Cells(LadderOptions(), {}).label(told).plain.endswith(said)


SACK = (SackBlock(1, 1001, is_duplicate=True), SackBlock(2001, 3001), SackBlock(4001, 5001))


@pytest.mark.parametrize(
    ("sack", "said"),
    [
        (SACK, ("dsack=x+1+(0-1000) sack=x+1+(2000-3000, 4000-5000)", "dsack=1-1001 sack=2001-3001,4001-5001")),
        (SACK[1:2], ("sack=x+1+(2000-3000)", "sack=2001-3001")),
        # The SYN came twice.
        ((SackBlock(0, 1, is_duplicate=True),), ("dsack=x+(0-1)", "dsack=0-1")),
        ((), ("", "")),
        (None, ("sack not captured", "sack not captured")),
    ],
)
def test_the_blocks_of_sack_stand_below_their_segment(
    sack: tuple[SackBlock, ...] | None, said: tuple[str, str]
) -> None:
    """RFC 2018 §3, RFC 2883 §4."""
    step = replace((four_way().steps or ())[4], sack=sack)
    spellings: tuple[Numbers, Numbers] = ("symbolic", "relative")
    assert tuple(Cells(LadderOptions(numbers=one), {}).options_said(step).plain for one in spellings) == said


def test_absolute_edges_of_sack_are_those_of_the_segment() -> None:
    step = replace((four_way().steps or ())[4], sack=SACK[1:2], ack=0xFFFFFFFF, relative_ack=1001)
    assert Cells(LadderOptions(numbers="absolute"), {}).options_said(step).plain == "sack=999-1999"


def test_many_calls_of_one_function_in_a_row_are_folded() -> None:
    base = four_way()
    sending = [call("client", f"send(b'{number:04}')", "4", 600 + 2 * number, 601 + 2 * number) for number in range(9)]
    calls = [*sending, call("client", "shutdown(SHUT_WR)", "0", 640, 641)]

    def drawn(fold: bool) -> list[str]:
        options = LadderOptions(width=100, fold=fold)
        lines = ladder_parts(base, base.steps or (), title="echo", calls=calls, options=options).lines
        return [line.plain.split("  ")[-1] for line in lines if "send" in line.plain or "shutdown" in line.plain]

    assert drawn(fold=True) == ["send(b'0000') = 4", "… send() 8 times more …", "shutdown(SHUT_WR) = 0"]
    assert len(drawn(fold=False)) == 10


def test_a_call_that_waits_stands_where_it_returned() -> None:
    """As recv() of the far end does: nothing was captured here while it waited, and what came had to travel."""
    waits = call("client", "recv(1024)", "b'BITH'", 200, 20_200)
    assert [(mark.time_ns, mark.text) for mark in call_marks([waits], [])] == [
        (waits.returned_ns, "recv(1024) = b'BITH'")
    ]


def test_what_never_returns_has_no_result() -> None:
    base = four_way()
    calls = [call("server", "exit(0)", "", 600, 600)]
    lines = ladder_parts(base, base.steps or (), title="echo", calls=calls, options=LadderOptions(width=100)).lines
    assert [line.plain.split()[1:] for line in lines if "exit" in line.plain] == [["exit(0)"]]


def test_a_call_without_room_leaves_its_arguments_out() -> None:
    base = four_way()
    long = call("server", f"send(b'{'x' * 60}')", "64", 155, 183)
    bare = call("server", "accept()", f"[{'fe80:' * 20}]", 184, 185)
    lines = ladder_parts(
        base, base.steps or (), title="echo", calls=[long, bare], options=LadderOptions(width=80)
    ).lines
    said = "\n".join(line.plain for line in lines)
    assert "send(…) = 64" in said
    assert "accept() = [fe80:" in " ".join(said.split())


def test_what_a_call_has_no_room_for_goes_on_below() -> None:
    base = four_way()
    calls = [call(end, "recvfrom(65535)", "b'bith', 198.18.0.1:50000", 155, 183) for end in ("client", "server")]
    drawn = ladder_parts(base, base.steps or (), title="echo", calls=calls, options=LadderOptions(width=58)).lines
    lines = [line.plain for line in drawn]
    (first, below) = (number for number, line in enumerate(lines) if line.endswith("198.18.0.1:50000"))
    assert lines[first].endswith("recvfrom(65535) = b'bith', 198.18.0.1:50000")
    assert lines[below - 1].endswith("recvfrom(…) = b'bith',")
    assert lines[below] == "198.18.0.1:50000".rjust(58)


@pytest.mark.parametrize("width", [60, 80, 100, 120, 160])
def test_both_initial_numbers_stand_on_one_line(width: int) -> None:
    header = picture("four-way", LadderOptions(width=width)).split("\n\n")[0].splitlines()
    (line,) = (line for line in header if "x = " in line)
    assert "x = 2868195532 · y = 1094795585" in line
    (line,) = (line for line in header if "client" in line)
    assert "client 127.0.0.1:54668 · server 127.0.0.1:8000" in line
    assert all(not line.endswith("·") for line in header)


def test_payload_without_room_on_the_arrow_stands_below_it_before_the_arithmetic() -> None:
    base = four_way()
    octets: Payload = {
        (step.frame, step.seq): b"hello, world and more" if step.frame == 4 else b"HELLO" for step in base.steps or ()
    }
    lines = ladder_parts(base, base.steps or (), title="echo", payload=octets, options=LadderOptions(width=80)).lines
    said = [line.plain.strip() for line in lines]
    at = next(number for number, line in enumerate(said) if "PSH,ACK seq=x+1 ack=y+1" in line)
    assert said[at + 1] == '"hello, world and"…'
    assert "✓" in said[at + 2]


def test_assumed_states_are_marked_and_explained() -> None:
    drawn = picture("four-way", LadderOptions())
    assert "ESTABLISHED?" in drawn
    assert "CLOSED?" in drawn
    assert "? assumed:" in drawn
    assert "CLOSE-WAIT?" not in drawn


def test_a_state_that_cannot_be_told_is_not_the_one_before_it() -> None:
    connection = three_segment()
    assert connection.steps is not None
    closing = [replace(step, states=Pair(StateAt(None, None), step.states.responder)) for step in connection.steps[-3:]]
    drawn = ladder_parts(
        connection, (*connection.steps[:-3], *closing), title="", facts=(), options=LadderOptions()
    ).lines
    lines = [line.plain for line in drawn if "not captured" in line.plain]
    assert len(lines) == 1
    assert "FIN,ACK seq=u" in lines[0]


def test_state_passed_within_one_segment_has_a_line_of_its_own_and_the_time_of_the_segment() -> None:
    lines = picture("three-segment", LadderOptions()).splitlines()
    passed = next(i for i, line in enumerate(lines) if line.endswith(" CLOSE-WAIT"))
    assert "LAST-ACK" in lines[passed + 1]
    assert lines[passed].split()[0] == lines[passed + 1].split()[0]


def test_ignored_segment_says_why_and_does_not_arrive() -> None:
    lines = picture("aborted", LadderOptions()).splitlines()
    at = next(i for i, line in enumerate(lines) if "RST seq=y+9005" in line)
    assert "✗──" in lines[at]
    assert lines[at + 1].strip().startswith("ignored: its number is 9,000 beyond RCV.NXT")


def test_a_marked_row_stands_out_and_what_is_said_of_it_stands_below_even_in_a_long_transfer() -> None:
    connection = long_transfer(40)
    steps = connection.steps or ()
    marked = steps[20]
    lines = [
        line.plain
        for line in ladder_parts(connection, steps, title="", marks={marked.frame: ["✗ ended: expected"]}).lines
    ]
    (row,) = [place for place, line in enumerate(lines) if "»" in line]
    assert f"seq={marked.symbolic_seq}" in lines[row]
    assert lines[row + 1].strip() == "✗ ended: expected"
    assert sum("…" in line for line in lines) == 2  # what is before it, and what is after it


def test_the_account_names_owner_moment_and_assumption_of_time_wait() -> None:
    drawn = " ".join(picture("four-way", LadderOptions(width=120)).split())
    assert "The client owes it from its ACK in frame 11 at 161.362 ms until 60.161 s at the earliest" in drawn
    narrow = " ".join(picture("four-way", LadderOptions(width=80)).split())
    assert "The client owes it from its ACK at 161.362 ms until 60.161 s at the earliest" in narrow
    assert "(Linux: 60 s after the last ACK; RFC 9293: 240 s)" in drawn
    assert "u = x + 1 + 4 octets sent, 4 captured, 0 missing ✓" in drawn


@pytest.mark.parametrize(
    ("lines", "copied"),
    [
        ("A > S x \n B > SA y ack x+1 \n A > A x+1 ack y+1 \n B > SA y ack x+1 \n A > A x+1 ack y+1", ""),
        ("A > S x \n B > SA y ack x+1 \n B > SA y ack x+1 \n A > A x+1 ack y+1", "copy of the SYN-ACK was"),
        ("A > S x \n A > S x \n B > SA y ack x+1 \n A > A x+1 ack y+1", "copy of the SYN was"),
        (
            "A > S x \n A > S x \n B > SA y ack x+1 \n B > SA y ack x+1 \n A > A x+1 ack y+1",
            "copy of the SYN and of the SYN-ACK was",
        ),
    ],
)
def test_a_time_is_doubted_only_for_a_copy_that_came_before_the_answer(lines: str, copied: str) -> None:
    inspection = inspect_lines(lines)
    (connection,) = inspection.connections
    assert connection.handshake.rtt_ambiguous
    (said,) = times(connection, inspection.steps(0))
    assert ("cannot be told" in said.plain) == bool(copied)
    assert copied in said.plain


def closing_of(lines: str) -> str:
    """Return what the account says of the closing of a scenario of one connection."""
    (connection,) = inspect_lines(lines).connections
    (said,) = closing(connection, Pair("client", "server"))
    return said.plain


def test_a_fin_after_the_rst_has_not_closed_first() -> None:
    said = closing_of("open\nA > RA x+1 ack y+1\nB > FA y+1 ack x+1")
    assert said == (
        "aborted (complete): an RST, and no FIN: its sender has no connection any more, nor has the other end once it "
        "arrives. The server sent a FIN after that: it closed nothing. Reset by the client."
    )


def test_a_fin_of_what_never_opened_has_not_closed_first() -> None:
    said = closing_of("A > S x\nB > SA y ack x+6\nA > A x+1 ack y+1\nA > FA x+1 ack y+1\nB > A y+1 ack x+2")
    assert said == "none: there was nothing to close: the connection never opened. The client sent a FIN all the same."


def test_an_acknowledgment_behind_octets_that_may_be_lost_was_captured_all_the_same() -> None:
    said = closing_of("open\nA > PA x+1 (9) ack y+1\nB > FA y+1 ack x+1\nA > A x+10 ack y+2")
    assert said.startswith("incomplete (not complete): a FIN was sent, and nothing that is known to have arrived ")


def test_the_books_name_only_what_is_missing() -> None:
    def unknown(iss: int | None, *, fin: bool) -> str:
        base = replace(
            four_way(), initial_seq=Pair(iss, 1), sent_octets=Pair(None, 4), missing_octets=Pair(None, 0),
        )  # fmt: skip
        steps = [step for step in base.steps or () if fin or step.sender == "responder" or "FIN" not in step.flags]
        drawn = " ".join(" ".join(line.plain.split()) for line in ladder_parts(base, steps, title="echo").lines)
        return drawn.partition("4 octets captured; how many were sent ")[2].partition(" server: ")[0]

    assert unknown(7, fin=False) == "cannot be told without its FIN."
    assert unknown(None, fin=True) == "cannot be told without its SYN."
    assert unknown(None, fin=False) == "cannot be told without its SYN and FIN."
    assert unknown(7, fin=True) == "cannot be told."


def test_the_books_say_how_much_was_captured_more_than_once() -> None:
    sent = "A > PA x+1 (4) ack y+1\n"
    found = inspect_lines(f"open\n{sent}{sent}B > FA y+1 ack x+5\nA > FA x+5 ack y+2\nB > A y+2 ack x+6")
    (connection,) = found.connections
    said = [line.plain for line in books(connection, found.steps(0), Pair("client", "server"))]
    assert said[0] == "client: w = x + 1 + 4 octets sent, 8 captured (4 of them again), 0 missing ✓"


def test_the_books_spell_octets_as_the_words_beside_the_arrows_do() -> None:
    found = inspect_lines(
        "open\nA > PA x+1 (3741) ack y+1\nA > FA x+3742 ack y+1\nB > FA y+1 ack x+3743\nA > A x+3743 ack y+2"
    )
    (connection,) = found.connections
    said = [line.plain for line in books(connection, found.steps(0), Pair("client", "server"))]
    assert said[0] == "client: u = x + 1 + 3,741 octets sent, 3,741 captured, 0 missing ✓"


def arrows(name: str, width: int) -> list[str]:
    """Return the arrows of a ladder, each from its left end to its right one."""
    found = [re.search("[◀─✗].*[▶─✗]", line) for line in picture(name, LadderOptions(width=width)).splitlines()]
    return [one.group() for one in found if one and len(one.group()) > 10]


@pytest.mark.parametrize("name", ["four-way", "aborted"])
@pytest.mark.parametrize("width", [58, 60, 64, 68, 72])
def test_a_label_that_has_no_room_goes_on_below_its_arrow(name: str, width: int) -> None:
    for numbers in ("symbolic", "absolute"):
        drawn = picture(name, LadderOptions(width=width, numbers=numbers))
        assert not [arrow for arrow in re.findall("[◀─✗].*[▶─✗]", drawn) if "…" in arrow]


def test_numbers_below_an_arrow_stand_on_its_senders_side() -> None:
    lines = picture("four-way", LadderOptions(width=60)).splitlines()
    (start,) = (number for number, line in enumerate(lines) if "◀" in line and "PSH,ACK" in line)
    assert lines[start].endswith("◀──── PSH,ACK seq=y+1 ─")
    assert lines[start + 1] == " " * (len(lines[start]) - 17) + "ack=x+1+4 len=4"


@pytest.mark.parametrize("width", [80, 120])
def test_an_icmp_error_stands_between_the_segments_and_goes_to_whom_it_quotes(width: int) -> None:
    said = [(arrow[0], re.sub("[◀─▶✗]", "", arrow).strip()) for arrow in arrows("unreachable", width)]
    assert (said[0], said[3]) == (("─", "SYN seq=x"), ("─", "SYN seq=x again"))
    assert [one for one in said if "ICMP" in one[1]] == [said[1], said[2], said[4], said[5]]
    assert {head for head, _ in (said[1], said[2], said[4], said[5])} == {"◀"}
    (forged,) = (arrow for arrow in arrows("too-big", width) if "protocol unreachable" in arrow)
    assert forged[-1] == "✗"


def test_an_error_from_the_other_end_comes_all_the_way() -> None:
    lengths = [len(arrow) for arrow in arrows("unreachable", 80)]
    assert lengths[4] == lengths[0] > max(lengths[1], lengths[2], lengths[5])


@pytest.mark.parametrize(("frame", "first"), [(2, "SYN"), (0, "ICMP")])
def test_errors_at_one_time_stand_in_the_order_of_their_frames(frame: int, first: str) -> None:
    base = unreachable()
    syn = (base.steps or ())[0]
    error = replace(icmp_error(0, frame, (3, 1, "host unreachable", "soft")), time_ns=syn.time_ns)
    lines = [line.plain for line in ladder_parts(replace(base, icmp_errors=(error,)), [syn], title="x").lines]
    drawn = next(line for line in lines if "─ SYN seq=x ─" in line or "─ ICMP" in line)
    assert first in drawn.partition("quotes")[0]


def test_the_account_tells_equal_errors_once_and_of_many_how_many() -> None:
    drawn = " ".join(picture("unreachable", LadderOptions(width=200)).split())
    assert "host unreachable, 2 times: 203.0.113.9 quotes the SYN of the client." in drawn
    base = unreachable()
    many = tuple(icmp_error(n, 2, (3, 1, "host unreachable", "soft"), f"10.0.0.{n}") for n in range(9))
    lines = ladder_parts(replace(base, icmp_errors=many), base.steps or (), title="x").lines
    assert any("And 3 more errors of 3 other kinds." in line.plain for line in lines)


def test_long_transfer_is_folded_unless_all_is_asked_for() -> None:
    folded = picture("long-transfer", LadderOptions())
    assert "data segments" in folded
    assert "all acknowledged" in folded
    assert len(folded.splitlines()) < 40
    assert len(picture("long-transfer", LadderOptions(fold=False)).splitlines()) > 900


def test_fold_keeps_every_step_exactly_once() -> None:
    steps = long_transfer().steps or ()
    unfolded = [step for row in fold(steps) for step in (row.steps if isinstance(row, Fold) else [row])]
    assert unfolded == list(steps)


def test_fold_that_is_not_acknowledged_says_so() -> None:
    steps = long_transfer().steps or ()
    without_acks = [step for step in steps if step.sender == "responder" or step.frame == 3 or step.frame == 1]
    folds = [row for row in fold(without_acks) if isinstance(row, Fold)]
    assert [row.acknowledged for row in folds] == [False]


@given(st.binary(max_size=40), st.text(max_size=30))
def test_nothing_from_a_capture_reaches_the_terminal_as_a_command(octets: bytes, name: str) -> None:
    """Payload, names and reasons are text, whatever is in them; rich markup in them stays text."""
    base = aborted()
    steps = tuple(replace(step, ignored=step.ignored and name) for step in base.steps or ())
    lines = ladder_parts(
        base,
        steps,
        title=f"[red]{name}",
        payload={(step.frame, step.seq): octets if step.frame == 4 else b"\x1b[2J" for step in steps},
    ).lines
    for line in lines:
        assert line.plain.isprintable(), repr(line.plain)
    assert "[red]" in lines[0].plain


def test_wide_characters_in_a_name_do_not_break_the_lines() -> None:
    base = four_way()
    for line in ladder_parts(base, base.steps or (), title="記録.pcap " * 12, options=LadderOptions(width=80)).lines:
        assert line.cell_len <= 80


@pytest.mark.parametrize("width", [-3, 0, 1, 2, 3])
def test_text_is_wrapped_even_where_there_is_no_room(width: int) -> None:
    said = "".join(line.plain.strip() for line in wrap(Text("an end in CLOSED"), width))
    assert said == "anendinCLOSED"


def test_payload_that_the_snapshot_length_cut_off_is_seen_to_go_on() -> None:
    assert payload_words(b"lots", 16, 4) == '"lots"'
    assert payload_words(b"lots", 16, 400) == payload_words(b"lotslots", 4, 8) == '"lots"…'
    assert payload_words(b"lots", 0, 4) == payload_words(b"", 16, 400) == ""


def test_a_signed_syn_is_seen_to_be_signed() -> None:
    assert offer_words(SynOptions(1460, 10, True, False, signature="md5")) == "mss=1460 ws=10 sack md5"
    assert offer_words(SynOptions(1460, None, False, False, signature="tcp-ao")) == "mss=1460 tcp-ao"


def test_options_that_the_snapshot_length_cut_off_are_said_to_be_missing() -> None:
    assert offer_words(SynOptions(1460, None, True, None, is_cut=True)) == "mss=1460 sack (rest not captured)"
    assert offer_words(SynOptions(None, None, None, None, is_cut=True)) == "options not captured"
    assert offer_words(SynOptions(None, None, False, False)) == offer_words(None) == ""
