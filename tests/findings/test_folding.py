"""What is found does not depend on what is folded, nor on the blocks in which a capture is read."""

from __future__ import annotations

import random

import pytest

from handshake_inspect.connections.connection import Finding
from handshake_inspect.connections.folding.gather import GatheredRows
from handshake_inspect.inspector import Inspector
from handshake_inspect.table import Block
from tests.engine.fuzz import lasting_conversation
from tests.engine.scenario import ISN_PAIRS, Ends, Segment, parse, table_of


def found_in(segments: list[Segment], ends: Ends, ttl: list[int], fold: bool, block_rows: int) -> list[list[Finding]]:
    """Return the findings of each connection; with `fold` folded as soon as there is anything to fold."""
    inspector = Inspector(fold=fold)
    if fold:
        inspector.analysis.gathering = GatheredRows(fold_rows=1, long_rows=1)
    capture = inspector.begin_capture("folding", "pcap")
    table = table_of(segments, inspector, ends)
    table.columns["ttl"][:] = ttl
    for a in range(0, len(table), block_rows):
        part = table.take(slice(a, a + block_rows))
        inspector.add_block(Block(part), capture, len(part), part["time_ns"])
    return [list(one.findings) for one in inspector.result().connections]


@pytest.mark.parametrize("seed", range(4))
def test_folding_changes_no_finding(seed: int) -> None:
    rng = random.Random(f"folding {seed}")
    codes = set()
    for _ in range(8):
        segments, ends = lasting_conversation(rng)
        far = rng.choice((64, 128))
        ttl = [rng.choice((far,) * 19 + (far - 1,)) for _ in segments]
        plain = found_in(segments, ends, ttl, False, len(segments) or 1)
        assert found_in(segments, ends, ttl, True, rng.choice((1, 2, 5))) == plain
        codes |= {one.code for some in plain for one in some}
    assert len(codes) > 10, "too little is found"


def both(text: str) -> dict[str, str]:
    """Return the messages of a scenario by their codes: the same folded and plain."""
    segments = parse(text).segments(ISN_PAIRS["last"])
    plain, folded = (found_in(segments, Ends(), [64] * len(segments), fold, 1) for fold in (False, True))
    assert folded == plain
    return {one.code: one.message for one in plain[0]}


def transfer(sender: str, rounds: int) -> str:
    """10 octets at a time, each acknowledged."""
    own, peer = ("x", "y") if sender == "A" else ("y", "x")
    other = "B" if sender == "A" else "A"
    return "\n".join(
        f"{sender} > A {own}+{1 + 10 * i} (10) ack {peer}+1\n{other} > A {peer}+1 ack {own}+{11 + 10 * i}"
        for i in range(rounds)
    )


def test_what_acknowledges_octets_acknowledges_no_fin_of_their_number() -> None:
    told = both(f"open\n{transfer('B', 9)}\nB > FA y+40 ack x+1\n20.0 A > A x+1 ack y+91\nB > A y+91 ack x+1")
    assert "close-wait-held" not in told


def test_an_acknowledgment_that_stands_before_its_fin_counts() -> None:
    told = both(f"open\n{transfer('B', 9)}\nA > A x+1 ack y+92\nB > FA y+91 ack x+1\n20.0 B > A y+92 ack x+1")
    assert "close-wait-held" in told


def test_the_answer_to_a_late_syn_ack_stays() -> None:
    told = both(f"open\n{transfer('A', 5)}\nB > SA y+77 ack x+1\n" + transfer("A", 9).partition("\n")[2])
    assert told["syn-ack-changed"].endswith("the client answers with a challenge ACK")


@pytest.mark.parametrize(("rounds", "is_too_large"), [(20, True), (150, False)])
def test_what_is_too_large_for_the_path_is_so_folded_too(rounds: int, is_too_large: bool) -> None:
    """By 1,500 octets that arrived a segment of 1,448 may have passed."""
    ahead = 10 * rounds
    lost = f"A > A x+{ahead + 1} (1448) ack y+1"
    said = f"B > A y+1 ack x+{ahead + 1}"
    dead = "\n".join(f"{lost}\n{said}\n{said}\n0.{pause} {lost}" for pause in (3, 8))
    goes_on = f"1.5 B > A y+1 (300) ack x+{ahead + 1}\nA > A x+{ahead + 1449} ack y+301"
    told = both(f"open\n{transfer('A', rounds)}\n{dead}\n{goes_on}")
    assert ("mtu-black-hole" in told) == is_too_large
    assert ("peer-silent" in told) != is_too_large
