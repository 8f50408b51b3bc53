"""Forks: copies of this process, each with its own interpreter and all data of this one.

In: a function, and requests to it. Out: its results, in the same order, sent through a pipe and through shared memory.

No forks are made where that is not safe: Windows has no fork, macOS warns of it, and another thread may hold a lock
for which the fork would wait without end.
"""

from __future__ import annotations

import contextlib
import mmap
import os
import pickle
import select
import signal
import sys
import threading
import traceback
import warnings
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any, Generic, NoReturn, Self, TypeVar

from handshake_inspect.plain import mutable

Asked = TypeVar("Asked")
Made = TypeVar("Made")

#: Octets of shared memory for the results of a fork, and the default number of results it holds at once. Sending them
#: through a pipe takes five times as long.
COMMON_OCTETS, ROOMS = 1 << 25, 2
#: Octets of the length of a message, and most octets taken from a pipe at once.
LENGTH_OCTETS, READ_OCTETS = 8, 1 << 20


class Onlooker(threading.Thread):
    """A thread that only shows progress: it holds no lock that a fork needs."""


def can_fork() -> bool:
    """Can a fork of this process be made and work safely?"""
    here = threading.current_thread()
    others = (one for one in threading.enumerate() if one is not here and not isinstance(one, Onlooker))
    return sys.platform == "linux" and next(others, None) is None


class ForkDied(Exception):  # noqa: N818 - it says what happened
    """A fork ended before its work did, or never began, perhaps for lack of memory."""


class Fork(Generic[Asked, Made]):
    """A fork of this process that serves requests; it starts at once, and ends with the context.

    `make` gets the requests as they arrive, and yields the result of each, in order. At most `rooms` requests may be
    ahead of the results taken. `can_fork` must be true for the process; raises ForkDied if the system refuses the fork.
    """

    def __init__(self, make: Callable[[Iterable[Asked]], Iterable[Made]], rooms: int = ROOMS) -> None:
        #: Its number, until it was waited for.
        self._process: int | None = None
        with contextlib.ExitStack() as ends:
            try:
                self._here, there = _both_ends()
                ends.callback(there.close)
                ends.callback(self._here.close)
                self.rooms = _Rooms(rooms)
                with warnings.catch_warnings(), _no_signals():
                    warnings.simplefilter("ignore", DeprecationWarning)  # threads: ours only watch, those of numpy wait
                    self._process = os.fork()
                    if self._process == 0:
                        _be_a_copy(make, self._here, there, self.rooms)
            except OSError:
                raise ForkDied from None
            ends.pop_all()
            there.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *raised: object) -> None:
        self.end()
        if self._process is not None:
            with contextlib.suppress(ChildProcessError):  # whoever ignores SIGCHLD has none to wait for
                os.waitpid(self._process, 0)
            self._process = None

    def end(self) -> None:
        """End it without waiting: the system needs 3 ms to free the memory of a large process.

        The shared memory is closed first: then the fork frees it as it ends, which takes 2 ms more.
        """
        self._here.close()
        try:
            self.rooms.close()
        finally:
            if self._process is not None:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(self._process, signal.SIGKILL)  # it has nothing to clean up

    def fileno(self) -> int:
        """Return the descriptor that is readable when a result can be taken."""
        return self._here.fileno()

    def ask(self, what: Asked) -> None:
        """Send a request. If the fork died, the next `take` reports that."""
        with contextlib.suppress(OSError):
            self._here.send(pickle.dumps(what))

    def take(self) -> Made:
        """Wait for the next result. Raises the exception of `make`, StopIteration after the last one, or ForkDied."""
        came = self.rooms.received(self._here)
        if isinstance(came, _Ended):
            raise came.error or StopIteration
        made: Made = came
        return made


class ForkAhead(Fork[None, Made]):
    """A fork that iterates `make()`, up to `rooms` results ahead of those taken. Iterated once, it yields these."""

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
    """Wait until a result can be taken from at least one of these forks. Returns those with one."""
    by_descriptor = {copy.fileno(): copy for copy in copies}
    poll = select.poll()
    for descriptor in by_descriptor:
        poll.register(descriptor, select.POLLIN)
    return [by_descriptor[descriptor] for descriptor, _ in poll.poll()]


class _PipeEnd:
    """One end of two pipes, one for each direction: messages of octets, each behind its length.

    The pipes of `multiprocessing` do the same, and take 7 ms to import at a moment when nothing else goes on.
    """

    def __init__(self, reads: int, writes: int) -> None:
        self._reads, self._writes = reads, writes

    def send(self, message: bytes) -> None:
        """Send a message. Raises OSError if nobody will receive it."""
        octets = memoryview(len(message).to_bytes(LENGTH_OCTETS) + message)
        while octets:
            octets = octets[os.write(self._writes, octets) :]

    def receive(self) -> bytearray:
        """Wait for the next message. Raises EOFError or OSError if none will come."""
        return self._read(int.from_bytes(self._read(LENGTH_OCTETS)))

    def _read(self, count: int) -> bytearray:
        octets = bytearray()
        while len(octets) < count:
            came = os.read(self._reads, min(count - len(octets), READ_OCTETS))
            if not came:
                raise EOFError
            octets += came
        return octets

    def fileno(self) -> int:
        """Return the descriptor that is readable when a message can be received."""
        return self._reads

    def close(self) -> None:
        """Close it; later calls of other methods raise OSError."""
        reads, writes, self._reads, self._writes = self._reads, self._writes, -1, -1
        if reads >= 0:
            os.close(reads)
            os.close(writes)


def _both_ends() -> tuple[_PipeEnd, _PipeEnd]:
    """Make two pipes. Returns the ends for this process and for a fork. Raises OSError."""
    from_fork, to_here = os.pipe()
    try:
        from_here, to_fork = os.pipe()
    except OSError:
        os.close(from_fork)
        os.close(to_here)
        raise
    return _PipeEnd(from_fork, to_fork), _PipeEnd(from_here, to_here)


@mutable
class _Ended:
    """Sent after all results: the error that ended the work, or None."""

    error: Exception | None


#: Signals that a fork leaves to its parent.
SIGNALS = (signal.SIGINT, signal.SIGTERM, *((signal.SIGHUP,) if hasattr(signal, "SIGHUP") else ()))


@contextlib.contextmanager
def _no_signals() -> Iterator[None]:
    """Block signals: at one, a fork that has just started would do what this process does."""
    before = signal.pthread_sigmask(signal.SIG_BLOCK, SIGNALS)
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _leave_signals() -> None:
    """Leave signals, and ending this fork, to the parent; if memory runs out, be the process that is killed."""
    for number in SIGNALS:
        signal.signal(number, signal.SIG_IGN)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, SIGNALS)
    with contextlib.suppress(OSError):
        Path("/proc/self/oom_score_adj").write_text("500")


class _Rooms:
    """Memory shared by both ends of a pipe, with room for the arrays of `count` messages.

    A message is (rest, ends), pickled: `rest` is the pickle of the result without its arrays, and the i-th array is in
    the room of the message, from aligned(ends[i - 1]) to ends[i]. Without `ends` all is in `rest`: there was no array,
    or not enough room. Message n is in room n % count, which is reused once n has been taken.
    """

    def __init__(self, count: int) -> None:
        self.count, self.octets = count, COMMON_OCTETS // count
        self._memory = mmap.mmap(-1, COMMON_OCTETS)
        #: Count of messages sent, or received, at this end.
        self._number = 0

    def _begin(self) -> int:
        """Return the offset of the room for the next message, and advance to the following one."""
        self._number += 1
        return (self._number - 1) % self.count * self.octets

    def close(self) -> None:
        """Free the memory, even if this object is still referenced."""
        self._memory.close()

    @property
    def is_closed(self) -> bool:
        """Is the memory freed?"""
        return self._memory.closed

    def received(self, here: _PipeEnd) -> Any:
        """Return the next result, each array in separate memory, so that keeping one does not keep the others.

        Raises ForkDied if no complete message will come.
        """
        try:
            rest, ends = pickle.loads(here.receive())
        except (EOFError, OSError):
            raise ForkDied from None
        begin = self._begin()
        begins = [begin + place for place in (0, *map(_aligned, ends))]
        with memoryview(self._memory) as octets:
            arrays = [bytearray(octets[a : begin + end]) for a, end in zip(begins, ends, strict=False)]
        return pickle.loads(rest, buffers=arrays)

    def send(self, made: Any, there: _PipeEnd) -> None:
        """Write the arrays of a result into its room, if they fit, and send the message."""
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
        there.send(pickle.dumps((rest, ends), pickle.HIGHEST_PROTOCOL))


def _be_a_copy(
    make: Callable[[Iterable[Asked]], Iterable[Any]], here: _PipeEnd, there: _PipeEnd, rooms: _Rooms
) -> NoReturn:
    """Send the results, and how the work ended. If memory runs out, end silently: the parent does the work."""
    try:
        _leave_signals()
        here.close()
        try:
            for made in make(_requests(there)):
                rooms.send(made, there)
                del made
            ended = _Ended(None)
        except (BrokenPipeError, MemoryError):
            raise
        except Exception as error:
            ended = _Ended(_sendable(error))
        rooms.send(ended, there)
    finally:
        os._exit(0)  # whatever happened: the parent alone goes on


def _requests(there: _PipeEnd) -> Iterator[Any]:
    """Yield requests as they arrive, as long as the parent can send some."""
    with contextlib.suppress(EOFError):
        while True:
            yield pickle.loads(there.receive())


def _aligned(place: int) -> int:
    """Return the first offset at or after `place` at which an array may begin."""
    return -(-place // 64) * 64


def _sendable(error: Exception) -> Exception:
    """Return an error with its traceback as a note; another one with its message if it cannot be pickled."""
    error.add_note(f"in a copy of the process:\n{''.join(traceback.format_exception(error))}")
    try:
        pickle.loads(pickle.dumps(error))
    except Exception:
        return RuntimeError(f"{type(error).__name__}: {error}")
    return error
