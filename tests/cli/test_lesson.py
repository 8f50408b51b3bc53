"""`demo --step` and `--quiz`: without a terminal, with answers from a pipe, and as a dialogue on a real terminal."""

from __future__ import annotations

import re

import pytest

from tests.cli.running import PCAPS, run
from tests.cli.terminal import Terminal
from tests.lab.privileges import needs_private_world

#: The right answers to the lesson of a session that is closed by four segments, by number and by name.
ANSWERS = ["3", "syn-received", "3", "ESTABLISHED", "fin_wait_1", "close wait", "2", "last", "time-wait", "closed",
           "client", "60"]  # fmt: skip


def quiz(*answers: str, session: str = "four-way", **environment: str) -> str:
    done = run("demo", session, "--replay", "--quiz", stdin="".join(f"{one}\n" for one in answers).encode(),
               COLUMNS="100", **environment)  # fmt: skip
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_without_a_terminal_step_shows_all_and_waits_for_nothing() -> None:
    shown = run("demo", "--replay", "--step", COLUMNS="100").stdout
    for part in (
        "The client sends FIN,ACK seq=u ack=v.",
        "Which state is the client in now?",
        "1 ESTABLISHED   2 FIN-WAIT-1   3 CLOSE-WAIT   4 LAST-ACK",
        "→ FIN-WAIT-1",
        "│ client ESTABLISHED → FIN-WAIT-1",
        "send FIN (RFC 9293 §3.10.4). Its program closed",
        "close() asked for it.",
        "If it arrives, which state is the client in then?",
        "Proven: the server's own numbers acknowledge what it received.",
        "Assumed: no number proves yet that this segment arrived.",
        "2MSL passed (RFC 9293 §3.10.8).",
        "Linux: 60 s after the last ACK; RFC 9293: 240 s.",
    ):
        assert part in shown
    assert "> " not in shown.replace("─", "")
    assert "Score" not in shown


def test_the_lesson_draws_the_very_ladder_of_the_session() -> None:
    ladder = run("demo", "--replay", COLUMNS="100").stdout.splitlines()
    lesson = iter(run("demo", "--replay", "--step", COLUMNS="100").stdout.splitlines())
    assert all(line in lesson for line in ladder)  # in this order


def test_a_quiz_with_all_answers_right() -> None:
    shown = quiz(*ANSWERS)
    assert shown.count("✓ ") >= len(ANSWERS)
    assert shown.endswith("\nScore      12 of 12 questions right.\n")
    assert "         > fin_wait_1\n         ✓ FIN-WAIT-1\n" in shown


def test_wrong_answers_bad_answers_hints_and_none() -> None:
    shown = quiz("1", "?", "nonsense", "7", "syn", "4", "", *ANSWERS[3:])
    assert "✗ not CLOSED: SYN-SENT" in shown
    assert "│ From LISTEN the table of states leads" in shown
    assert "│   to SYN-RECEIVED by receive SYN" in shown
    assert "│ nonsense: type a number from 1 to 4, or a name from the list" in shown
    assert "│ 7: type a number from 1 to 4" in shown
    assert "│ syn: which one? SYN-SENT, SYN-RECEIVED" in shown
    assert "✗ not ESTABLISHED: SYN-RECEIVED" in shown
    assert shown.endswith(
        "Score      9 of 12 questions right, 1 shown.\n"
        "Look again SYN-SENT (you said CLOSED): handshake-inspect explain SYN-SENT\n"
        "Look again SYN-RECEIVED (you said ESTABLISHED): handshake-inspect explain SYN-RECEIVED\n"
        "Look again ESTABLISHED: handshake-inspect explain ESTABLISHED\n"
    )


@pytest.mark.parametrize("last", [["q"], ["quit"], []])
def test_who_leaves_gets_the_score_so_far(last: list[str]) -> None:
    shown = quiz("3", "3", *last)
    assert shown.endswith(f"\n         > {''.join(last)}\n\nScore      2 of 2 questions right.\n")
    assert "FIN,ACK" not in shown


def test_what_is_typed_cannot_command_the_terminal() -> None:
    done = run("demo", "refused", "--replay", "--quiz", stdin=b"\x1b[2J\xff\n3\n1\nnobody\n")
    assert "\x1b" not in done.stdout
    assert done.stdout.endswith("Score      3 of 3 questions right.\n")


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["udp", "--step"], "udp: there is no state to ask for: it has no TCP connection; run it without --step"),
        (["unix", "--quiz", "--replay"], "unix: there is no state to ask for"),
        (["--step", "--verify"], "a lesson (--step, --quiz) does not go with --verify or --wait"),
        (["--quiz", "--wait"], "a lesson (--step, --quiz) does not go with --verify or --wait"),
        (["nope", "--step"], "nope: no such scenario"),
    ],
)
def test_what_is_no_lesson_is_refused_in_one_line(arguments: list[str], says: str) -> None:
    done = run("demo", *arguments)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith(f"Error: {says}")
    assert done.stderr.count("\n") == 1


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (
            ["pcaps/four-way.pcap", "--step", "--format", "json"],
            "a lesson (--step, --quiz) is text: it does not go",
        ),
        (["pcaps/four-way.pcap", "--quiz", "--dissect", "1"], "a lesson (--step, --quiz) is text: it does not go"),
        (["-", "--quiz"], "--quiz reads its answers from standard input, so the capture must be a file"),
    ],
)
def test_what_show_cannot_make_a_lesson_of(arguments: list[str], says: str) -> None:
    done = run("show", *arguments)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith(f"Error: {says}")
    assert done.stderr.count("\n") == 1


def test_a_saved_capture_is_a_lesson_too() -> None:
    done = run("show", "pcaps/simultaneous-close.pcap", "--quiz", "--profile", "rfc", stdin=b"?\n")
    assert done.returncode == 0
    assert "✗ not SYN-SENT" not in done.stdout
    assert done.stdout.endswith("Score      0 of 0 questions right.\n")
    whole = run("show", "pcaps/simultaneous-close.pcap", "--step", "--profile", "rfc").stdout
    assert "How long is TIME-WAIT at the least, by the rules of RFC 9293?" in whole
    assert "→ 240 s" in whole
    piped = run("show", "-", "--step", stdin=(PCAPS / "refused.pcap").read_bytes()).stdout
    assert "│ client SYN-SENT → CLOSED" in piped


def test_what_is_known_of_one_connection_is_not_asked_of_the_next() -> None:
    needs_private_world()
    answers = b"4\nsyn-received\nestablished\nestablished\n" + b"\n" * 40
    done = run("demo", "time-wait-reused", "--quiz", stdin=answers)
    _, first, second = done.stdout.split("time-wait-reused seen at the client's end")
    assert "The server sends SYN,ACK" in first
    assert "The client sends SYN seq=x." in second  # which was not known
    assert "The server sends SYN,ACK" not in second
    assert "│ server LISTEN → SYN-RECEIVED" in second


def test_an_icmp_error_is_asked_about() -> None:
    shown = run("show", "pcaps/unreachable.pcap", "--quiz", stdin=b"3\nkeep trying\nnobody\n").stdout
    assert "ICMP network unreachable goes to the client, from 192.0.2.1; it quotes SYN seq=x." in shown
    assert "TCP must not abort (MUST-56)" in shown
    assert shown.endswith("Score      3 of 3 questions right.\n")


def test_a_lesson_of_real_sockets() -> None:
    needs_private_world()
    shown = run("demo", "--step", COLUMNS="80").stdout
    assert re.search(r"client ESTABLISHED → FIN-WAIT-1\n.*?close\(\) asked for it", shown, re.S)
    assert max(map(len, shown.splitlines())) <= 80


def test_states_that_are_passed_stand_below_the_question() -> None:
    shown = run("show", "pcaps/three-segment.pcap", "--step").stdout
    assert re.search(r"The server sends FIN,ACK.*?→ LAST-ACK\n\n[^\n]*CLOSE-WAIT\n[^\n]*FIN,ACK", shown, re.S)
    assert "│ server ESTABLISHED → CLOSE-WAIT → LAST-ACK" in shown
    assert "│ client FIN-WAIT-1 → FIN-WAIT-2 → TIME-WAIT" in shown


def test_a_scenario_of_the_lab_says_what_it_was_when_the_lesson_is_over() -> None:
    needs_private_world()
    done = run("lab", "run", "lost-fin", "--rule", "drop second FIN from client", "--quiz", stdin=b"3\nq\n")
    assert done.returncode == 0
    score, told = done.stdout.split("\nScore      1 of 1 question right.\n")
    assert "Look for" not in score
    assert "\nlost-fin: " in told
    assert "\nRule: drop second FIN from client\n" in told


def test_the_dialogue_on_a_terminal() -> None:
    terminal = Terminal("demo", "refused", "--replay", "--step")
    terminal.until("Answer by number or by name")
    terminal.until(r"Which state is the client in now\?")
    terminal.until("> ")
    assert "SYN seq=x ─" not in terminal.seen
    terminal.type("?\n")
    terminal.until("to .*SYN-SENT.* by send SYN")
    terminal.until("> ")
    terminal.type("3\n")
    terminal.until("✓ ")
    terminal.until(r"\x1b\[[\d;]*7[\d;]*mSYN-SENT")  # what has changed stands in reverse
    terminal.until("> ")
    terminal.type("\n")
    terminal.until("→ .*CLOSED")
    terminal.until("Who owes TIME-WAIT")
    terminal.type("nobody\n")
    terminal.until("Opening")
    assert terminal.code() == 0
    assert "Score" not in terminal.seen


@pytest.mark.parametrize("key", ["\x03", "\x04"])
def test_ctrl_c_and_ctrl_d_end_a_quiz_with_the_score(key: str) -> None:
    terminal = Terminal("demo", "refused", "--replay", "--quiz")
    terminal.until("> ")
    terminal.type("3\n")
    terminal.until("> ")
    terminal.type(key)
    assert terminal.code() == 0
    assert re.search(r"1 of 1 question right", terminal.seen)
