"""The choices of a question: the right answer among plausible wrong ones.

In: the row of the table in which an end was, and its state now. Out: the choices, in the order in which a connection
meets the states, so that their order reveals nothing. A wrong answer is a neighbour in the table: another way out of
the row, the target of the same event from another row, the next state; and always the unchanged state.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import chain, zip_longest

from handshake_inspect.lesson.question import STATE_NAMES
from handshake_inspect.tcp.states import TRANSITIONS, Event, State

#: Choices of one question.
CHOICES = 4
#: Rows of an end that may be a listener.
LISTENERS = (State.CLOSED, State.LISTEN, State.SYN_RECEIVED_PASSIVE)


def choices_of(before: State, right: State, event: Event | None) -> tuple[str, ...]:
    """Return the names to choose from; `event` moved the end last, None if it did not move."""
    names = dict.fromkeys([right.label, before.label, *(state.label for state in neighbours(before, right, event))])
    chosen = list(names)[:CHOICES]
    return tuple(sorted(chosen, key=STATE_NAMES.index))


def neighbours(before: State, right: State, event: Event | None) -> Iterator[State]:
    """Yield the wrong answers, the most plausible first; CLOSED and LISTEN last where they are implausible."""
    alike = (
        [row[event] for state, row in TRANSITIONS.items() if event in row and row[event] is not state] if event else []
    )
    after = [] if right is State.CLOSED else moves_out(right)
    columns = zip_longest(alike, last_before(right), moves_out(before))
    near = [state for state in (*chain.from_iterable(columns), *moves_in(before), *after) if state]
    further = chain.from_iterable(moves_out(state) for state in near if state is not State.CLOSED)
    is_near = {State.CLOSED: State.CLOSED in alike, State.LISTEN: before in LISTENERS}
    yield from (state for state in (*near, *further) if is_near.get(state, True))
    yield State.CLOSED
    yield from State


def moves_in(state: State) -> list[State]:
    """Return the other rows that lead to a state; none for CLOSED, to which nearly every row leads."""
    if state is State.CLOSED:
        return []
    return [before for before, row in TRANSITIONS.items() if before is not state and state in row.values()]


def moves_out(state: State) -> list[State]:
    """Return the other states to which the row of a state leads."""
    return [after for after in TRANSITIONS[state].values() if after is not state]


def last_before(right: State) -> list[State]:
    """Return the rows that lead only to `right`, the latest in a connection first: TIME-WAIT before CLOSED."""
    return [state for state in reversed(State) if state is not right and {*moves_out(state)} == {right}]
