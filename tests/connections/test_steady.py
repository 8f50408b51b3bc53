"""What is folded as it comes changes nothing: every contract field is the same as from plain rows."""

from __future__ import annotations

import os
import random
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from handshake_inspect.arrays import Column
from handshake_inspect.capture.inputs import Input
from handshake_inspect.connections.connection import Connection
from handshake_inspect.connections.folding.gather import GatheredRows
from handshake_inspect.connections.folding.steady import SteadyTransfers
from handshake_inspect.connections.moments import EARLIEST_NS
from handshake_inspect.inspector import Inspector
from handshake_inspect.table import Block, SegmentTable
from tests.capture.builders import pcap
from tests.engine.scenario import BEGIN_NS, MILLISECOND_NS, MODULUS, Ends, Segment, table_of
from tests.test_equal_results import frame_of

FIN, SYN, RST, PSH, ACK = 1, 2, 4, 8, 16
#: How many captures a run invents.
CAPTURES = int(os.environ.get("HANDSHAKE_FUZZ", "400")) // 10
#: Captures that were told otherwise once: an end's first new data after an RST was folded; and what followed a SYN in a
#: connection captured midway, whose number a later SYN-ACK proved to be the initial one.
TOLD_OTHERWISE = (56, 4080)


class Counting(SteadyTransfers):
    """Counts the rows that are folded as they come."""

    folded = 0

    def fold(
        self, columns: Mapping[str, Column], copies_within_ns: int, single_until_ns: int = EARLIEST_NS
    ) -> Mapping[str, Column]:
        kept = super().fold(columns, copies_within_ns, single_until_ns)
        Counting.folded += len(columns["seq"]) - len(kept["seq"])
        return kept


class Transfer:
    """Two ends of one long connection that mostly send data in order and acknowledge it."""

    def __init__(self, rng: random.Random, oddity: float) -> None:
        self.rng, self.oddity = rng, oddity
        edge = rng.choice([0, 1, 2**29 - 3000, 2**31 - 5000, MODULUS - 1, MODULUS - 20_000])
        self.isn = [edge, rng.randrange(MODULUS)]
        self.sent, self.acked = [1, 1], [1, 1]
        self.said: list[Segment] = []

    def say(self, side: int, flags: int, seq: int, octets: int = 0, ack: int | None = None, window: int = 500) -> None:
        number = 0 if ack is None else (self.isn[1 - side] + ack) % MODULUS
        ip_id = self.rng.choice([0, len(self.said) + 1])
        segment = Segment(0, "AB"[side], flags, (self.isn[side] + seq) % MODULUS, octets, number, window, ip_id=ip_id)
        self.said.append(segment)

    def open(self, captured: bool) -> None:
        if captured:
            self.say(0, SYN, 0)
            self.say(1, SYN | ACK, 0, 0, 1)
            self.say(0, ACK, 1, 0, 1)

    def go_on(self) -> None:
        side = int(self.rng.random() < 0.6)
        if self.rng.random() < self.oddity:
            self.do_something_odd(side)
        elif self.rng.random() < 0.6:
            octets = self.rng.choice([1, 100, 1448, 1448, 60_000])
            self.say(side, ACK | PSH, self.sent[side], octets, self.acked[side])
            self.sent[side] += octets
        else:
            sent = self.sent[1 - side]
            self.acked[side] = self.rng.choice([sent, sent, self.acked[side], (sent + self.acked[side]) // 2])
            self.say(side, ACK, self.sent[side], 0, self.acked[side])

    def do_something_odd(self, side: int) -> None:
        rng, sent, acked = self.rng, self.sent[side], self.acked[side]
        match rng.randrange(12):
            case 0:  # again, or a keep-alive
                self.say(side, ACK, sent - rng.choice([1, 100, 1448]), rng.choice([0, 1, 100, 3000]), acked)
            case 1:  # data that is not captured
                self.sent[side] += rng.choice([1, 1448])
            case 2:  # an acknowledgment that lies, or of what was not captured
                self.say(side, ACK, sent, 0, acked + rng.choice([1, 1000, 2**29]))
            case 3:
                self.say(side, ACK, sent, rng.choice([0, 10]), acked - rng.choice([1, 1000]))
            case 4:
                self.say(side, ACK, sent, 0, acked, 0)
            case 5:
                self.say(side, RST | rng.choice([0, ACK]), sent + rng.choice([-100, 0, 0, 1, 1448]), 0, acked)
            case 6:
                self.say(side, SYN, rng.choice([0, -70_000, 3_000_000]), 0, acked)
            case 7:
                self.say(side, FIN | ACK, sent - rng.choice([0, 0, 200]), rng.choice([0, 0, 50]), acked)
            case 8:  # no ACK bit, or no bit at all
                self.say(side, rng.choice([0, PSH]), sent, rng.choice([0, 10]), acked)
            case 9:  # the network doubles a segment
                self.said += self.said[-1:]
            case 10:
                self.said += [one for one in self.said[-6:] if rng.random() < 0.5]
            case 11 if len(self.said) > 1:  # two change places
                self.said[-2:] = self.said[:-3:-1]

    def close(self, order: list[int]) -> None:
        for side in order:
            self.say(side, FIN | ACK, self.sent[side], 0, self.sent[1 - side])
            self.sent[side] += 1
            self.say(1 - side, ACK, self.sent[1 - side], 0, self.sent[side])


class Scanned(Transfer):
    """A transfer into which somebody sends RSTs and SYNs, whose numbers are guessed."""

    def do_something_odd(self, side: int) -> None:
        rng, sent, acked = self.rng, self.sent[side], self.acked[side]
        kind = rng.randrange(8)
        if kind < 4:
            self.say(side, RST | rng.choice([0, ACK]), sent + rng.choice([-100, 0, 1, 1448, 70_000, -1]), 0, acked)
        elif kind < 7:
            number = rng.choice([0, -70_000, 3_000_000, sent, sent + 5])
            self.say(side, SYN | rng.choice([0, 0, ACK]), number, 0, acked)
        else:
            super().do_something_odd(side)


def transfer(rng: random.Random, oddity: float, captured: bool, close: list[int] | None = None) -> list[Segment]:
    return said_by(Transfer(rng, oddity), 300, captured, close)


def scanned(rng: random.Random, _oddity: float, captured: bool, close: list[int] | None = None) -> list[Segment]:
    return said_by(Scanned(rng, rng.choice([0.02, 0.05, 0.2])), 400, captured, close)


def said_by(one: Transfer, most: int, captured: bool, close: list[int] | None) -> list[Segment]:
    one.open(captured)
    for _ in range(one.rng.randrange(10, most)):
        one.go_on()
    one.close(one.rng.choice([[], [0], [1], [0, 1], [1, 0]]) if close is None else close)
    return one.said


def capture(rng: random.Random, inspector: Inspector, transfer: Callable[..., list[Segment]]) -> SegmentTable:
    """Make some conversations at the same time, some of them of several connections."""
    tables = []
    for port in range(rng.choice([1, 2, 5])):
        said: list[Segment] = []
        if rng.random() < 0.2:  # the sockets were used before
            said = transfer(rng, 0, captured=True, close=[0, 1])
        said += transfer(rng, rng.choice([0, 0.005, 0.02, 0.1]), captured=bool(said) or rng.random() < 0.9)
        steps = [rng.choice([0, 1000, MILLISECOND_NS, 50 * MILLISECOND_NS, 400 * MILLISECOND_NS]) for _ in said]
        times = BEGIN_NS + np.cumsum(steps)
        timed = [replace(one, time_ns=time_ns) for one, time_ns in zip(said, times.tolist(), strict=True)]
        ends = Ends()
        tables.append(table_of(timed, inspector, replace(ends, a=(*ends.a[:2], 40_000 + port))))
    table = SegmentTable.concatenate(tables)
    table = table.take(np.argsort(table["time_ns"], kind="stable"))
    table.columns["frame"] = np.arange(len(table)) + 1
    return table


def connections_of(
    seed: int, captures: int, *, fold: bool, transfer: Callable[..., list[Segment]] = transfer
) -> list[Connection]:
    rng = random.Random(seed)
    inspector = Inspector(fold=fold)
    if fold:
        inspector.analysis.gathering = GatheredRows(fold_rows=rng.choice([1, 8, 64]), long_rows=4)
    for number in range(captures):
        inspector.begin_capture(f"transfer {number}", "pcap")
    table = capture(random.Random(seed), inspector, transfer)
    rows = rng.choice([3, 12, 40, 100])
    for a in range(0, len(table), rows):
        part = table.take(slice(a, a + rows))
        inspector.add_block(Block(part), 0, len(part), part["time_ns"])
    return list(inspector.result().connections)


@pytest.mark.parametrize("captures", [1, 2])
@pytest.mark.parametrize("batch", range(2))
def test_what_is_folded_as_it_comes_changes_nothing(batch: int, captures: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("handshake_inspect.connections.folding.gather.SteadyTransfers", Counting)
    monkeypatch.setattr(Counting, "folded", 0)
    for seed in range(batch * CAPTURES // 2, (batch + 1) * CAPTURES // 2):
        assert connections_of(seed, captures, fold=True) == connections_of(seed, captures, fold=False), seed
    assert Counting.folded > 0, "the test folds nothing"


@pytest.mark.parametrize("seed", [*range(CAPTURES // 8), *TOLD_OTHERWISE])
def test_rsts_and_syns_inside_transfers_are_told_alike_folded_and_not(seed: int) -> None:
    folded, plain = (connections_of(seed, 1, fold=fold, transfer=scanned) for fold in (True, False))
    assert folded == plain


def test_a_transfer_is_never_kept() -> None:
    """Once it is known, not even for a block."""
    inspector, long = Inspector(), Transfer(random.Random(1), 0)
    inspector.analysis.gathering = GatheredRows(fold_rows=256, long_rows=16)
    long.open(captured=True)
    for _ in range(5000):
        long.say(1, ACK, long.sent[1], 1448, 1)
        long.sent[1] += 1448
        long.say(0, ACK, 1, 0, long.sent[1])
    number = inspector.begin_capture("transfer", "pcap")
    table = table_of(long.said, inspector)
    for a in range(0, len(table), 500):
        part = table.take(slice(a, a + 500))
        inspector.add_block(Block(part), number, len(part), part["time_ns"])
        assert a < 500 or len(inspector.analysis.gathering) < 200
    (one,) = inspector.result().connections
    assert (one.segments.originator, one.segments.responder) == (5002, 5001)
    assert one.octets.responder == 5000 * 1448


def lossy(rng: random.Random, count: int) -> list[Segment]:
    """Say a long transfer of which some segments are lost before they are captured, sent again, or overtaken."""
    long, octets = Transfer(rng, 0), 1448
    long.open(captured=True)
    for number in range(count):
        seq, oddity = long.sent[1], number % 100
        long.sent[1] += octets
        if oddity == 10:  # lost, asked for four times, and sent again
            for after in range(1, 5):
                long.say(1, ACK, seq + after * octets, octets, 1)
                long.say(0, ACK, 1, 0, seq)
            long.say(1, ACK, seq, octets, 1)
            long.sent[1] += 4 * octets
        else:
            long.say(1, ACK, seq, octets, 1)
        if oddity == 40:  # sent again for nothing
            long.say(1, ACK, seq, octets, 1)
        long.say(0, ACK, 1, 0, long.sent[1])
        if oddity == 70:  # overtaken
            long.said[-2:] = long.said[:-3:-1]
        if oddity == 90:
            long.say(0, ACK, 1, 0, long.sent[1] - 2 * octets)
    return long.said


def test_of_a_lossy_transfer_little_is_kept_besides_what_was_lost() -> None:
    """As of one whose bottleneck drops 1 %: it does not leave the steady state each time."""
    inspector = Inspector()
    inspector.analysis.gathering = gathering = GatheredRows(fold_rows=512, long_rows=16)
    number = inspector.begin_capture("transfer", "pcap")
    table = table_of(lossy(random.Random(1), 10_000), inspector)
    unsteady = 0
    for a in range(0, len(table), 500):
        before = len(gathering)
        part = table.take(slice(a, a + 500))
        inspector.add_block(Block(part), number, len(part), part["time_ns"])
        print(a, len(gathering))
        unsteady += len(gathering) - before > 200
    assert unsteady < 4, "of most blocks little is kept as they come"
    plain = Inspector(fold=False)
    plain.begin_capture("transfer", "pcap")
    plain.add_block(Block(table), 0, len(table), table["time_ns"])
    (one,), (other,) = inspector.result().connections, plain.result().connections
    assert one == other
    assert one.segments.originator + one.segments.responder == len(table)


def test_transfers_whose_acknowledgments_come_in_later_blocks_are_folded_as_they_come(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """As of a thousand at once: of each a block has too few segments for an acknowledgment to be among them."""
    monkeypatch.setattr("handshake_inspect.connections.folding.gather.SteadyTransfers", Counting)
    monkeypatch.setattr(Counting, "folded", 0)
    inspector, plain, count = Inspector(), Inspector(fold=False), 20
    tables = []
    for port in range(count):
        long, ends = Transfer(random.Random(port), 0), Ends()
        long.open(captured=True)
        for number in range(2000):
            long.say(1, ACK, long.sent[1], 1448, 1)
            long.sent[1] += 1448
            if number % 20 == 19:
                long.say(0, ACK, 1, 0, long.sent[1])
        tables.append(table_of(long.said, inspector, replace(ends, a=(*ends.a[:2], 40_000 + port))))
    table = SegmentTable.concatenate(tables)
    table = table.take(np.argsort(np.tile(np.arange(len(table) // count), count), kind="stable"))
    table.columns["frame"] = table.columns["time_ns"] = np.arange(len(table)) + 1
    inspector.analysis.gathering = gathering = GatheredRows(fold_rows=512, long_rows=64)
    for one in (inspector, plain):
        one.begin_capture("transfers", "pcap")
        for a in range(0, len(table), 10 * count):
            part = table.take(slice(a, a + 10 * count))
            one.add_block(Block(part), 0, len(part), part["time_ns"])
    assert Counting.folded > len(table) // 2
    assert len(gathering) < len(table) // 10
    assert list(inspector.result().connections) == list(plain.result().connections)


def in_blocks(said: list[Segment], rows: int, *, fold: bool) -> Inspector:
    """Inspect the segments of one connection, one a millisecond, in blocks of so many."""
    inspector = Inspector(fold=fold)
    if fold:
        inspector.analysis.gathering = GatheredRows(fold_rows=64, long_rows=16)
    inspector.begin_capture("transfer", "pcap")
    timed = [replace(one, time_ns=BEGIN_NS + at * MILLISECOND_NS) for at, one in enumerate(said)]
    table = table_of(timed, inspector)
    for a in range(0, len(table), rows):
        part = table.take(slice(a, a + rows))
        inspector.add_block(Block(part), 0, len(part), part["time_ns"])
    return inspector


@pytest.mark.parametrize("leap", [2**31 - 10_000_000, 2**30 + 5, 2**30 - 10**6])
def test_a_connection_whose_numbers_leap_is_told_alike_folded_and_not(leap: int) -> None:
    """Captured midway, it may be another one of the same sockets, or absurd: that is decided by all of its numbers."""
    long, octets = Transfer(random.Random(1), 0), 60_000
    long.isn = [7, 1000]
    for number in range(420):
        long.sent[1] += leap if number == 20 else 0
        long.say(1, ACK, long.sent[1], octets, 1)
        long.sent[1] += octets
        long.say(0, ACK, 1, 0, long.sent[1])
    folded, plain = (list(in_blocks(long.said, 40, fold=fold).result().connections) for fold in (True, False))
    assert folded == plain


def test_retransmissions_that_another_capture_also_has_are_told_alike_folded_and_not(tmp_path: Path) -> None:
    """All between them is only in one capture, so the other one has them for another reason."""
    long = Transfer(random.Random(1), 0)
    long.open(captured=True)
    again: list[int] = []
    while len(long.said) < 21_000:
        if len(long.said) >= 18_000 + 800 * len(again) and len(again) < 2:
            again.append(len(long.said))
            long.say(0, ACK | PSH, long.sent[0] - 1448, 1448, 1)
        for _ in range(3):
            long.say(0, ACK | PSH, long.sent[0], 1448, 1)
            long.sent[0] += 1448
        long.say(1, ACK, 1, 0, long.sent[0])
    said = [replace(one, time_ns=BEGIN_NS + 10 * MILLISECOND_NS * at) for at, one in enumerate(long.said)]
    first = [frame_of(number, one, Ends()) for number, one in enumerate(said, 1)]
    late = [replace(said[at], time_ns=said[at].time_ns + MILLISECOND_NS) for at in again]
    second = [frame_of(at + 1, one, Ends()) for at, one in zip(again, late, strict=True)]
    for name, frames in (("a", first), ("b", second)):
        (tmp_path / name).write_bytes(pcap(frames))
    inspectors = [Inspector(fold=fold) for fold in (True, False)]
    for inspector in inspectors:
        inspector.read([Input(tmp_path / name) for name in "ab"])
    folded, plain = (list(inspector.result().connections) for inspector in inspectors)
    assert folded == plain


@pytest.mark.parametrize(
    ("isn", "block", "behind"), [(7, 4000, 0), (2**28, 4000, 0), (7, 4000, 1000), (2**28, 100_000, 1000)]
)
def test_a_transfer_of_several_times_all_numbers_is_measured_to_its_end(isn: int, block: int, behind: int) -> None:
    """Of each 2**29 numbers a row stays, wherever those of the wire begin, and whatever else it was kept for.

    Some acknowledgments were overtaken and are `behind`; a block may have more than all numbers.
    """
    octets, count = 60_000, 200_000
    inspector, long = Inspector(), Transfer(random.Random(1), 0)
    inspector.analysis.gathering = GatheredRows(fold_rows=512, long_rows=16)
    number = inspector.begin_capture("transfer", "pcap")
    long.isn = [isn, isn]
    long.open(captured=True)
    opening = table_of(long.said, inspector)
    inspector.add_block(Block(opening), number, len(opening), opening["time_ns"])
    long.said = []
    long.say(0, ACK, 1, octets, 1)
    long.say(1, ACK, 1, 0, 1)
    said = table_of(long.said, inspector)
    for first in range(0, count, block):
        # Data, its acknowledgment, and now and then the same once more.
        row = np.tile([0, 1, 0, 1, 1], block // 2)
        turn = first + np.cumsum(row == 0)
        part = said.take(row)
        reached = isn + 1 + turn * octets
        part.columns["seq"] = np.where(row == 0, reached - octets, isn + 1).astype(np.uint32)
        overtaken = np.arange(len(row)) % 1000 == 4
        part.columns["ack"] = np.where(row == 0, isn + 1, reached - behind * overtaken).astype(np.uint32)
        part.columns["time_ns"] = BEGIN_NS + MILLISECOND_NS * (10 + 3 * first + np.arange(len(row)))
        part.columns["frame"] = 10 + 3 * first + np.arange(len(row))
        inspector.add_block(Block(part), number, len(part), part["time_ns"])
    verdicts = inspector.analysis.verdicts()
    assert int(verdicts.table["octets_o"][0]) == octets * count > 2 * MODULUS
    assert int(verdicts.table["last_seq_o"][0]) == 1 + octets * count
    assert len(inspector.analysis.gathering) < 10_000
