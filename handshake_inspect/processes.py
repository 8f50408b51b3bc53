"""Work done by copies of this process: the lock of the interpreter, which threads hand to and fro, is one for each.

In: pieces of work, in order, or something to be iterated. Out: what comes of each, in the same order, whoever did it.

Where processes cannot be copied safely (Windows has none, macOS warns of it, and another thread may hold a lock that
the copy waits for without end) the work is done here, and so is what is left if a copy dies, of too little memory.
"""

from __future__ import annotations

import contextlib
import mmap
import pickle
import signal
import sys
import threading
import traceback
import warnings
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Generic, Self, TypeVar

from handshake_inspect.jobs import MOST_PER_CORE, cores, in_order
from handshake_inspect.memory import give_back
from handshake_inspect.plain import plain

if TYPE_CHECKING:
    from multiprocessing.connection import Connection

Piece = TypeVar("Piece")
Made = TypeVar("Made")

#: How many pieces are too few to need a process.
FEW_PIECES = 3
#: Memory that a process and its copy have in common: for what is made, so many pieces at once, and octets for each. To
#: send them through a pipe takes five times as long.
ROOMS, ROOM_OCTETS = 2, 1 << 24


class Onlooker(threading.Thread):
    """A thread that only shows how far the work is: no lock that it holds is one that a copy needs."""


def can_be_copied() -> bool:
    """Say whether a copy of this process can work as this one does: one of `multiprocessing.Pool` may have none."""
    here = threading.current_thread()
    others = (one for one in threading.enumerate() if one is not here and not isinstance(one, Onlooker))
    known = sys.modules.get("multiprocessing.process")
    is_worker = known is not None and known.current_process().daemon
    return sys.platform == "linux" and next(others, None) is None and not is_worker


@plain
class Workers:
    """Who works on a run: so many threads, or as many copies of this process where that is allowed and possible."""

    jobs: int = 1
    may_be_copies: bool = False

    @property
    def are_copies(self) -> bool:
        """Is it copies, now?"""
        return self.may_be_copies and self.jobs > 1 and can_be_copied()

    def share(self, work: Callable[[Piece], Made], pieces: Sequence[Piece]) -> Iterator[Made]:
        """Yield what `work` makes of each piece, in order. Copies have what is there when the first is asked for."""
        return (in_processes if self.are_copies else in_order)(work, pieces, self.jobs)

    @contextlib.contextmanager
    def aside(self, work: Callable[[], Made]) -> Iterator[Callable[[], Made]]:
        """Have something done by a copy while the context lasts. Yields what waits for it; without a copy, does it."""
        with contextlib.ExitStack() as stack:
            try:
                copy = stack.enter_context(Copy(lambda: [work()])) if self.are_copies else None
            except CopyDied:
                copy = None

            def made() -> Made:
                try:
                    return work() if copy is None else next(copy)
                except CopyDied:
                    return work()

            yield made


def in_processes(work: Callable[[Piece], Made], pieces: Sequence[Piece], jobs: int) -> Iterator[Made]:
    """Yield what `work` makes of each piece, in order.

    `jobs` copies of this process do it in turn, each a little ahead. They have everything that it has: what is made of
    pieces is sent, these are not, nor `work` and what it looks at. It must not read from files that are open.
    """
    jobs = min(jobs, MOST_PER_CORE * cores(), len(pieces))
    if jobs <= 1 or len(pieces) < FEW_PIECES or not can_be_copied():
        yield from map(work, pieces)
        return
    give_back()  # what is free here would be held by each copy too
    with contextlib.ExitStack() as stack:

        def maker(first: int) -> Iterator[Made]:
            try:
                return stack.enter_context(Copy(partial(map, work, pieces[first::jobs])))
            except CopyDied:
                return map(work, pieces[first::jobs])

        makers = [*map(maker, range(jobs))]
        for place in range(len(pieces)):
            try:
                yield next(makers[place % jobs])
            except CopyDied:
                makers[place % jobs] = map(work, pieces[place::jobs])
                yield next(makers[place % jobs])


class CopyDied(Exception):  # noqa: N818 - it says what happened
    """A copy of this process ended before its work did, or never began: there was too little memory perhaps."""


class Copy(Generic[Made]):
    """A copy of this process that iterates `make()`, a little ahead; begun at once, and ended where the context ends.

    Iterated once: what it makes. What it raises is raised here, in its place; CopyDied if it dies, or if the system
    does not let it begin. The process must be one that `can_be_copied`.
    """

    def __init__(self, make: Callable[[], Iterable[Made]]) -> None:
        from multiprocessing import get_context

        context = get_context("fork")
        try:
            self._here, there = context.Pipe()
            self._room = mmap.mmap(-1, ROOMS * ROOM_OCTETS)
            self._process = context.Process(target=_send_each, args=(make, self._here, there, self._room), daemon=True)
            with warnings.catch_warnings(), _no_signals():
                warnings.simplefilter("ignore", DeprecationWarning)  # of threads: ours look on, those of numpy wait
                self._process.start()
        except OSError:
            raise CopyDied from None
        there.close()
        self._number = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *raised: object) -> None:
        self._here.close()
        self._process.kill()  # it has nothing to tidy up
        self._process.join()

    def __iter__(self) -> Self:
        return self

    def __next__(self) -> Made:
        came = _received(self._here, self._room, self._number)
        self._number += 1
        if isinstance(came, _Ended):
            raise came.error or StopIteration
        made: Made = came
        return made


@dataclass
class _Ended:
    """Sent behind everything that was made: by what the work ended, if that was an error."""

    error: Exception | None


#: What a copy leaves to whoever copied it.
SIGNALS = (signal.SIGINT, signal.SIGTERM, *((signal.SIGHUP,) if hasattr(signal, "SIGHUP") else ()))


@contextlib.contextmanager
def _no_signals() -> Iterator[None]:
    """Let signals wait: at one a copy that has just begun does what this process would do."""
    before = signal.pthread_sigmask(signal.SIG_BLOCK, SIGNALS)
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _be_a_copy() -> None:
    """Leave it to whoever copied us to hear of signals, and to end us; if memory runs out, be the one that goes."""
    for number in SIGNALS:
        signal.signal(number, signal.SIG_IGN)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, SIGNALS)
    with contextlib.suppress(OSError):
        Path("/proc/self/oom_score_adj").write_text("500")


# What is sent. A message is (rest, ends), pickled: `rest` is the pickle of what was made without its arrays, and the
# i-th of these stands in the room of the message, from aligned(ends[i - 1]) to ends[i]. Without `ends` all is in
# `rest`: there was no array, or not enough room. Message n is in room n % ROOMS, written anew when n has been taken.


def _received(here: Connection, room: mmap.mmap, number: int) -> Any:
    """Return what a copy sends next, each array in memory of its own: one that stays holds none of the others.

    Raises CopyDied if nothing will come, or not all of it.
    """
    try:
        rest, ends = pickle.loads(here.recv_bytes())
    except (EOFError, OSError):
        raise CopyDied from None
    begin = number % ROOMS * ROOM_OCTETS
    begins = [begin + place for place in (0, *map(_aligned, ends))]
    with memoryview(room) as octets:
        arrays = [bytearray(octets[a : begin + end]) for a, end in zip(begins, ends, strict=False)]
    with contextlib.suppress(OSError):  # it may have sent its last
        here.send_bytes(b"taken")
    return pickle.loads(rest, buffers=arrays)


def _send_each(make: Callable[[], Iterable[Any]], here: Connection, there: Connection, room: mmap.mmap) -> None:
    """Send what is made, and how it ended. What has no place in memory is left to whoever copied us."""
    _be_a_copy()
    here.close()
    with contextlib.suppress(BrokenPipeError, EOFError, MemoryError):
        try:
            for number, made in enumerate(make()):
                if number >= ROOMS:
                    there.recv_bytes()
                there.send_bytes(_sent(made, room, number))
                del made
            ended = _Ended(None)
        except (BrokenPipeError, EOFError, MemoryError):
            raise
        except Exception as error:
            ended = _Ended(_sendable(error))
        there.send_bytes(pickle.dumps((pickle.dumps(ended), [])))


def _sent(made: Any, room: mmap.mmap, number: int) -> bytes:
    """Put the arrays of what was made into its room, if they fit. Returns the message."""
    arrays: list[pickle.PickleBuffer] = []
    ends: list[int] = []
    rest = pickle.dumps(made, pickle.HIGHEST_PROTOCOL, buffer_callback=arrays.append)
    begin, end = number % ROOMS * ROOM_OCTETS, 0
    for octets in (array.raw() for array in arrays):
        first, end = _aligned(end), _aligned(end) + len(octets)
        if end > ROOM_OCTETS:
            rest, ends = pickle.dumps(made, pickle.HIGHEST_PROTOCOL), []
            break
        room[begin + first : begin + end] = octets
        ends.append(end)
    return pickle.dumps((rest, ends), pickle.HIGHEST_PROTOCOL)


def _aligned(place: int) -> int:
    """Return the first place from here on at which an array may begin."""
    return -(-place // 64) * 64


def _sendable(error: Exception) -> Exception:
    """Return an error with its traceback in a note, as one that arrives as it is."""
    error.add_note(f"in a copy of the process:\n{''.join(traceback.format_exception(error))}")
    try:
        pickle.loads(pickle.dumps(error))
    except Exception:
        return RuntimeError(f"{type(error).__name__}: {error}")
    return error
