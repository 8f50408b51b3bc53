"""A forked child that reports while it works.

In: a function that is called with `tell`, and whether it gets a network of its own. Out: an iterator over its reports.
For work that only has a result, there is `world.in_private_world`.
"""

from __future__ import annotations

import io
import os
import pickle
import signal
from collections.abc import Callable, Generator, Iterator
from contextlib import suppress
from typing import Any, TypeVar, cast

from handshake_inspect.lab.world import enter_private_network, fork, refuse_fallen, sendable

T = TypeVar("T")
Tell = Callable[[T], None]


def telling(function: Callable[[Tell[T]], object], *, is_private: bool) -> Generator[T, None, None]:
    """Call `function` in a forked child, and yield what it tells, which must be picklable.

    An error of it is raised here, as `world.Child` does; that it was killed, too. To close the generator ends the
    child, and with it a private network. Raises WorldError at the first step if a private network is not possible.
    """
    reader, writer = os.pipe()

    def tell_and_leave() -> None:
        os.close(reader)
        with os.fdopen(writer, "wb") as pipe:

            def tell(value: object) -> None:
                pickle.dump((True, value), pipe)
                pipe.flush()

            try:
                if is_private:
                    enter_private_network()
                function(tell)
            except Exception as error:
                pickle.dump((False, sendable(error)), pipe)

    child = fork(tell_and_leave)
    os.close(writer)
    has_ended = False
    try:
        with os.fdopen(reader, "rb") as pipe:
            for succeeded, value in told_in(pipe):
                if not succeeded:
                    raise value
                yield cast(T, value)
        has_ended = True
    finally:
        if not has_ended:
            os.kill(child, signal.SIGTERM)
        _, status = os.waitpid(child, 0)
    refuse_fallen(status)


def told_in(pipe: io.BufferedReader) -> Iterator[tuple[bool, Any]]:
    """Yield what a child of ours wrote, until it has ended; if it was killed while it told something, without that."""
    with suppress(EOFError, pickle.UnpicklingError):
        while pipe.peek(1):
            yield pickle.load(pipe)
