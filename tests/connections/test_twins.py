"""What is found out of one of many equal connections is what is found out of each of them by itself."""

from __future__ import annotations

import random
from collections.abc import Iterator
from dataclasses import fields, is_dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from handshake_inspect.capture.inputs import Input
from handshake_inspect.capture.records import CaptureError
from handshake_inspect.connections.deciding import twins
from handshake_inspect.connections.deciding.behaviour import Behaviour, _found, find_behaviour
from handshake_inspect.connections.splitting.rows import ACK, SYN, ConnectionRows
from handshake_inspect.connections.splitting.split import StoredRows, split
from handshake_inspect.inspector import Inspector
from handshake_inspect.table import Names
from handshake_inspect.tcp.options import parse
from tests.engine.fuzz import conversation
from tests.engine.scenario import Ends, Segment, table_of

PCAPS = Path(__file__).parent.parent.parent / "pcaps"
#: How often everything is there; and of captures with more rows the first conversations alone.
TIMES, MOST_ROWS = 3, 8_000
#: What columns are changed to, of connections that nearly are twins.
DISTURBED = {
    "window": (0, 1, 65535),
    "ip_id": (0, 7),
    "flags": (2, 4, 16, 17, 18, 20, 24),
    "payload_octets": (0, 1, 100),
    "options": (0, 1),
    "timestamp_echo": (0, 1),
    "has_timestamps": (0, 1),
    "folded_segments": (0, 2),
    "folded_octets": (0, 50),
    "folded_copies": (0, 1, 2),
    "folded_repeats": (0, 1),
    "copies_mirror": (0, 1, 9),
}


def multiplied(stored: StoredRows, is_self: np.ndarray, rng: np.random.Generator) -> tuple[StoredRows, np.ndarray]:
    """Repeat conversations: other initial numbers, times, frames and IP IDs, the same behaviour."""
    count, parts = len(is_self), []
    for nth in range(TIMES):
        isn = rng.integers(0, 1 << 32, (count, 2), np.uint32) * (nth > 0)
        isn[is_self, 1] = isn[is_self, 0]
        conversation, sender = stored["conversation"], stored["from_higher"]
        columns = dict(stored.columns)
        columns["seq"] = stored["seq"] + isn[conversation, sender]
        columns["ack"] = stored["ack"] + isn[conversation, 1 - sender]
        columns["ip_id"] = stored["ip_id"] * np.uint16(1 + 2 * nth)
        columns["time_ns"] = stored["time_ns"] + nth * 1_000_000_007
        columns["frame"] = stored["frame"] + nth * len(stored)
        columns["ttl"] = stored["ttl"] ^ np.uint8(nth)
        columns["conversation"] = conversation + nth * count
        parts.append(StoredRows(columns))
    for name in DISTURBED:  # what nearly is a twin, and must not be taken for one
        moved = {"conversation": stored["conversation"] + len(parts) * count}
        parts.append(StoredRows({**stored.columns, **moved, name: disturbed(stored[name], DISTURBED[name], rng)}))
    return StoredRows.concatenate(parts), np.tile(is_self, len(parts))


def disturbed(column: np.ndarray, values: tuple[int, ...], rng: np.random.Generator) -> np.ndarray:
    """Change a row here and there."""
    changed = column.copy()
    at = np.flatnonzero(rng.random(len(column)) < 0.1)
    changed[at] = rng.choice(values, len(at))
    return changed


def of_gathered(inspector: Inspector) -> tuple[ConnectionRows, np.ndarray]:
    """Return what was gathered, several times, as connections; and which option lists have Fast Open."""
    gathering = inspector.analysis.gathering
    stored = gathering.rows_of(np.arange(len(gathering.conversations)))
    if len(stored) > MOST_ROWS:
        stored = stored.take(stored["conversation"] <= stored["conversation"][MOST_ROWS])
    is_self = np.asarray(gathering.conversations.is_self)[: int(stored["conversation"].max(initial=-1)) + 1]
    rows, is_self = multiplied(stored, is_self, np.random.default_rng(len(stored)))
    return split(rows, is_self).rows, fast_open(inspector.names)


def fast_open(names: Names) -> np.ndarray:
    return np.array([*(parse(one).fast_open_cookie is not None for one in names.options.values), True], np.bool_)


def assert_same(one: Any, other: Any, place: str = "") -> None:
    if is_dataclass(other):
        for part in fields(other):
            a, b = getattr(one, part.name), getattr(other, part.name)
            if part.name in ("disproved", "confirmed"):  # facts in no particular order
                a, b = (facts[np.lexsort(facts.T[::-1])] for facts in (a, b))
            assert_same(a, b, f"{place}.{part.name}")
    elif isinstance(one, list):
        assert len(one) == len(other), place
        for a, b in zip(one, other, strict=True):
            assert_same(a, b, place)
    else:
        assert np.array_equal(one, other), place


def assert_equal(laid_out: Behaviour, own: Behaviour) -> None:
    assert_same(laid_out.events, own.events)
    judged = [[one.judgements[shape] for shape in one.shape.tolist()] for one in (laid_out, own)]
    assert judged[0] == judged[1]
    for name, column in own.columns.items():
        if name in ("conn_state", "history"):
            spelled = [[one.words[word] for word in one.columns[name].tolist()] for one in (laid_out, own)]
            assert spelled[0] == spelled[1], name
        elif name != "judgement":
            assert np.array_equal(laid_out.columns[name], column), name
    for name, column in own.gaps.columns.items():
        assert np.array_equal(laid_out.gaps[name], column), name


def hold(rows: ConnectionRows, fast_open_option: np.ndarray, monkeypatch: pytest.MonkeyPatch) -> twins.Twins | None:
    """Find out everything both ways, and hold it against each other."""
    monkeypatch.setattr(twins, "FEWEST", 1)
    monkeypatch.setattr(twins, "MOST_APART", 1)
    unreachable = np.zeros(rows.connections, np.bool_)
    assert_equal(find_behaviour(rows, fast_open_option, unreachable), _found(rows, fast_open_option, unreachable))
    return twins.find_twins(rows, unreachable, fast_open_option)


def gathered(path: Path) -> Inspector | None:
    inspector = Inspector(jobs=1)
    try:
        inspector.read([Input(path)])
    except CaptureError:
        return None
    return inspector if len(inspector.analysis.gathering) else None


def connections_of(paths: list[Path]) -> Iterator[tuple[Path, ConnectionRows, np.ndarray]]:
    for path in paths:
        if inspector := gathered(path):
            yield path, *of_gathered(inspector)


def test_recorded_connections_and_their_twins_say_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    looked_at = [hold(rows, which, monkeypatch) for _, rows, which in connections_of(sorted(PCAPS.glob("*.pcap")))]
    assert sum(one is not None for one in looked_at) > 0.9 * len(looked_at)


@pytest.mark.parametrize("part", range(4))
def test_public_captures_and_their_twins_say_the_same(
    captures_dir: Path, part: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    paths = [path for path in sorted(captures_dir.glob("*.*cap*"))[part::4] if path.stat().st_size < 4 << 20]
    looked_at = [hold(rows, which, monkeypatch) for _, rows, which in connections_of(paths)]
    assert sum(one is not None for one in looked_at) > len(paths) // 2


@pytest.mark.parametrize("seed", range(8))
def test_invented_connections_and_their_twins_say_the_same(seed: int, monkeypatch: pytest.MonkeyPatch) -> None:
    rng = random.Random(seed)
    inspector = Inspector(jobs=1, fold=False)
    frame = 1
    for number in range(60):
        segments, ends = conversation(rng)
        mine = (ends.a[0], ends.a[1], 10_000 + number)
        table = table_of(segments, inspector, Ends(mine, mine if ends.a == ends.b else ends.b), frame)
        inspector.analysis.gathering.add(table)
        frame += len(segments)
    assert hold(*of_gathered(inspector), monkeypatch) is not None


def test_the_window_of_a_syn_ack_says_whether_a_third_segment_lies_in_it(monkeypatch: pytest.MonkeyPatch) -> None:
    opening = [Segment(0, "A", SYN, 99), Segment(1, "B", SYN | ACK, 500, ack=100), Segment(2, "A", ACK, 160, ack=501)]
    inspector = Inspector(jobs=1, fold=False)
    for number, window in enumerate((50, 500) * 3):
        ends = Ends((4, Ends().a[1], 10_000 + number), Ends().b)
        segments = [replace(one, window=window) for one in opening]
        inspector.analysis.gathering.add(table_of(segments, inspector, ends, 1 + 3 * number))
    assert hold(*of_gathered(inspector), monkeypatch) is not None


def test_a_collision_of_signatures_changes_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    def equal(rows: ConnectionRows, *_: object) -> np.ndarray:
        return np.zeros(rows.connections, np.uint64)

    monkeypatch.setattr(twins, "_signatures", equal)
    for _, rows, which in connections_of(sorted(PCAPS.glob("*.pcap"))[::9]):
        hold(rows, which, monkeypatch)


def test_few_connections_and_connections_without_twins_are_not_looked_at() -> None:
    [(_, rows, which)] = connections_of([PCAPS / "four-way.pcap"])
    unreachable = np.zeros(rows.connections, np.bool_)
    assert rows.connections < twins.FEWEST
    assert twins.find_twins(rows, unreachable, which) is None
