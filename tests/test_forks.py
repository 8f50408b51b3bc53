"""A copy of the process makes what it is asked for: in order, whatever becomes of it, and none is left behind."""

from __future__ import annotations

import multiprocessing
import os
import re
import signal
import sys
import threading
import time
from collections.abc import Callable, Generator, Iterable, Iterator
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import pytest

from handshake_inspect.forks import COMMON_OCTETS, ROOMS, Fork, ForkAhead, ForkDied, Onlooker, can_fork, ready
from tests.children import children

Made = TypeVar("Made")

PIECES = 40
pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="processes are copied on Linux alone")


def in_a_process(make: Callable[[], Iterable[Made]]) -> Generator[Made, None, None]:
    """Yield what `make()` yields in a copy; whoever stops asking ends it."""
    with ForkAhead(make) as copy:
        yield from copy


def _all_of_a_copy() -> list[int]:
    return list(in_a_process(lambda: range(3)))


@pytest.mark.parametrize("onlooker", [True, False])
def test_can_be_copied_beside_threads_that_only_look_on(onlooker: bool) -> None:
    over = threading.Event()
    thread = (Onlooker if onlooker else threading.Thread)(target=over.wait)
    before = can_fork()
    thread.start()
    try:
        assert can_fork() is (before and onlooker)
    finally:
        over.set()
        thread.join()


def test_what_a_copy_makes_comes_in_order_and_stays_what_it_was() -> None:
    """Arrays are handed over in memory that is used again and again; some need more than there is."""
    octets = [0, 1, 63, 64, 65, 1000, COMMON_OCTETS // ROOMS // 8, COMMON_OCTETS // ROOMS // 8 + 1, 5]

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


def test_the_memory_in_common_goes_with_the_copy_whoever_still_holds_it() -> None:
    with ForkAhead(lambda: [np.arange(1000)]) as copy:
        (array,) = copy
        assert not copy.rooms.is_closed
    assert copy.rooms.is_closed
    assert array.sum() == 499_500


def test_a_copy_is_little_ahead() -> None:
    """Of what is made and not taken, no more than the rooms hold, and one more is being made."""
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

    before, made = children(), in_a_process(make)
    assert [next(made) for _ in range(5)] == [*range(5)]
    assert len(children() - before) == 1
    with pytest.raises(OSError, match="the sixth"):
        next(made)
    assert children() == before


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


def test_a_worker_of_a_pool_can_be_copied_too() -> None:
    """One of `multiprocessing` may have no children of `multiprocessing`."""
    with multiprocessing.get_context("fork").Pool(1) as pool:
        assert pool.apply(_all_of_a_copy) == [0, 1, 2]


@pytest.mark.parametrize("after", [0, 1, 7])
def test_that_a_copy_died_is_said(after: int) -> None:
    def make() -> Iterator[int]:
        yield from range(after)
        os.kill(os.getpid(), signal.SIGKILL)

    made = in_a_process(make)
    assert [next(made) for _ in range(after)] == [*range(after)]
    with pytest.raises(ForkDied):
        next(made)


def test_whoever_stops_iterating_ends_the_copy() -> None:
    def make() -> Iterator[int]:
        yield os.getpid()
        time.sleep(1000)

    made = in_a_process(make)
    copy = next(made)
    made.close()
    with pytest.raises(ProcessLookupError):
        os.kill(copy, 0)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_copy_leaves_signals_to_us(number: signal.Signals) -> None:
    def make() -> Iterator[int]:
        os.kill(os.getpid(), number)
        yield 1

    assert list(in_a_process(make)) == [1]


def test_what_the_system_does_not_let_begin_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    """As where a user may have so many processes, and no more."""

    def refused() -> int:
        raise BlockingIOError

    monkeypatch.setattr(os, "fork", refused)
    before = len([*Path("/proc/self/fd").iterdir()])
    with pytest.raises(ForkDied):
        next(in_a_process(lambda: [1]))
    assert len([*Path("/proc/self/fd").iterdir()]) == before


def test_one_who_ignores_the_end_of_children_has_none_to_wait_for() -> None:
    before = signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    try:
        assert list(in_a_process(lambda: range(3))) == [0, 1, 2]
    finally:
        signal.signal(signal.SIGCHLD, before)


@pytest.mark.parametrize("octets", [0, 1, 1 << 16, (1 << 20) + 1])
def test_what_is_longer_than_a_pipe_arrives_whole(octets: int) -> None:
    assert list(in_a_process(lambda: [b"x" * octets, "behind it"])) == [b"x" * octets, "behind it"]


# --- Copy: asked for one thing after the other ------------------------------------------------------------------------


def squares(asked: Iterable[int]) -> Iterator[int]:
    """Make what is asked for; one that is below 0 is asked for in vain."""
    for one in asked:
        if one < 0:
            raise ValueError("below 0")
        yield one * one


def test_a_copy_makes_what_it_is_asked_for() -> None:
    with Fork(squares) as copy:
        copy.ask(7)
        copy.ask(8)
        assert copy.take() == 49
        copy.ask(-1)
        assert copy.take() == 64
        with pytest.raises(ValueError, match="below 0"):
            copy.take()
        copy.ask(9)  # it has ended
        with pytest.raises(ForkDied):
            copy.take()


def test_whichever_copy_is_ready_is_waited_for() -> None:
    with Fork(squares) as slow, Fork(squares) as fast:
        fast.ask(3)
        assert ready([slow, fast]) == [fast]
        assert fast.take() == 9
        slow.ask(2)
        assert ready([slow, fast]) == [slow]
