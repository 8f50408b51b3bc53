"""The connections of a run as columns: the stream number of each row, and queries over many rows at once."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from handshake_inspect.connections.deciding.answers import NONE, Verdicts
from handshake_inspect.connections.deciding.time_waits import TimeWaits, find_time_waits
from handshake_inspect.pairs import KeyTable
from handshake_inspect.table import Names, frame_numbers
from handshake_inspect.tcp.time_wait import PROFILES, Profile


@dataclass(repr=False, eq=False)
class ConnectionColumns:
    """The rows of `Verdicts`, numbered as streams in order of first segment."""

    verdicts: Verdicts
    keys: KeyTable
    names: Names
    #: Names of the captures, as the user gave them.
    captures: list[str]
    #: The assumed rules of TIME-WAIT.
    profile: Profile = PROFILES["linux"]
    #: Stream of each row of the verdicts, where connections were released; None: numbered by first segment.
    numbers: NDArray[np.int64] | None = None
    #: Stream of each connection that is not listed here but reuses the sockets of one that is (`Verdicts.others_next`).
    numbers_next: NDArray[np.int64] | None = None

    def __post_init__(self) -> None:
        self.names = replace(self.names)

    def __len__(self) -> int:
        return len(self.verdicts.table)

    @cached_property
    def order(self) -> NDArray[np.int64]:
        """The rows of the verdicts in order of stream."""
        if self.numbers is not None:
            return np.argsort(self.numbers)
        table = self.verdicts.table
        frames = frame_numbers(table["first_capture"], table["first_frame"])
        if len(self.captures) > 1:  # captures may be named in any order
            return np.lexsort((frames, table["first_ns"]))
        return np.argsort(frames, kind="stable")

    @cached_property
    def streams(self) -> NDArray[np.int64]:
        """The numbers of all streams, rising: from 0, without gaps unless connections were released."""
        return np.arange(len(self)) if self.numbers is None else self.numbers[self.order]

    def has(self, stream: int) -> bool:
        """Is there a connection with this stream number?"""
        if self.numbers is None:
            return 0 <= stream < len(self)
        place = int(np.searchsorted(self.streams, stream))
        return place < len(self) and int(self.streams[place]) == stream

    def rows_of(self, streams: NDArray[np.int64]) -> NDArray[np.int64]:
        """Return the rows of the verdicts that hold these streams."""
        rows: NDArray[np.int64] = self.order[
            streams if self.numbers is None else np.searchsorted(self.streams, streams)
        ]
        return rows

    def row_of(self, stream: int) -> int:
        """Return the row of the verdicts that holds this stream."""
        return int(self.rows_of(np.array([stream]))[0])

    def conversation_of(self, stream: int) -> tuple[int, int]:
        """Return the conversation of this stream, and which of its connections it is, counted from 0."""
        of_rows, row = self.verdicts.table["conversation"], self.row_of(stream)
        return int(of_rows[row]), row - int(np.searchsorted(of_rows, of_rows[row]))

    def lasted_ns(self, rows: NDArray[np.int64]) -> NDArray[np.int64]:
        """Return the time from the first to the last segment; NONE where the clock jumped back in between."""
        table = self.verdicts.table
        lasted_ns = table["last_ns"][rows] - table["first_ns"][rows]
        return np.where(table["first_clock"][rows] == table["last_clock"][rows], lasted_ns, NONE)

    @cached_property
    def stream_of(self) -> NDArray[np.int64]:
        """Stream number of each row of the `VerdictTable`."""
        streams = np.empty(len(self), np.int64)
        streams[self.order] = self.streams
        return streams

    def kinds(self, streams: NDArray[np.int64] | None = None) -> Counter[tuple[str, str]]:
        """Count the connections, or only these, by `handshake.kind` and `teardown.kind`."""
        judgements = self.verdicts.judgements
        judgement = self.verdicts.table["judgement"]
        if streams is not None:
            judgement = judgement[self.rows_of(streams)]
        found: Counter[tuple[str, str]] = Counter()
        for number, count in enumerate(np.bincount(judgement, minlength=len(judgements))):
            found[judgements[number].handshake_kind, judgements[number].teardown_kind] += int(count)
        return +found

    @cached_property
    def has_resets(self) -> NDArray[np.bool_]:
        """Mark the connections with rows in the `ResetTable`. Shape (m,)."""
        has = np.zeros(len(self), np.bool_)
        has[self.verdicts.resets["connection"]] = True
        return has

    @cached_property
    def has_icmp_errors(self) -> NDArray[np.bool_]:
        """Mark the connections to which an ICMP error belongs. Shape (m,)."""
        has = np.zeros(len(self), np.bool_)
        has[self.verdicts.icmp_errors["connection"]] = True
        return has

    @cached_property
    def time_waits(self) -> TimeWaits:
        """Every TIME-WAIT, in columns."""
        return find_time_waits(self.verdicts, self.profile)
