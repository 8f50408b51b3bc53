"""The moves of the table of states, for a reader: those into a state, and those out of it.

In: the table (`tcp.states.TRANSITIONS`). Out: `Move`s, and the rows of one state as text. A move is a cell of the
table that leads to another state, an arrow in Figure 5 of RFC 9293 §3.3.2.
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
#: Columns before the events in the rows of a state, and the columns kept free beside these.
START, NARROW = 18, 40
TIMERS = (Event.TIMEOUT_2MSL,)


@dataclass(frozen=True)
class Move:
    """One arrow of the state diagram."""

    before: State
    event: Event
    after: State


def moves_of(table: Table = TRANSITIONS) -> list[Move]:
    """Return every cell of the table that leads to another state."""
    return [
        Move(before, event, after)
        for before, row in table.items()
        for event, after in row.items()
        if after is not before
    ]


def said(event: Event) -> str:
    """Return an event in words; an event that no segment shows is marked."""
    return f"{event.words} (a timer)" if event in TIMERS else event.words


def styled(state: State, row: str = "") -> Text:
    """Return the name of a state in its colour in ladders; `row` names one of its rows."""
    name = (state.label, STATE_STYLES.get(state.label, CLOSING_STYLE))
    return Text.assemble(name, (f" {row}" if row else "", "dim"))


def row_of(state: State) -> str:
    """Return the name of a state's row, "(passive)"; "" if it has only one."""
    return state.value.removeprefix(state.label).strip()


def state_lines(label: str, width: int, table: Table = TRANSITIONS) -> list[Text]:
    """Return the rows that lead into a state, out of it, and back to it. Raises PageError for an unknown state."""
    own = [state for state in State if state.label == label]
    if not own:
        raise PageError(f"there is no state {label}; states are: {', '.join(dict.fromkeys(s.label for s in State))}")
    moves = moves_of(table)
    into = by_event([(move.event, move.before, move.after) for move in moves if move.after in own], len(own) > 1)
    out = by_event([(move.event, move.after, move.before) for move in moves if move.before in own], len(own) > 1)
    stays = dict.fromkeys(said(event) for state in own for event, after in table[state].items() if after is state)
    column = min(max(map(cell_len, [*into, *out, ""])), width - NARROW)
    rows = [
        *(("into it by", Text(f"{event.ljust(column)} from ").append_text(text)) for event, text in into.items()),
        *(("out of it by", Text(f"{event.ljust(column)} to ").append_text(text)) for event, text in out.items()),
        *([("stays in it at", Text(", ".join(stays)))] if stays else []),
    ]
    lines = [Text.assemble(styled(own[0]), (" in the table of states", "dim"))]
    last = ""
    for way, text in rows:
        first, *more = wrap(text, width - START, indent=0 if way.startswith("stays") else column + 2)
        lines.append(Text.assemble((f"  {way if way != last else ''}".ljust(START), "dim"), first))
        lines += [Text(" " * START).append_text(line) for line in more]
        last = way
    return lines


def by_event(rows: Iterable[tuple[Event, State, State]], is_split: bool) -> dict[str, Text]:
    """Group the rows (event, other state, own state) by event in words, with each other state once.

    `is_split`: the state has several rows in the table; where these differ, the row is named.
    """
    found: dict[str, dict[str, list[tuple[State, State]]]] = {}
    for event, other, own in rows:
        found.setdefault(said(event), {}).setdefault(other.label, []).append((other, own))
    return {
        event: Text(", ").join(
            styled(pairs[0][0], row_of(pairs[0][1]) if is_split and len({own for _, own in pairs}) == 1 else "")
            for pairs in others.values()
        )
        for event, others in found.items()
    }
