"""Which socket a descriptor of a process is.

Threads share a table of descriptors, a forked child gets a copy of its parent's (clone(2), CLONE_FILES). Where clone()
is in the log, that is exact. Where it is not, a child whose end the parent was told, or that outlived it, was a process
of its own, and any other thread shares the table; what a child then turns out to use is what its parent had, or had
last closed, when the child was first seen. (-y and -yy tell in each line which socket it is.)
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Generic, TypeVar

S = TypeVar("S")


@dataclass
class Table(Generic[S]):
    """The descriptors that some threads share."""

    open: dict[int, S] = field(default_factory=dict)
    #: What was closed in it, by the number that it had: a child may still hold it.
    closed: dict[int, S] = field(default_factory=dict)
    #: What was probably inherited.
    inherited: dict[int, S] = field(default_factory=dict)
    #: Those that execve() closes (O_CLOEXEC).
    brief: set[int] = field(default_factory=set)
    threads: set[int] = field(default_factory=set)
    #: Do its threads only seem to share it?
    is_guess: bool = False

    def copy(self) -> Table[S]:
        """Return the table of a child that was forked now."""
        return Table(dict(self.open), inherited=dict(self.inherited), brief=set(self.brief))


class Descriptors(Generic[S]):
    """The tables of all processes of a log, at the line that was read last."""

    def __init__(self, parents: Mapping[int, int]) -> None:
        self._parents = parents
        self._tables: dict[int, Table[S]] = {}
        self._shared: Table[S] = Table()

    def born(self, child: int, parent: int, *, shares: bool) -> None:
        """Note that a process or thread was made at this line."""
        table = self.table(parent)
        self._tables[child] = table if shares else table.copy()
        self._tables[child].threads.add(child)

    def table(self, pid: int) -> Table[S]:
        """Return the table of a thread. One that is seen for the first time gets its own, or that of the others."""
        if pid not in self._tables:
            self._tables[pid] = Table()  # also to its own ancestors, if a damaged log makes it one of them
            self._tables[pid] = self._of_stranger(pid)
            self._tables[pid].threads.add(pid)
        return self._tables[pid]

    def _of_stranger(self, pid: int) -> Table[S]:
        parent = self._parents.get(pid)
        if parent is None or parent == pid:
            self._shared.is_guess = bool(self._shared.threads)
            return self._shared
        before = self.table(parent)
        return Table(inherited=before.inherited | before.closed | before.open)

    def find(self, pid: int, number: int) -> S | None:
        """Return the socket that a descriptor is, if it is one."""
        table = self.table(pid)
        if number in table.inherited:
            table.open.setdefault(number, table.inherited.pop(number))
        return table.open.get(number)

    def may_hold(self, pid: int, socket: S) -> bool:
        """May a thread have a socket open that its table does not show, since it only seems to share that?"""
        table = self.table(pid)
        return table.is_guess and socket not in table.closed.values()

    def put(self, pid: int, number: int, socket: S) -> None:
        """Note that a descriptor is a socket."""
        self.table(pid).open[number] = socket

    def mark(self, pid: int, number: int, *, is_brief: bool) -> None:
        """Note whether execve() closes a descriptor."""
        brief = self.table(pid).brief
        (brief.add if is_brief else brief.discard)(number)

    def executed(self, pid: int) -> None:
        """Note that a process executed another program: it has a table of its own, without what execve() closes."""
        table = self.table(pid)
        table.threads.discard(pid)
        self._tables[pid] = own = table.copy()
        own.threads.add(pid)
        for number in own.brief:
            own.open.pop(number, None)
        own.brief.clear()

    def close(self, pid: int, number: int) -> None:
        """Note that a descriptor was closed."""
        table = self.table(pid)
        if number in table.open:
            table.closed[number] = table.open.pop(number)

    def end(self, pid: int, used: Callable[[S], bool]) -> list[S]:
        """Note the end of a thread; return the sockets that were still open if it was the last one of its table.

        Where nobody knows that, those that it `used`.
        """
        table = self.table(pid)
        table.threads.discard(pid)
        if table.is_guess:
            return [one for one in dict.fromkeys(table.open.values()) if used(one)]
        if table.threads:
            return []
        left = list(dict.fromkeys(table.open.values()))
        table.open.clear()
        return left
