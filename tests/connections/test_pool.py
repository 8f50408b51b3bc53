"""A pool gives back what was put into it, by conversation, in little memory."""

from __future__ import annotations

import numpy as np
import pytest

from handshake_inspect.arrays import Column
from handshake_inspect.connections.folding import pool
from handshake_inspect.connections.folding.pool import Pool
from handshake_inspect.connections.splitting.split import StoredRows

CONVERSATIONS = 40


def some_rows(rng: np.random.Generator, count: int, first_frame: int) -> dict[str, Column]:
    """Make rows whose columns are wide, narrow, equal, 0 and absent by turns."""
    columns: dict[str, Column] = {
        "conversation": rng.integers(0, CONVERSATIONS, count),
        "frame": first_frame + np.arange(count),
        "time_ns": 10**18 + rng.integers(0, rng.choice([2, 10**3, 10**9, 10**15]), count),
        "seq": rng.integers(0, 1 << 32, count).astype(np.uint32),
        "flags": rng.choice([16, 24, 2, 0x10F], count).astype(np.uint16),
        "packet_type": np.full(count, 255, np.uint8),
        "options": rng.choice([0, 1, 300, 70_000], count).astype(np.uint32),
    }
    if rng.random() < 0.5:
        columns["window"] = np.full(count, rng.integers(0, 3), np.uint16)
    return columns


class Plain:
    """All rows in one table, in the order of their arrival."""

    def __init__(self) -> None:
        self.rows = StoredRows.empty()

    def append(self, columns: dict[str, Column]) -> None:
        count = len(columns["frame"])
        full = {name: columns.get(name, np.zeros(count, dtype)) for name, dtype in StoredRows.DTYPES.items()}
        self.rows = StoredRows.concatenate([self.rows, StoredRows(full)])

    def by_conversation(self) -> StoredRows:
        return self.rows.take(np.argsort(self.rows["conversation"], kind="stable"))


def assert_same(found: StoredRows, expected: StoredRows) -> None:
    for name, column in expected.columns.items():
        assert found[name].dtype == column.dtype
        assert found[name].tolist() == column.tolist(), name


@pytest.mark.parametrize("seed", range(10))
def test_rows_come_back_by_conversation(seed: int, monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng(seed)
    monkeypatch.setattr(pool, "PARTITION_ROWS", int(rng.choice([1, 50, 1000])))
    monkeypatch.setattr(pool, "BLOCK_ROWS", int(rng.choice([1, 30, 500])))
    kept, plain, frame = Pool(), Plain(), 1
    for _ in range(40):
        columns = some_rows(rng, int(rng.choice([0, 1, 5, 60])), frame)
        frame += len(columns["frame"])
        kept.append(columns)
        plain.append(columns)
        marked = rng.random(CONVERSATIONS) < 0.1
        match rng.integers(0, 8):
            case 0:
                goes = marked[plain.rows["conversation"]]
                taken = [rows for _, rows in kept.remove(marked).by_conversation()]
                gone = Plain()
                gone.rows = plain.rows.take(goes)
                assert_same(StoredRows.concatenate(taken), gone.by_conversation())
                plain.rows = plain.rows.take(~goes)
            case 1:
                places, rows = map(list, zip(*kept.by_conversation(marked), strict=True)) if len(kept) else ([], [])
                goes = np.isin(plain.rows["frame"], StoredRows.concatenate(rows)["frame"][::2])
                kept.discard(np.concatenate([np.zeros(0, np.int64), *places])[::2])
                plain.rows = plain.rows.take(~goes)
            case 2:
                moved = rng.permutation(70_001)
                assert set(kept.distinct("options").tolist()) == set(plain.rows["options"].tolist())
                kept.renumber("options", moved)
                plain.rows.columns["options"] = moved[plain.rows["options"]].astype(np.uint32)
        assert len(kept) == len(plain.rows)
        chosen = plain.by_conversation()
        assert_same(kept.rows_of(marked), chosen.take(marked[chosen["conversation"]]))
    parts = [rows for _, rows in kept.by_conversation()]
    assert_same(StoredRows.concatenate(parts), plain.by_conversation())
    numbers = [set(part["conversation"].tolist()) for part in parts]
    assert sum(map(len, numbers)) == len(set().union(*numbers)), "a conversation is in two parts"


def test_what_lies_close_together_takes_little_room() -> None:
    """Blocks of 50,000 rows of short connections, 20,000 a second."""
    rng, kept, rows = np.random.default_rng(1), Pool(), 50_000
    for block in range(4):
        kept.append(
            {
                "conversation": block * 5000 + rng.integers(0, 10_000, rows),
                "from_higher": rng.integers(0, 2, rows).astype(np.uint8),
                "time_ns": 10**18 + block * 2_500_000_000 + np.arange(rows) * 50_000,
                "frame": block * rows + np.arange(rows),
                "seq": rng.integers(0, 1 << 32, rows).astype(np.uint32),
                "ack": rng.integers(0, 1 << 32, rows).astype(np.uint32),
                "flags": rng.choice([2, 16, 24], rows).astype(np.uint16),
                "payload_octets": rng.choice([0, 40, 1448], rows).astype(np.uint32),
                "packet_type": np.full(rows, 255, np.uint8),
                "ip_id": rng.integers(0, 1 << 16, rows).astype(np.uint16),
            }
        )
    assert kept.octets <= 24 * len(kept)


def test_rows_of_later_conversations_stay_when_earlier_ones_are_let_go(monkeypatch: pytest.MonkeyPatch) -> None:
    """Blocks that reach into both stay whole."""
    monkeypatch.setattr(pool, "PARTITION_ROWS", 1000)
    monkeypatch.setattr(pool, "BLOCK_ROWS", 20_000)
    kept, plain = Pool(), Plain()
    for part in range(8):
        numbers = np.sort(np.random.default_rng(part).integers(5 * part, 5 * part + 6, 20_000))
        columns: dict[str, Column] = {"conversation": numbers, "frame": 1 + 20_000 * part + np.arange(20_000)}
        kept.append(columns)
        plain.append(columns)
    rows = plain.by_conversation()
    octets = kept.octets
    for first in (0, 13, 26):
        kept.let_go_before(first)
        assert_same(kept.rows_in((first, 41)), rows.take(rows["conversation"] >= first))
    assert kept.octets <= octets / 2
