"""One line per connection, for people: on a terminal in colour and cut to its width, elsewhere aligned and complete.

In: connections, UDP exchanges or TIME-WAITs. Out: lines of cells with a style each (`rich` style names; plain text
needs none). The first rows decide how wide the columns are, so that a table of any length is written as it comes.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import chain, islice
from typing import TYPE_CHECKING, Any, NamedTuple

from handshake_inspect.plain import plain
from handshake_inspect.quantities import counted, duration_or_dash, listed
from handshake_inspect.views.escape import printable
from handshake_inspect.views.short_sockets import ARROW, NARROW_SOCKETS, SHORTEST_SOCKETS, cut_sockets, narrow_sockets
from handshake_inspect.views.words import round_trip

if TYPE_CHECKING:  # options are understood before what they choose from is imported
    from handshake_inspect.connections.connection import Connection, Handshake, Teardown

#: How many rows are measured for the widths of the columns.
ROWS_MEASURED = 500
GAP = "  "
#: The last column, of remarks, is cut to this before other columns are dropped: "RST by responder" fits.
NARROW_NOTES = 16
#: The path of a capture is cut to its last part, and that to this, before other columns are dropped.
NARROW_CAPTURE = 24
#: Signs of our own, each one column wide: looking up every cell's width would take longer than all the rest.
_OURS = str.maketrans("→←×…", "    ")


@plain
class Column:
    """One column of a table over items of some type."""

    title: str
    cell: Callable[..., str]
    right: bool = False
    #: Columns of rank 0 are always shown; of the others, on a narrow terminal, each that fits beside those below it.
    rank: int = 0
    #: To how many terminal columns a text may be cut before other columns are dropped; None: it is never cut.
    narrow: Callable[[str], int] | None = None
    #: Cuts a text to a width.
    cut: Callable[[str, int], str] | None = None
    #: To what it may be cut if even the columns of rank 0 have too little room.
    shortest: int | None = None
    style: Callable[..., str] | None = None


class Cell(NamedTuple):
    """Text that is padded to its column already, and its style ("" for none)."""

    text: str
    style: str = ""


class KindCount(NamedTuple):
    """How many connections opened and closed alike."""

    handshake: str
    teardown: str
    connections: int


@plain
class Table:
    """Lines to print, and the titles of the columns that did not fit."""

    lines: Iterator[list[Cell]]
    #: From the one that is wanted most.
    dropped: list[str]
    #: Is there no row below the heading?
    empty: bool


def connection_columns(captures: int) -> list[Column]:
    """Return the columns of a table of connections; the name of the capture only if there are several."""
    name = Column("capture", lambda c: printable(c.capture), rank=1, narrow=narrow_path, cut=cut_path)
    several = [name] if captures > 1 else []
    return [
        Column("stream", lambda c: str(c.stream), right=True),
        *several,
        sockets_column(lambda c: f"{c.originator}{ARROW}{c.responder}"),
        Column("handshake", lambda c: c.handshake.kind, style=_handshake_style),
        Column("teardown", lambda c: c.teardown.kind, style=_teardown_style),
        Column("closed first", _closed_first, rank=4),
        Column("octets → / ←", lambda c: f"{c.octets.originator:,} / {c.octets.responder:,}", right=True, rank=3),
        Column("RTT", lambda c: round_trip(c.handshake), right=True, rank=5),
        Column("conn_state", lambda c: c.conn_state, rank=6),
        Column("notes", lambda c: ", ".join(notes(c)), rank=2, narrow=narrow_notes, cut=cut_end),
    ]


def sockets_column(cell: Callable[..., str]) -> Column:
    """Return the column of both sockets."""
    return Column("originator → responder", cell, narrow=narrow_sockets, cut=cut_sockets, shortest=SHORTEST_SOCKETS)


def exchange_columns() -> list[Column]:
    """Return the columns of a table of UDP exchanges."""
    return [
        Column("udp", lambda e: str(e.number), right=True),
        sockets_column(lambda e: f"{e.originator}{ARROW}{e.responder}"),
        Column("datagrams → / ←", lambda e: f"{e.datagrams.originator:,} / {e.datagrams.responder:,}", right=True),
        Column("octets → / ←", lambda e: f"{e.octets.originator:,} / {e.octets.responder:,}", right=True, rank=2),
        Column("first answer", lambda e: duration_or_dash(e.first_answer_ns), right=True, rank=3),
        Column(
            "notes",
            lambda e: ", ".join(dict.fromkeys(message for _, message in e.errors)),
            rank=1,
            narrow=narrow_notes,
            cut=cut_end,
        ),
    ]


def kind_columns() -> list[Column]:
    """Return the columns of a table of counts by kind."""
    return [
        Column("connections", lambda k: f"{k.connections:,}", right=True),
        Column("handshake", lambda k: k.handshake),
        Column("teardown", lambda k: k.teardown),
    ]


def layout(items: Iterable[Any], columns: Sequence[Column], width: int | None) -> Table:
    """Return the table of `items`. With a `width` columns are dropped until the rows measured fit it."""
    source: Iterator[Any] = iter(items)
    head = list(islice(source, ROWS_MEASURED))
    texts = {column.title: [column.title, *(column.cell(item) for item in head)] for column in columns}
    widths = {title: max(map(cell_width, cells)) for title, cells in texts.items()}
    shown = list(columns)
    if width is not None:
        wished = widths
        widths = {c.title: max(map(c.narrow or cell_width, texts[c.title])) for c in columns}
        shown = _fitting(columns, widths, width)
        _shorten(shown, widths, width)
        if len(head) == ROWS_MEASURED:  # there may be longer addresses further down
            wished = {**wished, **{c.title: max(wished[c.title], NARROW_SOCKETS) for c in shown if c.shortest}}
        for column in sorted(shown, key=lambda column: column.rank):
            wish = wished[column.title] - widths[column.title]
            left = width - _total(shown, widths)
            if wish <= left or column.shortest is not None:  # a path gains nothing from a part of what it wishes
                widths[column.title] += max(0, min(wish, left))
        if shown[-1].narrow is not None:  # nothing stands behind it: longer texts further down have the rest
            widths[shown[-1].title] += max(0, width - _total(shown, widths))
    dropped = [column.title for column in sorted(columns, key=lambda column: column.rank) if column not in shown]
    return Table(_lines(chain(head, source), shown, widths, cut=width is not None), dropped, empty=not head)


def rows(items: Iterable[Any], columns: Sequence[Column]) -> Iterator[list[str]]:
    """Yield the cells of every item, unpadded."""
    for item in items:
        yield [column.cell(item) for column in columns]


def notes(connection: Connection) -> list[str]:
    """Return in few words what is not ordinary about a connection."""
    said: list[str] = []
    if connection.encapsulation:
        said.append(printable(" ".join(connection.encapsulation)))
    said += _opening_notes(connection.handshake)
    said += _icmp_notes(connection)
    said += _closing_notes(connection.teardown)
    if any(reset.valid is False for reset in connection.resets):
        said.append("RST ignored")
    for arrow, missing in (
        ("→", connection.missing_octets.originator), ("←", connection.missing_octets.responder),
    ):  # fmt: skip
        if missing:
            said.append(f"{counted(missing, 'octet')} {arrow} missing")
    if connection.duplicates:
        said.append(f"{counted(connection.duplicates, 'duplicate')} collapsed")
    said += [finding.code for finding in connection.findings if finding.severity in SERIOUS]
    return said


#: Findings that are named in a note.
SERIOUS = ("warn", "error")
#: `teardown.missing` in a note.
MISSING_OF_CLOSING = {
    "fin": "FIN", "ack-of-fin": "ACK of FIN", "peer-fin": "peer's FIN", "ack-of-peer-fin": "ACK of peer's FIN",
}  # fmt: skip


def _opening_notes(opening: Handshake) -> Iterator[str]:
    if opening.missing:
        yield f"{listed([one.upper() for one in opening.missing])} not captured"
    if opening.syn_retransmissions:
        yield f"SYN sent {opening.syn_retransmissions + 1}×"
    if opening.syn_ack_retransmissions:
        yield f"SYN-ACK sent {opening.syn_ack_retransmissions + 1}×"
    if opening.fast_open is not None:
        yield f"fast open {opening.fast_open}"


def _icmp_notes(connection: Connection) -> Iterator[str]:
    """Yield what ICMP errors said, each once."""
    for message, count in Counter(error.message for error in connection.icmp_errors).items():
        yield f"ICMP {message}" + (f" {count}×" if count > 1 else "")


def _closing_notes(closing: Teardown) -> Iterator[str]:
    if closing.missing:
        yield f"{listed([MISSING_OF_CLOSING[one] for one in closing.missing])} not captured"
    if closing.fin_retransmissions:
        yield f"{closing.fin_retransmissions}× FIN again"
    if closing.reset_by is not None:
        yield f"RST by {closing.reset_by}"


def cell_width(text: str) -> int:
    """Return how many terminal columns `text` takes (East Asian wide characters take two)."""
    if text.isascii() or text.translate(_OURS).isascii():
        return len(text)
    from rich.cells import cell_len

    return cell_len(text)


def _fitting(columns: Sequence[Column], widths: dict[str, int], width: int) -> list[Column]:
    """Return the columns that fit `width` together, those of low rank before those of high."""
    chosen: list[Column] = []
    for column in sorted(columns, key=lambda column: column.rank):
        if column.rank == 0 or _total([*chosen, column], widths) <= width:
            chosen.append(column)
    return [column for column in columns if column in chosen]


def _shorten(shown: Sequence[Column], widths: dict[str, int], width: int) -> None:
    """Take from the columns that may be cut in need what is too much for `width`."""
    for column in shown:
        if column.shortest is not None:
            less = min(_total(shown, widths) - width, widths[column.title] - column.shortest)
            widths[column.title] -= max(less, 0)


def _total(columns: Sequence[Column], widths: dict[str, int]) -> int:
    return sum(widths[column.title] for column in columns) + len(GAP) * (len(columns) - 1)


def _lines(
    items: Iterable[Any], columns: Sequence[Column], widths: dict[str, int], *, cut: bool
) -> Iterator[list[Cell]]:
    """Yield the heading and one line per item, as padded cells, cut to their columns where those can be."""
    plan = [(_cutting(c, widths[c.title]) if cut else c.cell, widths[c.title], c.right, c.style) for c in columns]
    yield [Cell(_pad(c.title, widths[c.title], c.right), "bold") for c in columns]
    for item in items:
        yield [Cell(_pad(cell(item), width, right), style(item) if style else "") for cell, width, right, style in plan]


def _cutting(column: Column, width: int) -> Callable[..., str]:
    """Return what gives the cell of an item, cut to `width` if the column can be cut."""
    shorten, cell = column.cut, column.cell
    return cell if shorten is None else lambda item: shorten(cell(item), width)


def narrow_notes(text: str) -> int:
    """Return to how many terminal columns notes may be cut."""
    return min(cell_width(text), NARROW_NOTES)


def narrow_path(text: str) -> int:
    """Return to how many terminal columns a path may be cut: its folders go, its name stays if it is not long."""
    _, slash, name = text.rpartition("/")
    return min(cell_width(text), cell_width(f"…/{name}" if slash else name), NARROW_CAPTURE)


def cut_end(text: str, width: int) -> str:
    """Cut text to a width in terminal columns; an ellipsis stands for what is missing at its end."""
    if cell_width(text) <= width:
        return text
    while text and cell_width(text) >= width:
        text = text[:-1]
    return f"{text}…"


def cut_path(text: str, width: int) -> str:
    """Cut a path to a width in terminal columns: folders go first, then the beginning of the name."""
    if cell_width(text) <= width:
        return text
    while text and cell_width(text) >= width:
        text = text[1:]
    folder = text.find("/")
    return f"…{text[max(folder, 0) :]}"


def _pad(text: str, width: int, right: bool) -> str:
    room = " " * (width - cell_width(text))
    return room + text if right else text + room


def _closed_first(connection: Connection) -> str:
    return connection.teardown.closed_first or "-"


def _handshake_style(connection: Connection) -> str:
    return _verdict_style(connection.handshake.complete)


def _teardown_style(connection: Connection) -> str:
    return "yellow" if connection.teardown.reset_by else _verdict_style(connection.teardown.complete)


def _verdict_style(complete: bool | None) -> str:
    return {True: "green", False: "red", None: ""}[complete]
