"""What a caller holds in hand: a wrong name of an end is an error, not the other end."""

from __future__ import annotations

from pathlib import Path
from typing import assert_type, get_args

import pytest

from handshake_inspect import Exchange, HandshakeKind, RunFinding, StateName, TeardownKind, inspect
from handshake_inspect.connections.connection import Basis, Outcome, Pair, SeverityWord
from handshake_inspect.connections.deciding.found import Severity
from handshake_inspect.connections.deciding.time_waits import OUTCOMES
from handshake_inspect.tcp.states import State
from handshake_inspect.views.words import HANDSHAKE_KINDS, TEARDOWN_KINDS

PCAPS = Path(__file__).parents[2] / "pcaps"


@pytest.mark.parametrize("end", ["client", "server", "Originator", 0, None])
def test_a_pair_has_no_end_of_another_name(end: str) -> None:
    with pytest.raises(KeyError, match="is no end: originator or responder"):
        Pair(4, 9)[end]  # type: ignore[index]


def test_a_pair_has_two_ends_in_order() -> None:
    octets = Pair(4, 9)
    assert [*octets] == [octets["originator"], octets["responder"]] == [4, 9]
    assert 5 not in octets


def test_the_types_of_words_have_the_words_that_there_are() -> None:
    assert (get_args(HandshakeKind), get_args(TeardownKind)) == (HANDSHAKE_KINDS, TEARDOWN_KINDS)
    assert get_args(StateName) == tuple(dict.fromkeys(state.label for state in State))
    assert get_args(SeverityWord) == tuple(severity.word for severity in Severity)
    assert get_args(Outcome) == OUTCOMES


def test_a_type_checker_finds_a_comparison_that_never_holds() -> None:
    """What it is to find it is told to ignore; mypy says so where there is nothing."""
    found = inspect(PCAPS / "four-way.pcap")
    (one,) = found.connections
    assert one.handshake.kind != "3-way"  # type: ignore[comparison-overlap]
    assert one.teardown.kind != "fourway"  # type: ignore[comparison-overlap]
    assert one.teardown.closed_first != "client"  # type: ignore[comparison-overlap]
    assert one.time_wait[0].outcome != "captured"  # type: ignore[comparison-overlap]
    for states in one.states:
        assert states is not None
        assert states[-1] != "TIME_WAIT"  # type: ignore[comparison-overlap]
    assert_type(found.steps(0)[0].states.originator.basis, Basis | None)
    assert_type(found.exchanges[:], list[Exchange])
    assert_type(found.findings, tuple[RunFinding, ...])
