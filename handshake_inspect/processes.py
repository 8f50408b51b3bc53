"""Work that is shared: by threads, or by copies of this process, where the lock of the interpreter is one for each.

In: pieces of work, in order. Out: what comes of each, in the same order, whoever did it. Where there are no copies the
work is done here, and so is what is left if one dies, of too little memory.
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

#: How many pieces are too few to need a process.
FEW_PIECES = 3
#: So many pieces for each copy are made, or being made, ahead of the one whose turn it is.
PIECES_AHEAD = 4


@plain
class Workers:
    """Who works on a run: so many threads, or as many copies of this process where that is allowed and possible."""

    jobs: int = 1
    may_fork: bool = False

    @property
    def are_forks(self) -> bool:
        """Is it copies, now?"""
        return self.may_fork and self.jobs > 1 and can_fork()

    def share(self, work: Callable[[Piece], Made], pieces: Sequence[Piece]) -> Iterator[Made]:
        """Yield what `work` makes of each piece, in order. Copies have what is there when the first is asked for."""
        return (in_processes if self.are_forks else in_order)(work, pieces, self.jobs)

    @contextlib.contextmanager
    def aside(self, work: Callable[[], Made]) -> Iterator[Callable[[], Made]]:
        """Have something done by a copy while the context lasts. Yields what waits for it; without a copy, does it."""
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
    """Yield what `work` makes of each piece, in order.

    `jobs` copies of this process do it, whichever is free the next piece. They have everything that it has: what is
    made of pieces is sent, these are not, nor `work` and what it looks at. It must not read from files that are open.
    """
    jobs = min(jobs, MOST_PER_CORE * cores(), len(pieces))
    if jobs <= 1 or len(pieces) < FEW_PIECES or not can_fork():
        yield from map(work, pieces)
        return
    give_back()  # what is free here would be held by each copy too

    def make(asked: Iterable[int]) -> Iterator[Made]:
        return (work(pieces[place]) for place in asked)

    with contextlib.ExitStack() as stack:
        shared = _Shared[Made](len(pieces))
        with contextlib.suppress(ForkDied):
            for _ in range(jobs):
                shared.among(stack.enter_context(Fork(make)))
        for place, piece in enumerate(pieces):
            yield shared.made(place) if shared.comes(place) else work(piece)


class _Shared(Generic[Made]):
    """So many pieces of work, shared among copies. What is made of a later piece waits until the earlier ones are."""

    def __init__(self, pieces: int) -> None:
        self._pieces = pieces
        #: The first piece that nobody was asked for, and the one whose turn it is.
        self._next = self._turn = 0
        #: What each copy was asked for and has not sent.
        self._asked: dict[Fork[int, Made], deque[int]] = {}
        self._made: dict[int, Made | Exception] = {}

    def among(self, copy: Fork[int, Made]) -> None:
        """Let one more copy take part."""
        self._asked[copy] = deque()
        self._ask()

    def comes(self, place: int) -> bool:
        """Wait for what is made of a piece, each in its turn; False if no copy makes it."""
        self._turn, self._next = place, max(self._next, place)
        self._ask()
        while place not in self._made and any(place in places for places in self._asked.values()):
            for copy in ready(self._asked):
                self._take_from(copy)
            self._ask()
        self._next = max(self._next, place + 1)
        return place in self._made

    def made(self, place: int) -> Made:
        """Give away what was made of a piece; or raise what that raised."""
        made = self._made.pop(place)
        if isinstance(made, Exception):
            raise made
        return made

    def _ask(self) -> None:
        """Let no copy wait, unless all of them are far ahead of the piece whose turn it is."""
        until = min(self._turn + PIECES_AHEAD * len(self._asked), self._pieces)
        for copy, places in self._asked.items():
            while len(places) < ROOMS and self._next < until:
                copy.ask(self._next)
                places.append(self._next)
                self._next += 1

    def _take_from(self, copy: Fork[int, Made]) -> None:
        """Take what a copy sends; one that died, or failed, takes part no more."""
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
