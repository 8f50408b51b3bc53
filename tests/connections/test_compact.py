"""Folding changes nothing: every contract field is the same from folded and from plain rows."""

from __future__ import annotations

import dataclasses
import os
import random

import numpy as np
import pytest

from handshake_inspect.connections.connection import Connection
from handshake_inspect.connections.folding.compact import (
    UNDER_WAY,
    folded_into,
    latest_of_each_side,
    witnesses,
)
from handshake_inspect.connections.folding.gather import GatheredRows
from handshake_inspect.inspector import Inspector
from handshake_inspect.table import Block
from tests.engine.scenario import MILLISECOND_NS, Segment, parse, table_of

FIN, SYN, RST, PSH, ACK = 1, 2, 4, 8, 16
OPENING = (
    Segment(10**18, "A", SYN, 0),
    Segment(10**18 + 1000, "B", SYN | ACK, 0, 0, 1),
    Segment(10**18 + 2000, "A", ACK, 1, 0, 1),
)
CONVERSATIONS = int(os.environ.get("HANDSHAKE_FUZZ", "400"))


def transfer(rng: random.Random) -> list[Segment]:
    """A long connection with everything that may happen to one: loss, reordering, repeats, lies, odd endings."""
    isn = [rng.choice([0, 2**32 - 1, 2**32 - 5000, rng.randrange(2**32)]) for _ in range(2)]
    sent, acked = [1, 1], [1, 1]
    now = 10**18
    out: list[Segment] = []

    def say(side: int, flags: int, seq: int, octets: int = 0, ack: int | None = None, window: int = 500) -> None:
        nonlocal now
        now += rng.choice([1000, MILLISECOND_NS, 50 * MILLISECOND_NS])
        number = 0 if ack is None else (isn[1 - side] + ack) % 2**32
        out.append(Segment(now, "AB"[side], flags, (isn[side] + seq) % 2**32, octets, number, window))

    if rng.random() < 0.85:
        say(0, SYN, 0)
        say(1, SYN | ACK, 0, 0, 1)
        say(0, ACK, 1, 0, 1)
    for _ in range(rng.randrange(10, 150)):
        side = int(rng.random() < 0.6)
        event = rng.random()
        if event < 0.55:
            octets = rng.choice([1, 100, 1448, 60_000])
            say(side, ACK | PSH, sent[side], octets, acked[side])
            sent[side] += octets
        elif event < 0.85:
            acked[side] = sent[1 - side]
            say(side, ACK, sent[side], 0, acked[side])
        elif event < 0.90:
            say(side, ACK, max(sent[side] - rng.choice([1, 100, 1448]), 1), rng.choice([0, 1, 100]), acked[side])
        elif event < 0.93:
            sent[side] += rng.choice([1, 1448])  # not captured
        elif event < 0.95:
            say(side, ACK, sent[side], 0, acked[side] + rng.choice([1, 1000, 2**29]))
        elif event < 0.97:
            say(side, ACK, sent[side], 0, acked[side], 0)
        elif event < 0.98:
            say(side, RST | rng.choice([0, ACK]), sent[side] + rng.choice([-100, 0, 0, 1, 1448]), 0, acked[side])
        elif event < 0.99:
            say(side, SYN, rng.choice([0, -70_000, 3_000_000]))
        else:
            say(side, FIN | ACK, sent[side] - rng.choice([0, 0, 200]), 0, acked[side])
    for side in rng.choice([[], [0], [1], [0, 1], [1, 0]]):
        say(side, FIN | ACK, sent[side], 0, sent[1 - side])
        sent[side] += 1
        say(1 - side, ACK, sent[1 - side], 0, sent[side])
    if rng.random() < 0.3:
        for _ in range(rng.randrange(1, 12)):
            i = rng.randrange(1, len(out))
            out[i - 1], out[i] = (
                dataclasses.replace(out[i], time_ns=out[i - 1].time_ns),
                dataclasses.replace(out[i - 1], time_ns=out[i].time_ns),
            )
    return out


def connections_of(segments: list[Segment], gathering: GatheredRows | None, block_rows: int) -> list[Connection]:
    inspector = Inspector(fold=gathering is not None)
    if gathering is not None:
        inspector.analysis.gathering = gathering
    capture = inspector.begin_capture("transfer", "pcap")
    table = table_of(segments, inspector)
    for a in range(0, len(table), block_rows):
        part = table.take(slice(a, a + block_rows))
        inspector.add_block(Block(part), capture, len(part), part["time_ns"])
    return list(inspector.result().connections)


def test_of_a_mirrored_transfer_every_power_of_ten_of_copies_is_a_letter() -> None:
    """Also where one row stands for many that were shown twice."""
    said = ["A > S x", "B > SA y ack x+1", "A > A x+1 ack y+1"]
    for octet in range(1, 1201, 4):
        said += [f"A > PA x+{octet} (4) ack y+1", f"B > A y+1 ack x+{octet + 4}"]
    once = parse("\n".join(said)).segments((1000, 5000))
    twice = [
        dataclasses.replace(one, ip_id=number + 1, time_ns=one.time_ns + later_ns)
        for number, one in enumerate(once)
        for later_ns in (0, 10_000)
    ]
    (plain,) = connections_of(twice, None, len(twice))
    (folded,) = connections_of(twice, GatheredRows(fold_rows=256, long_rows=4), 64)
    assert plain.history == "ShADTaTT"
    assert folded == plain


@pytest.mark.parametrize("seed", range(8))
def test_folded_transfers_give_the_same_answers(seed: int) -> None:
    rng = random.Random(seed)
    folded_rows = 0
    for _ in range(CONVERSATIONS // 8):
        segments = transfer(rng)
        gathering = GatheredRows(fold_rows=rng.choice([4, 16, 64]), long_rows=4)
        plain = connections_of(segments, None, len(segments))
        folded = connections_of(segments, gathering, rng.choice([3, 8, 17]))
        assert folded == plain
        folded_rows += len(segments) - len(gathering)
    assert folded_rows > 0, "the test folds nothing"


def test_a_long_transfer_is_kept_in_few_rows() -> None:
    segments = [*OPENING]
    for i in range(10_000):
        at = 10**18 + 3000 + i * 2000
        segments.append(Segment(at, "B", ACK, 1 + i * 1448, 1448, 1))
        segments.append(Segment(at + 1000, "A", ACK, 1, 0, 1 + (i + 1) * 1448))
    gathering = GatheredRows(fold_rows=256, long_rows=16)
    (one,) = connections_of(segments, gathering, 100)
    assert len(gathering) < 400
    assert one.octets.responder == 10_000 * 1448
    assert one.segments.originator == 10_002


@pytest.mark.parametrize("opened", [True, False])
@pytest.mark.parametrize("octets", [0, 1448])
def test_a_long_transfer_of_which_one_direction_is_captured_is_kept_in_few_rows(opened: bool, octets: int) -> None:
    """As where routes are asymmetric: nothing says that anything arrived, or what is acknowledged."""
    segments = [Segment(10**18, "B", SYN | ACK, 0, 0, 1)] if opened else []
    for i in range(20_000):
        ack = 1 if octets else 1 + i * 1448
        segments.append(Segment(10**18 + 3000 + i * 2000, "B", ACK, 1 + i * octets, octets, ack))
    gathering = GatheredRows(fold_rows=256, long_rows=16)
    (one,) = connections_of(segments, gathering, 100)
    assert len(gathering) < 5 * UNDER_WAY
    (plain,) = connections_of(segments, None, len(segments))
    assert one == plain


@pytest.mark.parametrize("stray", [RST, SYN, SYN | RST])
@pytest.mark.parametrize("seq", [3_000_000, -70_000])
def test_a_long_transfer_that_an_rst_or_a_syn_does_not_end_is_kept_in_few_rows(stray: int, seq: int) -> None:
    """As of a scanner, or of somebody who guesses numbers: one segment must not make what follows cost more."""
    segments = [*OPENING]
    for i in range(6000):
        at = 10**18 + 3000 + i * 2000
        if i == 100:
            segments.append(Segment(at, "A", stray, seq % 2**32))
        segments.append(Segment(at, "B", ACK, 1 + i * 1448, 1448, 1))
        segments.append(Segment(at + 1000, "A", ACK, 1, 0, 1 + (i + 1) * 1448))
    gathering = GatheredRows(fold_rows=256, long_rows=16)
    (one,) = connections_of(segments, gathering, 100)
    assert len(gathering) < 1000
    (plain,) = connections_of(segments, None, len(segments))
    assert one == plain


def test_octets_folded_into_an_acknowledgment_count_as_captured() -> None:
    """Else the last of them might be a FIN that was not captured."""
    said = [("A", SYN, 0, 0, 0), ("B", SYN | ACK, 0, 0, 1), ("A", ACK, 1, 0, 1)]
    # The first pure acknowledgment of an end stays; the ones after the data are ordinary.
    said += [("A", ACK, 1, 1, 1), ("B", ACK, 1, 0, 2)]
    said += [line for i in range(9) for line in (("B", ACK, 1 + 9 * i, 9, 2), ("A", ACK, 2, 0, 10 + 9 * i))]
    said += [line for i in range(9) for line in (("A", ACK, 2 + i, 1, 82), ("B", ACK, 82, 0, 3 + i))]
    said += [("A", FIN | ACK, 11, 0, 82), ("B", ACK, 82, 0, 12)]
    segments = [
        Segment(10**18 + i * MILLISECOND_NS, sender, flags, seq, octets, ack)
        for i, (sender, flags, seq, octets, ack) in enumerate(said)
    ]
    gathering = GatheredRows(fold_rows=4, long_rows=4)
    (folded,) = connections_of(segments, gathering, len(segments))
    kept = gathering.rows_of(np.zeros(1, np.int64))
    assert max((kept["seq"] + kept["payload_octets"])[kept["payload_octets"] > 0]) < 82
    assert folded == connections_of(segments, None, len(segments))[0]
    assert folded.states.originator == ("CLOSED", "SYN-SENT", "ESTABLISHED", "FIN-WAIT-1", "FIN-WAIT-2")


def test_the_time_of_the_last_segment_survives() -> None:
    segments = transfer(random.Random(5))
    folded = connections_of(segments, GatheredRows(fold_rows=4, long_rows=4), 5)
    assert folded[-1].last_ns == max(np.array([one.time_ns for one in segments]))


def latest(side: list[int], row: int, of: int) -> int | None:
    return next((earlier for earlier in range(row - 1, -1, -1) if side[earlier] == of), None)


@pytest.mark.parametrize("seed", range(50))
def test_rows_that_stay_are_chosen_and_count_others_as_one_by_one(seed: int) -> None:
    rng = np.random.default_rng(seed)
    rows = int(rng.integers(0, 40))
    side = (rng.random(rows) < rng.choice([0.1, 0.5, 1.0])).astype(np.uint8)
    foldable = rng.random(rows) < rng.choice([0.3, 0.9, 1.0])
    other, same = latest_of_each_side(side)
    sides = side.tolist()
    for row, own in enumerate(sides):
        for found, of in ((other, 1 - own), (same, own)):
            if (expected := latest(sides, row, of)) is not None:
                assert found[row] == expected

    stay: set[int] = set()
    section: list[int] = []
    for row in range(rows + 1):
        if row < rows and foldable[row]:
            section.append(row)
            continue
        last = [max((one for one in section if sides[one] == end), default=-1) for end in (0, 1)]
        stay.update(one for one in last if one >= 0)
        if min(last) >= 0:
            earlier, end = min(last), 1 - last.index(min(last))
            stay.update([max((one for one in section if one < earlier and sides[one] == end), default=earlier)])
        section = []
    assert np.flatnonzero(witnesses(other, foldable)).tolist() == sorted(stay)

    stays = ~foldable
    stays[sorted(stay)] = True
    amount = rng.integers(0, 1 << 32, rows).astype(np.uint32)
    counted, waiting = [0] * rows, [0, 0]
    for row, own in enumerate(sides):
        if stays[row]:
            counted[row], waiting[own] = waiting[own], 0
        else:
            waiting[own] += int(amount[row])
    assert folded_into(side, stays, amount).tolist() == counted
