"""Work shared by threads, or by forked processes, each of which has its own lock of the interpreter.

In: pieces of work, in order. Out: the result of each, in the same order. Without forks the work is done here, and so
is the rest of the work if a fork dies for lack of memory.
"""

from __future__ import annotations

import contextlib
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Generic, TypeVar

from handshake_inspect.forks import ROOMS, Fork, ForkAhead, ForkDied, can_fork, ready
from handshake_inspect.jobs import MOST_PER_CORE, cores, in_order
from handshake_inspect.memory import give_back
from handshake_inspect.plain import plain

Piece = TypeVar("Piece")
Made = TypeVar("Made")

#: Fewer pieces than this need no process.
FEW_PIECES = 3
#: Pieces per fork that may be made ahead of the piece that is due.
PIECES_AHEAD = 4


@plain
class Workers:
    """The workers of a run: `jobs` threads, or as many forked processes where that is allowed and possible."""

    jobs: int = 1
    may_fork: bool = False

    @property
    def are_forks(self) -> bool:
        """Are forked processes used now?"""
        return self.may_fork and self.jobs > 1 and can_fork()

    def share(self, work: Callable[[Piece], Made], pieces: Sequence[Piece]) -> Iterator[Made]:
        """Yield the result of `work` for each piece, in order. Forks have the data at the time of the first request."""
        return (in_processes if self.are_forks else in_order)(work, pieces, self.jobs)

    @contextlib.contextmanager
    def aside(self, work: Callable[[], Made]) -> Iterator[Callable[[], Made]]:
        """Do `work` in a fork meanwhile. Yields a function that waits for the result, or itself does `work`."""
        with contextlib.ExitStack() as stack:
            try:
                copy = stack.enter_context(ForkAhead(lambda: [work()])) if self.are_forks else None
            except ForkDied:
                copy = None

            def made() -> Made:
                try:
                    return work() if copy is None else next(copy)
                except ForkDied:
                    return work()

            yield made


def in_processes(work: Callable[[Piece], Made], pieces: Sequence[Piece], jobs: int) -> Iterator[Made]:
    """Yield the result of `work` for each piece, in order.

    `jobs` forks of this process do it, the next free one the next piece. They inherit all data of this process: only
    results are sent, not pieces, nor `work` and its data. `work` must not read from files that are open here.
    """
    jobs = min(jobs, MOST_PER_CORE * cores(), len(pieces))
    if jobs <= 1 or len(pieces) < FEW_PIECES or not can_fork():
        yield from map(work, pieces)
        return
    give_back()  # each fork would hold free memory of this process too

    def make(asked: Iterable[int]) -> Iterator[Made]:
        return (work(pieces[place]) for place in asked)

    with contextlib.ExitStack() as stack:
        shared, copies = _Shared[Made](len(pieces)), list[Fork[int, Made]]()
        with contextlib.suppress(ForkDied):
            for _ in range(jobs):
                copies.append(stack.enter_context(Fork(make)))
                shared.among(copies[-1])
        try:
            for place, piece in enumerate(pieces):
                yield shared.made(place) if shared.comes(place) else work(piece)
        finally:
            for copy in copies:  # all, before any is waited for
                copy.end()


class _Shared(Generic[Made]):
    """Pieces of work shared among forks. The result of a later piece waits until the earlier ones are made."""

    def __init__(self, pieces: int) -> None:
        self._pieces = pieces
        #: The first piece not requested yet, and the piece that is due.
        self._next = self._turn = 0
        #: Pieces requested from each fork and not received yet.
        self._asked: dict[Fork[int, Made], deque[int]] = {}
        self._made: dict[int, Made | Exception] = {}

    def among(self, copy: Fork[int, Made]) -> None:
        """Add a fork."""
        self._asked[copy] = deque()
        self._ask()

    def comes(self, place: int) -> bool:
        """Wait for the result of the piece that is due; False if no fork makes it."""
        self._turn, self._next = place, max(self._next, place)
        self._ask()
        while place not in self._made and any(place in places for places in self._asked.values()):
            for copy in ready(self._asked):
                self._take_from(copy)
            self._ask()
        self._next = max(self._next, place + 1)
        return place in self._made

    def made(self, place: int) -> Made:
        """Return the result of a piece and forget it; or raise the exception of its work."""
        made = self._made.pop(place)
        if isinstance(made, Exception):
            raise made
        return made

    def _ask(self) -> None:
        """Keep all forks busy, unless they are far ahead of the piece that is due."""
        until = min(self._turn + PIECES_AHEAD * len(self._asked), self._pieces)
        for copy, places in self._asked.items():
            while len(places) < ROOMS and self._next < until:
                copy.ask(self._next)
                places.append(self._next)
                self._next += 1

    def _take_from(self, copy: Fork[int, Made]) -> None:
        """Receive a result of a fork; remove a fork that died or failed."""
        places = self._asked[copy]
        try:
            made: Made | Exception = copy.take()
        except ForkDied:
            del self._asked[copy]
            return
        except Exception as error:
            del self._asked[copy]
            made = error
        self._made[places.popleft()] = made
