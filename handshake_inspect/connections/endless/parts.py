"""Whole conversations that were looked at, and what goes of them in a round: rows, errors, and what these showed."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from handshake_inspect.arrays import Column, Mask, Rows
from handshake_inspect.connections.copies.packets import CopyEvidence
from handshake_inspect.connections.decided_part import DecidedPart
from handshake_inspect.connections.deciding.answers import Verdicts
from handshake_inspect.connections.endless.looks import LookTable
from handshake_inspect.connections.folding.duplicates import CollapsedRows, shown_by
from handshake_inspect.connections.quotes import QuoteTable
from handshake_inspect.connections.splitting.split import StoredRows
from handshake_inspect.sets import consecutive, set_of
from handshake_inspect.table import frame_numbers


@dataclass
class LookedAtPart:
    """Whole conversations that were looked at, to see whether their connections may leave."""

    #: Where their rows are kept. Shape (n,).
    places: Rows
    #: How many rows each conversation has there, and whether copies are among them. Shape (c,).
    size: Rows
    changed: Mask
    collapsed: CollapsedRows
    decided: DecidedPart
    looks: LookTable

    @property
    def stored(self) -> StoredRows:
        """The rows without copies."""
        return self.collapsed.rows

    @property
    def start(self) -> Rows:
        """Where the rows of each connection begin. Shape (m + 1,)."""
        return self.decided.part.rows.start

    @property
    def verdicts(self) -> Verdicts:
        """What was decided about each connection."""
        return self.decided.verdicts

    def _groups(self) -> Rows:
        """Number the conversation of each connection, from 0. Shape (m,)."""
        return groups_of(self.looks["conversation"])

    def _is_gone(self, leaves: Mask) -> Mask:
        """Say of each conversation whether all of its connections leave. Shape (c,)."""
        gone: Mask = np.bincount(self._groups()[~leaves], minlength=len(self.size)) == 0
        return gone

    def gone(self, leaves: Mask) -> Rows:
        """Return the numbers of the conversations of which all connections leave."""
        begins = np.searchsorted(self._groups(), np.flatnonzero(self._is_gone(leaves)))
        return self.looks["conversation"][begins]

    def places_of(self, leaves: Mask) -> Rows:
        """Return where the rows are kept that leave: all of a conversation, or its first ones.

        Of one with copies of which some connections leave, all do: `kept_of` are the others, to be put back.
        """
        leaving = np.bincount(self._groups(), self.looks["rows"] * leaves, len(self.size)).astype(np.int64)
        leaving = np.where(self._is_gone(leaves) | (self.changed & (leaving > 0)), self.size, leaving)
        return self.places[consecutive(0, self.size) < np.repeat(leaving, self.size)]

    def kept_of(self, leaves: Mask) -> StoredRows:
        """Return the rows, without copies, of the other connections of conversations with copies."""
        concerned = self.changed & (np.bincount(self._groups(), leaves, len(self.size)) > 0)
        return self.rows_of(~leaves & concerned[self._groups()])

    def rows_of(self, leaves: Mask) -> StoredRows:
        """Return the rows, without copies, that leave."""
        return self.stored.take(np.repeat(leaves, np.diff(self.start)))

    def fewer(self, leaves: Mask) -> Rows:
        """Return the numbers of the conversations of which connections leave."""
        numbers: Rows = set_of(self.looks["conversation"][leaves])
        return numbers

    def frames_left(self, leaves: Mask) -> tuple[Rows, Rows]:
        """Return the frames with which the other connections of these conversations began, and the conversations."""
        begins = self.start[:-1][~leaves & np.isin(self.looks["conversation"], self.fewer(leaves))]
        frames = frame_numbers(self.stored["capture"][begins], self.stored["frame"][begins])
        return frames, self.stored["conversation"][begins]

    def errors_of(self, leaves: Mask) -> QuoteTable:
        """Return the ICMP errors about the connections that leave."""
        errors = self.verdicts.icmp_errors
        return errors.take(leaves[errors["connection"]])


@dataclass
class GoneParts:
    """What goes in a round, part for part."""

    conversations: list[Rows] = field(default_factory=list)
    #: Where rows are kept that go, and those to be put back.
    places: list[Rows] = field(default_factory=list)
    kept: list[StoredRows] = field(default_factory=list)
    #: Conversations of which connections go, and the frames with which their others began, with the conversations.
    fewer: list[Rows] = field(default_factory=list)
    frames_left: list[tuple[Rows, Rows]] = field(default_factory=list)
    errors: list[QuoteTable] = field(default_factory=list)
    shown: CopyEvidence = field(default_factory=CopyEvidence)

    def add(self, part: LookedAtPart, leaves: Mask) -> None:
        """Add the connections of a part that leave."""
        self.conversations.append(part.gone(leaves))
        self.places.append(part.places_of(leaves))
        self.kept.append(part.kept_of(leaves))
        self.fewer.append(part.fewer(leaves))
        self.frames_left.append(part.frames_left(leaves))
        self.errors.append(part.errors_of(leaves))
        self.shown += shown_by(part.rows_of(leaves), part.collapsed.undecided)


def groups_of(conversation: Column) -> Rows:
    """Number sorted conversations from 0."""
    groups: Rows = np.cumsum(np.append(False, conversation[1:] != conversation[:-1]))[: len(conversation)]
    return groups
