"""Captures -> a `Part`: what an `Inspector` has after reading them, made something that can be sent on.

In: captures, one or several that were taken side by side. Out: rows that stand for all of their segments, folded as in
any run, with the keys of their conversations; and what whoever puts the run together has to know besides. All numbers
in a part (of captures, names, conversations) are its own.
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
from handshake_inspect.connections.splitting.split import StoredRows
from handshake_inspect.datagram_runs import KeptDatagrams
from handshake_inspect.inspector import Inspector
from handshake_inspect.pairs import KeyTable
from handshake_inspect.sets import first_of_runs
from handshake_inspect.table import IcmpErrorTable, Names


@dataclass
class PartFacts:
    """What is to be known of a part besides its segments."""

    captures: list[CaptureSummary]
    #: Which of the inputs each capture is.
    inputs: list[int]
    #: Why others could not be used at all.
    failed: list[str]
    #: Of each capture.
    damage: list[list[Damage]]
    unread: Counter[str]
    names: Names
    #: That quote TCP, and UDP.
    tcp_errors: IcmpErrorTable
    udp_errors: IcmpErrorTable
    datagrams: KeptDatagrams
    #: Rows that stand for its segments.
    rows: int

    @property
    def extent_ns(self) -> tuple[int, int] | None:
        """Times of the first and the last frame; None if there is none."""
        times = [time for one in self.captures for time in (one.first_ns, one.last_ns) if time is not None]
        return (min(times), max(times)) if times else None

    @property
    def is_out_of_time(self) -> bool:
        """Is a capture not in order of its times, since these step back by more than those of queues?"""
        return any(one.disorder.out_of_time for one in self.captures)


@dataclass
class Part:
    """What captures hold."""

    #: By conversation and capture order; copies are among them.
    rows: StoredRows
    #: The key of each conversation, which are numbered as they appear; and when that was.
    keys: KeyTable
    appeared_ns: NDArray[np.int64]
    beside: PartFacts


def part_of(inputs: Sequence[Input], names: Names | None = None, only: KeyTable | None = None) -> Part:
    """Read captures. With `only` keep every segment of these conversations; `names` are what their keys refer to."""
    names = Names() if names is None else deepcopy(names)
    inspector = Inspector(names=names, fold=only is None, only=only)
    failed: list[CaptureError] = []
    inspector.read(inputs, Hooks(failed=failed.append))
    return part_from(inspector, inputs, [str(error) for error in failed])


def beside(part: Part) -> PartFacts:
    """Return what is to be known of a part besides its segments."""
    return part.beside


def part_from(inspector: Inspector, inputs: Sequence[Input], failed: list[str]) -> Part:
    """Return what an inspector has after reading these."""
    analysis = inspector.analysis
    rows = analysis.gathering.everything()
    return Part(
        rows=rows,
        keys=analysis.keys,
        appeared_ns=_appeared_ns(rows, len(analysis.keys)),
        beside=PartFacts(
            captures=inspector.captures,
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
    """Return when each conversation appeared; where the clock was set back meanwhile, the latest time before."""
    first_ns = np.full(conversations, np.iinfo(np.int64).min)
    begins = first_of_runs(rows["conversation"])
    first_ns[rows["conversation"][begins]] = rows["time_ns"][begins]
    return np.maximum.accumulate(first_ns)
