"""Rows -> pairs of sockets. A *conversation* is everything between two sockets, however many connections that is.

In: `SegmentTable` blocks as they are decoded. Out: a number per row for its conversation, and the sending socket as one
bit (0: the numerically lower socket sent it). The key is addresses, ports and the nesting of tunnels; VLAN, MPLS label
and GTP TEID differ by direction and do not belong to it.
"""

from __future__ import annotations

import ipaddress
import secrets
from collections.abc import Mapping
from functools import lru_cache
from typing import Any, ClassVar

import numpy as np
from numpy.typing import DTypeLike, NDArray

from handshake_inspect.table import Column, Table

Hashes = NDArray[np.uint64]

#: Nobody who makes a capture can know which keys will have one hash. No answer depends on it.
SALT = secrets.randbits(60)
#: New hashes that are not worth moving all others for: so many, or this part of those.
LATEST_HASHES, LATEST_PART = 1024, 4

LOOPBACK_4 = 127
LOOPBACK_6 = 1

#: Columns of a conversation's key: the lower socket, the higher socket, what carries them.
KEY: dict[str, DTypeLike] = {
    "lower_hi": np.uint64,
    "lower_lo": np.uint64,
    "higher_hi": np.uint64,
    "higher_lo": np.uint64,
    "lower_port": np.uint16,
    "higher_port": np.uint16,
    "ip_version": np.uint8,
    "tunnel": np.uint32,
}


class KeyTable(Table):
    """The keys of conversations, one row each."""

    DTYPES: ClassVar[Mapping[str, DTypeLike]] = KEY


def keys_of(table: Table) -> tuple[KeyTable, NDArray[np.uint8]]:
    """Return the key of each row, and 1 where the numerically higher socket is the source."""
    swap = (table["src_hi"] > table["dst_hi"]) | (
        (table["src_hi"] == table["dst_hi"])
        & (
            (table["src_lo"] > table["dst_lo"])
            | ((table["src_lo"] == table["dst_lo"]) & (table["src_port"] > table["dst_port"]))
        )
    )
    columns = {"ip_version": table["ip_version"], "tunnel": table["tunnel"]}
    for part in ("hi", "lo", "port"):
        columns[f"lower_{part}"], columns[f"higher_{part}"] = exchanged(
            table[f"src_{part}"], table[f"dst_{part}"], swap
        )
    return KeyTable(columns), swap.astype(np.uint8)


def exchanged(one: Column, other: Column, swap: NDArray[np.bool_]) -> tuple[Column, Column]:
    """Return two columns of whole numbers, exchanged in the rows where `swap` holds.

    1.3 ns a row. Two of np.where take 7: which way each row goes no processor can guess.
    """
    between = (one ^ other) * swap
    return one ^ between, other ^ between


def is_loopback(keys: KeyTable) -> NDArray[np.bool_]:
    """Say of each key whether its segments can only have been captured on loopback."""
    v4 = (keys["ip_version"] == 4) & (keys["lower_lo"] >> np.uint64(24) == LOOPBACK_4)
    v6 = (keys["ip_version"] == 6) & (keys["lower_hi"] == 0) & (keys["lower_lo"] == LOOPBACK_6)
    found: NDArray[np.bool_] = v4 | v6 | _is_one_host(keys)
    return found


def _is_one_host(keys: KeyTable) -> NDArray[np.bool_]:
    same: NDArray[np.bool_] = (keys["lower_hi"] == keys["higher_hi"]) & (keys["lower_lo"] == keys["higher_lo"])
    return same


def _is_self(keys: KeyTable) -> NDArray[np.bool_]:
    """Say of each key whether both of its sockets are equal."""
    found: NDArray[np.bool_] = _is_one_host(keys) & (keys["lower_port"] == keys["higher_port"])
    return found


@lru_cache(maxsize=1 << 16)
def address(ip_version: int, upper: int, lower: int) -> str:
    """Spell an address held as two 64-bit words."""
    if ip_version == 4:
        return f"{lower >> 24 & 255}.{lower >> 16 & 255}.{lower >> 8 & 255}.{lower & 255}"
    return str(ipaddress.IPv6Address(upper << 64 | lower))


class Conversations:
    """Numbers keys in order of first appearance, over any number of blocks.

    Keys are found by a 64-bit hash. Two keys of one hash are told apart by comparing the keys themselves; the rows of
    the later one are looked up again on the next level, which hashes with another salt. The numbers of keys that are
    forgotten are given to later ones.
    """

    def __init__(self) -> None:
        self._columns: dict[str, NDArray[Any]] = KeyTable.empty().columns
        self._columns |= {"loopback": np.zeros(0, np.bool_), "self": np.zeros(0, np.bool_)}
        self._count = 0
        self._free = np.zeros(0, np.int64)
        self._levels: list[_Known] = []

    def __len__(self) -> int:
        """How many numbers there are, the free ones included: the length of what has one entry for each number."""
        return self._count

    @property
    def held(self) -> int:
        """How many conversations there are."""
        return self._count - len(self._free)

    @property
    def keys(self) -> KeyTable:
        """The key of each number; of a free one it means nothing. A view: what is held for long takes a copy."""
        return KeyTable({name: self._columns[name][: self._count] for name in KEY})

    @property
    def loopback(self) -> NDArray[np.bool_]:
        """Say of each number whether its conversation can only have been captured on loopback."""
        return self._columns["loopback"][: self._count]

    @property
    def is_self(self) -> NDArray[np.bool_]:
        """Say of each number whether both sockets of its conversation are equal."""
        return self._columns["self"][: self._count]

    def number(self, keys: KeyTable) -> NDArray[np.int64]:
        """Return the conversation number of each row of `keys`; new keys get numbers."""
        numbers = np.full(len(keys), -1, np.int64)
        todo = np.arange(len(keys))
        level = 0
        while len(todo):
            part = keys.take(todo) if level else keys
            found = self._number_on(level, hash_of(part, SALT + level), part)
            same = np.ones(len(todo), np.bool_)
            for name in KEY:
                same &= self._columns[name][found] == part[name]
            numbers[todo[same]] = found[same]
            todo = todo[~same]
            level += 1
        return numbers

    def _number_on(self, level: int, hashes: Hashes, keys: KeyTable) -> NDArray[np.int64]:
        if level == len(self._levels):
            self._levels.append(_Known())
        order, begins = _grouped(hashes)
        first = order[begins]
        distinct = hashes[first]
        known = self._levels[level].find(distinct)
        new = np.flatnonzero(known < 0)
        if len(new):
            by_appearance = new[np.argsort(first[new])]
            known[by_appearance] = self._add(keys.take(first[by_appearance]))
            self._levels[level].add(distinct[new], known[new])
        found = np.empty(len(hashes), np.int64)
        found[order] = known[np.cumsum(begins) - 1]
        return found

    def _add(self, keys: KeyTable) -> NDArray[np.int64]:
        """Give numbers to new keys: free ones first."""
        free, self._free = self._free[: len(keys)], self._free[len(keys) :]
        numbers = np.append(free, self._count + np.arange(len(keys) - len(free)))
        self._count += len(keys) - len(free)
        values = keys.columns | {"loopback": is_loopback(keys), "self": _is_self(keys)}
        for name, column in self._columns.items():
            if self._count > len(column):
                # Not in place: who holds a view keeps what it was.
                self._columns[name] = np.zeros(self._count + self._count // 4, column.dtype)
                self._columns[name][: len(column)] = column
            self._columns[name][numbers] = values[name]
        return numbers

    def forget(self, numbers: NDArray[np.int64]) -> None:
        """Let conversations go; their numbers are free."""
        gone = np.zeros(self._count, np.bool_)
        gone[self._free] = gone[numbers] = True
        self._free = np.append(self._free, numbers)
        for level in self._levels[:1]:
            level.forget(gone)
        if len(self._levels) > 1:  # whoever had to leave a level may belong on it now
            self._levels.clear()
            self._place(np.flatnonzero(~gone))

    def _place(self, numbers: NDArray[np.int64]) -> None:
        """Put known keys on the levels anew."""
        while len(numbers):
            known = _Known()
            hashes = hash_of(self.keys.take(numbers), SALT + len(self._levels))
            distinct, first = np.unique(hashes, return_index=True)
            known.add(distinct, numbers[first])
            self._levels.append(known)
            numbers = np.delete(numbers, first)


class _Known:
    """The numbers of hashes: sorted, and apart from the others the latest, so that a few new ones move only a few."""

    def __init__(self) -> None:
        self._most: tuple[Hashes, NDArray[np.int64]] = (np.zeros(0, np.uint64), np.zeros(0, np.int64))
        self._latest = self._most

    def find(self, hashes: Hashes) -> NDArray[np.int64]:
        """Return the number of each hash, -1 if it is not known."""
        found = np.full(len(hashes), -1, np.int64)
        for known, numbers in (self._most, self._latest):
            if len(known):
                at = np.minimum(np.searchsorted(known, hashes), len(known) - 1)
                same = known[at] == hashes
                found[same] = numbers[at[same]]
        return found

    def add(self, hashes: Hashes, numbers: NDArray[np.int64]) -> None:
        """Add hashes that are not known yet, sorted."""
        self._latest = _merged(self._latest, (hashes, numbers))
        if len(self._latest[0]) > max(LATEST_HASHES, len(self._most[0]) // LATEST_PART):
            self._most, self._latest = _merged(self._most, self._latest), (hashes[:0], numbers[:0])

    def forget(self, gone: NDArray[np.bool_]) -> None:
        """Leave out the numbers that are gone."""
        self._most, self._latest = (
            (hashes[~gone[numbers]], numbers[~gone[numbers]]) for hashes, numbers in (self._most, self._latest)
        )


def _grouped(hashes: Hashes) -> tuple[NDArray[np.int64], NDArray[np.bool_]]:
    """Sort rows by hash, those of one in order; return them, and which are the first of theirs.

    One sort of the upper bits, with the row below them, takes 5 ns a row; np.unique with all that it returns takes 45.
    Where two hashes differ in nothing but what the row takes the place of, they are sorted in full.
    """
    bits = np.uint64(max(len(hashes) - 1, 1).bit_length())
    keyed = hashes >> bits << bits | np.arange(len(hashes), dtype=np.uint64)
    keyed.sort()
    order = (keyed & ((np.uint64(1) << bits) - np.uint64(1))).astype(np.int64)
    ordered, alike = hashes[order], np.zeros(len(hashes), np.bool_)
    alike[1:] = keyed[1:] >> bits == keyed[:-1] >> bits
    if (ordered[1:] != ordered[:-1])[alike[1:]].any():
        order = np.argsort(hashes, kind="stable")
        alike[1:] = hashes[order[1:]] == hashes[order[:-1]]
    return order, ~alike


def _merged(
    known: tuple[Hashes, NDArray[np.int64]], new: tuple[Hashes, NDArray[np.int64]]
) -> tuple[Hashes, NDArray[np.int64]]:
    """Put sorted hashes among others."""
    if not len(known[0]):
        return new
    at = np.searchsorted(known[0], new[0]) + np.arange(len(new[0]))
    is_known = np.ones(len(known[0]) + len(new[0]), np.bool_)
    is_known[at] = False
    hashes, numbers = np.empty(len(is_known), np.uint64), np.empty(len(is_known), np.int64)
    for merged, old, added in zip((hashes, numbers), known, new, strict=True):
        merged[at], merged[is_known] = added, old
    return hashes, numbers


def hash_of(keys: KeyTable, salt: int) -> Hashes:
    """Mix the columns of each key into 64 bits (multiply and xor-shift, as in MurmurHash3's finaliser).

    Word after word: of what is put together before it is mixed, somebody can choose what cancels out for every salt.
    """
    salted = np.uint64(0x9E3779B97F4A7C15 * (2 * salt + 1) & (1 << 64) - 1)
    ports = keys["lower_port"].astype(np.uint64) << np.uint64(16) | keys["higher_port"]
    kind = keys["ip_version"].astype(np.uint64) << np.uint64(16) | keys["tunnel"]
    mixed = np.full(len(keys), salted, np.uint64)
    for word in (keys["lower_lo"], keys["higher_lo"], ports | kind << np.uint64(32)):
        _mix_in(mixed, word)
    for upper in (keys["lower_hi"], keys["higher_hi"]):
        if upper.any():  # they are 0 for IPv4, and cost nothing there
            mixed = np.where(upper > 0, _mix_in(mixed.copy(), upper), mixed)
    return mixed


def _mix_in(mixed: Hashes, word: NDArray[np.uint64]) -> Hashes:
    mixed ^= word
    mixed *= np.uint64(0xFF51AFD7ED558CCD)
    mixed ^= mixed >> np.uint64(32)
    mixed *= np.uint64(0xC4CEB9FE1A85EC53)
    mixed ^= mixed >> np.uint64(29)
    return mixed


def conversation_order(numbers: NDArray[np.integer[Any]]) -> NDArray[np.int64]:
    """Sort rows by conversation, keeping their order within it.

    Numbers of 8 or 16 bits are sorted digit by digit, in a third or two thirds of the time that one sort of 64-bit
    words takes; and that is a tenth of an argsort.
    """
    least, most = (numbers.min(), numbers.max()) if len(numbers) else (0, 0)
    for narrow, largest in ((np.uint8, 0xFF), (np.uint16, 0xFFFF)):
        if int(most) - int(least) <= largest:
            return np.argsort((numbers - least).astype(narrow), kind="stable")
    row_bits = max(len(numbers) - 1, 1).bit_length()
    keyed = numbers.astype(np.int64) << row_bits | np.arange(len(numbers))
    keyed.sort()
    keyed &= (1 << row_bits) - 1
    return keyed
