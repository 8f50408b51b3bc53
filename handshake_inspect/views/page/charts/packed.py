"""The phases of many connections in few octets, for the page's script: 10,000 connections take 0.3 MB.

In: phases, and the streams on the page. Out: base64 of deflated octets: columns of variable-length numbers (seven bits
an octet, the lowest first, the eighth bit: more follow), one behind the other; `timeline-phases.js` reads them. All
times are in ns, and small: differences from what is before.
"""

from __future__ import annotations

import base64
import zlib

import numpy as np
from numpy.typing import NDArray

from handshake_inspect.arrays import Rows
from handshake_inspect.connections.model import Connections
from handshake_inspect.connections.over_time.phases import Phases
from handshake_inspect.sets import consecutive

#: Bits of a phase: it went on when its capture ended, it did at the last frame of all, it counts as given up.
GOES_ON, REACHES_THE_END, GIVEN_UP = 1 << 3, 1 << 4, 1 << 5
#: Octets that a number of 64 bits takes at most.
LONGEST = 10


def packed_phases(connections: Connections, phases: Phases, streams: Rows) -> str:
    """Pack these streams, rising. Their phases follow on each other, so that a begin and durations are enough.

    How many streams; then columns: the stream, as distance from the one before; when its first segment came, as
    distance from that of the one before (zigzag: doubled, and -1, -2 ... are 1, 3 ...); how long until its last; how
    many phases it has. Then of all phases: what they are, with the bits above; how long after the end of the one before
    each begins, the first after the first segment; how long they last.
    """
    rows = connections.rows_of(streams)
    table = phases.table
    first, last = np.searchsorted(table["connection"], rows), np.searchsorted(table["connection"], rows, "right")
    count = last - first
    at = consecutive(first, count)
    first_ns = connections.verdicts.table["first_ns"][rows]
    lasted = np.maximum(connections.verdicts.table["last_ns"][rows] - first_ns, 0)
    moved = np.diff(first_ns, prepend=phases.captured_ns[0])
    begin, end = table["begin_ns"][at], table["end_ns"][at]
    columns = [
        np.diff(streams, prepend=0),
        np.where(moved < 0, -2 * moved - 1, 2 * moved),
        lasted,
        count,
        table["phase"][at]
        + GOES_ON * table["goes_on"][at]
        + REACHES_THE_END * phases.reach_the_end(at)
        + GIVEN_UP * table["given_up"][at],
        np.maximum(begin - _before(begin, end, np.repeat(first_ns, count), count), 0),
        end - begin,
    ]
    head = numbers(np.array([len(streams)], np.uint64)).tobytes()
    octets = head + b"".join(numbers(column.astype(np.uint64)).tobytes() for column in columns)
    squeezed = zlib.compressobj(6, wbits=-zlib.MAX_WBITS)
    return base64.b64encode(squeezed.compress(octets) + squeezed.flush()).decode()


def _before(begin: Rows, end: Rows, first_ns: Rows, count: Rows) -> Rows:
    """Return what each phase follows on: the end of the one before, or the first segment."""
    before = np.append(0, end)[: len(begin)]
    starts = (np.cumsum(count) - count)[count > 0]
    before[starts] = first_ns[starts]
    return before


def numbers(values: NDArray[np.uint64]) -> NDArray[np.uint8]:
    """Return numbers in as few octets as each needs."""
    parts = values[:, None] >> (np.arange(LONGEST, dtype=np.uint64) * np.uint64(7))
    needed = np.maximum((parts > 0).sum(axis=1), 1)
    octets = (parts & np.uint64(127)).astype(np.uint8)
    place = np.arange(LONGEST)
    octets |= np.where(place < (needed - 1)[:, None], np.uint8(128), np.uint8(0))
    found: NDArray[np.uint8] = octets[place < needed[:, None]]
    return found
