"""The options at the end of a block: code, length and value (section 3.5 of draft-ietf-opsawg-pcapng).

In: the octets of one block's options, or where those of many blocks stand in a buffer. Out: code and value of each.
What follows a broken option is left out; it does not end the reading.
"""

from __future__ import annotations

import itertools
import struct
from collections.abc import Collection, Iterator

import numpy as np
from numpy.typing import NDArray

from handshake_inspect.capture.formats.pcapng.blocks import Chosen
from handshake_inspect.capture.formats.walk import Offsets
from handshake_inspect.plain import frozen

#: Option codes of all blocks, of section headers, interface descriptions, interface statistics and packets.
OPT_END, OPT_COMMENT = 0, 1
SHB_HARDWARE, SHB_OS, SHB_USERAPPL = 2, 3, 4
IF_NAME, IF_DESCRIPTION, IF_TSRESOL, IF_FILTER, IF_OS, IF_TSOFFSET, IF_HARDWARE = 2, 3, 9, 11, 12, 14, 15
ISB_IFDROP, ISB_OSDROP = 5, 7
EPB_FLAGS, EPB_DROPCOUNT = 2, 4
#: What an option begins with, and a record of names as well, by byte order.
CODE_AND_LENGTH = {order: struct.Struct(order + "HH") for order in "<>"}
#: Of one block no more octets than these are looked at for options and names: a longer list is no list.
MOST_LISTED_OCTETS = 1 << 20
#: So many octets of options are looked at together, which bounds the memory that it takes. Four times as many cost half
#: as much again, for arrays so long are not kept by the allocator: each is made of fresh pages.
OCTETS_TOGETHER = 1 << 20
#: Fewer blocks than these are looked at one by one: numpy has as much to do in a step as the call of it costs.
FEW_BLOCKS = 24


@frozen
class Options:
    """Options of many blocks, ordered by block, and as they stand in each; columns with an entry each."""

    octets: NDArray[np.uint8]
    byte_order: str
    #: Number of the block, as it was asked for.
    block: Offsets
    code: Offsets
    #: Where the value begins, and how many octets it has.
    begin: Offsets
    length: Offsets

    def __len__(self) -> int:
        return len(self.block)

    def __getitem__(self, rows: Chosen) -> Options:
        return Options(
            self.octets, self.byte_order, self.block[rows], self.code[rows], self.begin[rows], self.length[rows]
        )  # fmt: skip

    def of(self, code: int, length: int) -> Options:
        """Return those with this code and this length, which it must have."""
        return self[(self.code == code) & (self.length == length)]

    def texts(self) -> Options:
        """Return the comments that say something."""
        says_something = (self.code == OPT_COMMENT) & (self.length > 0) & (self.octets[self.begin] != 0)
        return self if says_something.all() else self[says_something]

    def value(self, row: int) -> bytes:
        """Return the value of one."""
        begin = int(self.begin[row])
        return self.octets[begin : begin + int(self.length[row])].tobytes()

    def numbers(self, kind: str) -> NDArray[np.int64 | np.uint64]:
        """Return the values as numbers of this kind, as numpy calls it ("u4")."""
        octets = int(kind[1:])
        every: NDArray[np.int64 | np.uint64] = np.ndarray(
            (len(self.octets) - octets + 1,), f"{self.byte_order}{kind}", self.octets, 0, (1,)
        )
        return every[self.begin]


def options_of(octets: bytes, order: str) -> Iterator[tuple[int, bytes]]:
    """Yield the options of a block, code and value; what follows a broken one is left out."""
    for code, begin, length in _follow(memoryview(octets), order, 0, min(len(octets), MOST_LISTED_OCTETS)):
        yield code, octets[begin : begin + length]


def _follow(octets: memoryview, order: str, at: int, end: int) -> Iterator[tuple[int, int, int]]:
    """Yield the options in [at, end): code, where the value begins, its length."""
    unpack = CODE_AND_LENGTH[order].unpack_from
    while at + 4 <= end:
        code, length = unpack(octets, at)
        at += 4
        if code == OPT_END or at + length > end:
            return
        yield code, at, length
        at += length + 3 & ~3


def options_of_many(
    octets: NDArray[np.uint8], order: str, block: Offsets, begin: Offsets, end: Offsets, wanted: Collection[int]
) -> Iterator[Options]:
    """Yield the options of many blocks that have the wanted codes, some blocks at a time.

    `block`: numbers of the blocks, which rise; their options stand in [begin, end).
    """
    some = np.flatnonzero(end - begin >= 4)
    if not len(some):
        return
    block, begin, end = block[some], begin[some], np.minimum(end[some], begin[some] + MOST_LISTED_OCTETS)
    part = np.cumsum(end - begin) // OCTETS_TOGETHER
    cuts = [0, *(np.flatnonzero(np.diff(part)) + 1).tolist(), len(begin)]
    for first, last in itertools.pairwise(cuts):
        yield _together(octets, order, block[first:last], begin[first:last], end[first:last], wanted)


def _together(
    octets: NDArray[np.uint8], order: str, block: Offsets, at: Offsets, end: Offsets, wanted: Collection[int]
) -> Options:
    """Look at the first options of all blocks together, then at the second ones, and so on, while they are many.

    Captures of some systems have options on every packet, but seldom more than one or two.
    """
    halves = np.ndarray((len(octets) - 1,), f"{order}u2", octets, 0, (1,))
    is_wanted = np.zeros(1 << 16, np.bool_)
    is_wanted[list(wanted)] = True
    found: list[tuple[Offsets, ...]] = []
    while len(block) >= FEW_BLOCKS:
        # Behind the last option this may read what follows the block; no option fits there, so it does not count.
        code, length, begin = halves[at].astype(np.int64), halves[at + 2].astype(np.int64), at + 4
        is_there = (code != OPT_END) & (begin + length <= end)
        if not is_there.all():
            whole = np.flatnonzero(is_there)
            block, begin, end, code, length = (one[whole] for one in (block, begin, end, code, length))
        chosen = is_wanted[code]
        columns = block, code, begin, length
        found.append(columns if chosen.all() else tuple(column[chosen] for column in columns))
        at = begin + (length + 3 & ~3)
    one_by_one = [
        (number, *one)
        for number, *range_ in zip(block.tolist(), at.tolist(), end.tolist(), strict=True)
        for one in _follow(octets.data, order, *range_)
        if one[0] in wanted
    ]
    found.append(tuple(np.array(one_by_one, np.int64).reshape(-1, 4).T))
    together = [np.concatenate(column) for column in zip(*found, strict=True)]
    in_order = np.argsort(together[0], kind="stable")
    return Options(octets, order, *(column[in_order] for column in together))
