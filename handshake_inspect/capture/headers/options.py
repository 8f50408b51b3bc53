"""TCP option lists in columns: timestamps of every segment, and which option list a SYN has.

In: rows of octets that begin with the list. Out: TSval, TSecr (RFC 7323 §3.2) and numbers of
`Names.options`. Lists are walked once per layout, not once per segment: two lists whose kinds and lengths stand at
the same places have the same layout.

A list is whole words (RFC 9293 §3.1, data offset). One that the capture cut must not look like a whole one: if what is
left of it is whole words, it ends with CUT, the beginning of an option of which nothing more is there.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from struct import Struct
from typing import Any

import numpy as np
from numpy.typing import NDArray

from handshake_inspect.capture.headers.layers import field_of
from handshake_inspect.table import Numbered

END, NO_OPERATION, TIMESTAMPS = 0, 1, 8
TIMESTAMPS_OCTETS = 10
TWO_WORDS = Struct(">II")
#: NOP, NOP, timestamps, length 10: how nearly every segment with timestamps begins (RFC 7323, appendix A).
ORDINARY = np.frombuffer(bytes([NO_OPERATION, NO_OPERATION, TIMESTAMPS, TIMESTAMPS_OCTETS]), np.uint32)[0]
#: Longest option list: the data offset counts at most 15 words, five of which are the header.
LONGEST_OCTETS = 40
#: Octets of a word; and the kind (RFC 6994: experiments) that stands behind a list which was cut at the end of one.
WORD_OCTETS, CUT = 4, 254
#: Octets of the words in which lists are compared.
WORDS_OCTETS = 8
#: Layouts that are tried on all rows of a slice before the rest is walked row by row.
MOST_LAYOUTS = 16


@dataclass
class OptionColumns:
    """One entry per segment; see `SegmentTable`."""

    timestamp_value: NDArray[np.uint32]
    timestamp_echo: NDArray[np.uint32]
    has_timestamps: NDArray[np.bool_]
    options: NDArray[np.uint32]


def layout(octets: bytes) -> tuple[int | None, list[int]]:
    """Walk an option list. Return where its timestamps option begins, and where its kinds and lengths stand.

    The walk ends at the end-of-list option, at a length that cannot be, and where the octets end.
    """
    timestamps: int | None = None
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
        if length < 2 or at + length > len(octets):
            break
        if kind == TIMESTAMPS and length == TIMESTAMPS_OCTETS and timestamps is None:
            timestamps = at
        at += length
    return timestamps, structure


def read_options(
    begin: NDArray[np.uint8],
    option_octets: NDArray[np.int64],
    captured_octets: NDArray[np.int64],
    is_syn: NDArray[np.bool_],
    lists_of: Callable[[NDArray[np.int64]], NDArray[np.uint8]],
    numbers: Numbered[bytes],
) -> OptionColumns:
    """Read the option lists of segments.

    `begin` has their first 12 octets, `option_octets` says how many each list has, and `captured_octets` how many of
    these were captured. `lists_of` copies LONGEST_OCTETS of some. Lists of SYNs get a number in `numbers`.
    """
    count, whole = len(begin), option_octets
    option_octets = np.minimum(whole, captured_octets)
    ordinary = (field_of(begin, "=u4", 0) == ORDINARY) & (option_octets >= 12)
    value, echo = (_where(ordinary, field_of(begin, ">u4", place)) for place in (4, 8))
    columns = OptionColumns(value, echo, ordinary, np.zeros(count, np.uint32))
    rows = np.flatnonzero((~ordinary & (option_octets >= TIMESTAMPS_OCTETS)) | (is_syn & (whole > 0)))
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
    """Return the values that stand in ordinary lists, 0 for the others."""
    if not ordinary.any():
        return np.zeros(len(values), np.uint32)
    column: NDArray[np.uint32] = values.astype(np.uint32)
    return column if ordinary.all() else column * ordinary


def _read_rest(
    lists: NDArray[np.uint8],
    rows: NDArray[np.int64],
    octets: NDArray[np.int64],
    is_syn: NDArray[np.bool_],
    numbers: Numbered[bytes],
    columns: OptionColumns,
) -> None:
    """Walk the lists that are not ordinary, all of one layout together."""
    pending = np.arange(len(rows))
    for _ in range(MOST_LAYOUTS):
        if not len(pending):
            return
        first, length = lists[pending[0]], octets[pending[0]]
        timestamps, structure = layout(first[:length].tobytes())
        everything = len(pending) == len(lists)
        still = lists if everything else lists[pending]
        same = (octets if everything else octets[pending]) == length
        for place in structure:
            same &= still[:, place] == first[place]
        if everything and same.all():
            _take(lists, rows, int(length), timestamps, is_syn, numbers, columns)
            return
        chosen, pending = pending[same], pending[~same]
        _take(still[same], rows[chosen], int(length), timestamps, is_syn, numbers, columns)
    for one, row, length in zip(pending.tolist(), rows[pending].tolist(), octets[pending].tolist(), strict=True):
        _take_one(lists[one, :length].tobytes(), row, is_syn, numbers, columns)


def _take_one(
    octets: bytes, row: int, is_syn: NDArray[np.bool_], numbers: Numbered[bytes], columns: OptionColumns
) -> None:
    """Fill the columns of one row: to take its list as an array of lists takes 7 us instead of 2."""
    timestamps, _ = layout(octets)
    if timestamps is not None:
        begin, end = timestamps + 2, timestamps + TIMESTAMPS_OCTETS
        columns.timestamp_value[row], columns.timestamp_echo[row] = TWO_WORDS.unpack_from(octets, begin)
        columns.has_timestamps[row] = True
        octets = octets[:begin] + bytes(end - begin) + octets[end:]
    if is_syn[row]:
        columns.options[row] = numbers.number(octets)


def _take(
    lists: NDArray[np.uint8],
    rows: NDArray[np.int64],
    length: int,
    timestamps: int | None,
    is_syn: NDArray[np.bool_],
    numbers: Numbered[bytes],
    columns: OptionColumns,
) -> None:
    """Fill the columns of `rows`, whose `lists` have one layout and one length."""
    if timestamps is not None:
        columns.timestamp_value[rows] = field_of(lists, ">u4", timestamps + 2)
        columns.timestamp_echo[rows] = field_of(lists, ">u4", timestamps + 6)
        columns.has_timestamps[rows] = True
        field_of(lists, "u8", timestamps + 2)[:] = 0
    syn = is_syn[rows]
    if syn.any():
        all_syn = bool(syn.all())
        columns.options[rows if all_syn else rows[syn]] = _number(lists if all_syn else lists[syn], length, numbers)


def _number(lists: NDArray[np.uint8], length: int, numbers: Numbered[bytes]) -> Any:
    """Return the number in `numbers` of each of `lists`, of which the first `length` octets count."""
    needed = -(-length // WORDS_OCTETS)
    lists[:, length : needed * WORDS_OCTETS] = 0  # what stands there is payload
    words = lists.view(np.uint64)[:, :needed]
    # Column by column that takes a quarter of the time of all at once; of one list it is known.
    if len(lists) == 1 or all((column == column[0]).all() for column in words.T):
        return numbers.number(lists[0, :length].tobytes())
    factors = np.array([0x9E3779B97F4A7C15, 0xC2B2AE3D27D4EB4F, 0x165667B19E3779F9, 0xD6E8FEB86659FD93, 1], np.uint64)
    hashes = (words * factors[:needed]).sum(axis=1, dtype=np.uint64)
    _, first, which = np.unique(hashes, return_index=True, return_inverse=True)
    if not (words[first][which] == words).all():  # two lists with one hash
        return [numbers.number(one[:length].tobytes()) for one in lists]
    return np.array([numbers.number(lists[row, :length].tobytes()) for row in first.tolist()], np.uint32)[which]
