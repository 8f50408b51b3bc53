"""Copies of the process that share work: in order, whatever becomes of them, and none is left behind."""

from __future__ import annotations

import multiprocessing
import os
import random
import signal
import sys
import time
from typing import TypeVar

import pytest

from handshake_inspect import processes
from handshake_inspect.processes import FEW_PIECES, PIECES_AHEAD, Workers, in_processes
from tests.children import children

Made = TypeVar("Made")

PIECES = 40
pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="processes are copied on Linux alone")


@pytest.fixture(autouse=True)
def _no_threads_of_other_tests(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(processes, "can_fork", lambda: True)


def test_processes_do_the_work_in_order() -> None:
    def work(piece: int) -> tuple[int, int]:
        time.sleep(random.random() / 1000)
        return piece * piece, os.getpid()

    made = list(in_processes(work, range(PIECES), 2))
    assert [square for square, _ in made] == [piece * piece for piece in range(PIECES)]
    assert os.getpid() not in {process for _, process in made}


@pytest.mark.parametrize(("pieces", "jobs"), [(PIECES, 1), (FEW_PIECES - 1, 4)])
def test_one_job_or_few_pieces_need_no_process(pieces: int, jobs: int) -> None:
    assert set(in_processes(lambda piece: os.getpid(), range(pieces), jobs)) == {os.getpid()}


@pytest.mark.parametrize("fatal", [0, PIECES // 2, PIECES - 1])
def test_what_a_process_left_that_died_is_done_here(fatal: int) -> None:
    """As the kernel ends a process if memory runs out."""
    here = os.getpid()

    def work(piece: int) -> int:
        if piece == fatal and os.getpid() != here:
            os.kill(os.getpid(), signal.SIGKILL)
        return piece * piece

    assert list(in_processes(work, range(PIECES), 2)) == [piece * piece for piece in range(PIECES)]


def test_what_no_process_may_do_is_done_here(monkeypatch: pytest.MonkeyPatch) -> None:
    """As where a user may have so many processes, and no more."""

    def refused() -> int:
        raise BlockingIOError

    monkeypatch.setattr(os, "fork", refused)
    assert set(in_processes(lambda piece: os.getpid(), range(PIECES), 2)) == {os.getpid()}


def test_something_is_done_aside_until_it_is_asked_for() -> None:
    here, before = os.getpid(), children()
    with Workers(2, may_fork=True).aside(os.getpid) as made:
        assert made() != here
    with Workers(2, may_fork=False).aside(os.getpid) as made:
        assert made() == here

    def die() -> int:
        if os.getpid() != here:
            os.kill(os.getpid(), signal.SIGKILL)
        return here

    with Workers(2, may_fork=True).aside(die) as made:
        assert made() == here
    assert children() == before


def test_whoever_stops_asking_leaves_no_process_behind() -> None:
    before = children()
    made = in_processes(lambda piece: piece, range(PIECES), 2)
    assert next(made) == 0
    assert len(children() - before) == 2
    made.close()  # type: ignore[attr-defined]
    assert children() == before


def test_what_a_process_raises_is_raised_here() -> None:
    def work(piece: int) -> int:
        if piece == 3:
            raise ValueError("three")
        return piece

    made = in_processes(work, range(PIECES), 2)
    assert [next(made) for _ in range(3)] == [0, 1, 2]
    with pytest.raises(ValueError, match="three"):
        next(made)


def test_copies_are_little_ahead() -> None:
    """All of them together have no more than what is made, or being made, ahead of the piece whose turn it is."""
    made = multiprocessing.get_context("fork").Value("i", 0)

    def work(piece: int) -> int:
        with made.get_lock():
            made.value += 1
        return piece

    for asked in in_processes(work, range(PIECES), 2):
        time.sleep(0.002)
        assert made.value <= asked + 2 * PIECES_AHEAD
    assert made.value == PIECES


def test_workers_are_threads_unless_copies_are_allowed() -> None:
    def who(_: int) -> int:
        return os.getpid()

    assert set(Workers(2).share(who, range(PIECES))) == {os.getpid()}
    assert os.getpid() not in set(Workers(2, may_fork=True).share(who, range(PIECES)))
    assert set(Workers(1, may_fork=True).share(who, range(PIECES))) == {os.getpid()}


def test_what_has_no_place_in_the_memory_of_a_copy_is_done_here() -> None:
    here = os.getpid()

    def work(piece: int) -> int:
        if piece == 5 and os.getpid() != here:
            raise MemoryError
        return piece

    assert list(in_processes(work, range(PIECES), 2)) == [*range(PIECES)]


def test_whoever_is_free_does_the_next_piece() -> None:
    """One that is held up leaves the others to the rest, as far as they may go ahead."""
    held = multiprocessing.get_context("fork").Event()

    def work(piece: int) -> int:
        if piece == 0:
            held.wait(60)
        if piece == 2 * PIECES_AHEAD - 1:
            held.set()
        return os.getpid()

    who = list(in_processes(work, range(PIECES), 2))
    assert who[0] != who[2]
    assert {*who[2 : 2 * PIECES_AHEAD]} == {who[2]}
    assert len(set(who)) == 2
