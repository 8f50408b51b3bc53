"""Pages of the kernel's trace ring buffer, as `per_cpu/cpu*/trace_pipe_raw` gives them: octets -> events.

In: one page, and the layouts that tracefs itself describes: `events/header_page` for pages, an event's `format` file
for its fields. Out: the time and the octets of each event; the value of each field. The compressed event header is that
of <linux/ring_buffer.h> (`events/header_event` describes it). Times are nanoseconds of the instance's clock; the text
form of the same events has neither nanoseconds nor the address of the socket, hence the pages.
"""

from __future__ import annotations

import re
import struct
import sys
from collections.abc import Iterator
from dataclasses import dataclass

# `type_len` of an event header, <linux/ring_buffer.h>
TYPE_LEN_BITS, DELTA_BITS = 5, 27
PADDING, TIME_EXTEND, TIME_STAMP = 29, 30, 31
#: The upper bits of `commit` are flags (RB_MISSED_EVENTS, RB_MISSED_STORED); a page has at most 64 KiB.
COMMIT_OCTETS = 0x3FFFFFFF
MISSED_EVENTS = 1 << 31
#: An absolute time stamp has 59 bits; the upper 5 are those of the page's.
STAMP_BITS = TYPE_LEN_BITS + DELTA_BITS + DELTA_BITS

_FIELD = re.compile(
    r"field:\s*(?P<type>.+?);\s*offset:(?P<offset>\d+);\s*size:(?P<size>\d+);(?:\s*signed:(?P<signed>\d);)?"
)


@dataclass(frozen=True, slots=True)
class Field:
    """Where a field lies, in octets, in a page or in an event."""

    offset: int
    size: int
    signed: bool

    def octets(self, record: bytes) -> bytes:
        """Return its octets."""
        return record[self.offset : self.offset + self.size]

    def number(self, record: bytes) -> int:
        """Return its value, in the byte order of this machine."""
        return int.from_bytes(self.octets(record), sys.byteorder, signed=self.signed)


def parse_format(text: str) -> dict[str, Field]:
    """Return the fields that a `format` or `header_page` file describes, by name."""
    fields = {}
    for found in _FIELD.finditer(text):
        name = found["type"].split()[-1].partition("[")[0].lstrip("*")
        fields[name] = Field(int(found["offset"]), int(found["size"]), found["signed"] == "1")
    return fields


def events_lost(page: bytes, layout: dict[str, Field]) -> bool:
    """Tell whether the kernel dropped events before this page: they came faster than they were read."""
    return bool(layout["commit"].number(page) & MISSED_EVENTS)


def events_of_page(page: bytes, layout: dict[str, Field]) -> Iterator[tuple[int, bytes]]:
    """Yield the time in nanoseconds and the octets of each event of a page."""
    time_ns = layout["timestamp"].number(page)
    at = layout["data"].offset
    end = min(len(page), at + (layout["commit"].number(page) & COMMIT_OCTETS))
    while at + 4 <= end:
        type_len, delta = event_header(page, at)
        if type_len == PADDING and delta == 0:
            return
        at += 4
        if type_len in (TIME_EXTEND, TIME_STAMP):
            (more,) = struct.unpack_from("=I", page, at)
            at += 4
            span = delta | more << DELTA_BITS
            time_ns = time_ns >> STAMP_BITS << STAMP_BITS | span if type_len == TIME_STAMP else time_ns + span
            continue
        time_ns += delta
        length = type_len * 4
        if type_len in (0, PADDING):  # the length stands in a word of its own, and counts it
            (length,) = struct.unpack_from("=I", page, at)
        if type_len == 0:
            yield time_ns, page[at + 4 : at + length]
        elif type_len != PADDING:
            yield time_ns, page[at : at + length]
        at += max(length, 4)


def event_header(page: bytes, at: int) -> tuple[int, int]:
    """Return `type_len` and `time_delta` of the event at an offset: bit fields, so the byte order decides."""
    (word,) = struct.unpack_from("=I", page, at)
    if sys.byteorder == "little":
        return word & (1 << TYPE_LEN_BITS) - 1, word >> TYPE_LEN_BITS
    return word >> DELTA_BITS, word & (1 << DELTA_BITS) - 1
