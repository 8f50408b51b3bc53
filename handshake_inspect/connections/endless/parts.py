"""Whole conversations checked in a round, and what is released of them: rows, errors, and evidence of copies."""

from __future__ import annotations

from dataclasses import field

import numpy as np

from handshake_inspect.arrays import Column, Mask, Rows
from handshake_inspect.connections.copies.packets import CopyEvidence
from handshake_inspect.connections.decided_part import DecidedPart
from handshake_inspect.connections.deciding.answers import Verdicts
from handshake_inspect.connections.endless.looks import LookTable
from handshake_inspect.connections.folding.duplicates import CollapsedRows, shown_by
from handshake_inspect.connections.quotes import QuoteTable
from handshake_inspect.connections.splitting.split import StoredRows
from handshake_inspect.plain import mutable
from handshake_inspect.sets import consecutive, set_of
from handshake_inspect.table import frame_numbers


@mutable
class LookedAtPart:
    """Whole conversations that are checked for connections to release."""

    #: Places of their rows in the pool. Shape (n,).
    places: Rows
    #: Count of rows of each conversation there, and whether they include copies. Shape (c,).
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
        """The first row of each connection. Shape (m + 1,)."""
        return self.decided.part.rows.start

    @property
    def verdicts(self) -> Verdicts:
        """The answers about each connection."""
        return self.decided.verdicts

    def _groups(self) -> Rows:
        """Number the conversation of each connection, from 0. Shape (m,)."""
        return groups_of(self.looks["conversation"])

    def _is_gone(self, leaves: Mask) -> Mask:
        """Mark the conversations all of whose connections are released. Shape (c,)."""
        gone: Mask = np.bincount(self._groups()[~leaves], minlength=len(self.size)) == 0
        return gone

    def gone(self, leaves: Mask) -> Rows:
        """Return the numbers of the conversations all of whose connections are released."""
        begins = np.searchsorted(self._groups(), np.flatnonzero(self._is_gone(leaves)))
        return self.looks["conversation"][begins]

    def places_of(self, leaves: Mask) -> Rows:
        """Return the places of the released rows: all of a conversation, or its first ones.

        In a conversation with copies of which some connections are released, all rows are: `kept_of` has those to put
        back.
        """
        leaving = np.bincount(self._groups(), self.looks["rows"] * leaves, len(self.size)).astype(np.int64)
        leaving = np.where(self._is_gone(leaves) | (self.changed & (leaving > 0)), self.size, leaving)
        return self.places[consecutive(0, self.size) < np.repeat(leaving, self.size)]

    def kept_of(self, leaves: Mask) -> StoredRows:
        """Return the rows, without copies, of the other connections of conversations with copies."""
        concerned = self.changed & (np.bincount(self._groups(), leaves, len(self.size)) > 0)
        return self.rows_of(~leaves & concerned[self._groups()])

    def rows_of(self, leaves: Mask) -> StoredRows:
        """Return the released rows, without copies."""
        return self.stored.take(np.repeat(leaves, np.diff(self.start)))

    def fewer(self, leaves: Mask) -> Rows:
        """Return the numbers of the conversations with released connections."""
        numbers: Rows = set_of(self.looks["conversation"][leaves])
        return numbers

    def frames_left(self, leaves: Mask) -> tuple[Rows, Rows]:
        """Return the first frames of the other connections of these conversations, and the conversations."""
        begins = self.start[:-1][~leaves & np.isin(self.looks["conversation"], self.fewer(leaves))]
        frames = frame_numbers(self.stored["capture"][begins], self.stored["frame"][begins])
        return frames, self.stored["conversation"][begins]

    def errors_of(self, leaves: Mask) -> QuoteTable:
        """Return the ICMP errors about the released connections."""
        errors = self.verdicts.icmp_errors
        return errors.take(leaves[errors["connection"]])


@mutable
class GoneParts:
    """Everything released in a round, part by part."""

    conversations: list[Rows] = field(default_factory=list)
    #: Places of released rows, and the rows to put back.
    places: list[Rows] = field(default_factory=list)
    kept: list[StoredRows] = field(default_factory=list)
    #: Conversations with released connections, and the first frames of their others, with the conversations.
    fewer: list[Rows] = field(default_factory=list)
    frames_left: list[tuple[Rows, Rows]] = field(default_factory=list)
    errors: list[QuoteTable] = field(default_factory=list)
    shown: CopyEvidence = field(default_factory=CopyEvidence)

    def add(self, part: LookedAtPart, leaves: Mask) -> None:
        """Add the released connections of a part."""
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
