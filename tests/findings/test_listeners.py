"""Findings about listeners."""

from __future__ import annotations

import random

import pytest

from handshake_inspect.connections.over_time.phases import HALF_OPEN, OPENING
from tests.connections.test_ledger import connection, peak
from tests.engine.scenario import inspect_many
from tests.findings.captures import messages_in

CASES = {
    "syn-flood": (["syn-flood.pcap", "syn-flood-cookies.pcap"], ["accept-queue-full.pcap", "half-open-silent.pcap"]),
    "accept-queue-full": (
        ["accept-queue-full.pcap"],
        ["lost-syn.pcap", "accept-queue-overflow.pcap", "unanswered.pcap"],
    ),
}


def test_it_says_which_backlog_would_have_been_enough() -> None:
    assert messages_in("syn-flood-cookies.pcap", "syn-flood") == [
        "24 attempts unfinished at once, 3.919 ms after the first: 24 answered and half-open; from 1 address; a backlog"
        " of 24 would hold them"
    ]


@pytest.mark.parametrize("seed", range(3))
def test_a_flood_counts_what_the_phases_of_its_connections_show(seed: int) -> None:
    """The page draws both: as many as are opening or half-open at once are unfinished at once."""
    rng = random.Random(f"flood {seed}")
    kinds = ["A > S x", "A > S x\n 40 A > S x", "A > S x\n B > SA y ack x+1", "A > S x\n 2 B > SA y ack x+1"]
    found = inspect_many([connection(rng.choice(kinds), rng.uniform(0, 200), 1000 + i) for i in range(80)])
    columns = (found.phases.table[name].tolist() for name in ("connection", "phase", "begin_ns", "end_ns"))
    unfinished: dict[int, tuple[int, int]] = {}
    for row, phase, begin, end in zip(*columns, strict=True):
        assert phase in (OPENING, HALF_OPEN)
        unfinished[row] = (unfinished.get(row, (begin, end))[0], end)
    (flood,) = (one for one in found.findings if one.code == "syn-flood")
    assert flood.message.startswith(f"{peak(list(unfinished.values()))[0]} attempts unfinished at once, ")


def test_it_says_how_many_were_answered_once_as_with_syn_cookies() -> None:
    """Nine are kept, and answered again; of the others nothing is."""
    cookie = "A > S x\n 0.001 B > SA y ack x+1"
    young = f"{cookie}\n 3.001 B > SA y ack x+1"  # RFC 1122: the others may be repeated in a moment
    kept = f"{cookie}\n 1.001 B > SA y ack x+1\n 3.001 B > SA y ack x+1\n 7.001 B > SA y ack x+1"
    cases = ((kept, "; 21 answered once, and not again in 4 s, as with SYN cookies"), (young, ""), (cookie, ""))
    for first, said in cases:
        attempts = [first, *[first] * 8, *[cookie] * 21]
        found = inspect_many([connection(one, number / 1000, 1000 + number) for number, one in enumerate(attempts)])
        (flood,) = (one for one in found.findings if one.code == "syn-flood")
        assert flood.message.endswith(f"a backlog of 30 would hold them{said}")
