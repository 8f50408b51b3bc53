"""A run divided into pieces: map, shuffle, reduce, and combine.

In: captures, and an `Engine`, which runs functions on any machine. Out: the `Inspection` that `inspect()` returns for
the same captures.

Each capture is a part of its own. Captures that overlap in time are read together, as on one machine, so that copies
in several of them are found before folding. Captures that only follow each other, like the files of a rotation, may
overlap by as much as the frames of several interfaces are out of order.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any, Protocol

import numpy as np

from handshake_inspect.capture.inputs import Input
from handshake_inspect.capture.order import INTERFACES_NS
from handshake_inspect.capture.records import CaptureError
from handshake_inspect.connections.copies.packets import CopyEvidence
from handshake_inspect.inspection import Inspection
from handshake_inspect.pairs import KeyTable, keys_of
from handshake_inspect.sets import set_of
from handshake_inspect.spread.part import PartFacts, beside, part_of
from handshake_inspect.spread.reduction import Reduction, RunFacts, reduced
from handshake_inspect.spread.sharing import piece_of, shared
from handshake_inspect.spread.whole import WholeRun, inspection_of
from handshake_inspect.table import IcmpErrorTable

#: Intended rows of a reduction, which holds them all and works on them in partitions.
PIECE_ROWS = 1 << 21


class Engine(Protocol):
    """Runs pure functions, locally or remotely."""

    @property
    def workers(self) -> int:
        """Count of functions that run at once."""

    def submit(self, function: Callable[..., Any], *arguments: Any) -> Any:
        """Start a function. Returns a handle to its result, which may be an argument of further functions."""

    def results(self, submitted: Sequence[Any], doing: str) -> list[Any]:
        """Wait for results; `doing` names the work in progress messages."""


@dataclass
class _Mapped:
    """A part held by the engine, and its facts."""

    inputs: list[int]
    part: Any
    beside: PartFacts


def inspect_spread(
    inputs: Sequence[Input],
    engine: Engine,
    *,
    profile: str = "linux",
    failed: Callable[[CaptureError], None],
    pieces: int | None = None,
) -> Inspection:
    """Inspect captures as one run. `failed` gets the errors of unusable ones. `pieces`: the number of reductions."""
    mapped = _together_if_side_by_side(_map(engine, inputs, [[n] for n in range(len(inputs))]), engine, inputs)
    for one in sorted(mapped, key=lambda each: each.inputs):
        for message in one.beside.failed:
            failed(CaptureError(message))
    course = WholeRun(inputs, [one.beside for one in mapped], [one.inputs for one in mapped])
    rows = sum(one.rows for one in course.parts)
    work = _Work(engine, course, mapped, pieces or max(engine.workers, -(-rows // PIECE_ROWS)))
    first = work.reduce()
    if trusted := _trusted(first):
        first = work.reduce(trusted)
    return inspection_of(course, *first, profile)


def _map(engine: Engine, inputs: Sequence[Input], chosen: Sequence[list[int]]) -> list[_Mapped]:
    """Read captures, those of one list together. Returns the parts in order of time."""
    several = len(inputs) > 1
    parts = [engine.submit(part_of, [inputs[place] for place in places], None, None, several) for places in chosen]
    told = engine.results([engine.submit(beside, part) for part in parts], "read")
    mapped = [_Mapped(*one) for one in zip(chosen, parts, told, strict=True)]
    return sorted(mapped, key=lambda one: (one.beside.extent_ns or (0, 0), one.inputs))


def _together_if_side_by_side(mapped: list[_Mapped], engine: Engine, inputs: Sequence[Input]) -> list[_Mapped]:
    """Read parts whose captures overlap in time again, together."""
    groups = list(_groups(mapped))
    alone = [group[0] for group in groups if len(group) == 1]
    beside_each_other = [sorted(place for one in group for place in one.inputs) for group in groups if len(group) > 1]
    again = _map(engine, inputs, beside_each_other) if beside_each_other else []
    return sorted(alone + again, key=lambda one: (one.beside.extent_ns or (0, 0), one.inputs))


def _groups(mapped: Sequence[_Mapped]) -> Iterator[list[_Mapped]]:
    """Yield the parts, which are in order of time, in lists of those whose captures overlap in time."""
    #: Last time of each open group, and its parts.
    open_groups: list[tuple[int, list[_Mapped]]] = []
    for one in mapped:
        if (extent_ns := one.beside.extent_ns) is None:
            yield [one]
            continue
        (begin_ns, until_ns), group, apart = extent_ns, [one], list[tuple[int, list[_Mapped]]]()
        for other_until_ns, others in open_groups:
            if _overlap(begin_ns, other_until_ns, [*others, one]):
                until_ns, group = max(until_ns, other_until_ns), [*others, *group]
            elif other_until_ns < begin_ns:
                yield others
            else:
                apart.append((other_until_ns, others))
        open_groups = [*apart, (until_ns, group)]
    yield from (group for _, group in open_groups)


def _overlap(begin_ns: int, until_ns: int, of: Sequence[_Mapped]) -> bool:
    """Do captures overlap by more than frames may be out of order, or at all if one is not in order of time?"""
    slack_ns = 0 if any(one.beside.is_out_of_time for one in of) else INTERFACES_NS
    return begin_ns <= until_ns - slack_ns


class _Work:
    """The reductions of a run."""

    def __init__(self, engine: Engine, course: WholeRun, mapped: Sequence[_Mapped], pieces: int) -> None:
        self._engine, self._course, self._count = engine, course, pieces
        self._told = RunFacts.of(course.names, course.captures, course.ranks)
        self._errors = self._shared_errors()
        parts = [one.part for one in mapped]
        self._pieces = [self._shuffle(parts, course.renumberings, which) for which in range(pieces)]
        #: Pieces of the conversations that were read again, and their keys.
        self._again: list[tuple[list[Any], KeyTable]] = [([], KeyTable.empty())] * pieces

    def _shared_errors(self) -> list[IcmpErrorTable]:
        """Return the ICMP errors that quote the conversations of each reduction, without copies."""
        quotes, conversations = self._course.quotes
        table = IcmpErrorTable(quotes.all(conversations).columns)
        which = shared(keys_of(table)[0], self._count)
        return [table.take(which == one) for one in range(self._count)]

    def _shuffle(self, parts: Sequence[Any], numbers: Sequence[Any], which: int) -> list[Any]:
        return [
            self._engine.submit(piece_of, part, own, self._count, which)
            for part, own in zip(parts, numbers, strict=True)
        ]

    def reduce(self, trusted: frozenset[int] = frozenset()) -> tuple[list[Reduction], list[Reduction]]:
        """Decide everything about all conversations; those that must be read again get reductions of their own.

        Trusting captures (`trusted`) may change which conversations must be read again.
        """
        told = replace(self._told, trusted=trusted)
        reductions = self._reduced(
            (pieces, told, errors, None, before)
            for pieces, errors, (_, before) in zip(self._pieces, self._errors, self._again, strict=True)
        )
        if any(len(one.again) > len(before) for one, (_, before) in zip(reductions, self._again, strict=True)):
            self._again = list(self._read_again(reductions))
        again = self._reduced(
            (pieces, told, self._errors[which], keys) for which, (pieces, keys) in enumerate(self._again) if len(keys)
        )
        return reductions, again

    def _reduced(self, wanted: Iterator[tuple[Any, ...]]) -> list[Reduction]:
        submitted = [self._engine.submit(reduced, *arguments) for arguments in wanted]
        return self._engine.results(submitted, "decided") if submitted else []

    def _read_again(self, reductions: Sequence[Reduction]) -> Iterator[tuple[list[Any], KeyTable]]:
        """Read the parts of conversations that need it again, with every segment of these."""
        keys = [one.keys.take(one.again) for one in reductions]
        places = set_of(np.concatenate([one.again_in for one in reductions])).tolist()
        course, only = self._course, KeyTable.concatenate(keys)
        sources = [[course.inputs[place] for place in course.read_from[part]] for part in places]
        parts = [self._engine.submit(part_of, some, course.names, only) for some in sources]
        told: list[PartFacts] = self._engine.results(
            [self._engine.submit(beside, part) for part in parts], "read again"
        )
        for message in (message for one in told for message in one.failed):
            raise CaptureError(message)
        numbers = [course.renumbered(place, one) for place, one in zip(places, told, strict=True)]
        for which, own in enumerate(keys):
            yield (self._shuffle(parts, numbers, which) if len(own) else [], own)


def _trusted(reductions: tuple[Sequence[Reduction], Sequence[Reduction]]) -> frozenset[int]:
    """Return the captures whose copies the whole run proves, if some conversations were too short to decide alone."""
    evidence = CopyEvidence()
    for one in (*reductions[0], *reductions[1]):
        evidence += one.evidence
    return evidence.trusted() if evidence.undecided else frozenset()
