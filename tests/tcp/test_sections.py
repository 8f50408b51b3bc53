"""Every cell of the table of states has its place in RFC 9293, and the place is one that there is."""

from __future__ import annotations

import re

import pytest

from handshake_inspect.tcp.sections import ICMP_RULES, REPEATED, RULES, SYN_ACK_IN_SYN_SENT, Rule
from handshake_inspect.tcp.states import TRANSITIONS, Event, State

#: The sections that say what an end does, and how many numbered checks each has (RFC 9293, table of contents, §3.10.7).
CHECKS = {
    "3.5.2": 0, "3.6.1": 0, "3.10.1": 0, "3.10.2": 0, "3.10.4": 0, "3.10.5": 0, "3.10.8": 0,
    "3.10.7.1": 0, "3.10.7.2": 4, "3.10.7.3": 5, "3.10.7.4": 8,
}  # fmt: skip
ORDINALS = ["first", "second", "third", "fourth", "fifth", "sixth", "seventh", "eighth"]
CELLS = [(state, event) for state in State for event in TRANSITIONS[state]]
#: Where a segment is looked at that arrives in a state.
ARRIVES = {State.CLOSED: "3.10.7.1", State.LISTEN: "3.10.7.2", State.SYN_SENT: "3.10.7.3"}
#: Which check of §3.10.7.4 an arrival is, in synchronized states.
CHECK = {
    Event.RECEIVE_RST: {"second"},
    Event.RECEIVE_RST_OF_SYN: {"second"},
    Event.RECEIVE_SYN: {"first", "fourth"},
    Event.RECEIVE_ACK_OF_SYN: {"fifth"},
    Event.RECEIVE_ACK_OF_FIN: {"fifth"},
    Event.RECEIVE_FIN: {"eighth"},
}


def test_exactly_the_cells_of_the_table_have_a_rule() -> None:
    assert {state: {*row} for state, row in RULES.items()} == {state: {*row} for state, row in TRANSITIONS.items()}


@pytest.mark.parametrize("rule", [*(RULES[state][event] for state, event in CELLS), SYN_ACK_IN_SYN_SENT, REPEATED])
def test_a_rule_names_a_section_and_a_check_that_exist_and_says_one_sentence(rule: Rule) -> None:
    found = re.fullmatch(r"RFC 9293 §([\d.]+)(?:, (\w+))?", rule.section)
    assert found, rule.section
    place, check = found.groups()
    assert check in [None, *ORDINALS[: CHECKS[place]]]
    assert (check is None) == (CHECKS[place] == 0)
    assert rule.says[0].islower()
    assert not rule.says.endswith(".")


@pytest.mark.parametrize(("state", "event"), [(state, event) for state, event in CELLS if event in CHECK])
def test_an_arrival_is_in_the_part_about_arriving_segments_of_its_state(state: State, event: Event) -> None:
    section = RULES[state][event].section
    if event is Event.RECEIVE_FIN and state in (State.LISTEN, State.SYN_SENT):
        assert section == "RFC 9293 §3.10.7.4, eighth"  # "Do not process the FIN if the state is ..."
    elif state in ARRIVES:
        assert f"§{ARRIVES[state]}" in section
    else:
        place, _, check = section.rpartition(", ")
        assert (place, check in CHECK[event]) == ("RFC 9293 §3.10.7.4", True)


def test_acts_are_calls_and_timers() -> None:
    for state, row in RULES.items():
        for event, rule in row.items():
            if event is Event.SEND_FIN:
                again = TRANSITIONS[state][event] is state
                assert rule.section == f"RFC 9293 §{'3.10.8' if again else '3.10.4'}"  # timeout, or CLOSE
    assert RULES[State.TIME_WAIT][Event.TIMEOUT_2MSL].section == "RFC 9293 §3.10.8"


@pytest.mark.parametrize(("kind", "section"), [("hard", "3.9.2.2"), ("soft", "3.9.2.2"), ("path-mtu", "3.7.2")])
def test_an_icmp_error_rests_on_the_section_that_asks_for_what_is_said(kind: str, section: str) -> None:
    """§3.9.2.2 has "fragmentation needed" among the hard errors, which abort: that TCP sends less is §3.7.2."""
    assert ICMP_RULES[kind].section == f"RFC 9293 §{section}"
