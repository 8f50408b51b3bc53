"""Lines of strace in every shape that it writes: who called what, when, and what came back."""

from __future__ import annotations

import pytest

from handshake_inspect.lab.strace.lines import SystemCall, read_lines

S = 1_795_676_722_000_000_000


def calls(text: str) -> list[SystemCall]:
    found = read_lines(text.strip().splitlines())
    assert not found.unread
    return found.calls


@pytest.mark.parametrize(
    "line",
    [
        "1795676722.013404 close(3)        = 0",
        "77 1795676722.013404 close(3)        = 0",
        "77  1795676722.013404 close(3) = 0",
        "[pid    77] 1795676722.013404 close(3) = 0",
        "77 1795676722.013404000 close(3) = 0",
        "77 1795676722.013404 [  3] close(3) = 0",
        "77 1795676722.013404 [00007f8b997cea10] close(3) = 0",
    ],
)
def test_a_call_on_one_line_in_every_form_of_its_beginning(line: str) -> None:
    (call,) = calls(line)
    assert (call.name, call.arguments, call.number, call.error) == ("close", "3", 0, "")
    assert call.entered_ns == S + 13_404_000
    assert call.pid == (77 if "77" in line.split("close")[0][:12] else 0)


def test_a_duration_tells_when_a_call_returned() -> None:
    (call,) = calls('7 1795676722.000100 recvfrom(3, "", 9, 0, NULL, NULL) = 0 <1.000250>')
    assert (call.returned_ns - call.entered_ns, call.is_untimed) == (1_000_250_000, False)


def test_without_durations_a_call_has_returned_when_the_next_line_begins() -> None:
    first, second = calls("7 1795676722.000100 listen(3, 5) = 0\n8 1795676722.000700 close(4) = 0")
    assert (first.returned_ns, first.is_untimed) == (S + 700_000, True)
    assert (second.returned_ns, second.is_untimed) == (second.entered_ns, True)


def test_a_call_on_two_lines_is_one_call() -> None:
    first, second = calls(
        """
        7 1795676722.000100 recvfrom(3,  <unfinished ...>
        8 1795676722.000200 close(4 <unfinished ...>
        7 1795676722.000300 <... recvfrom resumed>"BITH", 9, 0, NULL, NULL) = 4
        8 1795676722.000400 <... close resumed>) = 0
        """.replace("        ", "")
    )
    assert (first.arguments, first.number, second.arguments) == ('3, "BITH", 9, 0, NULL, NULL', 4, "4")
    assert (first.returned_ns, first.is_untimed) == (S + 300_000, False)
    assert second.returned_ns == S + 400_000


@pytest.mark.parametrize("space", ["", " "])
def test_strace_before_5_puts_a_space_behind_what_is_resumed(space: str) -> None:
    (call,) = calls(
        "7 1795676722.000100 accept4(3, <unfinished ...>\n"
        f"7 1795676722.000200 <... accept4 resumed>{space}{{a}}, [16], 0) = 5 <0.000190>"
    )
    assert (call.arguments, call.returned_ns) == ("3, {a}, [16], 0", S + 200_000)


def test_a_call_that_begins_anew_after_a_signal_is_one_call() -> None:
    (call,) = calls(
        "7 1795676722.000100 accept4(3, 0x7ffe, [16], 0) = ? ERESTARTSYS (To be restarted if SA_RESTART is set) <0.5>\n"
        "7 1795676722.500100 --- SIGALRM {si_signo=SIGALRM, si_code=SI_KERNEL} ---\n"
        "7 1795676722.500200 accept4(3, {sa}, [16], 0) = 5 <0.000100>".replace("<0.5>", "<0.500000>")
    )
    assert (call.entered_ns, call.returned_ns, call.number) == (S + 100_000, S + 500_300_000, 5)


def test_a_call_that_does_not_begin_anew_was_interrupted() -> None:
    first, second = calls(
        "7 1795676722.000100 accept4(3, 0x7ffe, [16], 0) = ? ERESTARTSYS (To be restarted if SA_RESTART is set)\n"
        "7 1795676722.500100 --- SIGINT {si_signo=SIGINT, si_code=SI_KERNEL} ---\n"
        "7 1795676722.500200 close(3) = 0"
    )
    assert (first.error, second.name) == ("EINTR", "close")


def test_what_never_returns_ends_with_its_process() -> None:
    found = read_lines(
        [
            "7 1795676722.000100 recvfrom(3,  <unfinished ...>",
            "8 1795676722.000200 accept4(3,  <unfinished ...>) = ?",
            "7 1795676722.000300 +++ killed by SIGKILL +++",
            "8 1795676722.000400 +++ exited with 3 +++",
        ]
    )
    assert [(one.result, one.returned_ns) for one in found.calls] == [("?", S + 300_000), ("?", S + 400_000)]
    assert [one.text for one in found.exits] == ["killed by SIGKILL", "exited with 3"]
    assert not found.unread


def test_an_error_has_a_name() -> None:
    (call,) = calls("7 1795676722.000100 connect(3, {sa}, 16) = -1 EINPROGRESS (Operation now in progress)")
    assert (call.number, call.error) == (-1, "EINPROGRESS")


def test_the_process_of_unnamed_lines_is_the_one_that_there_is() -> None:
    found = read_lines(
        [
            "1795676722.000100 listen(3, 5) = 0",
            "strace: Process 8 attached",
            "[pid     7] 1795676722.000200 accept4(3,  <unfinished ...>",
            "[pid     8] 1795676722.000300 close(3) = 0",
            "[pid     7] 1795676722.000400 <... accept4 resumed>NULL, NULL, 0) = 4",
            "[pid     7] 1795676722.000500 +++ exited with 0 +++",
            "1795676722.000600 close(5) = 0",
        ]
    )
    assert [(call.pid, call.name) for call in found.calls] == [
        (7, "listen"),
        (7, "accept4"),
        (8, "close"),
        (8, "close"),
    ]
    assert not found.unread


def test_a_child_whose_end_was_told_was_a_process() -> None:
    found = read_lines(
        ["7 1795676722.5 x", "7 1795676722.000100 --- SIGCHLD {si_signo=SIGCHLD, si_pid=8, si_uid=0} ---"]
    )
    assert (found.parents, found.unread) == ({8: 7}, [1])


@pytest.mark.parametrize(
    "line",
    [
        "12:00:01 close(3) = 0",
        "7 12:00:01.123456 close(3) = 0",
        "[pid 7] 12:00:01.123456 close(3) = 0",
        "7 0.000012 close(3) = 0",
        "close(3)                = 0",
    ],
)
def test_a_line_without_a_date_is_known_as_such(line: str) -> None:
    found = read_lines(["", line])
    assert (found.calls, found.unread, found.untimed) == ([], [2], 2)


def test_what_a_program_prints_between_the_lines_is_left_out() -> None:
    found = read_lines(["b'BITH'", "7 1795676722.000100 close(3) = 0", "7 1795676722.000100 clo"])
    assert (len(found.calls), found.unread, found.untimed) == (1, [1, 3], 0)
