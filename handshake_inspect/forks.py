"""Forks: copies of this process, each with an interpreter of its own and everything that this one has.

In: what a copy is to make, and what it is asked for. Out: what it made, in the same order, sent through a pipe and
through memory that both have in common.

Where processes cannot be copied safely (Windows has none, macOS warns of it, and another thread may hold a lock that
the copy waits for without end) there are none.
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
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Generic, Self, TypeVar

if TYPE_CHECKING:
    from multiprocessing.connection import Connection

Asked = TypeVar("Asked")
Made = TypeVar("Made")

#: Memory that a process and its copy have in common for what is made, and for how many things at once, unless it is
#: said. To send them through a pipe takes five times as long.
COMMON_OCTETS, ROOMS = 1 << 25, 2


class Onlooker(threading.Thread):
    """A thread that only shows how far the work is: no lock that it holds is one that a copy needs."""


def can_fork() -> bool:
    """Say whether a copy of this process can work as this one does: one of `multiprocessing.Pool` may have none."""
    here = threading.current_thread()
    others = (one for one in threading.enumerate() if one is not here and not isinstance(one, Onlooker))
    known = sys.modules.get("multiprocessing.process")
    is_worker = known is not None and known.current_process().daemon
    return sys.platform == "linux" and next(others, None) is None and not is_worker


class ForkDied(Exception):  # noqa: N818 - it says what happened
    """A copy of this process ended before its work did, or never began: there was too little memory perhaps."""


class Fork(Generic[Asked, Made]):
    """A copy of this process that makes what it is asked for; begun at once, and ended where the context ends.

    `make` is given what is asked for, as it comes, and yields what is made of it, in the same order. No more may be
    asked for, ahead of what is taken, than there are `rooms`. The process must be one that `can_fork`; ForkDied is
    raised if the system does not let the copy begin.
    """

    def __init__(self, make: Callable[[Iterable[Asked]], Iterable[Made]], rooms: int = ROOMS) -> None:
        from multiprocessing import get_context

        context = get_context("fork")
        try:
            self._here, there = context.Pipe()
            self.rooms = _Rooms(rooms)
            self._process = context.Process(target=_send_each, args=(make, self._here, there, self.rooms), daemon=True)
            with warnings.catch_warnings(), _no_signals():
                warnings.simplefilter("ignore", DeprecationWarning)  # of threads: ours look on, those of numpy wait
                self._process.start()
        except OSError:
            raise ForkDied from None
        there.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *raised: object) -> None:
        self._here.close()
        self._process.kill()  # it has nothing to tidy up
        self._process.join()
        self.rooms.close()

    def fileno(self) -> int:
        """Return what can be read from when something can be taken."""
        return self._here.fileno()

    def ask(self, what: Asked) -> None:
        """Have one thing more made. That it died is said to whoever takes."""
        with contextlib.suppress(OSError):
            self._here.send(what)

    def take(self) -> Made:
        """Wait for what is made next. Raises what that raised, StopIteration behind the last thing, ForkDied."""
        came = self.rooms.received(self._here)
        if isinstance(came, _Ended):
            raise came.error or StopIteration
        made: Made = came
        return made


class ForkAhead(Fork[None, Made]):
    """A copy that iterates `make()`, up to `rooms` things ahead of what is taken. Iterated once: what it makes."""

    def __init__(self, make: Callable[[], Iterable[Made]], rooms: int = ROOMS) -> None:
        super().__init__(lambda asked: (made for _, made in zip(asked, make())), rooms)  # noqa: B905 - ends with either
        for _ in range(rooms):
            self.ask(None)

    def __iter__(self) -> Self:
        return self

    def __next__(self) -> Made:
        made = self.take()
        self.ask(None)
        return made


def ready(copies: Iterable[Fork[Asked, Made]]) -> list[Fork[Asked, Made]]:
    """Wait until something can be taken of one of these copies or more. Returns these."""
    from multiprocessing.connection import wait

    return wait(copies)  # type: ignore[arg-type,return-value]  # whatever has a `fileno` will do


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


class _Rooms:
    """Memory that both ends of a connection have in common, for the arrays of so many messages.

    A message is (rest, ends), pickled: `rest` is the pickle of what was made without its arrays, and the i-th of these
    stands in the room of the message, from aligned(ends[i - 1]) to ends[i]. Without `ends` all is in `rest`: there was
    no array, or not enough room. Message n is in room n % count, written anew when n has been taken.
    """

    def __init__(self, count: int) -> None:
        self.count, self.octets = count, COMMON_OCTETS // count
        self._memory = mmap.mmap(-1, COMMON_OCTETS)
        #: How many messages were sent, or received, at this end.
        self._number = 0

    def _begin(self) -> int:
        """Return where the room of the next message begins, and go on to that of the one behind it."""
        self._number += 1
        return (self._number - 1) % self.count * self.octets

    def close(self) -> None:
        """Give the memory back, whoever still holds this."""
        self._memory.close()

    @property
    def is_closed(self) -> bool:
        """Is it given back?"""
        return self._memory.closed

    def received(self, here: Connection) -> Any:
        """Return what comes next, each array in memory of its own: one that stays holds none of the others.

        Raises ForkDied if nothing will come, or not all of it.
        """
        try:
            rest, ends = pickle.loads(here.recv_bytes())
        except (EOFError, OSError):
            raise ForkDied from None
        begin = self._begin()
        begins = [begin + place for place in (0, *map(_aligned, ends))]
        with memoryview(self._memory) as octets:
            arrays = [bytearray(octets[a : begin + end]) for a, end in zip(begins, ends, strict=False)]
        return pickle.loads(rest, buffers=arrays)

    def send(self, made: Any, there: Connection) -> None:
        """Put the arrays of what was made into its room, if they fit, and send the message."""
        arrays: list[pickle.PickleBuffer] = []
        ends: list[int] = []
        rest = pickle.dumps(made, pickle.HIGHEST_PROTOCOL, buffer_callback=arrays.append)
        begin, end = self._begin(), 0
        for octets in (array.raw() for array in arrays):
            first, end = _aligned(end), _aligned(end) + len(octets)
            if end > self.octets:
                rest, ends = pickle.dumps(made, pickle.HIGHEST_PROTOCOL), []
                break
            self._memory[begin + first : begin + end] = octets
            ends.append(end)
        there.send_bytes(pickle.dumps((rest, ends), pickle.HIGHEST_PROTOCOL))


def _send_each(
    make: Callable[[Iterable[Asked]], Iterable[Any]], here: Connection, there: Connection, rooms: _Rooms
) -> None:
    """Send what is made, and how it ended. What has no place in memory is left to whoever copied us."""
    _be_a_copy()
    here.close()
    with contextlib.suppress(BrokenPipeError, EOFError, MemoryError):
        try:
            for made in make(iter(there.recv, _Ended)):  # without end: EOFError ends it
                rooms.send(made, there)
                del made
            ended = _Ended(None)
        except (BrokenPipeError, EOFError, MemoryError):
            raise
        except Exception as error:
            ended = _Ended(_sendable(error))
        rooms.send(ended, there)


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
