"""The lists of objects in the JSON of a connection, made from columns: RSTs, TIME-WAITs, findings.

In: `Connections`. Out: for some of them, at once, the text of each list, and which connections are too rare for this:
those with many items, or with items that are not ordinary.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Any, Protocol

import numpy as np

from handshake_inspect.arrays import Mask
from handshake_inspect.cells import Cells, Integers, beside, numbers, placed, repeated, where, words
from handshake_inspect.connections.connection import Finding, end_names
from handshake_inspect.connections.deciding.answers import NONE, reset_reason
from handshake_inspect.connections.deciding.found import NO_FRAME, say
from handshake_inspect.connections.deciding.time_waits import OUTCOMES
from handshake_inspect.connections.model import Connections
from handshake_inspect.sets import consecutive, set_of
from handshake_inspect.table import FRAME_BITS
from handshake_inspect.views.contract import Json, finding_object, reset_object, time_wait_object
from handshake_inspect.views.json_forms import Forms, encode

#: Connections with more items are made as objects of their own.
MOST_ITEMS = 3


class ListCells(Protocol):
    """Makes the text of one list of connections."""

    #: Where in the contract the list stands.
    path: str

    def cells(self, rows: Integers) -> tuple[Cells, Mask]:
        """Return the list of each of these connections, and which of these are not to be taken."""


class IcmpErrors:
    """ICMP errors: each connection that has one is rare."""

    path = "icmp_errors"

    def __init__(self, connections: Connections) -> None:
        self._has = connections.has_icmp_errors

    def cells(self, rows: Integers) -> tuple[Cells, Mask]:
        """Return the list of each of these connections, and which of these are not to be taken."""
        return repeated(b"[]", len(rows)), self._has[rows]


class Items(ABC):
    """Makes the text of one list of connections, whose items are in a table ordered by connection."""

    def __init__(self, connections: Connections, connection: Integers) -> None:
        self._connections = connections
        self._forms = Forms()
        #: From where on in the table the items of each connection stand.
        self._start = np.searchsorted(connection, np.arange(len(connections) + 1)).astype(np.uint32)

    def cells(self, rows: Integers) -> tuple[Cells, Mask]:
        """Return the list of each of these connections, and which of these are not to be taken."""
        first, last = self._start[rows].astype(np.int64), self._start[rows + 1].astype(np.int64)
        count = last - first
        rare = count > MOST_ITEMS
        count = np.where(rare, 0, count)
        line = np.repeat(np.arange(len(rows)), count)
        rank = consecutive(0, count)
        item = first[line] + rank
        ordinary = self._are_ordinary(rows[line], item)
        rare[line[~ordinary]] = True
        line, rank, item = line[ordinary], rank[ordinary], item[ordinary]
        if not len(item):
            return repeated(b"[]", len(rows)), rare
        texts = beside([where(rank > 0, repeated(b", ", len(rank)), b""), self._objects(rows[line], item)])
        columns = [
            placed(texts.take(rank == place), line[rank == place], len(rows)) for place in range(int(rank.max()) + 1)
        ]
        return beside([b"[", *columns, b"]"]), rare

    def _is_home(self, rows: Integers, capture: Integers) -> Mask:
        """Mark the items whose capture is that of the connection's first frame."""
        same: Mask = capture == self._connections.verdicts.table["first_capture"][rows]
        return same

    @abstractmethod
    def _are_ordinary(self, rows: Integers, item: Integers) -> Mask:
        """Mark the items, of connections `rows` and in rows `item` of their table, that columns can spell."""

    @abstractmethod
    def _objects(self, rows: Integers, item: Integers) -> Cells:
        """Return items as JSON."""


class ResetItems(Items):
    """RSTs."""

    path = "resets"

    def __init__(self, connections: Connections) -> None:
        self._table = connections.verdicts.resets
        super().__init__(connections, self._table["connection"])

    def _are_ordinary(self, rows: Integers, item: Integers) -> Mask:
        return self._is_home(rows, self._table["capture"][item])

    def _objects(self, rows: Integers, item: Integers) -> Cells:
        table = self._table.take(item)
        said = table["distance"] << 8 | table["reason"]
        _, which, reason = np.unique(said, return_index=True, return_inverse=True)
        cells = {
            "frame": numbers(table["frame"]),
            "reason": words([encode(reset_reason(table, i)) for i in which.tolist()], reason),
        }

        def example(i: int) -> Json:
            return reset_object(self._connections.reset(int(item[i])))

        return beside(self._forms.filled(table["side"] * 4 + table["valid"] + 1, example, cells))


class TimeWaitItems(Items):
    """TIME-WAITs."""

    path = "time_wait"

    def __init__(self, connections: Connections) -> None:
        self._waits = connections.time_waits
        super().__init__(connections, self._waits.table["connection"])
        restarts = connections.verdicts.restarts["connection"][self._waits.restarts]
        self._were_restarted = np.zeros(len(connections), np.bool_)
        self._were_restarted[restarts] = True

    def _are_ordinary(self, rows: Integers, item: Integers) -> Mask:
        waits = self._waits
        ended_at_home = (waits.ended_ns[item] == NONE) | self._is_home(rows, waits.ended_capture[item])
        at_home = self._is_home(rows, waits.table["capture"][item]) & ended_at_home
        ordinary: Mask = at_home & ~waits.is_reused[item] & ~self._were_restarted[rows]
        return ordinary

    def _objects(self, rows: Integers, item: Integers) -> Cells:
        waits, table = self._waits, self._waits.table
        has_ended = waits.ended_ns[item] != NONE
        cells = {
            "entered_ns": numbers(table["entered_ns"][item]),
            "entered_frame": numbers(table["frame"][item]),
            "earliest_end_ns": numbers(waits.earliest_end_ns[item]),
            "ended_ns": where(has_ended, numbers(waits.ended_ns[item]), b"null"),
            "ended_frame": where(has_ended, numbers(waits.ended_frame[item]), b"null"),
        }

        def example(i: int) -> Json:
            return time_wait_object(self._connections.time_wait(int(item[i])))

        form = table["side"][item] * len(OUTCOMES) + waits.outcome[item]
        return beside(self._forms.filled(form, example, cells))


class FoundItems(Items):
    """Findings."""

    path = "findings"

    def __init__(self, connections: Connections) -> None:
        self._found = connections.findings
        connection, self._batch, self._place = self._found.entries
        super().__init__(connections, connection)

    def _are_ordinary(self, rows: Integers, item: Integers) -> Mask:
        frames = self._frames(item)
        at_home = self._is_home(rows[:, None], frames >> FRAME_BITS)
        ordinary: Mask = ((frames == NO_FRAME) | at_home).all(axis=1)
        return ordinary

    def _frames(self, item: Integers) -> Integers:
        """Return the frames of findings, rising, NO_FRAME before them. Shape (n, most frames of one)."""
        batches, batch, place = self._found.batches, self._batch[item], self._place[item]
        occurring = set_of(batch).tolist()
        most = max((len(batches[one][1].frames) for one in occurring), default=0)
        frames = np.full((len(item), most), NO_FRAME)
        for one in occurring:
            of_batch = np.flatnonzero(batch == one)
            for column, own in enumerate(batches[one][1].frames):
                frames[of_batch, column] = own[place[of_batch]]
        frames.sort(axis=1)
        return frames

    def _objects(self, rows: Integers, item: Integers) -> Cells:
        batch = self._batch[item]
        cells = {"frames": _frame_lists(self._frames(item)), "message": self._messages(rows, item)}

        def example(i: int) -> Json:
            code = self._found.batches[int(batch[i])][0]
            return finding_object(Finding(code.word, code.severity.word, (), ""))

        return beside(self._forms.filled(batch, example, cells))

    def _messages(self, rows: Integers, item: Integers) -> Cells:
        """Return the message of each finding; equal ones are made once."""
        verdicts = self._connections.verdicts
        kinds = [verdicts.judgements[one].handshake_kind for one in verdicts.table["judgement"][rows].tolist()]
        numbered: dict[tuple[Any, ...], int] = {}
        number = np.empty(len(item), np.int64)
        for batch in set_of(self._batch[item]).tolist():
            lines = np.flatnonzero(self._batch[item] == batch)
            places = self._place[item][lines]
            columns = [column[places].tolist() for column in self._found.batches[batch][1].values.values()]
            for line, *values in zip(lines.tolist(), *columns, strict=True):
                number[line] = numbered.setdefault((batch, kinds[line], *values), len(numbered))
        return words([*numbered], number, self._say)

    def _say(self, said: tuple[Any, ...]) -> str:
        batch, handshake_kind, *values = said
        found = self._found.batches[batch][1]
        return encode(say(found.text, dict(zip(found.values, values, strict=True)), end_names(handshake_kind)))


def _frame_lists(frames: Integers) -> Cells:
    """Return lists of frames of one capture as JSON, each frame once."""
    is_said = frames != NO_FRAME
    is_said[:, 1:] &= frames[:, 1:] != frames[:, :-1]
    cells: list[Cells | bytes] = [b"["]
    for column in range(frames.shape[1]):
        here = is_said[:, column]
        comma = where(here & is_said[:, :column].any(axis=1), repeated(b", ", len(frames)), b"")
        number = numbers(np.where(here, frames[:, column] & (1 << FRAME_BITS) - 1, 0))
        cells += [comma, where(here, number, b"")]
    return beside([*cells, b"]"])


LISTS = (ResetItems, IcmpErrors, TimeWaitItems, FoundItems)
