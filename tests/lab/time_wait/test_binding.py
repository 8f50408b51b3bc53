"""Who may bind beside TIME-WAIT: this kernel does what the table says, row by row."""

from __future__ import annotations

import pytest

from handshake_inspect.cli.timewait_bind import attempt_lines
from handshake_inspect.lab.time_wait.binding import ATTEMPTS, Attempt, Result, attempts
from handshake_inspect.lab.world import LabError
from tests.lab.privileges import as_ordinary_user, needs_private_world


@pytest.fixture(scope="module")
def results() -> list[Result]:
    needs_private_world()
    return as_ordinary_user(attempts)


@pytest.mark.parametrize("number", range(len(ATTEMPTS)), ids=lambda number: ATTEMPTS[number].tried.replace(" ", "-"))
def test_the_kernel_does_as_the_rule_says(number: int, results: list[Result]) -> None:
    result = results[number]
    assert result.attempt.tried == ATTEMPTS[number].tried
    if result.impossible:
        pytest.skip(result.impossible)
    assert result.result == result.attempt.expected, f"{result.attempt.tried}: {result.call} = {result.result}"
    assert result.call.startswith(("bind(", "connect("))


def test_what_is_otherwise_or_not_possible_here_is_said() -> None:
    attempt = Attempt("Chapter", "something is tried", "0", "For a reason.", lambda _: None)
    lines = [
        line.plain
        for line in attempt_lines(
            [
                Result(attempt, "bind(127.0.0.1:8000)", "EADDRINUSE"),
                Result(attempt, impossible=str(LabError("this kernel has no setting net.ipv4.tcp_tw_reuse"))),
            ]
        )
    ]
    assert lines == [
        "Chapter",
        "  ✗ something is tried",
        "    bind(127.0.0.1:8000) = EADDRINUSE",
        "    This kernel does otherwise than Linux 6.18, where it is 0: For a reason.",
        "  - something is tried",
        "    Not possible here: this kernel has no setting net.ipv4.tcp_tw_reuse",
    ]


def test_no_line_is_wider_than_a_narrow_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "60")
    results = [Result(one, "connect(127.0.0.1:8000)", one.expected) for one in ATTEMPTS]
    impossible = [Result(ATTEMPTS[-1], impossible="this kernel has no setting net.ipv4.tcp_tw_reuse")]
    assert max(len(line.plain) for line in attempt_lines(results + impossible)) <= 60
