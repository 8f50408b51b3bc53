"""Copies of the process that share work: in order, whatever becomes of them, and none is left behind."""

from __future__ import annotations

import multiprocessing
import os
import random
import re
import signal
import sys
import threading
import time
from collections.abc import Callable, Generator, Iterable, Iterator
from typing import Any, TypeVar

import numpy as np
import pytest

from handshake_inspect import processes
from handshake_inspect.processes import (
    FEW_PIECES,
    ROOM_OCTETS,
    ROOMS,
    Copy,
    CopyDied,
    Onlooker,
    Workers,
    can_be_copied,
    in_processes,
)

Made = TypeVar("Made")

PIECES = 40
pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="processes are copied on Linux alone")


@pytest.fixture(autouse=True)
def _no_threads_of_other_tests(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    if "can_be_copied" not in request.function.__name__:
        monkeypatch.setattr(processes, "can_be_copied", lambda: True)


def in_a_process(make: Callable[[], Iterable[Made]]) -> Generator[Made, None, None]:
    """Yield what `make()` yields in a copy; whoever stops asking ends it."""
    with Copy(make) as copy:
        yield from copy


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
    with pytest.raises(CopyDied):
        next(in_a_process(lambda: [1]))


def test_something_is_done_aside_until_it_is_asked_for() -> None:
    here = os.getpid()
    with Workers(2, may_be_copies=True).aside(os.getpid) as made:
        assert made() != here
    with Workers(2, may_be_copies=False).aside(os.getpid) as made:
        assert made() == here

    def die() -> int:
        if os.getpid() != here:
            os.kill(os.getpid(), signal.SIGKILL)
        return here

    with Workers(2, may_be_copies=True).aside(die) as made:
        assert made() == here
    assert not multiprocessing.active_children()


def test_whoever_stops_asking_leaves_no_process_behind() -> None:
    made = in_processes(lambda piece: piece, range(PIECES), 2)
    assert next(made) == 0
    made.close()  # type: ignore[attr-defined]
    assert not multiprocessing.active_children()


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
    """Each has what its rooms hold, and one piece that waits for room."""
    made = multiprocessing.get_context("fork").Value("i", 0)

    def work(piece: int) -> int:
        with made.get_lock():
            made.value += 1
        return piece

    for asked in in_processes(work, range(PIECES), 2):
        time.sleep(0.002)
        assert made.value <= asked + 1 + 2 * (ROOMS + 1)
    assert made.value == PIECES


@pytest.mark.parametrize("onlooker", [True, False])
def test_can_be_copied_beside_threads_that_only_look_on(onlooker: bool) -> None:
    over = threading.Event()
    thread = (Onlooker if onlooker else threading.Thread)(target=over.wait)
    before = can_be_copied()
    thread.start()
    try:
        assert can_be_copied() is (before and onlooker)
    finally:
        over.set()
        thread.join()


def test_workers_are_threads_unless_copies_are_allowed() -> None:
    def who(_: int) -> int:
        return os.getpid()

    assert set(Workers(2).share(who, range(PIECES))) == {os.getpid()}
    assert os.getpid() not in set(Workers(2, may_be_copies=True).share(who, range(PIECES)))
    assert set(Workers(1, may_be_copies=True).share(who, range(PIECES))) == {os.getpid()}


# --- Copy: one copy iterates ------------------------------------------------------------------------------------------


def test_what_a_copy_makes_comes_in_order_and_stays_what_it_was() -> None:
    """Arrays are handed over in memory that is used again and again; some need more than there is."""
    octets = [0, 1, 63, 64, 65, 1000, ROOM_OCTETS // 8, ROOM_OCTETS // 8 + 1, 5]

    def make() -> Iterator[tuple[int, np.ndarray, np.ndarray, int]]:
        for number, count in enumerate(octets):
            yield number, np.full(count, number, np.int64), np.full(count % 7, number, np.uint8), os.getpid()

    made = list(in_a_process(make))
    assert [number for number, *_ in made] == [*range(len(octets))]
    for (number, first, second, process), count in zip(made, octets, strict=True):
        assert process != os.getpid()
        assert (len(first), len(second)) == (count, count % 7)
        assert (first == number).all()
        assert (second == number).all()
        first += 1  # it is ours


def test_an_array_that_stays_holds_none_of_those_that_came_with_it() -> None:
    for one in next(in_a_process(lambda: [(np.arange(10), np.arange(1 << 16))])):
        whole: Any = one.base
        assert memoryview(whole).nbytes == one.nbytes


def test_a_copy_is_little_ahead() -> None:
    """Of what is made and not asked for, no more than the rooms hold, and one that waits for room."""
    made = multiprocessing.get_context("fork").Value("i", 0)

    def make() -> Iterator[int]:
        for number in range(PIECES):
            made.value += 1
            yield number

    for asked in in_a_process(make):
        time.sleep(0.002)
        assert made.value <= asked + 1 + ROOMS + 1
    assert made.value == PIECES


def test_what_a_copy_raises_is_raised_in_its_place() -> None:
    def make() -> Iterator[int]:
        yield from range(5)
        raise OSError("the sixth")

    made = in_a_process(make)
    assert [next(made) for _ in range(5)] == [*range(5)]
    with pytest.raises(OSError, match="the sixth"):
        next(made)
    assert not multiprocessing.active_children()


class PickyError(Exception):
    """One that arrives as another: its pickle calls it with one argument, unless Dask has taught pickle better."""

    def __init__(self, what: str, why: str) -> None:
        super().__init__(f"{what}: {why}")


@pytest.mark.parametrize(("error", "arrives"), [
    (ValueError("seven"), "ValueError: seven"),
    (PickyError("seven", "odd"), "(RuntimeError: )?PickyError: seven: odd"),
    (ValueError(threading.Lock()), "RuntimeError: ValueError: <unlocked"),
])  # fmt: skip
def test_an_error_arrives_with_what_it_says(error: Exception, arrives: str, capfd: pytest.CaptureFixture[str]) -> None:
    def make() -> Iterator[int]:
        yield 1
        raise error

    made = in_a_process(make)
    assert next(made) == 1
    with pytest.raises(Exception, match=r"seven|lock") as raised:
        next(made)
    assert re.match(arrives, f"{type(raised.value).__name__}: {raised.value}")
    assert capfd.readouterr().err == ""


def test_what_has_no_place_in_the_memory_of_a_copy_is_done_here() -> None:
    here = os.getpid()

    def work(piece: int) -> int:
        if piece == 5 and os.getpid() != here:
            raise MemoryError
        return piece

    assert list(in_processes(work, range(PIECES), 2)) == [*range(PIECES)]


def test_a_worker_of_a_pool_can_be_copied_no_more() -> None:
    with multiprocessing.get_context("fork").Pool(1) as pool:
        assert pool.apply(can_be_copied) is False


@pytest.mark.parametrize("after", [0, 1, 7])
def test_that_a_copy_died_is_said(after: int) -> None:
    def make() -> Iterator[int]:
        yield from range(after)
        os.kill(os.getpid(), signal.SIGKILL)

    made = in_a_process(make)
    assert [next(made) for _ in range(after)] == [*range(after)]
    with pytest.raises(CopyDied):
        next(made)


def test_whoever_stops_iterating_ends_the_copy() -> None:
    def make() -> Iterator[int]:
        yield os.getpid()
        time.sleep(1000)

    made = in_a_process(make)
    copy = next(made)
    made.close()
    assert not multiprocessing.active_children()
    with pytest.raises(ProcessLookupError):
        os.kill(copy, 0)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_copy_leaves_signals_to_us(number: signal.Signals) -> None:
    def make() -> Iterator[int]:
        os.kill(os.getpid(), number)
        yield 1

    assert list(in_a_process(make)) == [1]
