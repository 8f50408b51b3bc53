"""The text of the first and last line of the screen, and of the heading above a ladder.

In: what the screen shows. Out: styled pieces, for the left and for the right end of a line.
"""

from __future__ import annotations

from collections.abc import Sequence

from handshake_inspect.connections.connection import Connection
from handshake_inspect.quantities import counted
from handshake_inspect.screen.columns import Piece, keeping_ports, text_of
from handshake_inspect.screen.lines import keys, parted
from handshake_inspect.screen.sight import ListSnapshot, Source, Traffic
from handshake_inspect.views.escape import printable
from handshake_inspect.views.short_sockets import ARROW
from handshake_inspect.views.table import cell_width, cut_end, cut_path

#: To what the name of the source and the filter are cut at most.
SHORTEST = 12
#: What a line that is typed may be, by what it is asked for.
HINTS = {"filter": "words (443 half-open), or a condition (octets.originator > 1k)", "find": "words, or a condition"}


def heading(source: Source, sight: ListSnapshot, listed: int, filter_: str, room: int) -> list[Piece]:
    """Return the first line: the source, its counts, and how many are `listed` by the filter.

    Where there is too little room, the name of the source is cut first, then the filter.
    """
    held, traffic = len(sight.connections), sight.traffic
    connections = counted(held, "connection") if listed == held else f"{listed:,} of {counted(held, 'connection')}"
    name, filter_ = printable(source.title), printable(filter_)

    def line() -> list[Piece]:
        return parted([
            [(name, "bold")],
            [(connections, "")],
            [(f"{traffic.let_go:,} over and let go", "muted")] if traffic is not None and traffic.let_go else [],
            _datagrams(traffic),
            [("filter ", "muted"), (filter_, "accent")] if filter_ else [],
            [(source.ended, "closing")] if source.ended else [],
            _remarks(source),
        ])  # fmt: skip

    def fitting(text: str) -> int:
        return max(room - width_of(line()) + cell_width(text), SHORTEST)

    name = (cut_path if "/" in name else cut_end)(name, fitting(name))
    filter_ = cut_end(filter_, fitting(filter_))
    return line()


def width_of(pieces: Sequence[Piece]) -> int:
    """Return how many terminal columns these pieces take."""
    return sum(cell_width(text) for text, _ in pieces)


def _datagrams(traffic: Traffic | None) -> list[Piece]:
    """Return how many datagrams have come, which belong to no connection."""
    if traffic is None or not traffic.datagrams:
        return []
    return [(f"{counted(traffic.datagrams, 'datagram')} of UDP", "muted")]


def _remarks(source: Source) -> list[Piece]:
    """Return the key that shows the remarks on the captures, if there are any."""
    if not source.remarks:
        return []
    what = ("✗ damaged", "error") if source.is_damaged else ("● " + counted(len(source.remarks), "remark"), "note")
    return [what, ("  i", "accent"), (" tells", "muted")]


def losses(traffic: Traffic | None, segments_per_s: float) -> list[Piece]:
    """Return segments per second and frames dropped by the kernel, for a live capture."""
    if traffic is None:
        return []
    dropped = (f"{traffic.dropped:,} dropped", "error" if traffic.dropped else "muted")
    return [(f"{counted(round(segments_per_s), 'segment')}/s  ·  ", "muted"), dropped]


def hints(asks: str) -> list[Piece]:
    """Return the keys that work while something is typed."""
    hint = (HINTS.get(asks, ""), "muted")
    does = " keeps it   " if asks == "filter" else " does it   "
    return [("Enter", "accent"), (does, "muted"), ("Esc", "accent"), (" leaves it   ", "muted"), hint]


def commands(room: int, beside: Sequence[Piece], *, is_live: bool) -> list[Piece]:
    """Return as many keys as there is room for, the most useful first."""
    pairs = [("?", "help"), ("q", "quit"), ("/", "filter"), ("s", "sort"), ("e", "findings"), ("w", "write")]
    if is_live:
        pairs[3:4] = [("p", "pause")]
    return keys(pairs, room - width_of(beside) - bool(beside))


def title(connection: Connection, shows: str, room: int, *, with_output: bool) -> list[Piece]:
    """Return the heading above the text: what is shown, what else could be, and of which connection."""
    names: list[Piece] = [("ladder", "ladder"), ("findings", f"findings {len(connection.findings)}")]
    if with_output:
        names.append(("output", "output"))
    tabs = parted([[(what, "accent" if name == shows else "muted")] for name, what in names])
    ends = f"{text_of(connection.originator)}{ARROW}{text_of(connection.responder)}"
    return keeping_ports([*tabs, ("      ", ""), (f"{connection.stream}  ", "muted"), (ends, "bold")], room)
