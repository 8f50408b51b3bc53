"""Work in parallel threads: numpy computes without the lock of the interpreter.

In: pieces of work, in order. Out: the result of each, in the same order.
"""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from itertools import chain, islice
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from concurrent.futures import Future, ThreadPoolExecutor

Piece = TypeVar("Piece")
Made = TypeVar("Made")


#: Most pieces that wait or are worked on while the next is made; and the number of pieces too few to need a thread.
MOST_BEHIND, FEW_PIECES = 2, 3
#: Most threads per core: more only take memory, each for its piece: 64 on two cores take 1.3 GB.
MOST_PER_CORE = 2


def cores() -> int:
    """Return how many cores this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def in_order(work: Callable[[Piece], Made], pieces: Iterable[Piece], jobs: int) -> Iterator[Made]:
    """Yield the result of `work` for each piece, in order, from `jobs` threads; one further piece waits for them.

    No more threads run than keep the cores busy, and none for a single piece. An exception of `work` is raised here
    when its piece is due; a caller that stops, or is interrupted, waits for the pieces in progress.
    """
    jobs = min(jobs, MOST_PER_CORE * cores())
    coming = iter(pieces)
    first = deque(islice(coming, 2 if jobs > 1 else 0))
    pieces = chain((first.popleft() for _ in range(len(first))), coming)  # holds no piece longer than needed
    if len(first) < 2:
        yield from map(work, pieces)
        return
    under_way: deque[Future[Made]] = deque()
    pool = _threads(jobs)
    try:
        for piece in pieces:
            under_way.append(pool.submit(work, piece))
            del piece
            if len(under_way) > jobs:
                yield under_way.popleft().result()
        while under_way:
            yield under_way.popleft().result()
    finally:
        pool.shutdown(cancel_futures=True)


def _threads(count: int) -> ThreadPoolExecutor:
    from concurrent.futures import ThreadPoolExecutor  # slow to import, and small captures do not need it

    return ThreadPoolExecutor(count, "handshake-inspect")


def behind(work: Callable[[Piece], object], pieces: Iterable[Piece], jobs: int) -> None:
    """Do `work` on each piece, in order: with several `jobs` in a thread, while the next piece is made here.

    At most MOST_BEHIND are made ahead. An exception of `work` is raised here. However this ends, the work on all
    pieces made is done then, and the thread has ended.
    """
    coming = iter(pieces)
    for piece in coming if jobs == 1 else islice(coming, FEW_PIECES):
        work(piece)
    under_way: deque[Future[object]] = deque()
    pool: ThreadPoolExecutor | None = None
    try:
        for piece in coming:
            pool = pool or _threads(1)
            under_way.append(pool.submit(work, piece))
            if len(under_way) > MOST_BEHIND:
                under_way.popleft().result()
        while under_way:
            under_way.popleft().result()
    finally:
        if pool:
            pool.shutdown()
