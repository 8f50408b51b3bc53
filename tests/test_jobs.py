"""Threads that share work: in order, few pieces at once, and the same answers however many they are."""

from __future__ import annotations

import random
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from click.testing import CliRunner

from handshake_inspect import jobs as of_jobs
from handshake_inspect.cli import cli
from handshake_inspect.connections.folding import pool
from handshake_inspect.inspection import Inspection
from handshake_inspect.inspector import inspect
from handshake_inspect.jobs import FEW_PIECES, MOST_BEHIND, MOST_PER_CORE, behind, cores, in_order

PIECES = 40


@pytest.mark.parametrize("jobs", [1, 2, 3, 100])
def test_what_is_made_comes_in_order(jobs: int) -> None:
    def work(piece: int) -> int:
        time.sleep(random.random() / 1000)
        return piece * piece

    assert list(in_order(work, range(PIECES), jobs)) == [piece * piece for piece in range(PIECES)]


def test_one_piece_more_than_threads_is_under_way(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(of_jobs, "cores", lambda: 2)
    begun: list[int] = []

    def pieces() -> Iterator[int]:
        for piece in range(PIECES):
            begun.append(piece)
            yield piece

    for made, _ in enumerate(in_order(str, pieces(), 3)):
        assert len(begun) == min(made + 4, PIECES)


@pytest.mark.parametrize("processors", [1, 2])
def test_threads_are_no_more_than_keep_the_cores_busy(processors: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(of_jobs, "cores", lambda: processors)
    at_once = 0
    working: set[int] = set()

    def work(piece: int) -> int:
        nonlocal at_once
        working.add(piece)
        at_once = max(at_once, len(working))
        time.sleep(0.001)
        working.discard(piece)
        return piece

    assert list(in_order(work, range(PIECES), 64)) == list(range(PIECES))
    assert 1 < at_once <= MOST_PER_CORE * processors


@pytest.mark.parametrize(("count", "jobs"), [(0, 4), (1, 4), (PIECES, 1)])
def test_no_thread_is_begun_in_vain(count: int, jobs: int) -> None:
    here = threading.current_thread()
    threads = list(in_order(lambda _: threading.current_thread(), range(count), jobs))
    assert threads == [here] * count


def test_what_is_raised_comes_out_when_its_piece_is_due() -> None:
    made = in_order(lambda piece: 1 // (5 - piece), range(PIECES), 2)
    assert [next(made) for _ in range(5)] == [0, 0, 0, 0, 1]
    with pytest.raises(ZeroDivisionError):
        next(made)
    assert not [one for one in threading.enumerate() if one.name.startswith("handshake-inspect")]


def test_whoever_stops_asking_leaves_no_thread_behind() -> None:
    for _ in in_order(str, range(PIECES), 2):
        break
    assert not [one for one in threading.enumerate() if one.name.startswith("handshake-inspect")]


def test_there_is_a_core_at_least() -> None:
    assert cores() >= 1


def everything(found: Inspection) -> list[object]:
    return [list(found.connections), found.findings, found.copies, found.unmatched_icmp_errors, found.one_sided]


def test_the_number_of_jobs_changes_nothing(captures_dir: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """All public captures as one run, in partitions of some hundred rows."""
    monkeypatch.setattr(pool, "PARTITION_ROWS", 500)
    captures = sorted(str(path) for path in captures_dir.glob("*.pcap"))
    one, three = (everything(inspect(captures, jobs=jobs)) for jobs in (1, 3))
    assert one == three
    assert len(one[0]) > 300  # type: ignore[arg-type]


def test_no_jobs_is_no_number_of_jobs() -> None:
    found = CliRunner().invoke(cli, ["read", "capture.pcap", "--jobs", "0"])
    assert found.exit_code == 2
    assert "--jobs" in found.output


# --- behind: a thread works on what was made before -----------------------------------------------------------------


def threads_left() -> list[threading.Thread]:
    return [one for one in threading.enumerate() if one.name.startswith("handshake-inspect")]


@pytest.mark.parametrize("jobs", [1, 2, 100])
def test_what_was_made_is_worked_on_in_order(jobs: int) -> None:
    done: list[int] = []
    threads: set[threading.Thread] = set()

    def work(piece: int) -> None:
        time.sleep(random.random() / 1000)
        threads.add(threading.current_thread())
        done.append(piece)

    behind(work, range(PIECES), jobs)
    assert done == [*range(PIECES)]
    assert len(threads) == min(jobs, 2)
    assert not threads_left()


def test_few_pieces_need_no_thread_to_follow() -> None:
    threads: list[threading.Thread] = []
    behind(lambda _: threads.append(threading.current_thread()), range(FEW_PIECES), 2)
    assert threads == [threading.current_thread()] * FEW_PIECES


def test_few_pieces_are_made_ahead() -> None:
    done: list[int] = []
    ahead: list[int] = []

    def pieces() -> Iterator[int]:
        for piece in range(PIECES):
            ahead.append(piece - len(done))
            yield piece

    def work(piece: int) -> None:
        time.sleep(0.001)
        done.append(piece)

    behind(work, pieces(), 2)
    assert 1 <= max(ahead) <= MOST_BEHIND


def test_what_the_work_raises_ends_the_making() -> None:
    made: list[int] = []

    def pieces() -> Iterator[int]:
        for piece in range(PIECES):
            made.append(piece)
            yield piece

    with pytest.raises(ZeroDivisionError):
        behind(lambda piece: 1 // (10 - piece), pieces(), 2)
    assert len(made) <= 10 + MOST_BEHIND + 2
    assert not threads_left()


@pytest.mark.parametrize("error", [OSError, KeyboardInterrupt])
def test_what_ends_the_making_leaves_nothing_undone(error: type[BaseException]) -> None:
    done: list[int] = []

    def pieces() -> Iterator[int]:
        yield from range(10)
        raise error

    def work(piece: int) -> None:
        time.sleep(0.001)
        done.append(piece)

    with pytest.raises(error):
        behind(work, pieces(), 2)
    assert done == [*range(10)]
    assert not threads_left()
