"""Two captures of many connections: what is the same is counted, what is not is told once for all that went alike."""

from __future__ import annotations

import numpy as np
import pytest

from handshake_inspect.compared.comparison import Comparison, compare
from handshake_inspect.compared.difference import Level
from handshake_inspect.inspection import Inspection, inspect
from tests.compared.another_run import PCAPS, Run, rerun
from tests.engine.scenario import Ends, Segment, inspect_many, parse

ECHO = "open\nA > PA x+1 (4) ack y+1\nB > PA y+1 (4) ack x+5\n"
FOUR = ECHO + "A > FA x+5 ack y+5\nB > A y+5 ack x+6\nB > FA y+5 ack x+6\nA > A x+6 ack y+6\n"
THREE = ECHO + "A > FA x+5 ack y+5\nB > FA y+5 ack x+6\nA > A x+6 ack y+6\n"
RESET = ECHO + "A > RA x+5 ack y+5\n"
REFUSED = "A > S x\nB > RA 0 ack x+1\n"
SERVER = (4, 0x0A000002, 80)


def run(*texts: str, port: int = 40000, server: tuple[int, int, int] = SERVER) -> Inspection:
    """One connection after the other, from rising ports, with other initial numbers each."""
    made: list[tuple[list[Segment], Ends]] = []
    for number, text in enumerate(texts):
        isns = (port * 65_537 + number * 7_919, 4_294_967_290 - number * port)
        made.append((parse(text).segments(isns), Ends((4, 0x0A000001, port + number), server)))
    return inspect_many(made)


def pairs(found: Comparison) -> list[list[tuple[int, int]]]:
    return [alike.streams for alike in found.different]


@pytest.mark.parametrize("level", ["segments", "conversation", "verdict"])
def test_another_run_is_the_same(level: Level) -> None:
    found = compare(run(FOUR, THREE, RESET, REFUSED), run(REFUSED, FOUR, RESET, THREE, port=50000), level)
    assert (found.is_same, found.same, found.different) == (True, 4, [])
    assert found.same_elsewhere == 0


def test_one_connection_too_many_in_the_middle() -> None:
    a, b = run(FOUR, THREE, RESET), run(FOUR, THREE, REFUSED, RESET, port=50000)
    found = compare(a, b)
    assert (found.same, pairs(found), found.only_a, found.only_b) == (3, [], [], [2])
    assert not found.is_same
    back = compare(b, a)
    assert (back.same, back.only_a, back.only_b) == (3, [2], [])


def test_what_changed_alike_is_told_once() -> None:
    found = compare(run(FOUR, RESET, FOUR, REFUSED, FOUR), run(THREE, THREE, RESET, THREE, REFUSED, port=50000))
    assert pairs(found) == [[(0, 0), (2, 3), (4, 1)]]  # what follows the RST in the one follows it in the other
    assert found.same == 2
    first = found.different[0].first
    assert (first.a.connection.stream, first.b.connection.stream, first.parted) == (0, 0, (6, 6))


def test_steps_are_made_once_for_all_that_changed_alike(monkeypatch: pytest.MonkeyPatch) -> None:
    made = []
    real = Inspection.steps

    def counted(self: Inspection, stream: int, coming: list[int] | None = None) -> object:
        made.append(stream)
        return real(self, stream, coming)

    monkeypatch.setattr(Inspection, "steps", counted)
    found = compare(run(*[FOUR] * 30, *[RESET] * 30), run(*[THREE] * 30, *[RESET] * 30, port=50000))
    assert [len(alike.streams) for alike in found.different] == [30]
    assert found.same == 30
    assert made == [0, 0]


def test_a_server_elsewhere_is_said() -> None:
    moved = (4, 0x0A0000FF, 8080)
    found = compare(run(FOUR, RESET), run(FOUR, RESET, port=50000, server=moved))
    assert (found.is_same, found.same_elsewhere) == (True, 2)


def test_only_some_streams() -> None:
    a, b = run(FOUR, RESET), run(FOUR, REFUSED, port=50000)
    some = np.array([0])
    assert compare(a, b, streams=(some, some)).is_same
    assert not compare(a, b).is_same


def test_nothing_to_compare_is_not_the_same() -> None:
    empty = inspect(PCAPS / "udp.pcap")
    assert not compare(empty, empty).is_same
    found = compare(empty, run(FOUR))
    assert (found.same, found.only_a, found.only_b) == (0, [], [0])


@pytest.mark.parametrize("name", ["time-wait-reused.pcap", "port-scan.pcap", "accept-queue-full.pcap", "path-mtu.pcap"])
def test_a_capture_of_many_is_the_same_as_of_another_run(name: str) -> None:
    found = compare(inspect(PCAPS / name), rerun(PCAPS / name, Run((7, 2**32 - 5), 99, 10**15, 5, 6)))
    assert found.is_same
    assert found.same == len(inspect(PCAPS / name).connections)


def test_a_long_transfer_is_compared_by_sums_and_that_is_said() -> None:
    lines = [f"A > A x+{n + 1} (100) ack y+1\nB > A y+1 ack x+{n + 101}\n" for n in range(0, 2000, 100)]
    long = "open\n" + "".join(lines)
    a, b = run(long), run(long, port=50000)
    assert compare(a, b).same_by_sums == 0
    for one in (a, b):
        gathering = one._inspector.analysis.gathering  # type: ignore[union-attr]
        gathering._fold_rows, gathering._long_rows, gathering._fresh_long = 1, 1, 1 << 20
        gathering.fold_long()
    found = compare(a, b)
    assert (found.is_same, found.same_by_sums) == (True, 1)
