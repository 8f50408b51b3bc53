"""Engine and oracle must agree in every state, its basis, every kind, and where a connection begins."""

from __future__ import annotations

import os
import random
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import asdict
from itertools import permutations
from pathlib import Path
from typing import Any

import pytest

from handshake_inspect.capture.inputs import Input
from handshake_inspect.capture.records import CaptureError
from handshake_inspect.inspection import Inspection
from handshake_inspect.inspector import Inspector
from handshake_inspect.table import Block, SegmentTable
from tests.engine import oracle
from tests.engine.fuzz import conversation
from tests.engine.fuzz import spell as spell_segments
from tests.engine.scenario import ISN_PAIRS, Ends, Segment, inspect_many, parse, spell
from tests.engine.scenarios import SCENARIOS
from tests.engine.test_rfc9293_figures import FIGURES

#: How many conversations a run invents, and of how many of them every step is compared (both can be far more).
CONVERSATIONS = int(os.environ.get("HANDSHAKE_FUZZ", "2000"))
STEPS_OF_ONE_IN = int(os.environ.get("HANDSHAKE_FUZZ_STEPS", "10"))
BATCH = 200
#: Connections of captures with more rows are compared in their verdicts, not in every step.
LONGEST = 500

Conversation = tuple[Sequence[Segment], Ends]


def differences(conversations: Sequence[Conversation], steps_of_one_in: int = 1) -> dict[int, list[str]]:
    """What engine and oracle say differently, by number of the conversation."""
    own_ports = [(segments, _with_port(ends, number)) for number, (segments, ends) in enumerate(conversations)]
    found = inspect_many(own_ports)
    stream_at = {one.first_frame: stream for stream, one in enumerate(found.connections)}
    out: dict[int, list[str]] = {}
    frame = 1
    for number, (segments, ends) in enumerate(conversations):
        begins = [k for k in range(len(segments)) if frame + k in stream_at]
        parts = oracle.split(segments)
        if begins != [a for a, _, _ in parts]:
            lines = [f"connections begin at rows {begins}, the oracle says {[a for a, _, _ in parts]}"]
        else:
            lines = []
            for a, b, ignored in parts:
                one = oracle.Oracle(segments[a:b], ignored, _is_self(ends))
                lines += _compare(found, stream_at[frame + a], one, with_steps=number % steps_of_one_in == 0)
        if lines:
            out[number] = lines
        frame += len(segments)
    return out


def _is_self(ends: Ends) -> bool:
    return ends.a == ends.b


def _with_port(ends: Ends, number: int) -> Ends:
    version, address, _ = ends.a
    mine = (version, address, 10_000 + number)
    return Ends(mine, mine if _is_self(ends) else ends.b)


def _compare(found: Inspection, stream: int, one: oracle.Oracle, with_steps: bool) -> list[str]:
    connection = found.connections[stream]
    engine = {
        "handshake": connection.handshake.kind,
        "teardown": connection.teardown.kind,
        "closed_first": connection.teardown.closed_first,
        "reset_by": connection.teardown.reset_by,
        "originator": connection.states.originator,
        "responder": connection.states.responder,
    }
    plain = {**asdict(oracle.kinds(one)), "originator": one.states(0), "responder": one.states(1)}
    out = [f"{name}: {engine[name]}, the oracle says {plain[name]}" for name in plain if engine[name] != plain[name]]
    for side, name in enumerate(oracle.SIDES[:1] if one.self_connect else oracle.SIDES):
        octets = sum(row.octets for row in one.of(side))
        if getattr(connection.octets, name) != octets:
            out.append(f"octets of the {name}: {getattr(connection.octets, name)}, the oracle says {octets}")
        books = (getattr(connection.sent_octets, name), getattr(connection.missing_octets, name))
        if one.books(side) not in (None, books):
            out.append(f"books of the {name}: {books}, the oracle says {one.books(side)}")
    for row, (step, expected) in enumerate(
        zip(found.steps(stream), one.step_states(), strict=True) if with_steps or out else ()
    ):
        actual = (spell(step.states.originator), spell(step.states.responder))
        if actual != expected:
            out.append(f"row {row + 1}: {' '.join(actual)}, the oracle says {' '.join(expected)}")
    return out


@pytest.mark.parametrize("name", ["plain", "last"])
def test_engine_and_oracle_agree_on_scenarios(name: str) -> None:
    isns = ISN_PAIRS[name]
    texts = {**SCENARIOS, **FIGURES}
    parsed = [parse(text) for text in texts.values()]
    found = differences([(one.segments(isns), one.ends()) for one in parsed if not one.icmp])
    names = [name for name, one in zip(texts, parsed, strict=True) if not one.icmp]
    assert {names[number]: lines for number, lines in found.items()} == {}


#: What is sent when the FINs cross, and one of them again.
CROSSING = (
    "A > FA x+1 ack y+1",
    "B > FA y+1 ack x+1",
    "B > A  y+2 ack x+2",
    "B > FA y+1 ack x+2",
    "A > A  x+2 ack y+2",
)


def test_fins_that_cross_in_any_order_of_capture() -> None:
    orders = [orders for count in range(2, 6) for orders in permutations(CROSSING, count)]
    found = differences([(parse("open\n" + "\n".join(one)).segments(ISN_PAIRS["plain"]), Ends()) for one in orders])
    assert not found, {orders[number]: lines for number, lines in found.items()}


#: A FIN, its answer in two segments or in one, and what follows.
ANSWERED = (
    "A > FA x+1 ack y+1",
    "B > A  y+1 ack x+2",
    "B > FA y+1 ack x+2",
    "A > A  x+2 ack y+2",
    "A > FA x+1 ack y+2",
)


@pytest.mark.parametrize("before", ["open", "", "A > S x", "open\nA > PA x+1 ack y+1"], ids=str.split)
def test_fins_that_answer_in_any_order_of_capture(before: str) -> None:
    orders = [orders for count in range(2, 6) for orders in permutations(ANSWERED, count)]
    texts = ["\n".join([before, *one]).strip() for one in orders]
    found = differences([(parse(one).segments(ISN_PAIRS["plain"]), Ends()) for one in texts])
    assert not found, {orders[number]: lines for number, lines in found.items()}


@pytest.mark.parametrize("batch", range(-(-CONVERSATIONS // BATCH)))
def test_engine_and_oracle_agree_on_invented_conversations(batch: int) -> None:
    seeds = range(batch * BATCH, min((batch + 1) * BATCH, CONVERSATIONS))
    invented = [conversation(random.Random(seed)) for seed in seeds]
    found = differences(invented, STEPS_OF_ONE_IN)
    report = "\n\n".join(
        f"seed {seeds[number]}\n{spell_segments(invented[number][0])}\n" + "\n".join(f"    {line}" for line in lines)
        for number, lines in found.items()
    )
    assert not found, report


class Recording(Inspector):
    """Keeps the segments that decoding made of a capture."""

    def __init__(self) -> None:
        super().__init__(fold=False)
        self.tables: list[SegmentTable] = []

    def take(self, block: Block) -> None:
        self.tables.append(block.segments)
        super().take(block)

    def conversations(self) -> dict[tuple[Any, ...], list[tuple[int, Segment]]]:
        """Segments with their frames, by pair of sockets and tunnel; the first sender is A."""
        table = SegmentTable.concatenate(self.tables)
        columns = {name: column.tolist() for name, column in table.columns.items()}
        out: dict[tuple[Any, ...], list[tuple[int, Segment]]] = defaultdict(list)
        first: dict[tuple[Any, ...], tuple[int, ...]] = {}
        for i in range(len(table)):
            cell = {name: column[i] for name, column in columns.items()}
            source = (cell["src_hi"], cell["src_lo"], cell["src_port"])
            destination = (cell["dst_hi"], cell["dst_lo"], cell["dst_port"])
            key = (*sorted((source, destination)), cell["ip_version"], cell["tunnel"])
            sender = "A" if first.setdefault(key, source) == source else "B"
            out[key].append(
                (
                    cell["frame"],
                    Segment(
                        cell["time_ns"],
                        sender,
                        cell["flags"],
                        cell["seq"],
                        cell["payload_octets"],
                        cell["ack"],
                        cell["window"],
                        ip_id=cell["ip_id"],
                    ),
                )
            )
        return out


def test_engine_and_oracle_agree_on_public_captures(captures_dir: Path) -> None:
    """Every connection of every public capture that opens; those with copies collapsed are the engine's alone."""
    compared, skipped = 0, 0
    found: dict[str, list[str]] = {}
    for path in sorted(captures_dir.iterdir()):
        inspector = Recording()
        try:
            inspector.read([Input(path)])
        except CaptureError:
            continue
        inspection = inspector.result()
        stream_at = {one.first_frame: one for one in inspection.connections}
        unreachable = {one.stream for one in inspection.connections if one.handshake.kind == "unreachable"}
        for key, rows in inspector.conversations().items():
            if any(frame in stream_at and stream_at[frame].duplicates for frame, _ in rows):
                skipped += 1
                continue
            segments = [one for _, one in rows]
            for a, b, ignored in oracle.split(segments):
                connection = stream_at.get(rows[a][0])
                if connection is None:
                    found[f"{path.name} frame {rows[a][0]}"] = ["the oracle begins a connection here"]
                    continue
                one = oracle.Oracle(segments[a:b], ignored, key[0] == key[1])
                lines = _compare(inspection, connection.stream, one, with_steps=b - a <= LONGEST)
                if connection.stream in unreachable:
                    lines = [line for line in lines if not line.startswith("handshake: unreachable")]
                if lines:
                    found[f"{path.name} stream {connection.stream}"] = lines
                compared += 1
    assert found == {}
    assert compared > 300
    assert skipped < compared / 10


@pytest.mark.parametrize("seed", [22394, 57743])
def test_conversations_that_once_differed(seed: int) -> None:
    """A SYN,ACK of a part of the data on a SYN, after a close, belongs to that SYN (RFC 7413)."""
    assert not differences([conversation(random.Random(seed))], 1)
