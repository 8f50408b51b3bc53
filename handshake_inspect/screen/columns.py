"""A connection -> the cells of its line: which columns there are, how wide they are, and their text.

In: a `Connection`, where it is at this moment, and the width of the terminal. Out: cells of styled pieces, escaped,
cut and padded to their columns.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from handshake_inspect.connections.connection import Connection, Endpoint
from handshake_inspect.connections.deciding.found import Severity
from handshake_inspect.connections.events.kinds import Judgement
from handshake_inspect.connections.steps.present import ConnectionSnapshot
from handshake_inspect.quantities import DAY_NS, HOUR_NS, MINUTE_NS, duration
from handshake_inspect.views.escape import printable
from handshake_inspect.views.palette import STATE_ROLES
from handshake_inspect.views.short_sockets import ARROW, cut_socket, cut_sockets
from handshake_inspect.views.table import cell_width, cut_end

#: A piece of text and the role of its colour.
Piece = tuple[str, str]
Cell = Sequence[Piece]
Cells = Callable[[Connection, ConnectionSnapshot], Cell]
GAP = 2
#: Columns of higher ranks are useful, but not needed.
NEEDED = 3
#: How wide the bar is that TIME-WAIT counts down with.
BAR = 8
SECOND_NS = 1_000_000_000
#: What so many texts in a hundred need is usual: of words, which are few, nearly all.
USUAL_SOCKETS, USUAL_WORDS = 90, 98
#: The least that a column of addresses wants.
SHORTEST_SOCKET = 15


@dataclass(frozen=True)
class Column:
    """One column of the list."""

    title: str
    cell: Cells
    #: How wide it should be, and how wide at the least.
    wide: int
    narrow: int
    #: Columns of rank 0 are always there; of the others each that fits beside those below it.
    rank: int
    right: bool = False
    #: It takes what is left.
    is_last: bool = False
    #: It holds addresses with ports: where it has not all its room, the ports stay.
    holds_sockets: bool = False
    #: Its words say what happened: no optional column is shown that would cut one of them.
    holds_words: bool = False
    #: How wide most of its texts are, if that is more than `narrow`; and when it has its turn for more.
    usual: int = 0
    turn: int = 9
    #: Blank columns behind it.
    gap: int = GAP

    @property
    def room(self) -> int:
        """How much an optional column must leave to it: words are whole, addresses as they usually are."""
        return self.wide if self.holds_words else max(self.usual, self.narrow)


@dataclass(frozen=True)
class Placed:
    """A column that is shown, and its width."""

    column: Column
    width: int


def placed(columns: Sequence[Column], width: int) -> list[Placed]:
    """Choose the columns for this width. Optional columns never take room that necessary ones need.

    The room that is left makes usual texts whole first, then the longest ones; so one long address cuts no words.
    """
    chosen: list[Column] = []
    for column in sorted(columns, key=lambda one: one.rank):
        needed = sum((one.room if column.rank > NEEDED else one.narrow) + one.gap for one in chosen)
        if column.rank and needed + column.narrow > width:
            break
        chosen.append(column)
    left = width - sum(one.narrow + one.gap for one in chosen) + GAP
    widths = {one.title: one.narrow for one in chosen}
    turns = sorted(chosen, key=lambda one: (one.turn, one.rank))
    for column, wish in [*((one, one.usual) for one in turns), *((one, one.wide) for one in turns)]:
        more = max(min(left, wish - widths[column.title]), 0)
        widths[column.title] += more
        left -= more
    for column in chosen:
        if column.is_last:
            widths[column.title] += max(left, 0)
    return [Placed(one, widths[one.title]) for one in columns if one in chosen]


def cell_of(place: Placed, connection: Connection, at: ConnectionSnapshot) -> list[Piece]:
    """Return the cell of a connection, cut and padded."""
    column = place.column
    cell = column.cell(connection, at)
    if column.holds_sockets:
        cell = keeping_ports(cell, place.width)
    return fitted(cell, place.width, right=column.right)


def keeping_ports(cell: Cell, width: int) -> list[Piece]:
    """Shorten the last piece of a cell, one socket or two, in the middle of its addresses."""
    *before, (text, role) = cell
    room = width - sum(cell_width(one) for one, _ in before)
    return [*before, (cut_sockets(text, room) if ARROW in text else cut_socket(text, room), role)]


def fitted(cell: Cell, width: int, *, right: bool = False) -> list[Piece]:
    """Cut and pad a cell to a width in terminal columns."""
    used, pieces = 0, list[Piece]()
    for text, role in cell:
        if used + (own := cell_width(text)) > width:
            text = cut_end(text, width - used)
            own = cell_width(text)
        pieces.append((text, role))
        used += own
        if used >= width:
            break
    room = (" " * (width - used), "")
    return [room, *pieces] if right else [*pieces, room]


def columns_for(
    *, is_live: bool, captures: int, sample: Iterable[Connection] = (), judged: Iterable[Judgement] = ()
) -> list[Column]:
    """Return the columns for a live capture or for files.

    `sample` gives the widths of numbers and addresses, and of usual words; all words there are stand in `judged`.
    """
    some = list(sample)
    number = max([2, *(len(str(one.stream)) for one in some)])
    left, right = (
        sorted(cell_width(text_of(end)) for end in ends) or [SHORTEST_SOCKET]
        for ends in ((one.originator for one in some), (one.responder for one in some))
    )
    both = [
        Column("#", lambda c, _: [(str(c.stream), "muted")], number, number, 0, right=True),
        _sockets("originator", _originator, left, 10, turn=3, gap=1),
        _sockets("responder", _responder, [one + 2 for one in right], 12, turn=2),
    ]
    findings = Column("findings", _findings, 24, 14, 3, is_last=True, turn=1)
    octets = Column("octets", _octets, 17, 15, 5, right=True)
    rtt = Column("RTT", _rtt, 9, 9, 6, right=True)
    if is_live:
        states, now = Column("states", _states, 25, 24, 1, turn=0), Column("now", _now, 17, 14, 2, turn=0)
        return [*both, states, now, octets, rtt, findings]
    capture = Column("capture", lambda c, _: [(printable(c.capture), "muted")], 24, 12, 8)
    words = list(judged)
    return [
        *both,
        *([capture] if captures > 1 else []),
        _words("opened", _opened, [one.handshake.kind for one in some], [one.handshake_kind for one in words], 9, 1),
        _words("closed", _closed, [one.teardown.kind for one in some], [one.teardown_kind for one in words], 10, 2),
        Column("states", _states, 25, 24, 7),
        octets,
        rtt,
        Column("lasted", _lasted, 8, 8, 4, right=True),
        findings,
    ]


def _sockets(title: str, cell: Cells, widths: Sequence[int], narrow: int, *, turn: int, gap: int = GAP) -> Column:
    """Return a column of addresses with their ports, of which these widths, rising, were seen."""
    widest = max(widths[-1], SHORTEST_SOCKET)
    return Column(
        title,
        cell,
        widest,
        min(widest, narrow),
        0,
        holds_sockets=True,
        usual=usual(widths, USUAL_SOCKETS),
        turn=turn,
        gap=gap,
    )


def _words(title: str, cell: Cells, some: Sequence[str], every: Sequence[str], narrow: int, rank: int) -> Column:
    """Return a column of words, of which some are seen often."""
    widths = sorted(len(one) for one in some) or [narrow]
    widest = max([narrow, *map(len, every), *widths])
    return Column(title, cell, widest, narrow, rank, holds_words=True, usual=usual(widths, USUAL_WORDS), turn=0)


def usual(widths: Sequence[int], per_cent: int) -> int:
    """Return the width that so many of these need at most; they rise."""
    return widths[min(len(widths) * per_cent // 100, len(widths) - 1)]


def text_of(end: Endpoint) -> str:
    """Return an endpoint as text."""
    return printable(str(end))


def _originator(connection: Connection, _: ConnectionSnapshot) -> Cell:
    return [(text_of(connection.originator), "")]


def _responder(connection: Connection, _: ConnectionSnapshot) -> Cell:
    return [("→ ", "muted"), (text_of(connection.responder), "")]


def _states(connection: Connection, present: ConnectionSnapshot) -> Cell:
    left, right = present.states.originator, present.states.responder
    return [
        (f"{left or '-':<11} ", STATE_ROLES.get(left or "", "unknown")),
        (right or "-", STATE_ROLES.get(right or "", "unknown")),
    ]


def _now(connection: Connection, present: ConnectionSnapshot) -> Cell:
    """Return what changes with the clock: time left in TIME-WAIT, time without an answer, time without a segment."""
    if present.waiting is not None:
        return [
            *bar(present.left_ns, present.whole_ns, BAR),
            (f" {in_seconds(present.left_ns + SECOND_NS - 1)}", "waiting"),
        ]
    quiet = in_seconds(present.quiet_ns)
    if present.phase == "opening":
        word = "half-open" if present.states.responder == "SYN-RECEIVED" else "no answer"
        is_late = present.age_ns >= 3 * SECOND_NS
        return [(f"{word} {in_seconds(present.age_ns)}", "warn" if is_late else "opening")]
    if present.phase == "open":
        return [("busy", "open")] if present.quiet_ns < SECOND_NS else [(f"idle {quiet}", "muted")]
    if present.phase == "closing":
        return [(f"closing {quiet}", "closing")]
    return [(f"over {quiet}", "muted")]


def bar(left_ns: int, whole_ns: int, width: int) -> Cell:
    """Draw the rest of a time as a bar, in eighths of a column."""
    eighths = min(max(-(-left_ns * width * 8 // max(whole_ns, 1)), 0), width * 8)
    full, part = divmod(eighths, 8)
    rest = " ▏▎▍▌▋▊▉"[part] if part else ""
    return [("█" * full + rest, "waiting"), ("·" * (width - full - len(rest)), "line")]


def short(nanoseconds: int) -> str:
    """Return a duration in few characters: "0.412 ms", "12.3 s", "3:05 min"."""
    if nanoseconds < SECOND_NS:
        milliseconds = nanoseconds / 1e6
        return f"{milliseconds:.3f} ms" if milliseconds < 1 else f"{milliseconds:.1f} ms"
    return f"{nanoseconds / 1e9:.1f} s" if nanoseconds < 2 * MINUTE_NS else in_seconds(nanoseconds)


def in_seconds(nanoseconds: int) -> str:
    """Return a duration in whole seconds: "12 s", "3:05 min", "2:10 h"."""
    if nanoseconds < 2 * MINUTE_NS:
        return f"{nanoseconds // SECOND_NS} s"
    if nanoseconds < 2 * HOUR_NS:
        return f"{nanoseconds // MINUTE_NS}:{nanoseconds % MINUTE_NS // SECOND_NS:02d} min"
    if nanoseconds < 2 * DAY_NS:
        return f"{nanoseconds // HOUR_NS}:{nanoseconds % HOUR_NS // MINUTE_NS:02d} h"
    return duration(nanoseconds)


def amount(octets: int) -> str:
    """Return a number of octets in few characters: "812", "12.3k", "4.5M"."""
    for unit, size in (("T", 10**12), ("G", 10**9), ("M", 10**6), ("k", 10**3)):
        if octets >= size:
            return f"{octets / size:.1f}{unit}" if octets < 100 * size else f"{octets // size}{unit}"
    return str(octets)


def _opened(connection: Connection, _: ConnectionSnapshot) -> Cell:
    role = {True: "open", False: "reset", None: "unknown"}[connection.handshake.complete]
    return [(connection.handshake.kind, role)]


def _closed(connection: Connection, _: ConnectionSnapshot) -> Cell:
    closing = connection.teardown
    role = {True: "open", False: "closing", None: "unknown"}[closing.complete]
    if closing.kind == "none":
        return [("-", "line")]
    return [(closing.kind, "reset" if closing.reset_by else role)]


def _octets(connection: Connection, _: ConnectionSnapshot) -> Cell:
    octets = connection.octets
    return [(amount(octets.originator), ""), (" → ", "muted"), (f"{amount(octets.responder):>5}", ""), (" ←", "muted")]


def _rtt(connection: Connection, _: ConnectionSnapshot) -> Cell:
    rtt_ns = connection.handshake.initial_rtt_ns
    if rtt_ns is None:
        return [("-", "line")]
    return [("≤" if connection.handshake.rtt_ambiguous else "", "muted"), (short(rtt_ns), "")]


def _lasted(_: Connection, present: ConnectionSnapshot) -> Cell:
    return [("-", "line") if present.lasted_ns is None else (short(present.lasted_ns), "")]


def _findings(connection: Connection, _: ConnectionSnapshot) -> Cell:
    """Return the worst finding, and how many more there are of note."""
    telling = [one for one in connection.findings if Severity[one.severity.upper()] > Severity.CHAT]
    if not telling:
        return []
    more = f" +{len(telling) - 1}" if len(telling) > 1 else ""
    return [(f"{sign(telling[0].severity)} {telling[0].code}", telling[0].severity), (more, "muted")]


def sign(severity: str) -> str:
    """Return the sign of a severity, so that it does not depend on colour alone."""
    return {"error": "✗", "warn": "▲", "note": "●"}.get(severity, "·")
