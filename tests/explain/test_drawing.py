"""The state diagram is the table of states, drawn: what its lines join is read off the drawing itself."""

from __future__ import annotations

import re

import pytest

from handshake_inspect.explain import drawing
from handshake_inspect.explain.drawing import diagram_lines
from handshake_inspect.explain.moves import Table, moves_of, said, state_lines
from handshake_inspect.explain.page import PageError
from handshake_inspect.tcp.states import TRANSITIONS, Event, State

UP, DOWN, LEFT, RIGHT = (0, -1), (0, 1), (-1, 0), (1, 0)
TURNS = {
    "┌": {UP: RIGHT, LEFT: DOWN},
    "┐": {UP: LEFT, RIGHT: DOWN},
    "└": {DOWN: RIGHT, LEFT: UP},
    "┘": {DOWN: LEFT, RIGHT: UP},
}


def changed(state: State, event: Event, after: State) -> Table:
    """Return the table with one cell written anew."""
    return {**TRANSITIONS, state: {**TRANSITIONS[state], event: after}}


class Sheet:
    """A drawing as a reader sees it: characters at places."""

    def __init__(self, lines: list[str]) -> None:
        self.lines = lines[: lines.index("")]
        self.below = " ".join(" ".join(lines[lines.index("") :]).split())
        self.boxes = {
            (column, number): found[1]
            for number, line in enumerate(self.lines)
            for found in re.finditer(r"│ *([A-Z][A-Z0-9-]+) *│", line)
            for column in range(*found.span())
        }

    def at(self, column: int, line: int) -> str:
        text = self.lines[line]
        return text[column] if 0 <= column < len(text) else " "

    def followed(self, column: int, line: int, way: tuple[int, int]) -> str:
        """Follow a line from a tip to the box at which it begins; return the name of the box."""
        while True:
            column, line = column + way[0], line + way[1]
            char = self.at(column, line)
            if way in (UP, DOWN) and char == "─":  # the edge of a box, not a level stretch: those have corners
                return self.boxes[column, line + way[1]]
            way = TURNS[char][way] if char in TURNS else way
            assert char in "│─╎╌┌┐└┘", (column, line, char)

    def arrows(self) -> set[tuple[str, str]]:
        """Return the names of the boxes that are joined: tail, head."""
        found = set()
        for number, line in enumerate(self.lines):
            for tip in re.finditer("[▼▲]", line):
                way = DOWN if tip[0] == "▼" else UP
                head = self.boxes[tip.start(), number + 2 * way[1]]
                found.add((self.followed(tip.start(), number, UP if way is DOWN else DOWN), head))
        return found


def sheet(table: Table = TRANSITIONS) -> Sheet:
    return Sheet([line.plain for line in diagram_lines(500, table)])


def pairs(table: Table) -> set[tuple[str, str]]:
    return {(move.before.label, move.after.label) for move in moves_of(table) if drawing.is_drawn(move)}


def assert_complete(seen: Sheet, table: Table) -> None:
    """Every move of the table is there: as an arrow with its words, or in words below."""
    text = "\n".join(seen.lines)
    assert seen.arrows() == pairs(table)
    for move in moves_of(table):
        if drawing.is_drawn(move) and said(move.event) in text:
            continue
        sentence = next(
            part for part in re.split(r"(?=\b(?:send|receive) \w+[\w ]*: to )", seen.below)
            if part.startswith(f"{said(move.event)}: to {move.after.value}, from ")
        )  # fmt: skip
        assert move.before.value in sentence


def test_every_move_of_the_table_is_in_the_drawing_and_nothing_else() -> None:
    assert_complete(sheet(), TRANSITIONS)


def test_every_arrow_has_its_words() -> None:
    text = "\n".join(sheet().lines)
    expected = ["receive ACK of SYN", "receive RST (passive)", "passive OPEN", "2MSL passed (a timer)"]
    assert [text.count(words) for words in expected] == [1, 1, 1, 1]
    assert [text.count(words) for words in ("send SYN", "receive SYN", "send FIN", "receive FIN", "ACK of FIN")] == [
        2, 2, 3, 4, 3
    ]  # fmt: skip


def test_what_a_timer_does_is_drawn_in_another_line() -> None:
    lines = sheet().lines
    begin, end = (next(n for n, line in enumerate(lines) if name in line) for name in ("TIME-WAIT", "2MSL"))
    assert begin < end
    assert "╎" in lines[end]
    assert "╎" not in "".join(lines[:begin])


@pytest.mark.parametrize(
    "table",
    [
        changed(State.FIN_WAIT_1, Event.RECEIVE_ACK_OF_FIN, State.TIME_WAIT),  # past FIN-WAIT-2
        changed(State.SYN_SENT, Event.RECEIVE_ACK_OF_SYN, State.ESTABLISHED),
        changed(State.CLOSE_WAIT, Event.SEND_FIN, State.CLOSE_WAIT),  # one less
        changed(State.ESTABLISHED, Event.RECEIVE_RST, State.LISTEN),  # upwards
        changed(State.TIME_WAIT, Event.RECEIVE_SYN, State.SYN_RECEIVED_PASSIVE),  # far upwards
        changed(State.CLOSED, Event.RECEIVE_SYN, State.SYN_RECEIVED_PASSIVE),
        changed(State.FIN_WAIT_2, Event.RECEIVE_ACK_OF_FIN, State.CLOSING),  # side by side: said below
        changed(State.LAST_ACK, Event.RECEIVE_ACK_OF_FIN, State.TIME_WAIT),
    ],
)
def test_another_table_is_another_drawing(table: Table) -> None:
    assert sheet(table).lines != sheet().lines or sheet(table).below != sheet().below
    assert_complete(sheet(table), table)


def test_words_that_find_no_room_are_said_below(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(drawing, "CLEAR", 30)
    monkeypatch.setattr(drawing, "GAPS", range(3, 4))
    assert_complete(sheet(), TRANSITIONS)
    assert "receive ACK of SYN: to ESTABLISHED, from SYN-RECEIVED (passive)" in sheet().below


def test_no_line_is_wider_than_the_diagram_must_be() -> None:
    assert max(line.cell_len for line in diagram_lines(60)) <= drawing.WIDTH
    assert max(line.cell_len for line in diagram_lines(60)[-4:]) <= 60


def test_the_rows_of_a_state_are_those_of_the_table() -> None:
    text = "\n".join(line.plain for line in state_lines("FIN-WAIT-1", 100))
    assert re.search(r"into it by +send FIN +from SYN-RECEIVED, ESTABLISHED", text)
    assert re.search(r"receive ACK of FIN +to FIN-WAIT-2", text)
    assert re.search(r"stays in it at +receive SYN, receive ACK of SYN, send FIN", text)
    table = changed(State.FIN_WAIT_1, Event.RECEIVE_ACK_OF_FIN, State.TIME_WAIT)
    assert "FIN-WAIT-2" not in "\n".join(line.plain for line in state_lines("FIN-WAIT-1", 100, table))


@pytest.mark.parametrize("label", sorted({state.label for state in State}))
@pytest.mark.parametrize("width", [60, 75, 100])
def test_the_rows_of_a_state_fit_the_terminal(label: str, width: int) -> None:
    assert max(line.cell_len for line in state_lines(label, width)) <= width


def test_a_state_with_two_rows_says_which_one_is_meant() -> None:
    text = "\n".join(line.plain for line in state_lines("SYN-RECEIVED", 100))
    assert re.search(r"receive RST +to LISTEN \(passive\), CLOSED \(active\)", text)


def test_a_state_that_is_none_is_refused() -> None:
    with pytest.raises(PageError, match="there is no state OPEN; states are: CLOSED, LISTEN,"):
        state_lines("OPEN", 100)
