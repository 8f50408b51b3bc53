"""Identifiers of connections in Zeek's form: "C" and two numbers of 32 and 64 bits in base 62 (Zeek 7, UID.cc).

In: the values that identify a connection in a run. Out: "CHhAvVGS1DHFjwGM9q", the same in every run. Zeek's own differ
in every run; we write no other logs to match, so it is enough that each connection has one.
"""

from __future__ import annotations

import hashlib
import re
from collections import Counter
from collections.abc import Sequence
from zlib import crc32

import numpy as np
from numpy.typing import NDArray

from handshake_inspect.cells import Cells
from handshake_inspect.pairs import KeyTable, hash_of
from handshake_inspect.table import Names

Hashes = NDArray[np.uint64]

DIGITS = np.frombuffer(b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz", np.uint8)
#: Number of digits for 32 and for 64 bits.
SHORT, LONG = 6, 11


def connection_hashes(
    keys: KeyTable, first_ns: NDArray[np.int64], place: NDArray[np.uint64], names: Names
) -> tuple[Hashes, Hashes]:
    """Mix keys, first times and places (capture and frame) into two numbers each. Shapes (n,)."""
    # A tunnel is numbered by its first appearance in this run; its name is the same in every run, so the name is mixed.
    tunnels = np.array([crc32(name.encode()) & 0xFFFF for name in names.tunnel.values], np.uint16)
    named = KeyTable(keys.columns | {"tunnel": tunnels[keys["tunnel"]]})
    return _mixed(named, first_ns, place, 0), _mixed(named, first_ns, place, 1)


def _mixed(keys: KeyTable, first_ns: NDArray[np.int64], place: NDArray[np.uint64], salt: int) -> Hashes:
    mixed = hash_of(keys, salt)
    for word in (first_ns.astype(np.uint64), place):
        mixed ^= word
        mixed *= np.uint64(0xFF51AFD7ED558CCD)
        mixed ^= mixed >> np.uint64(32)
    return mixed


def capture_codes(captures: Sequence[str]) -> NDArray[np.uint64]:
    """Return 32 bits for each capture: its name without folders, and its index among those with that name."""
    seen: Counter[str] = Counter()
    codes = []
    for capture in captures:
        name = re.split(r"[\\/]", capture)[-1]
        codes.append(crc32(f"{name} {seen[name]}".encode("utf-8", "surrogateescape")))
        seen[name] += 1
    return np.array(codes, np.uint64)


def uids(short: Hashes, long: Hashes) -> Cells:
    """Spell pairs of numbers; of `short` the upper 32 bits are used."""
    text = np.empty((len(short), 1 + SHORT + LONG), np.uint8)
    text[:, 0] = ord("C")
    for begin, count, left in ((1, SHORT, short >> np.uint64(32)), (1 + SHORT, LONG, long.copy())):
        for place in range(begin, begin + count):  # Zeek's order: lowest digit first
            text[:, place] = DIGITS[left % np.uint64(62)]
            left //= np.uint64(62)
    return Cells(text.view(f"S{text.shape[1]}").reshape(-1), text.shape[1])


def uid_of(text: str) -> str:
    """Spell the identifier for the name `text`."""
    digest = hashlib.blake2b(text.encode("utf-8", "surrogateescape"), digest_size=16).digest()
    short, long = np.frombuffer(digest, "<u8").astype(np.uint64).reshape(2, 1)
    spelled: str = uids(short, long).octets.astype(str).item()
    return spelled
