"""The engine as a whole: rows in, verdicts out, and the steps of one connection.

Wires `gather` -> `split` -> `events` -> `machine` -> `verdict` for `inspection`; knows no files and no formats.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from handshake_inspect.connections.answers import Verdicts, together
from handshake_inspect.connections.connection import Connection, Frame, Step, SynOptions
from handshake_inspect.connections.conversations import KeyTable, keys_of
from handshake_inspect.connections.gather import Gathering
from handshake_inspect.connections.model import Connections, syn_options
from handshake_inspect.connections.packets import KINDS
from handshake_inspect.connections.quotes import Quotes, QuoteTable, join
from handshake_inspect.connections.split import Split, StoredRows, split
from handshake_inspect.connections.steps import steps_of
from handshake_inspect.connections.verdict import decide
from handshake_inspect.table import IcmpErrorTable, Names, SegmentTable
from handshake_inspect.tcp.options import parse


class FoldedError(Exception):
    """The segments of a connection were folded: they must be read again to be described one by one."""


class Analysis:
    """Everything known about the TCP connections of a run; with `only`, of one conversation of it."""

    def __init__(self, names: Names, *, fold: bool = True, only: KeyTable | None = None) -> None:
        self._names = names
        self._only = only
        self.gathering = Gathering(fold=fold)
        self._quotes = Quotes()

    @property
    def keys(self) -> KeyTable:
        """The key of each conversation."""
        return self.gathering.conversations.keys

    def add(self, segments: SegmentTable, icmp_errors: IcmpErrorTable) -> NDArray[np.int64]:
        """Take a block. Returns the conversation of each segment."""
        if self._only is not None:
            segments = segments.take(_has_key(segments, self._only))
            icmp_errors = icmp_errors.take(_has_key(icmp_errors, self._only))
        numbers = self.gathering.add(segments)
        if len(icmp_errors):
            self._quotes.add(icmp_errors, self.gathering.conversations)
        return numbers

    def verdicts(self) -> Verdicts:
        """Decide everything about all connections seen so far."""
        total = together(self._decide(stored)[0] for stored in self.gathering.partitions())
        if self.gathering.look_different_together:
            total = together(self._decide(stored)[0] for stored in self.gathering.reconsidered())
        if self._quotes:
            errors = self._quotes.all(self.gathering.conversations)
            total.unmatched_errors = len(errors) - len(total.icmp_errors)
            total.error_copies = self._quotes.copies
        return total

    def _decide(self, stored: StoredRows) -> tuple[Verdicts, Split]:
        part = split(stored, self.gathering.is_self())
        verdicts, _ = decide(part, stored["encapsulation"], self._fast_open(), self._joined(part))
        verdicts.copies.update({kind: int(stored[f"copies_{kind}"].sum()) for kind in KINDS})
        return verdicts, part

    def _fast_open(self) -> NDArray[np.bool_]:
        """Say of each option list whether it has the Fast Open option."""
        lists = self._names.options.values
        return np.array([parse(octets).fast_open_cookie is not None for octets in lists], np.bool_)

    def _joined(self, part: Split) -> QuoteTable:
        """Return the ICMP errors that quote a segment of these connections."""
        if not self._quotes or not len(part.conversation):
            return QuoteTable.empty()
        first, last = int(part.conversation[0]), int(part.conversation[-1])
        return join(self._quotes.of(first, last, self.gathering.conversations), part)

    def place(self, connections: Connections, stream: int) -> tuple[int, int]:
        """Return the conversation of a stream, and which of its connections the stream is, from 0."""
        conversation = connections.verdicts.table["conversation"]
        row = connections.row_of_stream(stream)
        return int(conversation[row]), row - int(np.searchsorted(conversation, conversation[row]))

    def steps(self, conversation: int, place: int, captures: list[str]) -> tuple[Step, ...]:
        """Describe every segment of one connection: the engine runs again, on its rows alone.

        Raises `FoldedError` if some of them were folded.
        """
        stored = self.gathering.conversation(conversation)
        if stored["folded_segments"].any():
            raise FoldedError
        whole = split(stored, self.gathering.is_self())
        one = stored.take(slice(int(whole.rows.start[place]), int(whole.rows.start[place + 1])))
        return self._describe(whole, place, one, self._joined(whole), captures)[1]

    def conversation(
        self, number: int, captures: list[str], begin: Mapping[int, int] | None = None
    ) -> list[tuple[Connection, tuple[Step, ...]]]:
        """Return every connection of one conversation with its steps; streams are counted within it.

        `begin`: how many steps of which connection to leave out, because they are known.
        """
        stored = self.gathering.conversation(number)
        if not len(stored):
            return []  # only an ICMP error is known of it
        whole = split(stored, self.gathering.is_self())
        joined = self._joined(whole)
        start = whole.rows.start.tolist()
        found = []
        for place in range(whole.rows.connections):
            one = stored.take(slice(start[place], start[place + 1]))
            verdicts, steps = self._describe(whole, place, one, joined, captures, (begin or {}).get(place, 0))
            connection = Connections(verdicts, self.keys, self._names, captures)[0]
            found.append((replace(connection, stream=place), steps))
        return found

    def _describe(
        self, whole: Split, place: int, stored: StoredRows, joined: QuoteTable, captures: list[str], begin: int = 0
    ) -> tuple[Verdicts, tuple[Step, ...]]:
        rows = whole.rows.only(place)
        one = Split(rows, whole.conversation[place : place + 1], whole.originator_is_higher[place : place + 1])
        verdicts, events = decide(one, stored["encapsulation"], self._fast_open(), joined.of(place))
        home = int(stored["capture"][0])

        def frame_name(i: int) -> Frame:
            frame, capture = int(stored["frame"][i]), int(stored["capture"][i])
            return frame if capture == home else (captures[capture], frame)

        def offered(number: int) -> SynOptions:
            return syn_options(self._names.options[number])

        return verdicts, steps_of(rows, events, verdicts.judgements[0], verdicts.resets, offered, frame_name, begin)


def _has_key(table: SegmentTable | IcmpErrorTable, key: KeyTable) -> NDArray[np.bool_]:
    """Which rows belong to the conversation of this key?"""
    keys = keys_of(table)[0]
    same = np.ones(len(table), np.bool_)
    for name, column in key.columns.items():
        same &= keys[name] == column[0]
    return same
