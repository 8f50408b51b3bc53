"""Sockets that are used again and again: their numbers have room side by side, and a range is decided at a time."""

from __future__ import annotations

import random
from dataclasses import replace
from itertools import pairwise
from typing import Any

import numpy as np
import pytest

from handshake_inspect.connections.analysis import ranges_of
from handshake_inspect.connections.folding import pool
from handshake_inspect.connections.splitting import rows, unwrapping
from handshake_inspect.connections.splitting.rows import RANGE, UNKNOWN, lifted, room_of, running_maximum_of
from tests.engine.scenario import FLAGS, MODULUS, Segment, inspect_segments
from tests.oracles.everything import everything

MILLION = 1 << 20


def plain_running_maximum(group: list[int], values: list[int], mask: list[bool]) -> list[int]:
    found: list[int] = []
    for place, (one, value, counts) in enumerate(zip(group, values, mask, strict=True)):
        before = found[-1] if place and group[place - 1] == one else UNKNOWN
        found.append(max(before, value) if counts else before)
    return found


@pytest.mark.parametrize("apart", [1, MILLION // 2, 3 * MILLION, 100 * MILLION])
def test_running_maxima_of_any_count_of_groups(apart: int) -> None:
    rng = random.Random(apart)
    group = sorted(rng.randrange(3) * apart for _ in range(200))
    values = [rng.randrange(-(1 << 31), 1 << 32) for _ in group]
    mask = [rng.random() < 0.3 for _ in group]
    found = running_maximum_of(np.array(group), np.array(values), np.array(mask))
    assert found.tolist() == plain_running_maximum(group, values, mask)


@pytest.mark.parametrize("groups", [1, 2, 2 * MILLION, 2 * MILLION + 1, 3 * MILLION, 100 * MILLION])
def test_numbers_on_one_axis_are_in_order_of_groups_then_of_numbers(groups: int) -> None:
    some = sorted({0, groups // 2, groups - 1})
    pairs = [(group, value) for group in some for value in (UNKNOWN, -(1 << 31), -1, 0, 1, (1 << 32) - 1)]
    on_axis = lifted(np.array([value for _, value in pairs]), np.array([group for group, _ in pairs]), groups).tolist()
    assert all(a < b for a, b in pairwise(on_axis))


def test_few_connections_have_room_for_two_tebioctets() -> None:
    assert room_of(1) == room_of(2 * MILLION) == RANGE
    assert room_of(2 * MILLION + 1) == RANGE // 2


def storm(seed: int) -> list[Segment]:
    """Connections of one pair of sockets, each with a new number, and with whatever may come behind its SYN."""
    rng = random.Random(seed)
    segments: list[Segment] = []
    for number in range(60):
        x, y = rng.randrange(MODULUS), rng.randrange(MODULUS)
        script = [("A", "S", x, 0), ("B", "SA", y, x + 1), ("A", "A", x + 1, y + 1)][: rng.randrange(1, 4)]
        for _ in range(rng.randrange(6)):
            near, far = rng.randrange(4), rng.randrange(1, 4)
            one = [("A", x + near, y + far), ("B", y + near, x + far)][rng.randrange(2)]
            script.append((one[0], rng.choice(["A", "A", "FA", "R", "RA"]), *one[1:]))
        for place, (sender, bits, seq, ack) in enumerate(script):
            time_ns = 10**18 + (number * 20 + place) * 10**7
            octets = rng.randrange(3) if "S" not in bits and "R" not in bits else 0
            flags = sum(FLAGS[bit] for bit in bits)
            segments.append(Segment(time_ns, sender, flags, seq % MODULUS, octets, ack % MODULUS if "A" in bits else 0))
    return segments


@pytest.mark.parametrize("seed", range(3))
def test_where_there_is_little_room_answers_are_the_same(seed: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """As for 2**28 connections of one pair of sockets: each has 34 bits."""
    whole = everything(inspect_segments(storm(seed)), steps=True)
    assert len(whole) > 50
    monkeypatch.setattr(rows, "AXIS_BITS", 41)
    assert room_of(2 * len(whole)) < RANGE >> 7
    assert everything(inspect_segments(storm(seed)), steps=True) == whole


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("partition_rows", [1, 30])
def test_one_pair_of_sockets_is_decided_range_by_range(
    seed: int, partition_rows: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """ICMP errors find their connections among all of them, and rules look at the connection before."""
    segments = storm(seed)
    quoted = [one.seq for one in segments if one.flags == FLAGS["S"]][::5]
    whole = everything(inspect_segments(segments, quoted=quoted))
    told = str(whole)
    assert "syn-changed" in told
    assert "unreachable" in told
    monkeypatch.setattr(pool, "PARTITION_ROWS", partition_rows)
    found = inspect_segments(segments, quoted=quoted)
    assert len(found.connections) == len(whole)
    assert len(ranges_of(np.arange(0, len(segments), 3))) > 3
    assert everything(found) == whole


@pytest.mark.parametrize("rows_at_once", [1, 50])
def test_numbers_far_apart_are_unwrapped_some_connections_at_a_time(
    rows_at_once: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    rng = random.Random(rows_at_once)
    segments = [replace(one, seq=rng.randrange(MODULUS)) if rng.random() < 0.2 else one for one in storm(1)]
    whole = everything(inspect_segments(segments), steps=True)
    monkeypatch.setattr(unwrapping, "ROWS_AT_ONCE", rows_at_once)
    unwrap_long, parts = unwrapping._unwrap_long, 0

    def counted(*arguments: Any) -> None:
        nonlocal parts
        parts += 1
        unwrap_long(*arguments)

    monkeypatch.setattr(unwrapping, "_unwrap_long", counted)
    assert everything(inspect_segments(segments), steps=True) == whole
    assert parts > 3
