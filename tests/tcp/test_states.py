"""The whole state × event grid, against a table read from RFC 9293 §3.3.2 (Figure 5), §3.10.4 and §3.10.7.

A cell is the next state; `=` the same state, by a rule of the RFC; `·` an event that cannot happen there.
"""

from __future__ import annotations

import pytest

from handshake_inspect.tcp.states import TRANSITIONS, Event, State, step

EVENTS = {
    "LISTEN call": Event.PASSIVE_OPEN,
    "snd SYN": Event.SEND_SYN,
    "rcv SYN": Event.RECEIVE_SYN,
    "rcv ACK of SYN": Event.RECEIVE_ACK_OF_SYN,
    "snd FIN": Event.SEND_FIN,
    "rcv ACK of FIN": Event.RECEIVE_ACK_OF_FIN,
    "rcv FIN": Event.RECEIVE_FIN,
    "snd RST": Event.SEND_RST,
    "rcv RST": Event.RECEIVE_RST,
    "rcv RST of SYN": Event.RECEIVE_RST_OF_SYN,
    "2MSL": Event.TIMEOUT_2MSL,
}

STATES = {
    "CLOSED": State.CLOSED,
    "LISTEN": State.LISTEN,
    "SYN-SENT": State.SYN_SENT,
    "SR-PASS": State.SYN_RECEIVED_PASSIVE,
    "SR-ACT": State.SYN_RECEIVED_ACTIVE,
    "ESTAB": State.ESTABLISHED,
    "FW1": State.FIN_WAIT_1,
    "FW2": State.FIN_WAIT_2,
    "CL-WAIT": State.CLOSE_WAIT,
    "CLOSING": State.CLOSING,
    "LAST-ACK": State.LAST_ACK,
    "TIME-W": State.TIME_WAIT,
}

GRID = """
             LISTEN call | snd SYN  | rcv SYN | rcv ACK of SYN | snd FIN  | rcv ACK of FIN | rcv FIN | snd RST | rcv RST | rcv RST of SYN | 2MSL
    CLOSED   LISTEN      | SYN-SENT | =       | ·              | ·        | ·              | =       | =       | =       | =              | ·
    LISTEN   ·           | SYN-SENT | SR-PASS | ·              | ·        | ·              | =       | =       | =       | =              | ·
    SYN-SENT ·           | =        | SR-ACT  | =              | ·        | ·              | =       | CLOSED  | =       | CLOSED         | ·
    SR-PASS  ·           | ·        | =       | ESTAB          | FW1      | ·              | CL-WAIT | CLOSED  | LISTEN  | ·              | ·
    SR-ACT   ·           | ·        | =       | ESTAB          | FW1      | ·              | CL-WAIT | CLOSED  | CLOSED  | CLOSED         | ·
    ESTAB    ·           | ·        | =       | =              | FW1      | ·              | CL-WAIT | CLOSED  | CLOSED  | ·              | ·
    FW1      ·           | ·        | =       | =              | =        | FW2            | CLOSING | CLOSED  | CLOSED  | ·              | ·
    FW2      ·           | ·        | =       | ·              | ·        | =              | TIME-W  | CLOSED  | CLOSED  | ·              | ·
    CL-WAIT  ·           | ·        | =       | =              | LAST-ACK | ·              | =       | CLOSED  | CLOSED  | ·              | ·
    CLOSING  ·           | ·        | =       | ·              | =        | TIME-W         | =       | CLOSED  | CLOSED  | ·              | ·
    LAST-ACK ·           | ·        | =       | ·              | =        | CLOSED         | =       | CLOSED  | CLOSED  | ·              | ·
    TIME-W   ·           | ·        | =       | ·              | ·        | =              | =       | CLOSED  | CLOSED  | ·              | CLOSED
"""  # noqa: E501


def cells() -> list[tuple[str, str, str]]:
    head, *rows = (line for line in GRID.splitlines() if line.strip())
    events = [name.strip() for name in head.split("|")]
    found = []
    for row in rows:
        state, first, *rest = row.replace("|", " | ").split(None, 2)
        values = [first, *(value.strip() for value in rest[0].split("|")[1:])]
        found += [(state, event, value) for event, value in zip(events, values, strict=True)]
    return found


def test_the_grid_names_every_state_and_every_event() -> None:
    assert set(STATES.values()) == set(State) == set(TRANSITIONS)
    assert set(EVENTS.values()) == set(Event)
    assert len({(state, event) for state, event, _ in cells()}) == len(State) * len(Event)


@pytest.mark.parametrize(("state", "event", "after"), cells(), ids=lambda value: value.replace(" ", "-"))
def test_each_cell_of_the_state_table_is_as_written(state: str, event: str, after: str) -> None:
    before = STATES[state]
    found = TRANSITIONS[before].get(EVENTS[event])
    if after == "·":
        assert found is None
        assert step(before, EVENTS[event]) is before
    else:
        assert found is (before if after == "=" else STATES[after])
        assert step(before, EVENTS[event]) is found


def test_labels_are_the_names_of_the_rfc() -> None:
    assert {state.label for state in State} == {
        "CLOSED", "LISTEN", "SYN-SENT", "SYN-RECEIVED", "ESTABLISHED", "FIN-WAIT-1", "FIN-WAIT-2", "CLOSE-WAIT",
        "CLOSING", "LAST-ACK", "TIME-WAIT",
    }  # fmt: skip


def test_every_event_has_words_of_its_own() -> None:
    assert len({event.words for event in Event}) == len(Event)


def test_every_state_can_be_reached_from_closed() -> None:
    reached, todo = {State.CLOSED}, [State.CLOSED]
    while todo:
        new = set(TRANSITIONS[todo.pop()].values()) - reached
        reached |= new
        todo += new
    assert reached == set(State)


WALKS = {
    "client of an ordinary connection": (
        State.CLOSED,
        "SEND_SYN RECEIVE_SYN RECEIVE_ACK_OF_SYN SEND_FIN RECEIVE_ACK_OF_FIN RECEIVE_FIN TIMEOUT_2MSL",
        "CLOSED SYN-SENT SYN-RECEIVED ESTABLISHED FIN-WAIT-1 FIN-WAIT-2 TIME-WAIT CLOSED",
    ),
    "server of an ordinary connection": (
        State.CLOSED,
        "PASSIVE_OPEN RECEIVE_SYN RECEIVE_ACK_OF_SYN RECEIVE_FIN SEND_FIN RECEIVE_ACK_OF_FIN",
        "CLOSED LISTEN SYN-RECEIVED ESTABLISHED CLOSE-WAIT LAST-ACK CLOSED",
    ),
    "simultaneous close": (
        State.ESTABLISHED,
        "SEND_FIN RECEIVE_FIN RECEIVE_ACK_OF_FIN TIMEOUT_2MSL",
        "ESTABLISHED FIN-WAIT-1 CLOSING TIME-WAIT CLOSED",
    ),
    "refused": (State.CLOSED, "SEND_SYN RECEIVE_RST_OF_SYN", "CLOSED SYN-SENT CLOSED"),
    "closed before the third segment arrives": (
        State.LISTEN,
        "RECEIVE_SYN SEND_FIN RECEIVE_ACK_OF_SYN RECEIVE_ACK_OF_FIN",
        "LISTEN SYN-RECEIVED FIN-WAIT-1 FIN-WAIT-1 FIN-WAIT-2",
    ),
}


@pytest.mark.parametrize("name", WALKS)
def test_a_sequence_of_events_passes_these_states(name: str) -> None:
    state, events, labels = WALKS[name]
    walked = [state]
    for event in events.split():
        walked.append(step(walked[-1], Event[event]))
    assert [one.label for one in walked] == labels.split()
