"""UDP in a capture that does not end: long exchanges are folded, quiet ones leave, and all are counted."""

from __future__ import annotations

import dataclasses
import random
import struct
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from handshake_inspect import inspect
from handshake_inspect.capture.inputs import Input
from handshake_inspect.capture.records import RawFrame
from handshake_inspect.capture.writing.pcap import write_pcap
from handshake_inspect.connections.endless.retention import Retention
from handshake_inspect.exchanges import Exchange
from handshake_inspect.inspection import Inspection
from handshake_inspect.inspector import Inspector
from handshake_inspect.spread.run import inspect_spread
from handshake_inspect.table import Block, DatagramTable, IcmpErrorTable, SegmentTable
from handshake_inspect.tcp.time_wait import SECOND_NS
from tests.spread.engines import Here, refuse

BEGIN_NS = 1_700_000_000 * SECOND_NS
LINKTYPE_RAW = 101
LOOPBACK, ELSEWHERE = 127 << 24 | 1, 10 << 24


def datagrams(rng: random.Random, count: int, pairs: int, seconds: int, host: int = ELSEWHERE) -> DatagramTable:
    """Invent datagrams between some pairs of sockets, each of which begins and ends some time; some come twice."""
    rows: list[dict[str, int]] = []
    for number in range(count):
        pair = rng.randrange(pairs)
        time_ns = BEGIN_NS + number * seconds * SECOND_NS // count
        if not pair * seconds // (2 * pairs) <= number * seconds // count <= (pair + pairs) * seconds // (2 * pairs):
            continue
        asks = rng.random() < 0.5
        row = {
            "time_ns": time_ns, "ip_version": 4, "src_lo": host, "dst_lo": host, "ip_id": number % 60_000 + 1,
            "src_port": 1000 + pair if asks else 53, "dst_port": 53 if asks else 1000 + pair,
            "payload_octets": rng.randrange(100), "packet_type": 255,
        }  # fmt: skip
        rows += [row, {**row, "time_ns": time_ns + 1000}] if host == LOOPBACK else [row]
    columns = {name: np.array([row.get(name, 0) for row in rows]) for name in DatagramTable.DTYPES}
    return DatagramTable({**columns, "frame": 1 + np.arange(len(rows))})


def errors_about(table: DatagramTable) -> IcmpErrorTable:
    """Say of some datagrams that their port is unreachable."""
    some = table.take(slice(0, None, 50))
    nothing = IcmpErrorTable.empty(len(some)).columns
    values = {"protocol": 17, "icmp_type": 3, "icmp_code": 3, "quoted_ip_id": some["ip_id"], "frame": some["frame"]}
    shared = {name: column for name, column in some.columns.items() if name in nothing}
    return IcmpErrorTable({**nothing, **shared, **{k: nothing[k] + v for k, v in values.items()}})


def fed(inspector: Inspector, table: DatagramTable, rows: int) -> tuple[Inspection, int]:
    """Feed blocks. Returns what was found, and how many datagrams were kept at the most."""
    capture, most = inspector.begin_capture("live", "live"), 0
    for a in range(0, len(table), rows):
        part = table.take(slice(a, a + rows))
        block = Block(SegmentTable.empty(), part, errors_about(part))
        inspector.add_block(block, capture, len(part), part["time_ns"])
        inspector.go_on()
        most = max(most, sum(map(len, inspector.datagrams.tables)))
    return inspector.result(), most


def fields(one: Exchange) -> dict[str, Any]:
    return {field.name: getattr(one, field.name) for field in dataclasses.fields(Exchange) if field.name != "number"}


@pytest.mark.parametrize("host", [ELSEWHERE, LOOPBACK])
def test_a_capture_that_ends_is_folded_too(host: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Ten times the datagrams of the same exchanges are kept in the same memory."""
    monkeypatch.setattr("handshake_inspect.datagrams.FOLD_ROWS", 2000)
    monkeypatch.setattr("handshake_inspect.datagrams.LONG_ROWS", 256)
    table = datagrams(random.Random(1), 20_000, 3, 200, host)
    whole, kept = fed(Inspector(fold=False), table, len(table))
    folded, most = fed(Inspector(), table, 500)
    assert kept == len(table)
    assert most < 6000
    assert [fields(one) for one in folded.exchanges] == [fields(one) for one in whole.exchanges]


def streams(rng: random.Random) -> DatagramTable:
    """Invent streams of few sizes, with identifications or without; a mirror that shows some of them again, or most."""
    rows: list[dict[str, int]] = []
    for pair in range(rng.choice((1, 2, 3))):
        host, time_ns = rng.choice((LOOPBACK, ELSEWHERE)), BEGIN_NS + rng.randrange(SECOND_NS)
        is_typed, ip_ids = rng.random() < 0.3, [rng.choice((0, 0, rng.randrange(1 << 16))) for _ in "AB"]
        pauses_us = rng.choice(((1, 20), (100, 3000), (1, 20, 20_000), (5000, 20_000)))
        asking, sizes = rng.choice((0.5, 1, 0.95, 0.02)), rng.choice(((100,), (100, 101), range(50)))
        for _ in range(rng.choice((10, 60, 300, 600))):
            asks = rng.random() < asking
            time_ns += rng.choice(pauses_us) * 1000
            ip_ids[asks] = (ip_ids[asks] + (ip_ids[asks] > 0)) % (1 << 16)
            row = {
                "time_ns": time_ns, "ip_version": 4, "src_lo": host, "dst_lo": host, "ip_id": ip_ids[asks],
                "src_port": 1000 + pair if asks else 53, "dst_port": 53 if asks else 1000 + pair,
                "payload_octets": rng.choice(sizes), "packet_type": 4 if is_typed else 255,
            }  # fmt: skip
            rows.append(row)
            if is_typed and rng.random() < 0.95:  # it goes out, and comes in
                rows.append({**row, "time_ns": time_ns + rng.choice((10, 90, 150)) * 1000, "packet_type": 0})
    rows.sort(key=lambda row: row["time_ns"])
    for _ in range(rng.choice((0, 1, 1, 2))):
        a, b = sorted(rng.choice((0, len(rows), rng.randrange(len(rows)))) for _ in "ab")
        delay_ns, lost = rng.choice((5, 50, 300, 9000)) * 1000, rng.choice((0, 0, 0.1, 0.4))
        times = range(1, rng.choice((2, 2, 3, 6)))
        again = [{**row, "time_ns": row["time_ns"] + n * delay_ns} for row in rows[a:b] for n in times]
        rows += [row for row in again if rng.random() >= lost]
        rows.sort(key=lambda row: row["time_ns"])
    columns = {name: np.array([row.get(name, 0) for row in rows]) for name in DatagramTable.DTYPES}
    return DatagramTable({**columns, "frame": 1 + np.arange(len(rows))})


@pytest.mark.parametrize("seed", range(40))
def test_whether_most_is_shown_twice_is_told_by_all_datagrams(seed: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """A mirror shows a stretch of a long exchange again: what was folded before or meanwhile is not judged by that."""
    rng = random.Random(f"streams {seed}")
    table = streams(rng)
    whole, _ = fed(Inspector(fold=False), table, len(table))
    for name, rows in (("FOLD_ROWS", (1, 20)), ("LONG_ROWS", (4, 20, 100)), ("LATEST_ROWS", (1, 4, 64))):
        monkeypatch.setattr(f"handshake_inspect.datagrams.{name}", rng.choice(rows))
    folded, _ = fed(Inspector(), table, rng.choice((50, 100, 500)))
    assert [fields(one) for one in folded.exchanges] == [fields(one) for one in whole.exchanges]


def test_a_stream_of_equal_datagrams_stays_small(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing tells one from the next, and none is far from the one before: a single run, as long as the capture."""
    monkeypatch.setattr("handshake_inspect.datagrams.FOLD_ROWS", 2000)
    monkeypatch.setattr("handshake_inspect.datagrams.LONG_ROWS", 256)
    table = datagrams(random.Random(1), 20_000, 1, 20)
    for name, value in (("ip_id", 0), ("payload_octets", 160)):
        table.columns[name][:] = value
    found, most = fed(Inspector(), table, 500)
    assert sum((found.exchanges[0].datagrams.originator, found.exchanges[0].datagrams.responder)) == len(table)
    assert most < 6000


def test_a_second_capture_with_another_clock_shows_copies_of_what_came_long_before(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It begins when what it shows was read: that must still be there then."""
    monkeypatch.setattr("handshake_inspect.datagrams.FOLD_ROWS", 500)
    monkeypatch.setattr("handshake_inspect.datagrams.LONG_ROWS", 256)
    first = [raw_datagram(number, BEGIN_NS + number * SECOND_NS // 100) for number in range(2000)]
    second = [replace(one, time_ns=one.time_ns + 10 * SECOND_NS) for one in first[700:]]
    files = [tmp_path / "first.pcap", tmp_path / "second.pcap"]
    for file, frames in zip(files, (first, second), strict=True):
        write_pcap(file, frames, LINKTYPE_RAW)
    folded, whole = (inspect(files, fold=fold, block_octets=1 << 12) for fold in (True, False))
    assert [one.duplicates for one in whole.exchanges] == [1300]
    assert [fields(one) for one in folded.exchanges] == [fields(one) for one in whole.exchanges]


def test_the_copies_that_a_mirror_shows_in_the_next_file_are_copies(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """They come 4 ms later, so that each file begins with some that the one before has."""
    monkeypatch.setattr("handshake_inspect.datagrams.FOLD_ROWS", 500)
    monkeypatch.setattr("handshake_inspect.datagrams.LONG_ROWS", 256)
    sent = [raw_datagram(number, BEGIN_NS + number * SECOND_NS // 3000) for number in range(2000)]
    shown = sorted(
        [*sent, *(replace(one, time_ns=one.time_ns + 4_000_000) for one in sent)], key=lambda one: one.time_ns
    )
    files = [tmp_path / f"{at}.pcap" for at in (0, 1501, 3002)]
    for at, file in zip((0, 1501, 3002), files, strict=True):
        write_pcap(file, shown[at : at + 1501], LINKTYPE_RAW)
    for fold in (True, False):
        (found,) = inspect(files, fold=fold, block_octets=1 << 12).exchanges
        assert (found.datagrams.originator, found.datagrams.responder, found.duplicates) == (1000, 1000, 2000)


def test_files_that_follow_each_other_show_different_datagrams(tmp_path: Path) -> None:
    """Though both have all identifications: who sends 65,536 datagrams of one size has used every one."""
    frames = [raw_datagram(number, BEGIN_NS + number * SECOND_NS // 10_000) for number in range(140_000)]
    files = [tmp_path / f"{number}.pcap" for number in range(2)]
    for file, part in zip(files, (frames[:70_000], frames[70_000:]), strict=True):
        write_pcap(file, part, LINKTYPE_RAW)
    (found,) = inspect(files).exchanges
    assert found.datagrams.originator + found.datagrams.responder == len(frames)
    assert found.duplicates == 0


def in_files(folder: Path, *parts: list[RawFrame]) -> list[Path]:
    """Save the files of a rotation."""
    files = [folder / f"{number}.pcap" for number in range(len(parts))]
    for file, part in zip(files, parts, strict=True):
        write_pcap(file, part, LINKTYPE_RAW)
    return files


@pytest.mark.parametrize("cut", [1, 5, 9])
def test_a_datagram_that_is_delivered_twice_where_a_file_ends_is_two(cut: int, tmp_path: Path) -> None:
    frames = [raw_datagram(number, BEGIN_NS + number * SECOND_NS) for number in range(10)]
    again = replace(frames[cut - 1], time_ns=frames[cut - 1].time_ns + 1000)
    (whole,) = inspect(in_files(tmp_path, [*frames[:cut], again, *frames[cut:]])).exchanges
    (found,) = inspect(in_files(tmp_path, frames[:cut], [again, *frames[cut:]])).exchanges
    assert (found.datagrams, found.octets, found.duplicates) == (whole.datagrams, whole.octets, 0)
    assert found.datagrams.originator + found.datagrams.responder == 11


def test_datagrams_without_identification_do_not_make_files_show_the_same(tmp_path: Path) -> None:
    """One end counts its datagrams; the other one numbers none, and so all of its datagrams of a size are equal."""
    answers = [unidentified(raw_datagram(2 * n + 1, BEGIN_NS + n * SECOND_NS), 1 + n % 3) for n in range(12)]
    asks = raw_datagram(0, BEGIN_NS + 5 * SECOND_NS + 1), raw_datagram(0, BEGIN_NS + 6 * SECOND_NS - 1)
    (found,) = inspect(in_files(tmp_path, [*answers[:6], asks[0]], [asks[1], *answers[6:]])).exchanges
    assert (sorted((found.datagrams.originator, found.datagrams.responder)), found.duplicates) == ([2, 12], 0)


@pytest.mark.parametrize("seed", range(24))
def test_folding_the_files_of_a_run_changes_nothing(seed: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Files follow each other, overlap a little or much, or show the same as another one at another time."""
    rng = random.Random(f"files {seed}")
    table = streams(rng)
    table.columns["time_ns"] = BEGIN_NS + (table["time_ns"] - BEGIN_NS) * rng.choice((1, 300))
    frames = [raw_of(table, row) for row in range(len(table))]
    for name, rows in (("FOLD_ROWS", 20), ("LONG_ROWS", 4), ("LATEST_ROWS", 2), ("IDS_REPEAT", rng.choice((8, 100)))):
        monkeypatch.setattr(f"handshake_inspect.datagrams.{name}", rows)
        if name == "IDS_REPEAT":
            monkeypatch.setattr(f"handshake_inspect.datagram_runs.{name}", rows)
    cuts = sorted(rng.sample(range(1, len(frames)), rng.randint(1, 3)))
    parts = []
    for begin, end in pairwise([0, *cuts, len(frames)]):
        part = frames[max(begin - rng.choice((0, 0, 0, 1, 30, 2000)), 0) : end]
        later_ns = rng.choice((0, 0, 0, 0, -1, SECOND_NS, 60 * SECOND_NS))
        parts.append([replace(one, time_ns=one.time_ns + later_ns) for one in part])
    rng.shuffle(parts)
    files = in_files(tmp_path, *parts)
    whole = inspect(files, fold=False).exchanges
    assert list(inspect(files, block_octets=1 << 11).exchanges) == list(whole)
    spread = inspect_spread([Input(str(file), block_octets=1 << 11) for file in files], Here(), failed=refuse)
    assert list(spread.exchanges) == list(whole)


def raw_of(table: DatagramTable, row: int) -> RawFrame:
    """Return a datagram of a table as a frame."""
    row_of = {name: int(column[row]) for name, column in table.columns.items()}
    octets = row_of["payload_octets"]
    ip = struct.pack(
        ">BBHHHBBHII", 0x45, 0, 28 + octets, row_of["ip_id"], 0, 64, 17, 0, row_of["src_lo"], row_of["dst_lo"]
    )
    udp = struct.pack(">HHHH", row_of["src_port"], row_of["dst_port"], 8 + octets, 0) + bytes(octets)
    return RawFrame(ip + udp, 28 + octets, row_of["time_ns"], LINKTYPE_RAW)


def test_the_files_of_a_long_exchange_take_the_memory_of_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("handshake_inspect.datagrams.FOLD_ROWS", 2000)
    frames = [raw_datagram(number, BEGIN_NS + number * SECOND_NS // 1000) for number in range(40_000)]
    files = in_files(tmp_path, *(frames[at : at + 4000] for at in range(0, len(frames), 4000)))
    inspector = Inspector()
    inspector.read([Input(str(file), block_octets=1 << 14) for file in reversed(files)])
    assert sum(map(len, inspector.datagrams.tables)) < 5000
    (found,) = inspector.result().exchanges
    assert (found.datagrams.originator, found.datagrams.responder, found.duplicates) == (20_000, 20_000, 0)


def unidentified(frame: RawFrame, octets: int) -> RawFrame:
    """Give a datagram so many octets, and no identification."""
    ip = frame.octets[:2] + struct.pack(">HH", 28 + octets, 0) + frame.octets[6:20]
    udp = frame.octets[20:24] + struct.pack(">HH", 8 + octets, 0) + bytes(octets)
    return replace(frame, octets=ip + udp, original=28 + octets)


def raw_datagram(number: int, time_ns: int) -> RawFrame:
    """A datagram of one octet on IPv4, from A to B and back in turn."""
    hosts = [bytes([10, 0, 0, 1]), bytes([10, 0, 0, 2])]
    ports = [5000, 53]
    if number % 2:
        hosts.reverse()
        ports.reverse()
    ip = struct.pack(">BBHHHBBH", 0x45, 0, 29, number % 65535 + 1, 0, 64, 17, 0) + b"".join(hosts)
    return RawFrame(ip + struct.pack(">HHHHB", *ports, 9, 0, 0), 29, time_ns, LINKTYPE_RAW)


@pytest.mark.parametrize("host", [ELSEWHERE, LOOPBACK])
@pytest.mark.parametrize("seed", range(3))
def test_folding_changes_nothing(seed: int, host: int) -> None:
    table = datagrams(random.Random(f"folding {seed}"), 20_000, 3, 200, host)
    whole, _ = fed(Inspector(), table, len(table))
    kept, most = fed(Inspector(leaving=Retention(round_rows=100, round_share=1 << 20)), table, 100)
    assert [fields(one) for one in kept.exchanges] == [fields(one) for one in whole.exchanges]
    assert most < 6000 < len(table)


@pytest.mark.parametrize(("step_s", "after_s", "leave"), [
    (-3600, 60, False), (3600, 60, False), (-3600, 297, False), (-3600, 301, True), (3600, 301, True), (0, 301, True),
])  # fmt: skip
def test_a_clock_that_is_set_makes_no_exchange_quiet(step_s: int, after_s: int, leave: bool) -> None:
    real_ns = 0
    inspector = Inspector(leaving=Retention(keep=1, round_rows=1), steady_ns=lambda: real_ns)
    capture = inspector.begin_capture("live", "live")
    for second in (0, 1, 2, after_s + 2):
        real_ns = second * SECOND_NS
        table = DatagramTable.empty(3)
        table.columns["time_ns"] = BEGIN_NS + real_ns + (step_s * SECOND_NS if second > 1 else 0) + np.arange(3)
        table.columns["frame"] = 3 * second + 1 + np.arange(3)
        table.columns["ip_version"] = np.full(3, 4, np.uint8)
        table.columns["src_port"] = (1000 + 10 * second + np.arange(3)).astype(np.uint16)
        table.columns["dst_port"] = np.full(3, 53, np.uint16)
        block = Block(SegmentTable.empty(), table, errors_about(table))
        inspector.add_block(block, capture, 3, table["time_ns"])
        inspector.go_on()
    found = inspector.result()
    assert found.let_go.exchanges == (9 if leave else 0)
    assert len(found.exchanges) == 12 - found.let_go.exchanges


def test_quiet_exchanges_leave_and_are_counted() -> None:
    table = datagrams(random.Random("quiet"), 20_000, 200, 3000)
    whole, _ = fed(Inspector(), table, len(table))
    leaving = replace(Retention(), keep=20, round_rows=200, round_share=1 << 20)
    kept, _ = fed(Inspector(leaving=leaving), table, 200)
    assert 20 <= len(kept.exchanges) < len(whole.exchanges)
    assert kept.let_go.exchanges + len(kept.exchanges) == len(whole.exchanges)
    held = sum(one.datagrams.originator + one.datagrams.responder for one in kept.exchanges)
    assert kept.let_go.datagrams + held == len(table)
    by_frame = {one.first_frame: one for one in whole.exchanges}
    assert [fields(one) for one in kept.exchanges] == [fields(by_frame[one.first_frame]) for one in kept.exchanges]
