"""Rows -> the pair of sockets of each, which identifies its conversation.

In: tables with addresses and ports. Out: a `KeyTable`, which of the two sockets sent, a hash of the pair. The key is
addresses, ports and the nesting of tunnels; VLAN, MPLS label and GTP TEID differ by direction and do not belong to it.
"""

from __future__ import annotations

import ipaddress
import os
import sys
from collections.abc import Mapping
from functools import lru_cache
from typing import ClassVar

import numpy as np
from numpy.typing import DTypeLike, NDArray

from handshake_inspect.arrays import Column
from handshake_inspect.table import Table

Hashes = NDArray[np.uint64]

#: Nobody who makes a capture can know which keys will have one hash. No answer depends on it.
SALT = int.from_bytes(os.urandom(7), sys.byteorder)  # `secrets` would take 3 ms to import

#: 2**64 divided by the golden ratio, the factor of Knuth's multiplicative hash: numbers that differ a little differ in
#: the upper bits of their products.
GOLDEN = np.uint64(0x9E3779B97F4A7C15)

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


@lru_cache(maxsize=1 << 16)
def address(ip_version: int, upper: int, lower: int) -> str:
    """Spell an address held as two 64-bit words."""
    if ip_version == 4:
        return f"{lower >> 24 & 255}.{lower >> 16 & 255}.{lower >> 8 & 255}.{lower & 255}"
    return str(ipaddress.IPv6Address(upper << 64 | lower))


def hash_of(keys: KeyTable, salt: int) -> Hashes:
    """Mix the columns of each key into 64 bits (multiply and xor-shift, as in MurmurHash3's finaliser).

    Word after word: of what is put together before it is mixed, somebody can choose what cancels out for every salt.
    """
    salted = np.uint64(int(GOLDEN) * (2 * salt + 1) & (1 << 64) - 1)
    ports = keys["lower_port"].astype(np.uint32) << np.uint32(16) | keys["higher_port"]
    kind = keys["ip_version"].astype(np.uint32) << np.uint32(16) | keys["tunnel"]
    mixed = np.full(len(keys), salted, np.uint64)
    for word in (keys["lower_lo"], keys["higher_lo"], kind.astype(np.uint64) << np.uint64(32) | ports):
        _mix_in(mixed, word)
    for upper in (keys["lower_hi"], keys["higher_hi"]):
        at = np.flatnonzero(upper != 0)
        if len(at):  # they are 0 for IPv4, and cost nothing there
            mixed[at] = _mix_in(mixed.take(at), upper.take(at))
    return mixed


def _mix_in(mixed: Hashes, word: NDArray[np.uint64]) -> Hashes:
    mixed ^= word
    mixed *= np.uint64(0xFF51AFD7ED558CCD)
    mixed ^= mixed >> np.uint64(32)
    mixed *= np.uint64(0xC4CEB9FE1A85EC53)
    mixed ^= mixed >> np.uint64(29)
    return mixed


def has_key(table: Table, keys: KeyTable) -> NDArray[np.bool_]:
    """Mark the rows of conversations with one of these keys; very seldom rows of another one too."""
    has: NDArray[np.bool_] = np.isin(hash_of(keys_of(table)[0], SALT), hash_of(keys, SALT))
    return has
