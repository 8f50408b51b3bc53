"""What is packed for the page's script is what the phases are; read here as `timeline-phases.js` reads it."""

from __future__ import annotations

import base64
import random
import zlib
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from handshake_inspect import inspect
from handshake_inspect.connections.over_time.phases import PHASES
from handshake_inspect.inspection import Inspection
from handshake_inspect.views.page.charts.packed import GIVEN_UP, GOES_ON, REACHES_THE_END, numbers, packed_phases
from tests.connections.test_half_open import HALF_OPEN
from tests.connections.test_ledger import connection, random_run
from tests.connections.test_phases import told
from tests.engine.scenario import inspect_many, inspect_segments

PCAPS = Path(__file__).parents[3] / "pcaps"


#: (phase, from when to when, whether it went on when its capture ended, and at the last frame, whether it was given up)
Told = tuple[str, int, int, bool, bool, bool]


def read(octets: bytes) -> Iterator[int]:
    value = shift = 0
    for octet in octets:
        value |= (octet & 127) << shift
        shift += 7
        if octet < 128:
            yield value
            value = shift = 0


@given(st.lists(st.integers(0, (1 << 64) - 1)))
def test_numbers_come_back(values: list[int]) -> None:
    assert list(read(numbers(np.array(values, np.uint64)).tobytes())) == values


def unpacked(text: str, begin_ns: int) -> dict[int, tuple[int, int, list[Told]]]:
    """Return first and last time and the phases of each stream."""
    values = read(zlib.decompress(base64.b64decode(text), -zlib.MAX_WBITS))
    count = next(values)
    stream, first, lasted, phases = ([next(values) for _ in range(count)] for _ in range(4))
    kind, after, length = ([next(values) for _ in range(sum(phases))] for _ in range(3))
    found, at = {}, 0
    number, time = 0, begin_ns
    for i in range(count):
        number += stream[i]
        time += -(first[i] + 1) // 2 if first[i] % 2 else first[i] // 2
        now = time
        mine: list[Told] = []
        for k in range(at, at + phases[i]):
            begin = now + after[k]
            now = begin + length[k]
            bits = (bool(kind[k] & GOES_ON), bool(kind[k] & REACHES_THE_END), bool(kind[k] & GIVEN_UP))
            mine.append((PHASES[kind[k] & (GOES_ON - 1)], begin, now, *bits))
        at += phases[i]
        found[number] = (time, time + lasted[i], mine)
    return found


def check(found: Inspection, streams: list[int]) -> None:
    packed = packed_phases(found.connections, found.phases, np.array(streams, np.int64))
    end_ns, given_up = found.captured_ns[1], iter(found.phases.table["given_up"].tolist())
    phases: list[list[Told]] = [[] for _ in range(len(found.connections))]
    for row in range(len(found.connections)):
        stream = int(found.connections.stream_of[row])
        for phase, begin, end, goes_on in told(found)[stream]:
            phases[stream].append((phase, begin, end, goes_on, goes_on and end >= end_ns, bool(next(given_up))))
    connections = {one: found.connections[one] for one in streams}
    assert unpacked(packed, found.captured_ns[0]) == {
        number: (one.first_ns, one.last_ns, phases[number]) for number, one in connections.items()
    }


@pytest.mark.parametrize("seed", range(5))
def test_all_phases_come_back(seed: int) -> None:
    found, _ = random_run(random.Random(f"packed {seed}"))
    check(found, list(range(len(found.connections))))
    check(found, list(range(1, len(found.connections), 3)))


@pytest.mark.parametrize("name", ["four-way", "syn-flood", "reset-alone", "time-wait-reused"])
def test_so_do_those_of_recorded_captures(name: str) -> None:
    found = inspect(PCAPS / f"{name}.pcap")
    check(found, list(range(len(found.connections))))


def test_so_do_attempts_that_are_given_up() -> None:
    many = [connection(lines, at_s, at_s) for at_s, lines in ((1, "A > S x"), (2, HALF_OPEN), (90, "A > S x"))]
    found = inspect_many(many)
    check(found, [0, 1, 2])
    assert found.phases.table["given_up"].tolist() == [1, 0, 1, 0]


def test_nothing_takes_hardly_anything() -> None:
    check(inspect_segments([]), [])
