"""Prepares connections to be described step by step, several at once: callers usually go through many."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from handshake_inspect.arrays import Rows
from handshake_inspect.connections.analysis import Analysis
from handshake_inspect.connections.connection import Step
from handshake_inspect.connections.decided_part import DecidedPart
from handshake_inspect.connections.model import Connections
from handshake_inspect.sets import set_of

#: Connections prepared at once on a first call, if they have no more segments than this.
AHEAD, AHEAD_SEGMENTS = 100, 20_000
#: Connections prepared at once on later calls: the engine then takes 10 microseconds each instead of 60.
AHEAD_AGAIN = 2_000

#: Segments of re-read connections held at once; a single connection may have more.
AGAIN_SEGMENTS = 1 << 20


class PreparedConnections:
    """Prepares connections, several at once: a caller that describes one often goes on to the following ones.

    The engine takes hardly longer for a hundred connections together than for one.
    """

    def __init__(self, analysis: Analysis) -> None:
        self._analysis = analysis
        self._connections: Connections | None = None
        self._ready: set[int] = set()
        self._decided: DecidedPart | None = None

    def steps(
        self,
        connections: Connections,
        stream: int,
        coming: Sequence[int] | None = None,
        *,
        with_blocks: bool = False,
    ) -> tuple[Step, ...]:
        """Describe every segment of a stream. `coming`: the streams needed next, this one first; None: those after it.

        Raises `FoldedError` if some of its segments were folded; with `with_blocks` also if SACK blocks were left out.
        """
        conversation, place = connections.conversation_of(stream)
        if self._decided is None or self._connections is not connections or conversation not in self._ready:
            most = AHEAD_AGAIN if self._connections is connections else AHEAD
            streams = coming_from(connections, stream, most) if coming is None else coming[:most]
            conversations = conversations_of(connections, streams, AHEAD_SEGMENTS)
            self._connections, self._ready = connections, set(conversations.tolist())
            self._decided = self._analysis.described(conversations)
        first = int(np.searchsorted(self._decided.part.conversation, conversation))
        return self._decided.steps(first + place, connections.captures, with_blocks=with_blocks)


class RereadConnections:
    """Reads long connections again with all their segments: one at first, then many at once."""

    def __init__(self, read: Callable[[Rows], Analysis]) -> None:
        self._read = read
        self._connections: Connections | None = None
        self._ready: set[int] = set()
        self._analysis: Analysis | None = None

    def steps(self, connections: Connections, stream: int, coming: Sequence[int] | None = None) -> tuple[Step, ...]:
        """Describe every segment of a stream; `coming` as above. Raises `CaptureError` if it cannot be read again."""
        conversation, place = connections.conversation_of(stream)
        if self._analysis is None or self._connections is not connections or conversation not in self._ready:
            self._analysis = None  # free its memory before the next is read
            many = coming is not None or self._connections is connections
            streams = coming_from(connections, stream, AGAIN_SEGMENTS) if coming is None else coming
            conversations = conversations_of(connections, streams, AGAIN_SEGMENTS if many else 0)
            self._connections, self._ready = connections, set(conversations.tolist())
            self._analysis = self._read(conversations)
        key = connections.keys.take(slice(conversation, conversation + 1))
        decided = self._analysis.described(self._analysis.gathering.conversations.number(key))
        return decided.steps(place, connections.captures)


def coming_from(connections: Connections, stream: int, most: int) -> Sequence[int]:
    """Return this stream and those after it, at most `most`."""
    place = int(np.searchsorted(connections.streams, stream))
    streams: list[int] = connections.streams[place : place + most].tolist()
    return streams


def conversations_of(connections: Connections, streams: Sequence[int], most_segments: int) -> Rows:
    """Return the conversations of these streams, up to `most_segments` in all; that of the first stream in any case."""
    rows = connections.rows_of(np.array(streams, np.int64))
    table = connections.verdicts.table
    few = np.cumsum(table["segments_o"][rows].astype(np.int64) + table["segments_r"][rows]) <= most_segments
    few[0] = True
    return set_of(table["conversation"][rows[few]]).astype(np.int64)
