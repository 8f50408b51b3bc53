"""Two captures of many connections: what is the same is counted, what is not is told once for all that went alike."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from handshake_inspect.capture.inputs import Input
from handshake_inspect.compared.comparison import Comparison, compare
from handshake_inspect.compared.difference import Level
from handshake_inspect.connections.connection import Step
from handshake_inspect.connections.folding.gather import GatheredRows
from handshake_inspect.inspection import Inspection
from handshake_inspect.inspector import Inspector, inspect
from tests.bench.workload import bulk, write
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


def test_only_what_is_drawn_keeps_its_rows() -> None:
    some = [f"open\nA > PA x+1 ({octets}) ack y+1\n" for octets in (10, 20, 30, 40, 50)]
    other = [text.replace("PA", "A") for text in some]
    found = compare(run(*some), run(*other, port=50000))
    assert [len(alike.first.a.rows) for alike in found.different] == [4, 4, 4, 0, 0]
    assert [alike.first.parted for alike in found.different] == [(3, 3)] * 5
    flags = [[row.flags for row in alike.first.there if isinstance(row, Step)] for alike in found.different]
    assert flags == [["PSH,ACK", "ACK"]] * 5


def test_a_server_elsewhere_is_said() -> None:
    moved = (4, 0x0A0000FF, 8080)
    found = compare(run(FOUR, RESET), run(FOUR, RESET, port=50000, server=moved))
    assert (found.is_same, found.same_elsewhere) == (True, 2)


def test_only_the_chosen_streams_are_compared() -> None:
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


@pytest.fixture
def folded(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever can be folded is folded."""
    monkeypatch.setattr(GatheredRows.__init__, "__kwdefaults__", {"fold": True, "fold_rows": 1, "long_rows": 1})


def transfers(path: Path, seed: int, mss: int = 1460) -> Path:
    """Three long transfers."""
    write([bulk(np.random.default_rng(seed), 300, 3)], path)
    path.write_bytes(path.read_bytes().replace(b"\2\4" + (1460).to_bytes(2), b"\2\4" + mss.to_bytes(2)))
    return path


@pytest.mark.usefixtures("folded")
def test_a_long_transfer_is_compared_by_sums_and_that_is_said(tmp_path: Path) -> None:
    a, b = inspect(transfers(tmp_path / "a", 1)), inspect(transfers(tmp_path / "b", 2))
    found = compare(a, b)
    assert (found.is_same, found.same, found.same_by_sums) == (True, 3, 3)
    whole = compare(inspect(tmp_path / "a", fold=False), inspect(tmp_path / "b", fold=False))
    assert (whole.is_same, whole.same, whole.same_by_sums) == (True, 3, 0)


@pytest.mark.usefixtures("folded")
def test_long_ones_that_differ_are_read_again_together(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each capture once more, for three connections of which most segments were folded."""
    a, b = inspect(transfers(tmp_path / "a", 1)), inspect(transfers(tmp_path / "b", 2, mss=1461))
    read = []
    real = Inspector.read

    def reading(self: Inspector, inputs: list[Input]) -> None:
        read.append(inputs[0].source)
        real(self, inputs)

    monkeypatch.setattr(Inspector, "read", reading)
    found = compare(a, b)
    assert pairs(found) == [[(0, 0), (1, 1), (2, 2)]]
    assert found.different[0].first.parted == (0, 0)
    assert read == [tmp_path / "a", tmp_path / "b"]
    for stream in range(3):
        assert a.steps(stream) == inspect(tmp_path / "a", fold=False).steps(stream)
