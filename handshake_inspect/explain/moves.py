"""The moves of the table of states, as a reader looks at them: into a state, out of it.

In: the table (`tcp.states.TRANSITIONS`). Out: `Move`s, and the rows of one state as text. A move is a cell of the
table that leaves its state; RFC 9293 §3.3.2 has them as the arrows of Figure 5.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from rich.cells import cell_len
from rich.text import Text

from handshake_inspect.explain.page import PageError
from handshake_inspect.tcp.states import TRANSITIONS, Event, State
from handshake_inspect.views.ladder_layout import wrap
from handshake_inspect.views.ladder_states import CLOSING_STYLE, STATE_STYLES

Table = Mapping[State, Mapping[Event, State]]
TIMERS = (Event.TIMEOUT_2MSL,)


@dataclass(frozen=True)
class Move:
    """One arrow of the state diagram."""

    before: State
    event: Event
    after: State


def moves_of(table: Table = TRANSITIONS) -> list[Move]:
    """Return every cell of the table that leaves its state."""
    return [
        Move(before, event, after)
        for before, row in table.items()
        for event, after in row.items()
        if after is not before
    ]


def said(event: Event) -> str:
    """Return an event in words; what no segment shows is marked."""
    return f"{event.words} (a timer)" if event in TIMERS else event.words


def styled(label: str) -> Text:
    """Return the name of a state in the colour that it has in a ladder."""
    return Text(label, STATE_STYLES.get(label, CLOSING_STYLE))


def state_lines(label: str, width: int, table: Table = TRANSITIONS) -> list[Text]:
    """Return the rows that lead into a state, out of it, and back to it. Raises PageError if there is no such state."""
    own = [state for state in State if state.label == label]
    if not own:
        raise PageError(f"there is no state {label}; states are: {', '.join(dict.fromkeys(s.label for s in State))}")
    moves = moves_of(table)
    into = by_event([(move.event, move.before, move.after) for move in moves if move.after in own], len(own) > 1)
    out = by_event([(move.event, move.after, move.before) for move in moves if move.before in own], len(own) > 1)
    stays = dict.fromkeys(said(event) for state in own for event, after in table[state].items() if after is state)
    column = max(map(cell_len, [*into, *out, ""]))
    rows = [
        *(("into it by", f"{event.ljust(column)} from ", others) for event, others in into.items()),
        *(("out of it by", f"{event.ljust(column)} to ", others) for event, others in out.items()),
        *([("stays in it at", "", [Text(event) for event in stays])] if stays else []),
    ]
    lines = [styled(label).append(" in the table of states", "dim")]
    last = ""
    for way, event, others in rows:
        start = Text(f"  {way if way != last else '':14}  ", "dim").append(event, "not dim")
        first, *more = wrap(Text(", ").join(others), width - start.cell_len, indent=0)
        lines += [start.copy().append_text(first), *(Text(" " * start.cell_len).append_text(line) for line in more)]
        last = way
    return lines


def by_event(rows: Iterable[tuple[Event, State, State]], is_split: bool) -> dict[str, list[Text]]:
    """Return the other states of rows (event, other state, own state) by their event in words, each once.

    `is_split`: the state has several rows in the table, and it is said which one is meant.
    """
    found: dict[str, list[Text]] = {}
    for event, other, own in rows:
        name = styled(other.label)
        if is_split:
            name.append(f" {own.value.partition(' ')[2]}", "dim")
        names = found.setdefault(said(event), [])
        if name not in names:
            names.append(name)
    return found
