"""Verdicts of all reductions -> the `Inspection` of the run.

In: the `PartFacts` of the parts, both in the order in which captures were named and in order of time; `Reduction`s.
Out: an `Inspection` as from `inspect()`: connections in the same order, rules over the run applied to all of them.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property, partial
from typing import TypeVar

import numpy as np

from handshake_inspect.arrays import Rows
from handshake_inspect.capture.inputs import Input
from handshake_inspect.capture.merge import is_instant, lanes_of, ranks_of
from handshake_inspect.capture.records import Damage
from handshake_inspect.capture.summary import CaptureSummary
from handshake_inspect.connections.analysis import Analysis, count_errors
from handshake_inspect.connections.connection import Step
from handshake_inspect.connections.conversations import Conversations
from handshake_inspect.connections.deciding.answers import Verdicts, taken, together
from handshake_inspect.connections.model import Connections
from handshake_inspect.connections.prepared import RereadConnections
from handshake_inspect.connections.quotes import Quotes
from handshake_inspect.datagram_runs import KeptDatagrams
from handshake_inspect.exchanges import LazyExchanges
from handshake_inspect.findings.catalogue import survey
from handshake_inspect.inspection import Inspection
from handshake_inspect.inspector import Inspector, read_datagrams
from handshake_inspect.pairs import KeyTable
from handshake_inspect.processes import Workers
from handshake_inspect.renumbering import Renumbering, renumbering
from handshake_inspect.spread.part import PartFacts
from handshake_inspect.spread.reduction import Reduction
from handshake_inspect.table import IcmpErrorTable, Names
from handshake_inspect.tcp.time_wait import profile_of

T = TypeVar("T", KeptDatagrams, IcmpErrorTable)


@dataclass
class WholeRun:
    """The run as a whole, combined from its parts: captures, names, and rows other than segments."""

    inputs: Sequence[Input]
    #: Parts in order of time; and the indices of the inputs each was read from.
    parts: Sequence[PartFacts]
    read_from: Sequence[Sequence[int]]

    @cached_property
    def _places(self) -> list[tuple[int, int, int]]:
        """Input, part, and number in the part, of each capture of the run."""
        return sorted(
            (own[inside], part, number)
            for part, (one, own) in enumerate(zip(self.parts, self.read_from, strict=True))
            for number, inside in enumerate(one.inputs)
        )

    @cached_property
    def captures(self) -> list[CaptureSummary]:
        """All usable captures, in the order in which they were named."""
        return [self.parts[part].captures[number] for _, part, number in self._places]

    @cached_property
    def ranks(self) -> Rows:
        """The rank of each capture, by which rows of one time are sorted."""
        begins_ns = [self.parts[part].begins_ns[number] for _, part, number in self._places]
        return ranks_of(list(zip(begins_ns, map(is_instant, self.captures), strict=True)))

    @cached_property
    def sources(self) -> list[Input]:
        """The input of each capture."""
        return [self.inputs[place] for place, _, _ in self._places]

    @property
    def damage(self) -> list[Damage]:
        """Damage of all captures."""
        return [place for _, part, number in self._places for place in self.parts[part].damage[number]]

    @property
    def unread(self) -> Counter[str]:
        """Counts of frames without a row, by kind."""
        return sum((one.unread for one in self.parts), Counter())

    @cached_property
    def names(self) -> Names:
        """The names of all parts."""
        _ = self.renumberings
        return self._names

    @cached_property
    def _names(self) -> Names:
        return Names()

    @cached_property
    def renumberings(self) -> list[Renumbering]:
        """The renumbering of each part into the run."""
        return [self.renumbered(part, one) for part, one in enumerate(self.parts)]

    def renumbered(self, part: int, beside: PartFacts) -> Renumbering:
        """Return the renumbering into the run of a part, as first read or as read again."""
        of_run = {(part, number): capture for capture, (_, part, number) in enumerate(self._places)}
        numbers = [of_run[part, number] for number in range(len(beside.captures))]
        return renumbering(beside.names, self._names, np.array(numbers, np.uint16))

    @cached_property
    def tcp_errors(self) -> IcmpErrorTable:
        """ICMP errors that quote TCP."""
        return self._all([one.tcp_errors for one in self.parts], IcmpErrorTable)

    @cached_property
    def quotes(self) -> tuple[Quotes, Conversations]:
        """The same errors, with the conversations they quote."""
        quotes, conversations = Quotes(), Conversations()
        quotes.follow(lanes_of(self.captures))
        quotes.add(self.tcp_errors, conversations)
        return quotes, conversations

    def exchanges(self) -> LazyExchanges:
        """Return the UDP exchanges of the run."""
        datagrams = self._all([one.datagrams for one in self.parts], KeptDatagrams)
        errors = self._all([one.udp_errors for one in self.parts], IcmpErrorTable)
        names = [one.name for one in self.captures]
        read_again = partial(read_datagrams, self.sources, self.names, Workers())
        return LazyExchanges([datagrams], [errors], self.names, names, lanes_of(self.captures), read_again)

    def _all(self, tables: Sequence[T], kind: type[T]) -> T:
        """Concatenate the tables of all parts in order of time."""
        numbered = [numbers.of(table) for numbers, table in zip(self.renumberings, tables, strict=True)]
        whole = kind.concatenate(numbered)
        if not len(whole):
            return whole
        latest = np.concatenate([np.maximum.accumulate(table["time_ns"]) for table in numbered])
        # A part that is not in order of time keeps its order: no other part overlaps with it.
        in_time = np.repeat([not one.is_out_of_time for one in self.parts], [len(table) for table in numbered])
        return whole.take(np.lexsort((self.ranks[whole["capture"]] * in_time, latest)))


def inspection_of(
    course: WholeRun, reductions: Sequence[Reduction], again: Sequence[Reduction], profile: str
) -> Inspection:
    """Combine all reductions; `again`: those of conversations that were read again."""
    keys, numbers = _numbered([*reductions, *again], len(reductions))
    verdicts = _in_order(reductions, again, numbers)
    quotes, conversations = course.quotes
    if quotes:
        count_errors(verdicts, quotes, conversations)
    captures = [one.name for one in course.captures]
    connections = Connections(verdicts, keys, course.names, captures, profile_of(profile))
    connections.look_over = partial(survey, captures=course.captures, lanes=lanes_of(course.captures))
    return Inspection(
        captures=course.captures,
        connections=connections,
        exchanges=course.exchanges(),
        damage=course.damage,
        unread=course.unread,
        _inspector=Reader(course.sources, course.names),
    )


def _numbered(reductions: Sequence[Reduction], first: int) -> tuple[KeyTable, list[Rows]]:
    """Number the conversations of the run in order of first appearance; the `first` reductions have all of them.

    Returns the key of each, and the numbers of the conversations of each reduction.
    """
    every = KeyTable.concatenate([one.keys for one in reductions[:first]])
    appeared = (
        np.concatenate([getattr(one, name) for one in reductions[:first]])
        for name in ("appeared_as", "appeared_in", "appeared_ns")
    )
    conversations = Conversations()
    conversations.number(every.take(np.lexsort(list(appeared))))
    return conversations.keys, [conversations.number(one.keys) for one in reductions]


def _in_order(reductions: Sequence[Reduction], again: Sequence[Reduction], numbers: Sequence[Rows]) -> Verdicts:
    parts = []
    for one, own in zip([*reductions, *again], numbers, strict=True):
        table = one.verdicts.table
        table.columns["conversation"] = own[table["conversation"]].astype(np.int32)
        parts.append(one.verdicts)
    total = together(parts)
    return taken(total, np.argsort(total.table["conversation"], kind="stable"))


class Reader:
    """Reads the captures of a run again, on this machine, for details that the verdicts lack."""

    def __init__(self, sources: Sequence[Input], names: Names) -> None:
        self._sources, self._names = sources, names
        self._again = RereadConnections(self._keep)
        self._keys = KeyTable.empty()

    def steps(self, connections: Connections, stream: int, coming: Sequence[int] | None = None) -> tuple[Step, ...]:
        """Describe every segment of one stream. Raises `CaptureError` if its captures can no longer be read."""
        self._keys = connections.keys
        return self._again.steps(connections, stream, coming)

    def _keep(self, conversations: Rows) -> Analysis:
        return self._read(self._names.for_steps(), self._keys.take(conversations))

    def _read(self, names: Names, only: KeyTable | None = None) -> Analysis:
        inspector = Inspector(fold=only is None, names=names, only=only)
        inspector.read(self._sources)
        return inspector.analysis

    @cached_property
    def analysis(self) -> Analysis:
        """The analysis of the whole run, read again on this machine."""
        analysis = self._read(self._names)
        analysis.verdicts()
        return analysis
