"""A child that tells as it goes."""

from __future__ import annotations

import os
import signal
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from handshake_inspect.lab.telling import Tell, telling
from handshake_inspect.lab.world import LabError, WorldError
from tests.lab.privileges import as_ordinary_user, children, forbid_namespaces, needs_private_world


def test_what_is_told_comes_when_it_is_told() -> None:
    """The child goes on only when what it told has been heard: else this waits in vain."""
    reader, writer = os.pipe()

    def count(tell: Tell[int]) -> None:
        for number in range(3):
            tell(number)
            assert os.read(reader, 1) == bytes([number])

    heard = []
    for number in telling(count, is_private=False):
        heard.append(number)
        os.write(writer, bytes([number]))
    assert heard == [0, 1, 2]
    for end in (reader, writer):
        os.close(end)


def killed(tell: Tell[int]) -> None:
    tell(1)
    os.kill(os.getpid(), signal.SIGKILL)


def killed_while_it_tells(tell: Tell[int | bytes]) -> None:
    """More than a pipe holds, of which the other end reads some."""
    tell(1)
    threading.Timer(0.1, os.kill, (os.getpid(), signal.SIGKILL)).start()
    tell(Endless())  # type: ignore[arg-type]


class Endless:
    """Something that is pickled without end."""

    def __reduce__(self) -> tuple[object, ...]:
        return (list, (), None, iter(lambda: 0, 1))


@pytest.mark.parametrize("function", [killed, killed_while_it_tells])
def test_a_child_that_was_killed_has_not_finished(function: Callable[[Tell[int]], None]) -> None:
    told = telling(function, is_private=False)
    assert next(told) == 1
    with pytest.raises(RuntimeError, match=r"^the child of the lab ended with status -9$"):
        next(told)


def test_it_has_a_network_of_its_own_if_that_is_wanted() -> None:
    def tell_network(tell: Tell[str]) -> None:
        tell(str(Path("/proc/self/ns/net").readlink()))

    needs_private_world()
    here = str(Path("/proc/self/ns/net").readlink())
    assert list(telling(tell_network, is_private=False)) == [here]
    assert list(telling(tell_network, is_private=True)) != [here]


def test_an_error_for_people_is_raised_here_after_what_was_told() -> None:
    def fail(tell: Tell[int]) -> None:
        tell(1)
        raise LabError("the wire is cut")

    told = telling(fail, is_private=False)
    assert next(told) == 1
    with pytest.raises(LabError, match=r"^the wire is cut$"):
        next(told)


def nothing(_: Tell[int]) -> None:
    pass


def test_where_namespaces_are_forbidden_it_says_so_at_once() -> None:
    def forbidden() -> str:
        forbid_namespaces()
        try:
            next(telling(nothing, is_private=True))
        except WorldError as error:
            return str(error)
        return ""

    assert "namespace" in as_ordinary_user(forbidden)


def test_who_stops_listening_ends_the_child() -> None:
    def for_ever(tell: Tell[int]) -> None:
        while True:
            tell(os.getpid())
            time.sleep(0.01)

    before = children()
    told = telling(for_ever, is_private=False)
    child = next(told)
    assert str(child) in children()
    told.close()
    assert children() == before
