"""Which connections, in which order, how many: what `--where`, `--sort`, `--limit` and a `Selection` leave.

In: the options, and an inspection. Out: the chosen connections, or only their numbers. Selection works on columns;
objects are made only for the rest, and only if `--where` or `--sort` needs them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import field
from typing import TYPE_CHECKING, TypeVar

import click
import numpy as np
from numpy.typing import NDArray

from handshake_inspect.cli.options import SelectionOptions
from handshake_inspect.cli.standard_error import remark
from handshake_inspect.conditions.selection import Selection, SelectionError, network, stream_ranges
from handshake_inspect.plain import mutable
from handshake_inspect.quantities import counted

if TYPE_CHECKING:  # options are understood before what they choose from is imported
    from handshake_inspect.conditions.condition import Condition
    from handshake_inspect.conditions.moments import Moment
    from handshake_inspect.connections.connection import Connection
    from handshake_inspect.connections.model import Connections
    from handshake_inspect.exchanges import Exchange
    from handshake_inspect.inspection import Inspection

T = TypeVar("T")
Streams = NDArray[np.int64]


@mutable
class Choice:
    """The selection of the options, and how many connections `--limit` left out."""

    selection: Selection = field(default_factory=Selection)
    where: Condition | None = None
    sort: tuple[str, ...] = ()
    descending: bool = False
    limit: int | None = None
    #: As it was asked for: "--port 8000"; "" for all.
    said: str = ""
    #: Chosen, but not shown because of the limit.
    beyond_limit: int = 0

    def of(self, inspection: Inspection) -> Iterator[Connection]:
        """Yield the chosen connections in order; one at a time, if they need no sorting."""
        connections = inspection.connections
        if self.sort:
            yield from connections.of_streams(self.streams(inspection))
            return
        for some in self._within_limit(self._chosen(inspection)):
            yield from connections.of_streams(some)

    def streams(self, inspection: Inspection) -> Streams:
        """Return the numbers of the chosen connections in order, if possible without making objects."""
        chosen = self._chosen(inspection)
        if self.sort:
            chosen = iter([self._sorted(inspection.connections, chosen)])
        return np.concatenate([np.zeros(0, np.int64), *self._within_limit(chosen)])

    def exchanges(self, inspection: Inspection) -> Iterator[Exchange]:
        """Yield the chosen UDP exchanges."""
        return (one for one in inspection.exchanges if self.selection.takes(one, inspection))

    def absence(self, inspection: Inspection, run: str = "the run") -> str | None:
        """Return a sentence about streams that were chosen by number and do not exist; None if all exist."""
        absent = self.selection.absent(inspection)
        if not absent:
            return None
        there = counted(len(inspection.connections), "connection")
        return f"--stream: there is no {', no '.join(map(str, absent))}; {run} has {there}, from 0"

    def absent_streams(self, inspection: Inspection, run: str = "the run") -> int:
        """Report streams that were chosen by number and do not exist; return 2 if there are any, else 0."""
        absence = self.absence(inspection, run)
        if absence is not None:
            remark(f"Error: {absence}")
        return 2 if absence is not None else 0

    def _chosen(self, inspection: Inspection) -> Iterator[Streams]:
        """Yield the streams that match, in blocks."""
        selected = self.selection.of(inspection)
        if self.where is None:
            return iter([selected])
        from handshake_inspect.conditions.parts import streams_where

        return streams_where(self.where, inspection.connections, selected)

    def _within_limit(self, chosen: Iterator[Streams]) -> Iterator[Streams]:
        """Yield streams up to the limit, and count the rest."""
        self.beyond_limit = shown = 0
        for some in chosen:
            left = some if self.limit is None else some[: self.limit - shown]
            shown += len(left)
            self.beyond_limit += len(some) - len(left)
            yield left

    def _sorted(self, connections: Connections, chosen: Iterator[Streams]) -> Streams:
        from handshake_inspect.conditions.condition import sort_key
        from handshake_inspect.conditions.parts import parts_of

        streams = np.concatenate([np.zeros(0, np.int64), *chosen])
        parts = (part for _, some in parts_of([self.sort], connections, streams) for part in some)
        keyed = [(sort_key(self.sort, part), stream) for stream, part in zip(streams.tolist(), parts, strict=True)]
        known = [item for item in keyed if not item[0][0]]
        known.sort(key=lambda item: item[0], reverse=self.descending)
        return np.array([stream for _, stream in [*known, *(item for item in keyed if item[0][0])]], np.int64)


def choice(asked: SelectionOptions, sort: str | None = None, limit: int | None = None) -> Choice:
    """Read the options. Raises click.BadParameter."""
    selection = Selection(
        host=_read("--host", network, asked.host),
        nets=tuple(_understood("--net", network, net) for net in asked.net),
        port=asked.port,
        since=_moment("--since", asked.since),
        until=_moment("--until", asked.until),
        streams=_read("--stream", stream_ranges, ",".join(asked.streams) if asked.streams else None) or (),
    )
    _refuse_backwards(selection)
    chosen = Choice(selection, limit=limit, said=asked.said)
    if asked.where is not None or sort is not None:
        _understand(chosen, asked.where, sort)
    return chosen


def _understand(chosen: Choice, where: str | None, sort: str | None) -> None:
    """Read the condition and the order. Raises click.BadParameter."""
    from handshake_inspect.conditions.parser import WhereError, field_path, parse

    option = "--where"
    try:
        if where is not None:
            chosen.where = parse(where)
        option = "--sort"
        if sort is not None:
            chosen.sort, chosen.descending = field_path(sort.removeprefix("-")), sort.startswith("-")
    except WhereError as error:
        raise click.BadParameter(str(error), param_hint=f"'{option}'") from None


def _moment(option: str, text: str | None) -> Moment | None:
    """Parse the text of an option. Raises click.BadParameter."""
    if text is None:
        return None
    from handshake_inspect.conditions.moments import MomentError, parse_moment

    try:
        return parse_moment(text)
    except MomentError as error:
        raise click.BadParameter(str(error), param_hint=f"'{option}'") from None


def _read(option: str, read: Callable[[str], T], text: str | None) -> T | None:
    return None if text is None else _understood(option, read, text)


def _understood(option: str, read: Callable[[str], T], text: str) -> T:
    """Parse the text of an option. Raises click.BadParameter."""
    try:
        return read(text)
    except SelectionError as error:
        raise click.BadParameter(str(error), param_hint=f"'{option}'") from None


def _refuse_backwards(selection: Selection) -> None:
    since, until = selection.since, selection.until
    if since is not None and until is not None and since.counts_from == until.counts_from and until.ns < since.ns:
        raise click.BadParameter("it lies before --since: nothing could be chosen", param_hint="'--until'")
