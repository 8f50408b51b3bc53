"""Numbers of pairs of sockets: found again, forgotten, and given to others, whatever their hashes are."""

from __future__ import annotations

import random

import numpy as np
import pytest
from numpy.typing import NDArray

from handshake_inspect.connections import conversations as module
from handshake_inspect.connections.conversations import Conversations
from handshake_inspect.pairs import SALT, KeyTable, hash_of


def keys(hosts: list[int]) -> KeyTable:
    table = KeyTable.empty(len(hosts))
    table.columns["higher_lo"][:] = hosts
    table.columns["lower_lo"][:] = [0x7F000001 if host % 3 else 1 for host in hosts]
    table.columns["ip_version"][:] = 4
    return table


@pytest.mark.parametrize("most", [-1, 0.9], ids=["looked up", "sorted"])
@pytest.mark.parametrize("bits", [64, 6, 1])
@pytest.mark.parametrize("seed", range(5))
def test_a_number_is_its_keys_as_long_as_that_is_known(
    seed: int, bits: int, most: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With hashes of few bits most keys collide, in the table and within a block."""

    def few(table: KeyTable, salt: int) -> NDArray[np.uint64]:
        return hash_of(table, salt) & ~np.uint64((1 << 64 - bits) - 1)

    monkeypatch.setattr(module, "hash_of", few)
    monkeypatch.setattr(module, "FEWEST_SLOTS", 8)
    monkeypatch.setattr(module, "MOST", most)
    rng, conversations, known = random.Random(f"{seed} {bits}"), Conversations(), dict[int, int]()
    for _ in range(30):
        hosts = [rng.randrange(200) + 1 for _ in range(rng.randrange(1, 40))]
        numbers = conversations.number(keys(hosts)).tolist()
        for host, number in zip(hosts, numbers, strict=True):
            assert known.setdefault(host, number) == number
            assert conversations.keys["higher_lo"][number] == host
            assert conversations.loopback[number] == bool(host % 3)
        assert len(set(known.values())) == len(known) == conversations.held
        gone = rng.sample(sorted(known), rng.randrange(len(known)))
        conversations.forget(np.array([known.pop(host) for host in gone], np.int64))
        assert conversations.held == len(known)
    assert len(conversations) <= 200, "numbers are used again"


@pytest.mark.parametrize("most", [-1, 0.9], ids=["looked up", "sorted"])
@pytest.mark.parametrize("seed", range(5))
def test_numbers_are_in_order_of_first_appearance(seed: int, most: float, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MOST", most)
    rng, conversations, known = random.Random(seed), Conversations(), dict[int, int]()
    for rows in (1, 3000, 40, 20_000):
        hosts = [rng.randrange(10_000) + 1 for _ in range(rows)]
        numbers = conversations.number(keys(hosts)).tolist()
        assert numbers == [known.setdefault(host, len(known)) for host in hosts]
    assert conversations.keys["higher_lo"].tolist() == list(known)


@pytest.mark.parametrize("salt", [0, 101, SALT], ids=["0", "of pieces", "of this process"])
def test_ipv6_keys_made_to_have_one_hash_have_many(salt: int) -> None:
    """As somebody makes them who has read the code: what cancels out if the halves of an address are put together."""
    golden, number = 0x9E3779B97F4A7C15, np.arange(1 << 12, dtype=np.uint64)
    high, low = (number >> np.uint64(6)) << np.uint64(58), number << np.uint64(58)
    for name in ("lower", "higher"):
        for upper, lower in ((number, np.uint64(7) ^ number * np.uint64(golden)), (high, low), (low, high)):
            table = KeyTable.empty(len(number))
            table.columns["ip_version"][:] = 6
            table.columns[f"{name}_hi"][:] = upper
            table.columns[f"{name}_lo"][:] = lower
            assert len(np.unique(hash_of(table, salt))) == len(number)
            numbered = Conversations()
            assert len(np.unique(numbered.number(table))) == len(number)


@pytest.mark.parametrize("span", [1, 2, 256, 257, 1 << 16, (1 << 16) + 1, 1 << 30])
def test_rows_are_put_in_order_of_their_conversations_as_a_stable_sort_does(span: int) -> None:
    rng = np.random.default_rng(span)
    for rows in (0, 1, 2, 300):
        numbers = 70_000 + rng.integers(0, span, rows)
        numbers[rows // 2 :] = numbers[: rows - rows // 2]
        for kind in (np.int32, np.int64):
            expected = np.argsort(numbers, kind="stable").tolist()
            assert module.conversation_order(numbers.astype(kind)).tolist() == expected
