"""The pieces of all parts with the same conversations -> the verdicts about these.

In: `Piece`s in order of time, and facts about the whole run (`RunFacts`). Out: a `Reduction`. Conversations whose
folded rows do not fit each other (`connections.folding.seams`, `judged`) are left out, and listed: they must be read
again.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from handshake_inspect.arrays import NO_ROWS, Rows
from handshake_inspect.capture.about import About
from handshake_inspect.capture.merge import lanes_of
from handshake_inspect.capture.summary import CaptureSummary
from handshake_inspect.connections.analysis import Analysis
from handshake_inspect.connections.conversations import Conversations
from handshake_inspect.connections.copies.packets import CopyEvidence
from handshake_inspect.connections.deciding.answers import Verdicts
from handshake_inspect.connections.folding.judged import misjudged
from handshake_inspect.connections.folding.seams import irregular
from handshake_inspect.connections.splitting.split import StoredRows
from handshake_inspect.findings.catalogue import examiner
from handshake_inspect.pairs import KeyTable
from handshake_inspect.sets import begins_run, set_of
from handshake_inspect.spread.sharing import Piece
from handshake_inspect.table import IcmpErrorTable, Names


@dataclass(frozen=True)
class RunFacts:
    """Facts about a whole run that are needed to decide some of its conversations."""

    names: Names
    captures: Sequence[CaptureSummary]
    #: The rank of each (`capture.merge.ranks_of`).
    ranks: Rows
    #: Captures known to contain most segments more than once.
    trusted: frozenset[int] = frozenset()

    @classmethod
    def of(cls, names: Names, captures: Sequence[CaptureSummary], ranks: Rows) -> RunFacts:
        """Make it without the metadata of captures, on which no verdict depends."""
        return cls(names, [replace(one, about=About()) for one in captures], ranks)


@dataclass
class Reduction:
    """The verdicts about some conversations."""

    verdicts: Verdicts
    #: The key of each conversation, also of those that must be read again.
    keys: KeyTable
    #: When each conversation appeared, the index of its first piece, and its rank of appearance there.
    appeared_ns: NDArray[np.int64]
    appeared_in: NDArray[np.int64]
    appeared_as: NDArray[np.int64]
    #: Evidence of copies in the rows, by capture.
    evidence: CopyEvidence
    #: Conversations that must be read again, and the pieces that contain them.
    again: Rows
    again_in: Rows


def reduced(
    pieces: Sequence[Piece],
    told: RunFacts,
    errors: IcmpErrorTable,
    only: KeyTable | None = None,
    without: KeyTable | None = None,
) -> Reduction:
    """Decide everything about the conversations of these pieces; if given, of `only` those, which were read again.

    `errors`: the ICMP errors that quote them, without copies. `without`: conversations known to need reading again.
    """
    conversations = Conversations()
    wanted = 0 if only is None else 1 + int(conversations.number(only).max(initial=-1))
    numbers = [conversations.number(one.keys) for one in pieces]
    rows, piece = _in_order(pieces, numbers, told.ranks)
    if only is not None:  # another conversation may share the hash of one that was read again
        meant = rows["conversation"] < wanted
        rows, piece = rows.take(meant), piece[meant]
    lanes = lanes_of(told.captures)
    misfits = misjudged(rows, conversations.loopback, conversations.is_self, told.trusted, lanes)
    before = NO_ROWS if without is None else conversations.number(without)
    again = set_of(irregular(rows, piece, conversations.is_self), np.append(misfits, before))
    stays = ~np.isin(rows["conversation"], again)
    keys, appeared = conversations.keys, _appeared(pieces, numbers)
    analysis = Analysis(told.names)
    analysis.gathering.adopt(rows.take(stays), conversations, told.trusted, lanes)
    analysis.quotes.adopt(errors, conversations)
    verdicts = analysis.verdicts_at_first(examiner(told.captures, lanes))
    return Reduction(verdicts, keys, *appeared, analysis.gathering.evidence, again, set_of(piece[~stays]))


def _in_order(pieces: Sequence[Piece], numbers: Sequence[Rows], ranks: Rows) -> tuple[StoredRows, Rows]:
    """Sort the rows of all pieces by conversation and time; return also the piece of each row."""
    renumbered = [
        StoredRows(one.rows.columns | {"conversation": own[one.rows["conversation"]]})
        for one, own in zip(pieces, numbers, strict=True)
    ]
    rows = StoredRows.concatenate(renumbered)
    piece = np.repeat(np.arange(len(pieces)), [len(one) for one in renumbered])
    order = np.argsort(rows["conversation"], kind="stable")
    rows, piece = rows.take(order), piece[order]
    order = _by_time(rows, piece, ranks)
    return rows.take(order), piece[order]


def _by_time(rows: StoredRows, piece: Rows, ranks: Rows) -> Rows:
    """Return the order of rows by conversation and time; rows of one piece stay in order, whatever their times are."""
    order = np.arange(len(rows))
    conversation, time_ns = rows["conversation"], rows["time_ns"]
    follows = np.append(False, conversation[1:] == conversation[:-1])[: len(rows)]
    begins = np.flatnonzero(~follows | begins_run(piece))
    latest_before = np.roll(np.maximum.reduceat(time_ns, begins), 1) if len(rows) else time_ns
    back = begins[follows[begins] & (time_ns[begins] <= latest_before)]
    some = np.flatnonzero(np.isin(conversation, conversation[back]))
    if len(some):
        stretch = np.repeat(np.arange(len(begins)), np.diff(begins, append=len(rows)))[some]
        latest = _latest(stretch, time_ns[some])
        order[some] = some[np.lexsort((ranks[rows["capture"][some]], latest, conversation[some]))]
    return order


def _latest(stretch: Rows, time_ns: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return for each row the latest time from the beginning of its stretch up to it."""
    parts = np.split(time_ns, np.flatnonzero(stretch[1:] != stretch[:-1]) + 1)
    return np.concatenate([np.maximum.accumulate(one) for one in parts])


def _appeared(pieces: Sequence[Piece], numbers: Sequence[Rows]) -> tuple[Rows, Rows, Rows]:
    """Return when each conversation appeared, the index of its first piece, and its rank of appearance there."""
    columns = [
        np.concatenate([NO_ROWS, *(one.appeared_ns for one in pieces)]),
        np.repeat(np.arange(len(pieces)), [len(one.keys) for one in pieces]),
        np.concatenate([NO_ROWS, *(one.appeared_as for one in pieces)]),
    ]
    number = np.concatenate([NO_ROWS, *numbers])
    order = np.lexsort([*reversed(columns), number])
    first = order[np.append(True, number[order[1:]] != number[order[:-1]])[: len(order)]]
    return columns[0][first], columns[1][first], columns[2][first]
