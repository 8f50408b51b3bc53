"""Where each record of a block begins: the chain of record lengths, followed in plain Python or many at once.

In: a buffer and the range of it that holds whole and cut records. Out: the offsets of the whole ones, in order, up to
the first that is cut or broken. The plain loop costs 200-270 ns a record; the lock-step walk about 35, where records
are short: it looks at every span, so of whole frames of 1,500 octets it would cost 1,500. It guesses a record start in
every span, walks all spans together, and then checks: a span whose walk does not end exactly on the start of the next
one disproves that start, and the range is walked again by the plain loop. So it is exact.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import field
from struct import Struct

import numpy as np
from numpy.typing import NDArray

from handshake_inspect.arrays import Mask
from handshake_inspect.capture.source import LONGEST_RECORD_OCTETS, gathered
from handshake_inspect.plain import mutable

Offsets = NDArray[np.int64]
Words = NDArray[np.uint32]

#: One guess is made per span of this many octets: numpy has as much to do in a step as the call of it costs.
SPAN_OCTETS = 1 << 13
#: Below this many octets the plain loop is faster.
PLAIN_OCTETS = 1 << 19
#: So too where records have this many octets on average, which is asked of the first SAMPLED_OCTETS.
LONG_OCTETS, SAMPLED_OCTETS = 1 << 10, 1 << 13
#: So many octets of each span are looked at together for a record start.
WINDOW_OCTETS = 1 << 8
#: Records in a row that must look right before a start is tried, and how many places of a span are looked at.
PLAUSIBLE_RECORDS, PLACES_TRIED = 4, 64


@mutable
class Chain(ABC):
    """How a format chains its records."""

    byte_order: str
    #: Octets of a record that are not counted in its length field.
    added: int
    #: Where the length field stands in a record.
    length_at: int
    #: Smallest and largest legal value of the length field.
    smallest: int = 0
    longest: int = LONGEST_RECORD_OCTETS
    #: 3 where records are padded to multiples of four octets, else 0.
    padding: int = 0
    #: Octets needed to read the first word and the length.
    header_octets: int = 16
    #: False: `record_end` alone knows how long a record is, so records are followed one by one.
    in_step: bool = True
    words: Struct = field(init=False)

    def __post_init__(self) -> None:
        self.words = Struct(f"{self.byte_order}I{self.length_at - 4}xI")

    @abstractmethod
    def telling(self, record: bytes) -> tuple[bytes, int]:
        """Return octets that most headers have in common with that of `record`, and where they stand in it."""

    @abstractmethod
    def can_be(self, words: Words, at: Offsets, end: int) -> Mask:
        """Tell of the places `at` whether the fields that stand there can be those of a record.

        `words`: the 32-bit word at each place of the buffer. Before `end` there is room for a header at each.
        """

    def ends(self, words: Words, at: Offsets) -> Offsets:
        """Return where the records at these places end, by their lengths."""
        end: Offsets = at + words[at + self.length_at] + (self.added + self.padding) & ~self.padding
        return end

    def record_end(self, buffer: bytearray, offset: int) -> int | None:
        """Return where the record at `offset` ends, or None if its length cannot be."""
        length = self.words.unpack_from(buffer, offset)[1]
        if not self.smallest <= length <= self.longest:
            return None
        return int(offset + self.added + (length + self.padding & ~self.padding))

    def complaint(self, buffer: bytearray, offset: int) -> str:
        """Say what is wrong with the record at `offset`, whose length cannot be."""
        length = self.words.unpack_from(buffer, offset)[1]
        if length > self.longest:
            return f"a record claims {length} octets, more than {self.longest}"
        return f"a record claims {length} octets, less than its header of {self.smallest}"


def walk(buffer: bytearray, start: int, end: int, chain: Chain) -> Offsets:
    """Return the offsets of the whole records in [start, end), up to the first that is cut or broken."""
    if not chain.in_step:
        return np.array(walk_by_record_end(buffer, start, end, chain), np.int64)
    if end - start < PLAIN_OCTETS or _are_long(buffer, start, end, chain):
        return np.array(walk_plainly(buffer, start, end, end, chain), np.int64)
    starts = np.append(start, guesses(buffer, start, end, chain))
    if len(starts) < 4:
        return np.array(walk_plainly(buffer, start, end, end, chain), np.int64)
    offsets = _stitch(buffer, end, chain, *walk_in_step(buffer, starts, end, chain))
    return _whole(buffer, offsets, start, end, chain)


def _are_long(buffer: bytearray, start: int, end: int, chain: Chain) -> bool:
    """Tell whether the first records are so long that to look at every span would cost more than to follow them."""
    first = walk_plainly(buffer, start, start + SAMPLED_OCTETS, end, chain)
    return len(first) < SAMPLED_OCTETS // LONG_OCTETS


def walk_plainly(buffer: bytearray, start: int, until: int, end: int, chain: Chain) -> list[int]:
    """Follow the chain from `start` to the first record that begins at or after `until`, is cut or is broken."""
    offsets: list[int] = []
    unpack, append = chain.words.unpack_from, offsets.append
    smallest, longest, added, padding = chain.smallest, chain.longest, chain.added, chain.padding
    offset, last = start, min(until - 1, end - chain.header_octets)
    while offset <= last:
        _, length = unpack(buffer, offset)
        if length > longest or length < smallest:
            break
        after = offset + added + (length + padding & ~padding)
        if after > end:
            break
        append(offset)
        offset = after
    return offsets


def walk_by_record_end(buffer: bytearray, start: int, end: int, chain: Chain) -> list[int]:
    """Follow a chain whose records have no one length field, to the first that is cut or broken."""
    offsets: list[int] = []
    while start + chain.header_octets <= end:
        after = chain.record_end(buffer, start)
        if after is None or after > end:
            break
        offsets.append(start)
        start = after
    return offsets


def guesses(buffer: bytearray, start: int, end: int, chain: Chain) -> Offsets:
    """Return where in each span behind the first a record may begin: the first place that looks like several in a row.

    A record is known to begin at `start`. A span without such a place has no guess.
    """
    pattern, place = chain.telling(bytes(buffer[start : start + chain.header_octets]))
    octets, telling = np.frombuffer(buffer, np.uint8, end), np.frombuffer(pattern, np.uint8)
    at = np.arange(start + SPAN_OCTETS, end - SPAN_OCTETS // 2, SPAN_OCTETS) + place
    high = at + (SPAN_OCTETS - place)
    looks_right, open_spans = np.zeros(len(at), np.bool_), np.arange(len(at))
    for _ in range(PLACES_TRIED):
        open_spans = open_spans[at[open_spans] < np.minimum(high[open_spans], end - WINDOW_OCTETS)]
        if not len(open_spans):
            break
        found, is_there = _first_in_window(octets, at[open_spans], telling)
        at[open_spans] = found
        hit = open_spans[is_there]
        looks_right[hit] = _in_a_row(buffer, at[hit] - place, start, end, chain)
        open_spans = open_spans[~looks_right[open_spans]]
        at[open_spans] += 1
    return at[looks_right] - place


def _first_in_window(octets: NDArray[np.uint8], at: Offsets, telling: NDArray[np.uint8]) -> tuple[Offsets, Mask]:
    """Return the first place from each of these on, within WINDOW_OCTETS, where `telling` stands, and if one does.

    Where it does not, the last place that was looked at.
    """
    window = gathered(octets, at, WINDOW_OCTETS)
    places = WINDOW_OCTETS - len(telling) + 1
    is_it = window[:, :places] == telling[0]
    for number in range(1, len(telling)):
        is_it &= window[:, number : number + places] == telling[number]
    first = is_it.argmax(axis=1)
    is_there: Mask = is_it[np.arange(len(at)), first]
    return at + np.where(is_there, first, places - 1), is_there


def _in_a_row(buffer: bytearray, at: Offsets, start: int, end: int, chain: Chain) -> Mask:
    """Tell of each place whether several records in a row that begin there have fields that can be."""
    words = words_of(buffer, end, chain.byte_order)
    right = np.ones(len(at), np.bool_)
    for _ in range(PLAUSIBLE_RECORDS):
        right &= at + chain.header_octets <= end
        at = np.where(right, at, start)
        right &= chain.can_be(words, at, end)
        at = chain.ends(words, at)
    return right


def words_of(buffer: bytearray, end: int, byte_order: str) -> Words:
    """Return the 32-bit word at each place: an overlapping view, to be indexed only (np.take would copy all of it)."""
    return np.ndarray((end - 3,), f"{byte_order}u4", buffer, 0, (1,))


def walk_in_step(
    buffer: bytearray, starts: Offsets, end: int, chain: Chain
) -> tuple[Offsets, Offsets, Offsets, NDArray[np.bool_]]:
    """Follow the chain from all `starts` together, each to the first record at or after the next start.

    Returns the starts, where each walk ended, and a matrix of offsets (one row per walk) with its mask of valid ones.
    """
    limits = np.append(starts[1:], end - chain.header_octets + 1)
    lengths = words_of(buffer, end, chain.byte_order)[chain.length_at :]
    padding, last = chain.padding, np.array(len(lengths) - 1)
    added = np.full(len(starts), chain.added + padding)  # numpy takes as long to make an array of a number as to add it
    most_steps = int((limits - starts).max()) // max(chain.smallest + chain.added, 1) + 2
    positions, steps = starts, [starts]
    while len(steps) <= most_steps:
        # All go on until the last has come to its limit: to hold the others back would cost more.
        positions = positions + lengths[np.minimum(positions, last)]
        positions += added
        if padding:
            positions &= ~padding
        steps.append(positions)
        if len(steps) % 16 == 0 and (positions >= limits).all():
            break
    matrix = np.array(steps).T
    valid = matrix < limits[:, None]
    ended = np.minimum(np.count_nonzero(valid, axis=1), len(steps) - 1)
    return starts, matrix[np.arange(len(starts)), ended], matrix, valid


def _stitch(
    buffer: bytearray, end: int, chain: Chain, starts: Offsets, ends: Offsets, matrix: Offsets, valid: NDArray[np.bool_]
) -> Offsets:
    """Join the walks that meet; walk plainly from where one missed the next start until a later start is hit.

    Payload can be made to look like records everywhere. So of starts that are missed in a row, each has twice as many
    passed over as the one before it.
    """
    if (ends[:-1] == starts[1:]).all():
        return matrix[valid]
    pieces: list[Offsets] = []
    offset, span, doubt = int(starts[0]), 0, 0
    while span < len(starts):
        if starts[span] == offset:
            pieces.append(matrix[span][valid[span]])
            offset, span, doubt = int(ends[span]), span + 1, 0
            continue
        span = int(np.searchsorted(starts, offset))
        if span < len(starts) and starts[span] == offset:
            continue
        until = int(starts[span + doubt]) if span + doubt < len(starts) else end
        doubt = 2 * doubt + 1
        plain = walk_plainly(buffer, offset, until, end, chain)
        pieces.append(np.array(plain, np.int64))
        after = chain.record_end(buffer, plain[-1]) if plain else None
        if after is None or after < until:
            break
        offset = after
    return np.concatenate(pieces)


def _whole(buffer: bytearray, offsets: Offsets, start: int, end: int, chain: Chain) -> Offsets:
    """Cut `offsets` before the first record that is broken or cut; plainly if in doubt."""
    # The length of every record but the last is also the way to the next one, which needs no look at the buffer.
    length = np.diff(offsets) - chain.added
    if len(length) and (length.max() > chain.longest or length.min() < chain.smallest):
        return np.array(walk_plainly(buffer, start, end, end, chain), np.int64)
    while len(offsets):
        after = chain.record_end(buffer, int(offsets[-1]))
        if after is not None and after <= end:
            break
        offsets = offsets[:-1]
    return offsets
