"""TCP option lists in columns: timestamps of every segment, and the option lists of SYNs and of segments with SACK.

In: rows of octets that begin with the list. Out: TSval, TSecr (RFC 7323 §3.2) and numbers of `Names.options`. Lists are
parsed once per layout, not once per segment: lists with kinds and lengths at the same offsets have the same layout.

A list has whole words (RFC 9293 §3.1, data offset). One that the capture cut off must not look complete: if whole words
remain, CUT is appended, the beginning of an option without its further octets.
"""

from __future__ import annotations

from collections.abc import Callable
from struct import Struct
from typing import Any

import numpy as np
from numpy.typing import NDArray

from handshake_inspect.capture.headers.layers import field_of
from handshake_inspect.plain import mutable, plain
from handshake_inspect.table import OptionLists

END, NO_OPERATION, SACK, TIMESTAMPS = 0, 1, 5, 8
TIMESTAMPS_OCTETS = 10
#: The shortest option that has a length: its kind and that.
SHORTEST_OCTETS = 2
TWO_WORDS = Struct(">II")
#: NOP, NOP, timestamps, length 10: the beginning of nearly every segment with timestamps (RFC 7323, appendix A).
ORDINARY = np.frombuffer(bytes([NO_OPERATION, NO_OPERATION, TIMESTAMPS, TIMESTAMPS_OCTETS]), np.uint32)[0]
ORDINARY_OCTETS = 12
#: Longest option list: the data offset counts at most 15 words, five of which are the header.
LONGEST_OCTETS = 40
#: Octets of a word; and the kind (RFC 6994: experiments) appended to a list that was cut off at the end of a word.
WORD_OCTETS, CUT = 4, 254
#: Octets of the words in which lists are compared.
WORDS_OCTETS = 8
#: Layouts that are tried on all rows of a slice before the remaining rows are parsed one by one.
MOST_LAYOUTS = 16


@mutable
class OptionColumns:
    """One entry per segment; see `SegmentTable`."""

    timestamp_value: NDArray[np.uint32]
    timestamp_echo: NDArray[np.uint32]
    has_timestamps: NDArray[np.bool_]
    options: NDArray[np.uint32]


@plain
class ListLayout:
    """The positions of the parts of an option list."""

    #: Offsets of its kinds and lengths.
    structure: list[int]
    #: Offset of its timestamps option.
    timestamps: int | None = None
    #: Position of the blocks of its SACK option, as far as they were captured (RFC 2018 §3).
    blocks: slice | None = None


def layout(octets: bytes) -> ListLayout:
    """Parse an option list, up to the end-of-list option, an invalid length, or the last octet."""
    timestamps: int | None = None
    blocks: slice | None = None
    structure: list[int] = []
    at = 0
    while at < len(octets):
        kind = octets[at]
        structure.append(at)
        if kind == END:
            break
        if kind == NO_OPERATION:
            at += 1
            continue
        if at + 1 >= len(octets):
            break
        structure.append(at + 1)
        length = octets[at + 1]
        if kind == SACK and blocks is None:
            blocks = slice(at + 2, max(at + 2, min(at + length, len(octets))))
        if length < 2 or at + length > len(octets):
            break
        if kind == TIMESTAMPS and length == TIMESTAMPS_OCTETS and timestamps is None:
            timestamps = at
        at += length
    return ListLayout(structure, timestamps, blocks)


def read_options(
    begin: NDArray[np.uint8],
    option_octets: NDArray[np.int64],
    captured_octets: NDArray[np.int64],
    is_syn: NDArray[np.bool_],
    lists_of: Callable[[NDArray[np.int64]], NDArray[np.uint8]],
    numbers: OptionLists,
) -> OptionColumns:
    """Read the option lists of segments.

    `begin` has their first 12 octets, `option_octets` the length of each list, and `captured_octets` how many of these
    octets were captured. `lists_of` copies LONGEST_OCTETS of the given rows. Lists of SYNs, and lists with SACK, get a
    number in `numbers`.
    """
    count, whole = len(begin), option_octets
    option_octets = np.minimum(whole, captured_octets)
    ordinary = (field_of(begin, "=u4", 0) == ORDINARY) & (option_octets >= ORDINARY_OCTETS)
    value, echo = (_where(ordinary, field_of(begin, ">u4", place)) for place in (4, 8))
    columns = OptionColumns(value, echo, ordinary, np.zeros(count, np.uint32))
    has_more = (option_octets > ORDINARY_OCTETS) | (~ordinary & (option_octets >= SHORTEST_OCTETS))
    rows = np.flatnonzero(has_more | (is_syn & (whole > 0)))
    if len(rows):
        lists = lists_of(rows)
        octets = np.maximum(option_octets[rows], 0)
        cut = np.flatnonzero(octets < whole[rows])
        cut = cut[octets[cut] % WORD_OCTETS == 0]
        lists[cut, octets[cut]] = CUT
        octets[cut] += 1
        _read_rest(lists, rows, octets, is_syn, numbers, columns)
    return columns


def _where(ordinary: NDArray[np.bool_], values: NDArray[Any]) -> NDArray[np.uint32]:
    """Return the values of ordinary lists, 0 for the others."""
    if not ordinary.any():
        return np.zeros(len(values), np.uint32)
    column: NDArray[np.uint32] = values.astype(np.uint32)
    return column if ordinary.all() else column * ordinary


def _read_rest(
    lists: NDArray[np.uint8],
    rows: NDArray[np.int64],
    octets: NDArray[np.int64],
    is_syn: NDArray[np.bool_],
    numbers: OptionLists,
    columns: OptionColumns,
) -> None:
    """Parse the lists that are not ordinary, or are longer, those of one layout together."""
    pending = np.arange(len(rows))
    for _ in range(MOST_LAYOUTS):
        if not len(pending):
            return
        first, length = lists[pending[0]], octets[pending[0]]
        found = layout(first[:length].tobytes())
        everything = len(pending) == len(lists)
        still = lists if everything else lists[pending]
        same = (octets if everything else octets[pending]) == length
        for place in found.structure:
            same &= still[:, place] == first[place]
        if everything and same.all():
            _take(lists, rows, int(length), found, is_syn, numbers, columns)
            return
        chosen, pending = pending[same], pending[~same]
        _take(still[same], rows[chosen], int(length), found, is_syn, numbers, columns)
    for one, row, length in zip(pending.tolist(), rows[pending].tolist(), octets[pending].tolist(), strict=True):
        _take_one(lists[one, :length].tobytes(), row, is_syn, numbers, columns)


def _take_one(octets: bytes, row: int, is_syn: NDArray[np.bool_], numbers: OptionLists, columns: OptionColumns) -> None:
    """Fill the columns of one row: this takes 2 us, and 7 us as an array of one list."""
    found = layout(octets)
    if found.timestamps is not None:
        columns.timestamp_value[row], columns.timestamp_echo[row] = TWO_WORDS.unpack_from(octets, found.timestamps + 2)
        columns.has_timestamps[row] = True
    columns.options[row] = number_of(octets, found, numbers, is_syn=bool(is_syn[row]))


def number_of(octets: bytes, found: ListLayout, numbers: OptionLists, *, is_syn: bool) -> int:
    """Return the number of the option list of one segment; 0 if it is no SYN and has no SACK."""
    if not is_syn and found.blocks is None:
        return 0
    told = bytearray(octets)
    if found.timestamps is not None:
        told[found.timestamps + 2 : found.timestamps + TIMESTAMPS_OCTETS] = bytes(TIMESTAMPS_OCTETS - 2)
    if not is_syn and found.blocks is not None and numbers.leave_out_blocks:
        told[found.blocks] = bytes(found.blocks.stop - found.blocks.start)
    return numbers.number(bytes(told))


def _take(
    lists: NDArray[np.uint8],
    rows: NDArray[np.int64],
    length: int,
    found: ListLayout,
    is_syn: NDArray[np.bool_],
    numbers: OptionLists,
    columns: OptionColumns,
) -> None:
    """Fill the columns of `rows`, whose `lists` have one layout and one length."""
    timestamps, blocks = found.timestamps, found.blocks
    if timestamps is not None:
        columns.timestamp_value[rows] = field_of(lists, ">u4", timestamps + 2)
        columns.timestamp_echo[rows] = field_of(lists, ">u4", timestamps + 6)
        columns.has_timestamps[rows] = True
        field_of(lists, "u8", timestamps + 2)[:] = 0
    syn = is_syn[rows]
    if syn.any():
        all_syn = bool(syn.all())
        columns.options[rows if all_syn else rows[syn]] = _number(lists if all_syn else lists[syn], length, numbers)
    if blocks is not None and not syn.all():
        if numbers.leave_out_blocks:
            lists[:, blocks] = 0
        columns.options[rows[~syn]] = _number(lists[~syn], length, numbers)


def _number(lists: NDArray[np.uint8], length: int, numbers: OptionLists) -> Any:
    """Return the number in `numbers` of each of `lists`, using the first `length` octets."""
    needed = -(-length // WORDS_OCTETS)
    lists[:, length : needed * WORDS_OCTETS] = 0  # these octets are payload
    words = lists.view(np.uint64)[:, :needed]
    # Comparing column by column takes a quarter of the time of comparing all at once; one list needs no comparison.
    if len(lists) == 1 or all((column == column[0]).all() for column in words.T):
        return numbers.number(lists[0, :length].tobytes())
    factors = np.array([0x9E3779B97F4A7C15, 0xC2B2AE3D27D4EB4F, 0x165667B19E3779F9, 0xD6E8FEB86659FD93, 1], np.uint64)
    hashes = (words * factors[:needed]).sum(axis=1, dtype=np.uint64)
    _, first, which = np.unique(hashes, return_index=True, return_inverse=True)
    if not (words[first][which] == words).all():  # two lists with one hash
        return [numbers.number(one[:length].tobytes()) for one in lists]
    return np.array([numbers.number(lists[row, :length].tobytes()) for row in first.tolist()], np.uint32)[which]
