"""Some whole conversations, decided together: the input of rules, and of descriptions segment by segment."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from handshake_inspect.arrays import Rows
from handshake_inspect.connections.connection import Frame, Step, SynOptions
from handshake_inspect.connections.deciding.answers import Verdicts
from handshake_inspect.connections.events.events import Events
from handshake_inspect.connections.model import syn_options
from handshake_inspect.connections.offered import OfferedOptions
from handshake_inspect.connections.quotes import QuoteTable
from handshake_inspect.connections.splitting.split import Split, StoredRows
from handshake_inspect.connections.steps.step_rows import StepColumns
from handshake_inspect.connections.steps.steps import steps_of
from handshake_inspect.pairs import KeyTable
from handshake_inspect.plain import mutable
from handshake_inspect.sets import first_of_runs, set_of
from handshake_inspect.table import IcmpErrorTable, Names, SegmentTable, frame_numbers
from handshake_inspect.tcp.sack import leaves_out_blocks


class FoldedError(Exception):
    """The segments of a connection were folded, and must be read again to be described one by one."""


@mutable
class DecidedPart:
    """Some whole conversations, decided together."""

    stored: StoredRows
    part: Split
    events: Events
    verdicts: Verdicts
    names: Names
    #: What each option list of `names` offers.
    offered: OfferedOptions
    #: The key of each conversation of the run.
    keys: KeyTable

    def steps_in(self, frames: Rows, captures: list[str]) -> dict[int, tuple[Step, ...]]:
        """Describe the segments in these frames. Returns them by the row of their connection."""
        rows = np.flatnonzero(np.isin(frames_of(self.stored), frames))
        connection = self.part.rows.conn[rows]
        begins = first_of_runs(connection)
        chosen = zip(connection[begins].tolist(), np.split(rows, begins[1:]), strict=True) if len(rows) else ()
        return {
            one: self.steps(one, captures, (some - int(self.part.rows.start[one])).tolist()) for one, some in chosen
        }

    def steps(
        self,
        connection: int,
        captures: list[str],
        chosen: Sequence[int] | None = None,
        *,
        with_blocks: bool = False,
    ) -> tuple[Step, ...]:
        """Describe the segments of one connection, or only the `chosen` ones, counted from its first.

        Raises `FoldedError` if one of these was folded; with `with_blocks` also if SACK blocks were left out.
        """
        at = slice(*self.part.rows.start[connection : connection + 2].tolist())
        if chosen is None and (self._is_folded[at].any() or (with_blocks and self._leaves_out_blocks(at))):
            raise FoldedError
        which = slice(*np.searchsorted(self.verdicts.resets["connection"], [connection, connection + 1]).tolist())

        def offered(number: int) -> SynOptions:
            return syn_options(self.names.options[number])

        return steps_of(
            self._columns,
            connection,
            self.verdicts.judgements[int(self.verdicts.table["judgement"][connection])],
            self.verdicts.resets.take(which),
            offered,
            _frame_names(self.stored["capture"][at].tolist(), self.stored["frame"][at].tolist(), captures),
            chosen,
        )

    def _leaves_out_blocks(self, at: slice) -> bool:
        """Were blocks of SACK options left out in some of these rows?"""
        return any(
            leaves_out_blocks(self.names.options[number]) for number in set_of(self.part.rows.options[at]).tolist()
        )

    @cached_property
    def _is_folded(self) -> NDArray[np.bool_]:
        """Mark the rows into which segments were folded. Shape (n,)."""
        folded: NDArray[np.bool_] = self.stored["folded_segments"] > 0
        return folded

    @cached_property
    def _columns(self) -> StepColumns:
        return StepColumns(self.part.rows, self.events, self.names.options.values)


def _frame_names(capture: list[int], frame: list[int], captures: list[str]) -> Sequence[Frame]:
    """Return the frame of each row of a connection: its number, with its capture if that is not the first row's."""
    home = capture[0]
    if capture.count(home) == len(capture):
        return frame
    return [
        number if where == home else (captures[where], number) for where, number in zip(capture, frame, strict=True)
    ]


def frames_of(table: SegmentTable | IcmpErrorTable | StoredRows | QuoteTable) -> Rows:
    """Combine capture and frame of each row into one number."""
    return frame_numbers(table["capture"], table["frame"])
