"""Captures altered in one place: they part exactly there; and altered as every run alters them: they do not part."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from handshake_inspect.capture.inputs import Input
from handshake_inspect.compared.comparison import compare
from handshake_inspect.compared.difference import LEVELS, Level
from handshake_inspect.connections.connection import Step
from handshake_inspect.inspection import Inspection
from handshake_inspect.inspector import Inspector, inspect
from handshake_inspect.table import Block, SegmentTable
from handshake_inspect.views.golden import golden
from tests.compared.another_run import PCAPS, RUNS, Run, rerun

NAMES = sorted(path.name for path in PCAPS.glob("*.pcap"))
#: One connection each, of ordinary segments.
ORDINARY = ("four-way", "three-segment", "server-first", "half-close", "ipv6", "ecn", "lost-data", "large-transfer")
PSH, URG = 8, 32


class _Altered(Inspector):
    """Turns one control bit, or the size of the payload, of the segment in one frame."""

    def __init__(self, frame: int, column: str, change: int) -> None:
        super().__init__()
        self.frame, self.column, self.change = frame, column, change

    def take(self, block: Block) -> None:
        columns = dict(block.segments.columns)
        at = columns["frame"] == self.frame
        columns[self.column] = np.where(at, columns[self.column] ^ self.change, columns[self.column])
        super().take(replace(block, segments=SegmentTable(columns)))


def altered(name: str, frame: int, column: str, change: int) -> Inspection:
    inspector = _Altered(frame, column, change)
    inspector.read([Input(str(PCAPS / name))])
    return inspector.result()


@settings(max_examples=40)
@given(name=st.sampled_from(NAMES), run=RUNS, level=st.sampled_from(LEVELS))
def test_what_every_run_alters_is_no_difference(name: str, run: Run, level: Level) -> None:
    inspection = inspect(PCAPS / name)
    found = compare(inspection, rerun(PCAPS / name, run), level)
    assert (found.different, found.only_a, found.only_b) == ([], [], [])
    assert found.same == len(inspection.connections)


@settings(max_examples=40)
@given(name=st.sampled_from(ORDINARY), bit=st.sampled_from([PSH, URG]), data=st.data())
def test_they_part_at_the_segment_that_was_altered(name: str, bit: int, data: st.DataObject) -> None:
    inspection = inspect(PCAPS / f"{name}.pcap")
    steps = inspection.steps(0)
    place = data.draw(st.integers(0, len(steps) - 1), "segment")
    frame = steps[place].frame
    assert isinstance(frame, int)
    (alike,) = compare(inspection, altered(f"{name}.pcap", frame, "flags", bit)).different
    assert alike.first.parted == (place, place)
    there = alike.first.b.rows[place]
    assert isinstance(there, Step)
    assert ("URG" if bit == URG else "PSH") in set(there.flags.split(",")) ^ set(steps[place].flags.split(","))


@settings(max_examples=20)
@given(name=st.sampled_from(ORDINARY), data=st.data())
def test_golden_text_changes_in_the_line_of_the_segment_that_was_altered(name: str, data: st.DataObject) -> None:
    path = PCAPS / f"{name}.pcap"
    before = list(golden(inspect(path)))
    frame = data.draw(st.sampled_from(sorted({line.frame for line in before if isinstance(line.frame, int)})), "frame")
    after = list(golden(altered(path.name, frame, "flags", URG)))
    changed = [(old, new) for old, new in zip(before, after, strict=True) if old.text != new.text]
    assert [(old.frame, new.frame) for old, new in changed] == [(frame, frame)]
    assert "URG" in changed[0][1].text


def test_a_lost_octet_is_seen() -> None:
    """Five octets instead of four, in the middle."""
    found = compare(inspect(PCAPS / "four-way.pcap"), altered("four-way.pcap", 4, "payload_octets", 1))
    assert found.different[0].first.parted == (3, 3)
    found = compare(inspect(PCAPS / "four-way.pcap"), altered("four-way.pcap", 4, "payload_octets", 1), "conversation")
    assert found.different[0].first.parted == (3, 3)
