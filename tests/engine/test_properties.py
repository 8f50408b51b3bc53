"""What must hold whatever happened, tried on invented conversations."""

from __future__ import annotations

import random
import re
from collections.abc import Sequence
from dataclasses import fields, replace
from typing import Any

import pytest

from handshake_inspect.connections.connection import Connection, Finding, StateAt
from handshake_inspect.connections.folding.gather import GatheredRows
from handshake_inspect.inspection import Inspection
from handshake_inspect.inspector import Inspector
from handshake_inspect.table import Block
from tests.engine.fuzz import conversation, honest_conversation
from tests.engine.scenario import MODULUS, SELF, Ends, Segment, inspect_many, inspect_segments, spell, table_of

IPV6 = Ends((6, 0xFE80 << 112 | 7, 50001), (6, 0x2001_0DB8 << 96 | 1, 443))


def everything(found: Inspection) -> list[dict[str, Any]]:
    """All fields of all connections, steps included."""
    return [_fields(found.with_steps(stream)) for stream in range(len(found.connections))]


def _fields(connection: Connection) -> dict[str, Any]:
    return {field.name: getattr(connection, field.name) for field in fields(Connection)}


def _without_addresses(one: dict[str, Any]) -> dict[str, Any]:
    kept = {name: value for name, value in one.items() if name not in ("originator", "responder", "ip_version")}
    return {**kept, "findings": _without_digits(one)}


def _without_digits(one: dict[str, Any]) -> tuple[Finding, ...]:
    """Findings name ports and sequence numbers; of an RST that refuses a SYN only a number that is not 0."""
    return tuple(
        replace(found, message=re.sub(r"sequence number \d+ and |[\d,]+| and 0$", "", found.message))
        for found in one["findings"]
    )


def _without_numbers(one: dict[str, Any]) -> dict[str, Any]:
    """Leave out what must move along with the initial numbers."""
    steps = tuple(
        replace(
            step,
            seq=0,
            ack=None,
            # Of an end that only sent RSTs the symbolic number is the absolute one.
            symbolic_seq="" if step.symbolic_seq == str(step.seq) else step.symbolic_seq,
            symbolic_ack="" if step.symbolic_ack == str(step.ack) else step.symbolic_ack,
            arithmetic=tuple(
                replace(
                    sum_, expected=0, actual=0, symbolic="" if sum_.symbolic == str(sum_.expected) else sum_.symbolic
                )
                for sum_ in step.arithmetic
            ),
        )
        for step in one["steps"]
    )
    waits = tuple(
        replace(
            wait,
            reuse=wait.reuse
            and replace(wait.reuse, initial_seq=0, last_seq=None, answer_seq=None, last_answer_seq=None),
        )
        for wait in one["time_wait"]
    )
    return {**one, "steps": steps, "time_wait": waits, "initial_seq": None, "findings": _without_digits(one)}


@pytest.mark.parametrize("seed", range(40))
def test_other_initial_numbers_change_nothing_else(seed: int) -> None:
    rng = random.Random(f"numbers {seed}")
    segments, ends = conversation(rng)
    # What stands in the field without ACK is no number of anybody.
    by = {"A": rng.randrange(MODULUS), "B": rng.randrange(MODULUS)}
    if ends == SELF:
        by["B"] = by["A"]
    moved = [
        replace(
            one,
            seq=(one.seq + by[one.sender]) % MODULUS,
            ack=(one.ack + by["B" if one.sender == "A" else "A"]) % MODULUS if one.flags & 16 else one.ack,
        )
        for one in segments
    ]
    before, after = everything(inspect_segments(segments, ends)), everything(inspect_segments(moved, ends))
    assert [_without_numbers(one) for one in after] == [_without_numbers(one) for one in before]


@pytest.mark.parametrize("seed", range(20))
def test_other_names_change_nothing_else(seed: int) -> None:
    segments, ends = conversation(random.Random(f"names {seed}"))
    if ends == SELF:
        pytest.skip("one socket has no other order")
    before = [_without_addresses(one) for one in everything(inspect_segments(segments, ends))]
    for others in (IPV6, Ends(IPV6.b, IPV6.a), Ends(ends.b, ends.a)):
        assert [_without_addresses(one) for one in everything(inspect_segments(segments, others))] == before


def test_company_changes_nothing() -> None:
    """A connection is the same among others as alone (frames and times are not)."""
    invented = [conversation(random.Random(f"company {seed}")) for seed in range(120)]
    ends = [Ends((*one.a[:2], 10_000 + k), one.b) if one != SELF else one for k, (_, one) in enumerate(invented)]
    invented = [(segments, end) for (segments, _), end in zip(invented, ends, strict=True) if end != SELF]
    together = list(inspect_many(invented).connections)
    alone = [one for segments, end in invented for one in inspect_segments(segments, end).connections]
    names = ("handshake", "teardown", "states", "octets", "sent_octets", "missing_octets", "conn_state", "history")
    for one, other in zip(together, alone, strict=True):
        assert {name: getattr(one, name) for name in names} == {name: getattr(other, name) for name in names}


@pytest.mark.parametrize("seed", range(10))
def test_every_beginning_of_a_capture_can_be_inspected(seed: int) -> None:
    segments, ends = conversation(random.Random(f"prefix {seed}"))
    for count in range(len(segments) + 1):
        found = inspect_segments(segments[:count], ends)
        assert sum(len(found.steps(stream)) for stream in range(len(found.connections))) == count


@pytest.mark.parametrize("seed", range(25))
def test_facts_stay_facts_as_a_capture_grows(seed: int) -> None:
    """`sent` and `acknowledged` are for ever; `assumed` may become acknowledged, or disproved.

    On conversations without forged segments: a lie may be believed until it is found out. And without a FIN that the
    capture missed: what proves it comes later than it was sent, so it changes what was shown of the rows before.
    """
    segments, ends = honest_conversation(random.Random(f"facts {seed}"))
    if any(one.teardown.missing for one in inspect_segments(segments, ends).connections):
        return
    known: dict[tuple[int, str], StateAt] = {}
    for count in range(1, len(segments) + 1):
        found = inspect_segments(segments[:count], ends)
        now: dict[tuple[int, str], StateAt] = {}
        for stream in range(len(found.connections)):
            connection = found.with_steps(stream)
            for step in connection.steps or ():
                assert isinstance(step.frame, int)
                for side in ("originator", "responder"):
                    socket = getattr(connection, side)
                    now[step.frame, str(socket)] = getattr(step.states, side)
        for place, fact in known.items():
            if fact.basis in ("sent", "acknowledged"):
                assert now[place].state == fact.state, f"{count} rows, at {place}: {spell(fact)} -> {spell(now[place])}"
                assert now[place].basis in ("sent", "acknowledged")
        known = now


@pytest.mark.parametrize("seed", range(15))
@pytest.mark.parametrize("rows", [1, 3])
def test_the_size_of_blocks_changes_nothing(seed: int, rows: int) -> None:
    segments, ends = conversation(random.Random(f"blocks {seed}"))
    assert everything(inspect_segments(segments, ends, block_rows=rows)) == everything(inspect_segments(segments, ends))


@pytest.mark.parametrize("seed", range(50))
def test_folding_at_every_opportunity_changes_nothing(seed: int) -> None:
    rng = random.Random(f"folding {seed}")
    segments, ends = conversation(rng)
    whole = inspect_segments(segments, ends)
    folded = _folded(segments, ends, rows=rng.choice((1, 2, 5)))
    names = [field.name for field in fields(Connection) if field.name != "steps"]
    for stream in range(len(whole.connections)):
        for name in names:
            assert getattr(folded.connections[stream], name) == getattr(whole.connections[stream], name), name
    assert len(folded.connections) == len(whole.connections)


def _folded(segments: Sequence[Segment], ends: Ends, rows: int) -> Inspection:
    inspector = Inspector()
    inspector.analysis.gathering = GatheredRows(fold_rows=1, long_rows=1)
    capture = inspector.begin_capture("scenario.pcap", "pcap")
    table = table_of(segments, inspector, ends)
    for a in range(0, len(table), rows):
        part = table.take(slice(a, a + rows))
        inspector.add_block(Block(part), capture, len(part), part["time_ns"])
    return inspector.result()
