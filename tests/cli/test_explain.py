"""`explain`, as a user runs it."""

from __future__ import annotations

import resource

from tests.cli.running import run


def test_without_a_topic_all_are_listed() -> None:
    done = run("explain")
    assert done.returncode == 0
    assert "States of an end\n" in done.stdout
    assert "  time-wait " in done.stdout
    assert max(map(len, done.stdout.splitlines())) <= 100


def test_a_topic_is_explained_at_the_width_of_the_terminal() -> None:
    done = run("explain", "TIME_WAIT", COLUMNS="80")
    assert done.returncode == 0
    assert done.stdout.startswith("TIME-WAIT: ")
    assert "▶ " in done.stdout
    assert max(map(len, done.stdout.splitlines())) <= 80
    assert "\x1b[" not in done.stdout
    assert "\x1b[" in run("explain", "TIME_WAIT", FORCE_COLOR="1", TERM="xterm").stdout


def test_several_words_are_one_topic() -> None:
    assert run("explain", "time", "wait").stdout == run("explain", "time-wait").stdout


def test_an_unknown_topic_is_one_line_with_the_nearest_ones() -> None:
    done = run("explain", "time-wiat")
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith("Error: there is no topic 'time-wiat'. Near it are: time-wait")
    assert done.stderr.count("\n") == 1
    unlike = run("explain", "qqq", "xxx")
    assert (unlike.returncode, unlike.stdout) == (2, "")
    assert "`handshake-inspect explain` lists them all" in unlike.stderr


def test_an_answer_costs_well_under_a_second() -> None:
    def taken_s() -> float:
        """Return the time on a processor: on a busy machine the time on the wall says nothing."""
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        run("explain", "time-wait")
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime

    assert min(taken_s() for _ in range(3)) < 1
