"""The digests of columns against the steps: equal the one, equal the other."""

from __future__ import annotations

import random
from collections import defaultdict
from collections.abc import Hashable

import pytest

from handshake_inspect.compared.digests import Numbering, digests_of
from handshake_inspect.compared.normal import normal_rows, traits, verdict
from handshake_inspect.connections.connection import IcmpError
from handshake_inspect.connections.folding.gather import GatheredRows
from handshake_inspect.inspection import Inspection
from handshake_inspect.inspector import Inspector, inspect
from handshake_inspect.table import Block
from tests.compared.another_run import PCAPS, Run, rerun
from tests.engine.fuzz import conversation
from tests.engine.scenario import ISN_PAIRS, inspect_segments, parse, table_of

LATE = Run((2**32 - 3, 2**32 - 7), 4711, 86_400_000_000_000, 4711, 2**31)


def told_by_steps(inspection: Inspection, stream: int) -> Hashable:
    """Everything by which two connections are compared."""
    connection = inspection.connections[stream]
    rows = normal_rows(connection, inspection.steps(stream))
    states = tuple(None if isinstance(row, IcmpError) else row.states for row in rows)
    return tuple(map(traits, rows)), states, verdict(connection)


def digests_by_stream(inspection: Inspection, numbering: Numbering) -> list[bytes | None]:
    found = digests_of(inspection, numbering).digest
    return [found[row] for row in inspection.connections.rows_of(inspection.connections.streams).tolist()]


def test_equal_digests_are_equal_steps_and_the_other_way_round() -> None:
    numbering = Numbering()
    told: dict[bytes, set[Hashable]] = defaultdict(set)
    digests: dict[Hashable, set[bytes]] = defaultdict(set)
    inspections = [inspect(path) for path in sorted(PCAPS.glob("*.server.pcap"))[::2]]
    inspections += [inspect_segments(*conversation(random.Random(f"digests {seed}"))) for seed in range(120)]
    for inspection in inspections:
        for stream, digest in enumerate(digests_by_stream(inspection, numbering)):
            if digest is not None:
                by_steps = told_by_steps(inspection, stream)
                told[digest].add(by_steps)
                digests[by_steps].add(digest)
    assert len(told) > 150
    assert {len(one) for one in told.values()} == {len(one) for one in digests.values()} == {1}


@pytest.mark.parametrize("name", ["four-way.pcap", "blind-reset.pcap", "time-wait-reused.pcap", "self-connect.pcap"])
def test_another_run_has_the_same_digests(name: str) -> None:
    numbering = Numbering()
    before = digests_by_stream(inspect(PCAPS / name), numbering)
    assert before == digests_by_stream(rerun(PCAPS / name, LATE), numbering)
    assert None not in before


def test_a_connection_with_icmp_errors_has_none() -> None:
    assert digests_by_stream(inspect(PCAPS / "unreachable.pcap"), Numbering()) == [None]


def test_what_was_folded_is_counted() -> None:
    lines = [f"A > A x+{n + 1} (100) ack y+1\nB > A y+1 ack x+{n + 101}\n" for n in range(0, 2000, 100)]
    scenario = parse("open\n" + "".join(lines))
    segments, ends = scenario.segments(ISN_PAIRS["plain"]), scenario.ends()
    inspector = Inspector()
    inspector.analysis.gathering = GatheredRows(fold_rows=1, long_rows=1)
    capture = inspector.begin_capture("folded.pcap", "pcap")
    table = table_of(segments, inspector, ends)
    inspector.add_block(Block(table), capture, len(table), table["time_ns"])
    kept = len(inspector.analysis.gathering)
    assert kept < len(segments)
    assert digests_of(inspector.result(), Numbering()).folded_segments.tolist() == [len(segments) - kept]
    assert digests_of(inspect_segments(segments, ends), Numbering()).folded_segments.tolist() == [0]
