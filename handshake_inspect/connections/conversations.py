"""Pairs of sockets, numbered. A *conversation* is everything between two sockets, however many connections that is.

In: keys of rows, block by block. Out: a number per row for its conversation, in order of first appearance.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from handshake_inspect.arrays import Mask, Rows
from handshake_inspect.pairs import GOLDEN, KEY, SALT, Hashes, KeyTable, hash_of

Entries = NDArray[np.uint64]

#: Bit masks of an entry of the hash table: the upper half of the key's hash, one of two marks, and the number of the
#: conversation (KNOWN) or the index among the new keys (NEW). 0 is a free slot; the slot of a forgotten key is not.
TAG, KNOWN, NEW, NUMBER = (np.uint64(bits) for bits in (0xFFFFFFFF << 32, 1 << 31, 1 << 30, (1 << 30) - 1))
FREE, FORGOTTEN = np.uint64(0), NEW | NUMBER
#: Smallest number of slots: some dozen keys then hardly collide. Pages that are not used take no memory.
FEWEST_SLOTS = 1 << 16
#: Slots moved at once to a larger table: their entries stay close together there, so all of them are in the cache.
MOVED_SLOTS = 1 << 15
#: If this share of a block's rows had keys known before, the keys of the next block are looked up first.
MOST = 0.9

LOOPBACK_4 = 127
LOOPBACK_6 = 1


def is_loopback(keys: KeyTable) -> NDArray[np.bool_]:
    """Mark the keys whose segments can only have been captured on loopback."""
    v4 = (keys["ip_version"] == 4) & (keys["lower_lo"] >> np.uint64(24) == LOOPBACK_4)
    v6 = (keys["ip_version"] == 6) & (keys["lower_hi"] == 0) & (keys["lower_lo"] == LOOPBACK_6)
    found: NDArray[np.bool_] = v4 | v6 | _is_one_host(keys)
    return found


def _is_one_host(keys: KeyTable) -> NDArray[np.bool_]:
    same: NDArray[np.bool_] = (keys["lower_hi"] == keys["higher_hi"]) & (keys["lower_lo"] == keys["higher_lo"])
    return same


def _is_self(keys: KeyTable) -> NDArray[np.bool_]:
    """Mark the keys whose two sockets are equal."""
    found: NDArray[np.bool_] = _is_one_host(keys) & (keys["lower_port"] == keys["higher_port"])
    return found


class Conversations:
    """Numbers keys in order of first appearance, over any number of blocks.

    Keys are found by a hash; keys with equal hashes are distinguished by comparing the keys themselves. Numbers of
    forgotten keys are reused.
    """

    def __init__(self) -> None:
        self._columns: dict[str, NDArray[Any]] = KeyTable.empty().columns
        self._columns |= {"loopback": np.zeros(0, np.bool_), "self": np.zeros(0, np.bool_)}
        self._count = 0
        self._free = np.zeros(0, np.int64)
        self._slots = _Slots()
        #: Did most rows of the last block belong to conversations known before it?
        self._most_are_known = False

    def __len__(self) -> int:
        """Count of numbers, free ones included: the length of arrays with one entry per number."""
        return self._count

    @property
    def held(self) -> int:
        """Count of conversations, without free numbers."""
        return self._count - len(self._free)

    @property
    def keys(self) -> KeyTable:
        """The key of each number, meaningless for free ones. A view: copy what is to be kept."""
        return KeyTable({name: self._columns[name][: self._count] for name in KEY})

    @property
    def loopback(self) -> NDArray[np.bool_]:
        """Mark the numbers whose conversation can only have been captured on loopback."""
        return self._columns["loopback"][: self._count]

    @property
    def is_self(self) -> NDArray[np.bool_]:
        """Mark the numbers whose conversation has two equal sockets."""
        return self._columns["self"][: self._count]

    def number(self, keys: KeyTable) -> Rows:
        """Return the conversation number of each row of `keys`; new keys get numbers."""
        before, hashes = self._count, hash_of(keys, SALT)
        numbers, todo = self._look_up(keys, hashes)
        while len(todo):
            everything = len(todo) == len(keys)
            part, own = (keys, hashes) if everything else (keys.take(todo), hashes.take(todo))
            group, first = _grouped(own)
            numbers[todo] = self._number_distinct(part, first, own[first])[group]
            todo = todo[_other_keys(part, group, first)]
        self._most_are_known = bool(np.count_nonzero(numbers < before) > MOST * len(numbers))
        return numbers

    def _look_up(self, keys: KeyTable, hashes: Hashes) -> tuple[Rows, Rows]:
        """Return the numbers of the keys found in their first slot, and the rows of all other keys.

        In long transfers there are hardly any others, and sorting all rows would take twice as long. Nothing is looked
        up if many keys of the last block were new.
        """
        if not self._most_are_known:
            return np.empty(len(keys), np.int64), np.arange(len(keys))
        numbers = self._slots.first_known(hashes)
        return numbers, np.flatnonzero((numbers < 0) | ~self._are_keys(keys, numbers))

    def _number_distinct(self, keys: KeyTable, rows: Rows, hashes: Hashes) -> Rows:
        """Return the numbers of the keys in these rows, which rise; all their hashes differ."""
        self._slots.make_room(len(rows))
        mine = hashes & TAG | NEW | np.arange(len(rows), dtype=np.uint64)
        found, places = self._slots.settle(mine, lambda at, numbers: self._are_keys(keys, numbers, rows[at]))
        numbers = (found & NUMBER).astype(np.int64)
        new = np.flatnonzero(found & NEW != 0)  # twice as fast on a mask as on numbers
        if len(new):
            numbers[new] = self._add(keys if len(new) == len(keys) else keys.take(rows[new]))
            self._slots.put(places[new], _known(hashes[new], numbers[new]))
        return numbers

    def _are_keys(self, keys: KeyTable, numbers: Rows, rows: Rows | None = None) -> Mask:
        """Compare the keys in these rows, or in all, with the keys of these numbers."""
        same = np.ones(len(numbers), np.bool_)
        for name in KEY:
            same &= self._columns[name].take(numbers) == (keys[name] if rows is None else keys[name].take(rows))
        return same

    def _add(self, keys: KeyTable) -> NDArray[np.int64]:
        """Assign numbers to new keys, free ones first."""
        free, self._free = self._free[: len(keys)], self._free[len(keys) :]
        numbers = np.append(free, self._count + np.arange(len(keys) - len(free)))
        at = numbers if len(free) else slice(self._count, self._count + len(keys))
        self._count += len(keys) - len(free)
        values = keys.columns | {"loopback": is_loopback(keys), "self": _is_self(keys)}
        for name, column in self._columns.items():
            if self._count > len(column):
                # Not in place: existing views must stay valid. Pages that are not used yet take no memory.
                self._columns[name] = np.zeros(2 * self._count, column.dtype)
                self._columns[name][: len(column)] = column
            self._columns[name][at] = values[name]
        return numbers

    def forget(self, numbers: NDArray[np.int64]) -> None:
        """Remove conversations; their numbers become free."""
        self._slots.forget(_known(hash_of(self.keys.take(numbers), SALT), numbers))
        self._free = np.append(self._free, numbers)


class _Slots:
    """A hash table with an entry for each key: open addressing, for many keys at once.

    The upper bits of a key's tag give its first slot, the lower bits the step to each next one, until the key is found
    or takes a free slot. At least half of the slots are free: most keys are settled in the first round, all of a block
    in a dozen. A new key takes 60 ns, where a search in sorted arrays of hashes and a merge into them take 110.
    """

    def __init__(self) -> None:
        self._entries: Entries = np.zeros(FEWEST_SLOTS, np.uint64)
        #: Count of slots that are not free.
        self._taken = 0

    def settle(self, mine: Entries, are_keys: Callable[[Rows, Rows], Mask]) -> tuple[Entries, Rows]:
        """Return the entry of each key, its own if the key is new, and the slot of the entry. All keys are distinct.

        `are_keys(at, numbers)` compares keys of equal tags: the keys at `at` with those of `numbers`.
        """
        found, places = np.empty_like(mine), np.empty(len(mine), np.int64)
        at, own, place = np.arange(len(mine)), mine, self._first_places(mine)
        while len(at):
            there = self._entries.take(place)
            free = np.flatnonzero(there == FREE)
            if len(free):
                taken = place.take(free)
                self._entries[taken] = own.take(free)
                there[free] = self._entries.take(taken)
            found[at], places[at] = there, place
            settled = there == own
            like = np.flatnonzero((there ^ own) & (TAG | NEW) == NEW)
            if len(like):
                settled[like] = are_keys(at[like], (there[like] & NUMBER).astype(np.int64))
            left = np.flatnonzero(~settled)
            at, own = at.take(left), own.take(left)
            place = self._next_places(place.take(left), own)
        return found, places

    def first_known(self, hashes: Hashes) -> Rows:
        """Return the number in the first slot of each key, whether it is of that key or not; -1 if there is none."""
        there = self._entries.take(self._first_places(hashes))
        return np.where(there & KNOWN != 0, (there & NUMBER).astype(np.int64), -1)

    def put(self, places: Rows, entries: Entries) -> None:
        """Put the entries of new keys, which are numbered now, into their slots."""
        self._entries[places] = entries
        self._taken += len(entries)

    def forget(self, entries: Entries) -> None:
        """Remove entries."""
        place = self._first_places(entries)
        while len(entries):
            there = self._entries[place]
            self._entries[place[there == entries]] = FORGOTTEN
            left = np.flatnonzero((there != entries) & (there != FREE))
            entries = entries[left]
            place = self._next_places(place[left], entries)

    def make_room(self, count: int) -> None:
        """Enlarge the table if needed, so that `count` new entries leave half of the slots free."""
        if 2 * (self._taken + count) <= len(self._entries):
            return
        parts = np.split(self._entries, range(MOVED_SLOTS, len(self._entries), MOVED_SLOTS))
        moved = [part.take(np.flatnonzero(part & KNOWN)) for part in parts]
        self._taken = sum(map(len, moved))
        self._entries = np.zeros(1 << (3 * (self._taken + count) - 1).bit_length(), np.uint64)
        for entries in moved:
            self._entries[self._first_places(entries)] = entries
        hidden = [np.flatnonzero(self._entries.take(self._first_places(one)) != one) for one in moved]
        entries = np.concatenate([one.take(rows) for one, rows in zip(moved, hidden, strict=True)])
        place = self._first_places(entries)
        while len(entries):
            place = self._next_places(place, entries)
            free = np.flatnonzero(self._entries.take(place) == FREE)
            self._entries[place.take(free)] = entries.take(free)
            left = np.flatnonzero(self._entries.take(place) != entries)
            place, entries = place.take(left), entries.take(left)

    def _first_places(self, entries: Entries) -> Rows:
        bits = len(self._entries).bit_length() - 1
        return (entries >> np.uint64(64 - bits)).astype(np.int64)

    def _next_places(self, place: Rows, entries: Entries) -> Rows:
        """Return the next slot to look in: an odd step reaches all slots, as their number is a power of 2."""
        step = (entries >> np.uint64(31) | np.uint64(1)).astype(np.int64)
        return (place + step) & (len(self._entries) - 1)


def _known(hashes: Hashes, numbers: Rows) -> Entries:
    """Return the entries of keys with these numbers."""
    return hashes & TAG | KNOWN | numbers.astype(np.uint64)


def _grouped(hashes: Hashes) -> tuple[Rows, Rows]:
    """Number the distinct hashes by first appearance. Returns the number of each row, and the first row of each number.

    The upper bits of a hash choose a slot of a small table, which holds the first row with these bits: 10 ns, where a
    sort takes 20. Rows whose slot holds another hash are looked up again, by other bits.
    """
    rows = np.arange(len(hashes))
    bits = max(len(hashes).bit_length() + 1, 8)
    slots, like = np.empty(1 << bits, np.int64), np.empty(len(hashes), np.int64)
    left, mixed = rows, hashes
    while len(left):
        slot = (mixed >> np.uint64(64 - bits)).view(np.int64)
        slots[slot[::-1]] = left[::-1]  # the first one stays
        like[left] = slots.take(slot)
        others = np.flatnonzero(hashes.take(like.take(left)) != hashes.take(left))
        left, mixed = left.take(others), mixed.take(others) * GOLDEN
    first = np.flatnonzero(like == rows)
    number = np.empty(len(hashes), np.int64)
    number[first] = np.arange(len(first))
    return number.take(like), first


def _other_keys(keys: KeyTable, group: Rows, first: Rows) -> Rows:
    """Return the rows whose key differs from that of the first row of their group."""
    other = np.zeros(len(keys), np.bool_)
    if len(first) < len(keys):
        for column in keys.columns.values():
            if (column != column[0]).any():
                other |= column.take(first).take(group) != column
    return np.flatnonzero(other)


def conversation_order(numbers: NDArray[np.integer[Any]]) -> NDArray[np.int64]:
    """Sort rows by conversation, keeping their order within it.

    Numbers of 8 or 16 bits are sorted by radix, in a third or two thirds of the time of one sort of 64-bit words, which
    itself takes a tenth of an argsort.
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
