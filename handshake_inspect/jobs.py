"""Work done side by side: by threads, for numpy computes without the lock of the interpreter; else by processes.

In: pieces of work, in order. Out: what comes of each, in the same order, whoever did it.
"""

from __future__ import annotations

import os
import sys
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import chain, islice
from typing import TYPE_CHECKING, Any, TypeVar

if TYPE_CHECKING:
    from concurrent.futures import Future, ThreadPoolExecutor

Piece = TypeVar("Piece")
Made = TypeVar("Made")


#: Pieces that wait, or are worked on, behind the one that is being made; and how many are too few to need a thread.
MOST_BEHIND, FEW_PIECES = 2, 3
#: More threads than this for each core only take memory, each for its piece: with 64 on two cores 1.3 GB.
MOST_PER_CORE = 2


def cores() -> int:
    """Return how many cores this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def in_order(work: Callable[[Piece], Made], pieces: Iterable[Piece], jobs: int) -> Iterator[Made]:
    """Yield what `work` makes of each piece, in order; `jobs` threads do it, and one piece more waits for them.

    There are no more threads than keep the cores busy. A single piece needs none. What `work` raises is raised here,
    when its piece is due; whoever stops asking, or is interrupted, waits for the pieces that are under way.
    """
    jobs = min(jobs, MOST_PER_CORE * cores())
    coming = iter(pieces)
    first = deque(islice(coming, 2 if jobs > 1 else 0))
    pieces = chain((first.popleft() for _ in range(len(first))), coming)  # no piece is held longer than needed
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
    from concurrent.futures import ThreadPoolExecutor  # a small capture does not pay for its import

    return ThreadPoolExecutor(count, "handshake-inspect")


def in_processes(work: Callable[[Piece], Made], pieces: Sequence[Piece], jobs: int) -> Iterator[Made]:
    """Yield what `work` makes of each piece, in order, for work that is Python and no numpy.

    `jobs` copies of this process do it, which have everything that it has: pieces and what is made of them are sent,
    `work` and what it looks at are not. It must not read from files that are open. Where processes cannot be copied
    safely (Windows has none, macOS warns of it), and for few pieces, it is done here; so is what is left if a copy dies
    (of too little memory). No other thread may run when the first piece is asked for.
    """
    if jobs == 1 or len(pieces) < FEW_PIECES or sys.platform != "linux":
        yield from map(work, pieces)
        return
    import warnings
    from concurrent.futures.process import BrokenProcessPool, ProcessPoolExecutor
    from multiprocessing import get_context

    done = 0
    pool = ProcessPoolExecutor(min(jobs, len(pieces)), get_context("fork"), _begin, (work,))
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DeprecationWarning)  # of threads: ours are over, and those of numpy wait
            coming = pool.map(_do, pieces)
        for made in coming:
            yield made
            done += 1
    except BrokenProcessPool:
        yield from map(work, pieces[done:])
    finally:
        pool.shutdown(cancel_futures=True)


#: What a copied process does.
_work: Callable[[Any], Any]


def _begin(work: Callable[[Any], Any]) -> None:
    global _work
    import signal

    signal.signal(signal.SIGINT, signal.SIG_IGN)  # whoever copied us ends us
    _work = work


def _do(piece: Any) -> Any:
    return _work(piece)


def behind(work: Callable[[Piece], object], pieces: Iterable[Piece], jobs: int) -> None:
    """Do `work` with each piece, in order: with several `jobs` in a thread, while the next piece is made here.

    At most MOST_BEHIND are made ahead. What `work` raises is raised here. Whatever ends this, the work on all pieces
    that were made is done then, and the thread is gone.
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
