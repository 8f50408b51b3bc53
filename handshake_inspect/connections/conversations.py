"""Rows -> pairs of sockets. A *conversation* is everything between two sockets, however many connections that is.

In: `SegmentTable` blocks as they are decoded. Out: a number per row for its conversation, in order of first row, and
the sending socket as one bit (0: the numerically lower socket sent it). The key is addresses, ports and the nesting
of tunnels; VLAN, MPLS label and GTP TEID differ by direction and do not belong to it.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Mapping
from functools import lru_cache
from typing import ClassVar

import numpy as np
from numpy.typing import DTypeLike, NDArray

from handshake_inspect.table import Table

Hashes = NDArray[np.uint64]

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
    for part, suffix in (("hi", "_hi"), ("lo", "_lo"), ("port", "_port")):
        source, destination = table[f"src_{part}"], table[f"dst_{part}"]
        columns[f"lower{suffix}"] = np.where(swap, destination, source)
        columns[f"higher{suffix}"] = np.where(swap, source, destination)
    return KeyTable(columns), swap.astype(np.uint8)


@lru_cache(maxsize=1 << 16)
def address(ip_version: int, upper: int, lower: int) -> str:
    """Spell an address held as two 64-bit words."""
    if ip_version == 4:
        return f"{lower >> 24 & 255}.{lower >> 16 & 255}.{lower >> 8 & 255}.{lower & 255}"
    return str(ipaddress.IPv6Address(upper << 64 | lower))


class Conversations:
    """Numbers keys in order of first appearance, over any number of blocks.

    Keys are found by a 64-bit hash. Two keys of one hash are told apart by comparing the keys themselves; the rows of
    the later one are looked up again on the next level, which hashes with another salt.
    """

    def __init__(self) -> None:
        self.keys = KeyTable.empty()
        self._levels: list[tuple[Hashes, NDArray[np.int64]]] = []

    def __len__(self) -> int:
        return len(self.keys)

    def number(self, keys: KeyTable) -> NDArray[np.int64]:
        """Return the conversation number of each row of `keys`; new keys get the next numbers."""
        numbers = np.full(len(keys), -1, np.int64)
        todo = np.arange(len(keys))
        level = 0
        while len(todo):
            part = keys.take(todo)
            found = self._number_on(level, hash_of(part, level), part)
            same = np.ones(len(todo), np.bool_)
            for name in KEY:
                same &= self.keys[name][found] == part[name]
            numbers[todo[same]] = found[same]
            todo = todo[~same]
            level += 1
        return numbers

    def _number_on(self, level: int, hashes: Hashes, keys: KeyTable) -> NDArray[np.int64]:
        if level == len(self._levels):
            self._levels.append((np.zeros(0, np.uint64), np.zeros(0, np.int64)))
        known, numbers = self._levels[level]
        distinct, first, inverse = np.unique(hashes, return_index=True, return_inverse=True)
        at = np.searchsorted(known, distinct)
        is_known = np.zeros(len(distinct), np.bool_)
        inside = at < len(known)
        is_known[inside] = known[at[inside]] == distinct[inside]
        found = np.full(len(distinct), -1, np.int64)
        found[is_known] = numbers[at[is_known]]
        new = np.flatnonzero(~is_known)
        if len(new):
            by_appearance = new[np.argsort(first[new])]
            found[by_appearance] = len(self.keys) + np.arange(len(new))
            self.keys = KeyTable.concatenate([self.keys, keys.take(first[by_appearance])])
            self._levels[level] = (np.insert(known, at[new], distinct[new]), np.insert(numbers, at[new], found[new]))
        return found[inverse]


def hash_of(keys: KeyTable, salt: int) -> Hashes:
    """Mix the columns of each key into 64 bits (multiply and xor-shift, as in MurmurHash3's finaliser)."""
    salted = np.uint64(0x9E3779B97F4A7C15 * (2 * salt + 1) & (1 << 64) - 1)
    ports = keys["lower_port"].astype(np.uint64) << np.uint64(16) | keys["higher_port"]
    kind = keys["ip_version"].astype(np.uint64) << np.uint64(16) | keys["tunnel"]
    mixed = np.full(len(keys), salted, np.uint64)
    for word in (
        keys["lower_lo"] ^ keys["lower_hi"] * salted,  # the upper halves are 0 for IPv4
        keys["higher_lo"] ^ keys["higher_hi"] * salted,
        ports | kind << np.uint64(32),
    ):
        mixed ^= word
        mixed *= np.uint64(0xFF51AFD7ED558CCD)
        mixed ^= mixed >> np.uint64(32)
        mixed *= np.uint64(0xC4CEB9FE1A85EC53)
        mixed ^= mixed >> np.uint64(29)
    return mixed
