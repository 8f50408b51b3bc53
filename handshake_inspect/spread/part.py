"""Captures -> a `Part`: the state of an `Inspector` after reading them, in a form that can be sent.

In: one capture, or several that overlap in time. Out: the rows of all their segments, folded as in any run, with the
keys of their conversations; and further facts needed to combine the run. All numbers in a part (of captures, names,
conversations) are local to it.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from copy import deepcopy
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from handshake_inspect.capture.inputs import Hooks, Input
from handshake_inspect.capture.records import CaptureError, Damage
from handshake_inspect.capture.summary import CaptureSummary
from handshake_inspect.connections.moments import EARLIEST_NS
from handshake_inspect.connections.splitting.split import StoredRows
from handshake_inspect.datagram_runs import KeptDatagrams
from handshake_inspect.inspector import Inspector
from handshake_inspect.pairs import KeyTable
from handshake_inspect.sets import first_of_runs
from handshake_inspect.table import IcmpErrorTable, Names


@dataclass
class PartFacts:
    """Facts about a part, besides its segments."""

    captures: list[CaptureSummary]
    #: Time of the first record of each; None without records.
    begins_ns: list[int | None]
    #: Index of the input of each capture.
    inputs: list[int]
    #: Error messages of inputs that could not be used.
    failed: list[str]
    #: Damage of each capture.
    damage: list[list[Damage]]
    unread: Counter[str]
    names: Names
    #: ICMP errors that quote TCP, and UDP.
    tcp_errors: IcmpErrorTable
    udp_errors: IcmpErrorTable
    datagrams: KeptDatagrams
    #: Count of rows of its segments.
    rows: int

    @property
    def extent_ns(self) -> tuple[int, int] | None:
        """Times of the first and the last frame; None without frames."""
        times = [time for one in self.captures for time in (one.first_ns, one.last_ns) if time is not None]
        return (min(times), max(times)) if times else None

    @property
    def is_out_of_time(self) -> bool:
        """Is a capture not in order of time, because its times step back by more than queues explain?"""
        return any(one.disorder.out_of_time for one in self.captures)


@dataclass
class Part:
    """The contents of captures."""

    #: Rows by conversation and capture order, copies included.
    rows: StoredRows
    #: Key of each conversation, in order of first appearance; and the time of that.
    keys: KeyTable
    appeared_ns: NDArray[np.int64]
    beside: PartFacts


def part_of(
    inputs: Sequence[Input], names: Names | None = None, only: KeyTable | None = None, of_several: bool = False
) -> Part:
    """Read captures. With `only` keep every segment of these conversations, whose keys refer to `names`.

    `of_several`: the run has more captures than these.
    """
    names = Names() if names is None else deepcopy(names)
    inspector = Inspector(names=names, fold=only is None, only=only)
    if of_several:
        inspector.datagrams.single_until_ns = EARLIEST_NS
    failed: list[CaptureError] = []
    inspector.read(inputs, Hooks(failed=failed.append))
    return part_from(inspector, inputs, [str(error) for error in failed])


def beside(part: Part) -> PartFacts:
    """Return the facts about a part, besides its segments."""
    return part.beside


def part_from(inspector: Inspector, inputs: Sequence[Input], failed: list[str]) -> Part:
    """Return the state of an inspector that has read these inputs."""
    analysis = inspector.analysis
    rows = analysis.gathering.everything()
    return Part(
        rows=rows,
        keys=analysis.keys,
        appeared_ns=_appeared_ns(rows, len(analysis.keys)),
        beside=PartFacts(
            captures=inspector.captures,
            begins_ns=inspector.reading.begins_ns,
            inputs=[next(n for n, one in enumerate(inputs) if one is source) for source in inspector.reading.sources],
            failed=failed,
            damage=[inspector.reading.damage.get(number, []) for number in range(len(inspector.captures))],
            unread=inspector.reading.unread,
            names=inspector.names,
            tcp_errors=analysis.quotes.everything(),
            udp_errors=IcmpErrorTable.concatenate(IcmpErrorTable(one.columns) for one in inspector.datagrams.errors),
            datagrams=inspector.datagrams.kept(),
            rows=len(rows),
        ),
    )


def _appeared_ns(rows: StoredRows, conversations: int) -> NDArray[np.int64]:
    """Return when each conversation appeared: the latest time so far, where the clock had been set back."""
    first_ns = np.full(conversations, np.iinfo(np.int64).min)
    begins = first_of_runs(rows["conversation"])
    first_ns[rows["conversation"][begins]] = rows["time_ns"][begins]
    return np.maximum.accumulate(first_ns)
