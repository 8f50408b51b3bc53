"""A capture that does not end: what leaves changes nothing of what stays, is counted, and is all that it cost."""

from __future__ import annotations

import dataclasses
import random
import time
from collections import Counter
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from handshake_inspect.capture.inputs import Input
from handshake_inspect.connections.connection import Connection, Frame, Step
from handshake_inspect.connections.endless.endless_analysis import EndlessAnalysis
from handshake_inspect.connections.endless.retention import Retention
from handshake_inspect.connections.folding.gather import GatheredRows
from handshake_inspect.findings.catalogue import RULES
from handshake_inspect.findings.rule import RunRule
from handshake_inspect.inspection import Inspection
from handshake_inspect.inspector import Inspector, inspect
from handshake_inspect.table import Block, IcmpErrorTable, SegmentTable
from handshake_inspect.tcp.time_wait import SECOND_NS
from tests.bench.soak import PORTS, blocks
from tests.capture.builders import pcap
from tests.engine.fuzz import conversation
from tests.engine.scenario import BEGIN_NS, SELF, Ends, Segment, parse, table_of
from tests.engine.transfers import over_minutes
from tests.test_equal_results import frame_of

#: What was told otherwise early, or twice, once.
TOLD_OTHERWISE = (3, 15, 21, 37, 38, 40, 48)
#: Leaves at every opportunity.
AT_ONCE = Retention(keep=0, round_rows=1, round_share=1 << 30)


def crowd(rng: random.Random, conversations: int, inspector: Inspector) -> SegmentTable:
    """Invent conversations that begin within some minutes, each with sockets of its own, mixed in order of time."""
    tables = []
    for number in range(conversations):
        segments, ends = several(rng)
        own = (*ends.a[:2], 10_000 + number)
        ends = Ends(own, own if ends == SELF else ends.b)
        tables.append(table_of(spread(rng, segments), inspector, ends))
    table = SegmentTable.concatenate(tables)
    table = table.take(np.argsort(table["time_ns"], kind="stable"))
    table.columns["frame"] = np.arange(1, len(table) + 1, dtype=np.int64)
    return table


def several(rng: random.Random) -> tuple[list[Segment], Ends]:
    """Invent what happens between two sockets: one conversation, or some that follow each other."""
    segments, ends = conversation(rng)
    for _ in range(rng.choice((0, 0, 2, 6)) if ends != SELF else 0):
        more, others = conversation(rng)
        segments = segments + more if others != SELF else segments
    return segments, ends


def spread(rng: random.Random, segments: list[Segment]) -> list[Segment]:
    """Give times that leave no pause in which the sockets could be forgotten."""
    time_ns = BEGIN_NS + rng.randrange(300 * SECOND_NS)
    out = []
    for one in segments:
        time_ns += rng.choice((1_000_000, 50_000_000, SECOND_NS))
        out.append(replace(one, time_ns=time_ns))
    return out


def fed(inspector: Inspector, table: SegmentTable, rows: int) -> Inspector:
    capture = inspector.begin_capture("live", "live")
    for a in range(0, len(table), rows):
        part = table.take(slice(a, a + rows))
        inspector.add_block(Block(part), capture, len(part), part["time_ns"])
        inspector.go_on()
    return inspector


#: Findings that rest on other connections of the same sockets, or of the same listener.
OF_OTHERS = {"syn-changed", *(one.code.word for one in RULES if isinstance(one, RunRule))}


def fields(one: Connection) -> dict[str, Any]:
    """Return everything but numbers of connections: those that have left keep theirs."""
    unnumbered = tuple(replace(wait, reuse=wait.reuse and replace(wait.reuse, stream=0)) for wait in one.time_wait)
    found = {field.name: getattr(one, field.name) for field in dataclasses.fields(Connection) if field.name != "stream"}
    # What these say is known from other connections, which may have left.
    findings = tuple(one for one in one.findings if one.code not in OF_OTHERS)
    return found | {"time_wait": unnumbered, "findings": findings}


def kinds(found: Inspection) -> Counter[tuple[str, str]]:
    """Count all connections by kind, those that left too."""
    return found.let_go.kinds + found.connections.kinds()


def doubled(table: SegmentTable) -> SegmentTable:
    """Show every segment twice, as Linux' `any` does with loopback: where it leaves, and where it arrives."""
    out = table.take(np.repeat(np.arange(len(table)), 2))
    out.columns["packet_type"] = np.tile(np.array([4, 0], np.uint8), len(table))
    out.columns["time_ns"] += np.tile([0, 20_000], len(table))
    out.columns["frame"] = np.arange(1, len(out) + 1, dtype=np.int64)
    return out


@pytest.mark.parametrize("twice", [False, True])
@pytest.mark.parametrize(("seed", "rows"), [(0, 8), (1, 100), (2, 1000)])
def test_what_leaves_changes_nothing_of_what_stays(seed: int, rows: int, twice: bool) -> None:
    rng = random.Random(f"leaving {seed}")
    leaving = Inspector(leaving=replace(AT_ONCE, keep=rng.choice((0, 50))))
    table = crowd(rng, 80, leaving)
    table = doubled(table) if twice else table
    plain = Inspector(names=leaving.names, fold=False)
    whole = fed(plain, table, len(table)).result()
    left = fed(leaving, table, rows).result()
    by_frame = {one.first_frame: one for one in whole.connections}
    assert left.let_go.connections > len(whole.connections) / 4
    for one in left.connections:
        assert fields(one) == fields(by_frame[one.first_frame])
    assert left.let_go.connections + len(left.connections) == len(whole.connections)
    assert kinds(left) == kinds(whole)
    held = sum(sum((one.segments.originator, one.segments.responder)) for one in left.connections)
    assert left.let_go.segments + held + left.duplicates == len(table)
    assert left.copies == whole.copies


@pytest.mark.parametrize("seed", range(3))
def test_an_update_says_what_a_look_at_everything_says(seed: int) -> None:
    """Also of transfers whose earlier segments were folded, and while others leave."""
    rng = random.Random(f"update {seed}")
    live = Inspector(leaving=AT_ONCE)
    plain = Inspector(fold=False, names=live.names)
    going(live).gathering = GatheredRows(fold=False, fold_rows=1, long_rows=4)
    table = crowd(rng, 9, live)
    captures = [one.begin_capture("live", "live") for one in (live, plain)]
    for a in range(0, len(table), rows := rng.choice((5, 40))):
        part = table.take(slice(a, a + rows))
        for one in (live, plain):
            one.add_block(Block(part), captures[0], len(part), part["time_ns"])
        told = live.update(part, IcmpErrorTable.empty())
        live.go_on()
        now = plain.result()
        assert [step.frame for _, step in told] == part["frame"].tolist()
        by_frame = {step.frame: (one, step) for one in now.connections for step in now.steps(one.stream)}
        for connection, step in told:
            whole, expected = by_frame[step.frame]
            assert step == expected
            # Rules look at what has ended, or at the whole run.
            assert fields(connection) == fields(whole) | {"findings": ()}


def told_of(paths: list[Path], leaving: Retention, gathering: GatheredRows, block_octets: int) -> list[Connection]:
    """Return every connection as somebody was told of it: when it left, or at the end."""
    told: list[Connection] = []
    inspector = Inspector(leaving=leaving, told=lambda left: told.extend(left.connections), jobs=1)
    inspector.analysis.gathering = gathering
    inspector.read([Input(path, block_octets=block_octets) for path in paths])
    told.extend(inspector.result().connections)
    return sorted(told, key=order_of)


def order_of(one: Connection) -> tuple[int, int, int]:
    return one.first_ns, one.originator.port, one.responder.port


@pytest.mark.parametrize("seed", [0, 1, *TOLD_OTHERWISE])
def test_what_is_told_early_is_what_is_told_at_the_end(seed: int, tmp_path: Path) -> None:
    """Of files of a rotation, and of what a mirror shows, folded or not: each connection once."""
    rng = random.Random(f"early {seed}")
    sent = over_minutes(rng)
    cuts = sorted({rng.randrange(1, len(sent)) for _ in range(rng.choice((0, 0, 2)))})
    paths = [tmp_path / f"{number}.pcap" for number in range(len(cuts) + 1)]
    for path, a, b in zip(paths, [0, *cuts], [*cuts, len(sent)], strict=True):
        path.write_bytes(pcap([frame_of(one.ip_id or 0, one, ends) for one, ends in sent[a:b]]))
    rounds = {"round_rows": rng.choice((1, 100, 1000)), "round_share": rng.choice((8, 1 << 30))}
    folding = GatheredRows(fold_rows=rng.choice((1, 16)), long_rows=8) if rng.random() < 0.5 else GatheredRows()
    early = told_of(paths, Retention(keep=rng.choice((0, 3)), **rounds), folding, rng.choice((1 << 10, 1 << 14)))
    late = told_of(paths, Retention(keep=0, round_rows=1 << 40), GatheredRows(fold=False), 1 << 20)
    assert [fields(one) for one in early] == [fields(one) for one in late]
    kept = sorted(inspect([*paths], jobs=1).connections, key=order_of)
    # Some findings say for how long somebody waited: for who leaves not until the capture ends.
    assert [fields(one) | {"findings": ()} for one in early] == [fields(one) | {"findings": ()} for one in kept]


def going(inspector: Inspector) -> EndlessAnalysis:
    assert isinstance(inspector.analysis, EndlessAnalysis)
    return inspector.analysis


def test_a_stream_keeps_its_number_and_it_is_that_of_the_whole() -> None:
    inspector = Inspector(leaving=Retention(keep=0, round_rows=500))
    capture, segments, seen = inspector.begin_capture("live", "live"), [], dict[Frame, int]()
    for tick, block in enumerate(blocks(90, 10, "loopback")):
        decoded = inspector.add_records(block, capture)
        segments.append(decoded.segments)
        told = inspector.update(decoded.segments, decoded.icmp_errors) if tick % 9 == 0 else ()
        for connection, _ in told:
            assert seen.setdefault(connection.first_frame, connection.stream) == connection.stream
        inspector.go_on()
    plain = Inspector(names=inspector.names)
    whole = fed(plain, SegmentTable.concatenate(segments), 1 << 20).result()
    numbers = {one.first_frame: one.stream for one in whole.connections}
    assert seen == {frame: numbers[frame] for frame in seen}
    left = inspector.result()
    assert 0 < len(left.connections) < 0.8 * len(whole.connections)
    assert [one.stream for one in left.connections] == [numbers[one.first_frame] for one in left.connections]
    last = left.connections[-1]
    assert left.with_steps(last.stream).stream == last.stream


def test_the_number_of_what_was_never_a_connection_is_not_remembered_for_good() -> None:
    """What comes later splits connections and merges them: their numbers go with the conversation."""
    rng, inspector = random.Random("streams"), Inspector(leaving=AT_ONCE)
    capture, frames = inspector.begin_capture("live", "live"), 0
    for later_s in (0, 9000, 18_000):
        table = crowd(rng, 60, inspector)
        table.columns["time_ns"] += later_s * SECOND_NS
        table.columns["frame"] += frames
        frames += len(table)
        for a in range(0, len(table), 8):
            part = table.take(slice(a, a + 8))
            inspector.add_block(Block(part), capture, len(part), part["time_ns"])
            inspector.go_on()
    last = table.take(slice(0, 1))
    last.columns["time_ns"] += 9000 * SECOND_NS
    last.columns["frame"][:], last.columns["src_port"][:] = frames + 1, 1
    inspector.add_block(Block(last), capture, 1, last["time_ns"])
    inspector.go_on()
    assert len(inspector.result().connections) == len(going(inspector)._streams) == 1


@pytest.mark.parametrize("kind", ["loopback", "wide", "flood"])
def test_memory_stays_flat(kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """15,000 connections in 150 seconds: what is held is what came within a TIME-WAIT and a round."""
    ports = 9000  # taken in turn: each again after 90 seconds
    monkeypatch.setattr("tests.bench.soak.PORTS", PORTS[:ports])
    inspector = Inspector(leaving=Retention(keep=1000, round_rows=2000))
    capture, rows, conversations, streams, begun = inspector.begin_capture("live", "live"), [], [], [], 0
    began = time.process_time()
    for block in blocks(150, 100, kind):
        segments = inspector.add_records(block, capture).segments
        inspector.go_on()
        begun += int((segments["flags"] == 2).sum())
        rows.append(len(inspector.analysis.gathering))
        conversations.append(len(inspector.analysis.gathering.conversations))
        streams.append(len(going(inspector)._streams))
    spent = time.process_time() - began
    most, each = 100 * 65, 1 if kind == "flood" else 10
    assert max(rows) <= 1.3 * most * each + 2000
    assert max(streams) <= 1.3 * most + 2000
    assert max(conversations) <= (1.3 * most + 2000 // each if kind != "loopback" else ports)
    found = inspector.result()
    assert found.let_go.connections + len(found.connections) == begun
    assert {opening for opening, _ in found.let_go.kinds} == {"unanswered" if kind == "flood" else "three-way"}
    assert found.let_go.kinds.total() == found.let_go.connections
    assert spent < 15, "a tenth of a processor for 1,000 segments a second is far too much"


CLOSE = """
    A > FA  x+1  ack y+1
    B > FA  y+1  ack x+2
    A > A   x+2  ack y+2
"""


@pytest.mark.parametrize(
    ("text", "quiet_s"),
    [
        ("open" + CLOSE, 60),
        ("open\nB > RA y+1 ack x+1", 60),
        ("A > S x\nB > RA 0 ack x+1", 60),
        ("A > S x", 64),
        ("A > S x\nB > SA y ack x+1", 64),
        ("open\nA > FA x+1 ack y+1", 240),
        ("A > PA x+1 (4) ack y+1", 240),
        ("open", 7440),
        ("open\nA > FA x+1 ack y+1\nB > A y+1 ack x+2", 7440),
    ],
)
def test_how_long_sockets_must_be_quiet(text: str, quiet_s: int) -> None:
    inspector = Inspector(leaving=AT_ONCE)
    capture, segments = inspector.begin_capture("live", "live"), parse(text).segments((1000, 5000))

    def add(some: list[Segment], ends: Ends) -> None:
        table = table_of(some, inspector, ends)
        inspector.add_block(Block(table), capture, len(table), table["time_ns"])
        inspector.go_on()

    def held_at(after_s: int) -> bool:
        other = Segment(segments[-1].time_ns + after_s * SECOND_NS, "A", 2, 0)
        add([other], Ends((4, 1, 1 + after_s), (4, 2, 2)))
        return any(one.originator.port == Ends().a[2] for one in inspector.result().connections)

    add(segments, Ends())
    assert held_at(quiet_s - 1)
    assert not held_at(quiet_s)
    assert inspector.result().let_go.connections >= 1


# By the times of frames alone, a step forward cannot be told from time that passes.
@pytest.mark.parametrize(("steady", "step_s"), [
    (True, -86_400), (True, -3600), (True, -12), (True, 3600), (True, 86_400),
    (False, -86_400), (False, -3600), (False, -12),
])  # fmt: skip
def test_a_clock_that_is_set_lets_nobody_go(step_s: int, steady: bool) -> None:
    """40 seconds of one open connection that speaks and two that are quiet: no step makes them leave."""
    real_ns = 0
    inspector = Inspector(leaving=AT_ONCE, steady_ns=(lambda: real_ns) if steady else None)
    capture = inspector.begin_capture("live", "live")
    for second in range(40):
        real_ns = second * SECOND_NS
        tables = []
        for number in range(3):
            ends = Ends((4, 1, 1000 + number), (4, 2, 80))
            said = parse("open").segments((1000, 5000))
            if second:
                said = [Segment(0, "A", 24, 1000 + second, 1, 5001)] if number == 0 else []
            clock_ns = BEGIN_NS + real_ns + (step_s * SECOND_NS if second >= 5 else 0)
            timed = [replace(one, time_ns=clock_ns + place) for place, one in enumerate(said)]
            tables.append(table_of(timed, inspector, ends, 100 * second + 10 * number + 1))
        table = SegmentTable.concatenate(tables)
        inspector.add_block(Block(table), capture, len(table), table["time_ns"])
        inspector.go_on()
    assert inspector.result().let_go.connections == 0
    assert 37.9 < going(inspector)._attendance.now_ns / SECOND_NS < 39.1


def test_frames_are_numbered_beyond_32_bits() -> None:
    """A day of 50,000 frames a second: what comes then has its own numbers, is found by them, and leaves by them."""
    inspector = Inspector(leaving=Retention(keep=0, round_rows=200))
    plain = Inspector(fold=False, names=inspector.names)
    table = crowd(random.Random("many"), 60, inspector)
    table.columns["frame"] += (1 << 32) - len(table) // 2
    captures = [one.begin_capture("live", "live") for one in (inspector, plain)]
    assert int(table["frame"][-1]) > 1 << 32 > int(table["frame"][0])
    for a in range(0, len(table), 50):
        part = table.take(slice(a, a + 50))
        for each in (inspector, plain):
            each.add_block(Block(part), captures[0], len(part), part["time_ns"])
        told = inspector.update(part, IcmpErrorTable.empty())
        assert [step.frame for _, step in told] == part["frame"].tolist()
        inspector.go_on()
    whole = plain.result()
    steps = [step.frame for one in whole.connections for step in whole.steps(one.stream)]
    assert sorted(steps) == table["frame"].tolist()
    by_frame = {one.first_frame: one for one in whole.connections}
    left = inspector.result()
    assert left.let_go.connections and len(left.connections)
    for one in left.connections:
        assert fields(one) == fields(by_frame[one.first_frame])


def test_a_late_segment_within_time_wait_finds_its_connection() -> None:
    inspector = Inspector(leaving=AT_ONCE)
    segments = parse("open" + CLOSE + "50 B > FA y+1 ack x+2\n105 B > FA y+1 ack x+2").segments((1000, 5000))
    found = fed(inspector, table_of(segments, inspector), 1).result()
    assert len(found.connections) == 1
    assert len(found.connections[0].time_wait[0].restarts_ns) == 2


@pytest.mark.parametrize(("conversations", "leave"), [(80, False), (250, True)])
def test_nobody_leaves_while_few_are_held(conversations: int, leave: bool) -> None:
    inspector = Inspector(leaving=Retention(keep=150, round_rows=1))
    found = fed(inspector, crowd(random.Random("keep"), conversations, inspector), 50).result()
    assert (found.let_go.connections > 0) == leave
    assert not leave or len(found.connections) >= 150


def test_the_latest_stay_though_they_are_over() -> None:
    inspector = Inspector(leaving=Retention(keep=150, round_rows=1))
    segments, ends = parse("open" + CLOSE).segments((1000, 5000)), Ends()
    tables = [
        table_of(
            [replace(one, time_ns=BEGIN_NS + number * SECOND_NS + k * 1_000_000) for k, one in enumerate(segments)],
            inspector,
            Ends((*ends.a[:2], 10_000 + number), ends.b),
            1 + number * len(segments),
        )
        for number in range(400)
    ]
    found = fed(inspector, SegmentTable.concatenate(tables), 50).result()
    ports = [one.originator.port for one in found.connections]
    assert ports[-140:] == [*range(10_260, 10_400)]
    assert 150 <= len(ports) < 200


def test_a_long_transfer_that_is_followed_stays_small() -> None:
    inspector = Inspector(leaving=Retention())
    capture, most, begin = inspector.begin_capture("live", "live"), 0, 0
    data = [Segment(0, "A", 24, 1001 + 1000 * k, 1000, 5001) for k in range(12_000)]
    acks = [replace(one, sender="B", flags=16, seq=5001, octets=0, ack=one.seq + 1000) for one in data]
    opening = parse("open").segments((1000, 5000))
    segments = [*opening, *(one for pair in zip(data, acks, strict=True) for one in pair)]
    timed = [replace(one, time_ns=BEGIN_NS + k * 1_000_000) for k, one in enumerate(segments)]
    table = table_of(timed, inspector)
    for begin in range(0, len(table), 500):
        part = table.take(slice(begin, begin + 500))
        inspector.add_block(Block(part), capture, len(part), part["time_ns"])
        told = inspector.update(part.take(slice(0, 5)), IcmpErrorTable.empty())
        assert [step.retransmission for _, step in told if isinstance(step, Step)] == [False] * min(5, len(part))
        inspector.go_on()
        most = max(most, len(inspector.analysis.gathering))
    assert most < 10_000
    only = inspector.result().connections[0]
    assert (only.octets.originator, only.segments.responder) == (12_000_000, 12_001)
    again = table.take(slice(20_003, 20_004))
    again.columns["frame"][:], again.columns["ip_id"][:] = len(table) + 1, 60_000
    again.columns["time_ns"][:] = table["time_ns"][-1] + 1
    inspector.add_block(Block(again), capture, 1, again["time_ns"])
    ((_, step),) = inspector.update(again, IcmpErrorTable.empty())
    assert isinstance(step, Step) and step.retransmission, "what was folded is known to have been there"


@pytest.mark.parametrize("jobs", [1, 2])
def test_option_lists_that_wait_to_be_taken_get_new_numbers_too(
    jobs: int, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Every connection has a list of its own, as with the keys of MPTCP: those of who left are forgotten on the way."""
    monkeypatch.setattr("handshake_inspect.connections.endless.endless_analysis.MOST_OPTIONS", 4)
    frames = []
    for number in range(400):
        options = b"\x02\x04" + (1000 + number).to_bytes(2, "big")
        syn = Segment(number * 10 * SECOND_NS, "A", 2, 1000, options=options)
        frames.append(frame_of(number, syn, Ends((4, 1, 1000 + number), (4, 2, 80))))
    path = tmp_path / "many.pcap"
    path.write_bytes(pcap(frames))
    offered: dict[int, int | None] = {}

    def told(left: Inspection) -> None:
        offered.update((one.originator.port, _mss(one)) for one in left.connections)

    inspector = Inspector(leaving=Retention(keep=0, round_rows=1), told=told, jobs=jobs, processes=True)
    inspector.read([Input(path, block_octets=1000)])
    told(inspector.result())
    assert len(inspector.names.options) < 100
    assert offered == {1000 + number: 1000 + number for number in range(400)}


def _mss(connection: Connection) -> int | None:
    offer = connection.handshake.options.originator
    return None if offer is None else offer.mss


def test_an_earlier_result_keeps_its_option_lists(monkeypatch: pytest.MonkeyPatch) -> None:
    """Lists that nobody has any more are forgotten, and the others get new numbers: not in what was found before."""
    monkeypatch.setattr("handshake_inspect.connections.endless.endless_analysis.MOST_OPTIONS", 2)
    inspector = Inspector(leaving=AT_ONCE)
    capture = inspector.begin_capture("live", "live")

    def add(number: int, after_s: int) -> None:
        syn = parse(f"A > S x wscale {number}\nB > RA 0 ack x+1").segments((1000, 5000))
        timed = [replace(one, time_ns=one.time_ns + after_s * SECOND_NS) for one in syn]
        table = table_of(timed, inspector, Ends((4, 1, 1000 + number), (4, 2, 80)), 10 * number + 1)
        inspector.add_block(Block(table), capture, 2, table["time_ns"])

    for number in range(6):
        add(number, 0)
    add(9, 50)
    before = inspector.result()
    ready = before.steps(6)
    add(10, 70)
    inspector.go_on()
    assert inspector.result().let_go.connections == 6
    assert len(inspector.names.options) == 3
    shifts = [one.handshake.options.originator.window_scale for one in before.connections]  # type: ignore[union-attr]
    assert shifts == [0, 1, 2, 3, 4, 5, 9]
    assert before.steps(6) == ready
    after = inspector.result()
    assert [one.handshake.options.originator.window_scale for one in after.connections] == [9, 10]  # type: ignore[union-attr]
    assert after.steps(6) == ready


def test_icmp_errors_leave_with_what_they_are_about() -> None:
    """With their connection, or by themselves where nothing was captured of what they quote."""
    inspector = Inspector(leaving=AT_ONCE)
    capture = inspector.begin_capture("live", "live")
    for number, (after_s, text) in enumerate(((0, "A > S x"), (1, "A > S x"), (80, "A > S x"), (200, "A > S x"))):
        ends = Ends((4, 1, 1000 + number), (4, 2, 80))
        segments = [replace(one, time_ns=BEGIN_NS + after_s * SECOND_NS) for one in parse(text).segments((1000, 5000))]
        table = table_of(segments, inspector, ends, 10 * number + 1)
        errors = IcmpErrorTable.empty(2)
        for name, value in (
            ("icmp_type", 3),
            ("icmp_code", 1),
            ("protocol", 6),
            ("has_seq", 1),
            ("seq", 1000),
            ("quoted_flags", 2),
        ):
            errors.columns[name][:] = value
        for name in ("ip_version", "src_lo", "dst_lo", "src_port", "dst_port"):
            errors.columns[name][:] = table[name][0]
        errors.columns["time_ns"][:] = table["time_ns"][0] + 1
        errors.columns["frame"][:] = 10 * number + 2 + np.arange(2)
        errors.columns["quoted_ip_id"][:] = 1 + np.arange(2)
        errors.columns["src_port"][1] += 500  # of sockets of which nothing else is known
        inspector.add_block(Block(table, icmp_errors=errors), capture, 3, table["time_ns"])
        told = inspector.update(table, errors)
        assert [type(one).__name__ for _, one in told] == ["Step", "IcmpError"]
        inspector.go_on()
    found = inspector.result()
    assert found.let_go.kinds == {("unreachable", "none"): 3}
    assert (found.let_go.icmp_errors, found.let_go.unmatched_errors, found.unmatched_icmp_errors) == (3, 3, 4)
    assert [len(one.icmp_errors) for one in found.connections] == [1]
    assert going(inspector).gathering.conversations.held == 2
