"""Columns of text: numbers, words and addresses, spelled many at once, and put side by side as lines.

In: numpy arrays, one entry per line. Out: *cells*, arrays of byte strings of one width (dtype S) in UTF-8, and lines
made of them. A NUL in a cell is no octet at all, wherever it stands: it pads a cell to the width of its column, and
`lines` leaves it out. No text of ours holds one: `views.escape.printable` and JSON both write it as an escape.

An f-string for a line of csv takes 2 µs; a line of such cells takes 0.2.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Callable, Iterable, Sequence
from functools import cache
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

Cells = NDArray[np.bytes_]
Integers = NDArray[Any]
Mask = NDArray[np.bool_]
T = TypeVar("T")

#: Digits are looked up four at a time.
GROUP = 10_000
#: How the zeros at the head of a group are spelled: they are there, they are not, or only the last one is.
ZEROS, NO_ZEROS, LAST_ZERO = range(3)


def lines(cells: Iterable[Cells | bytes], separator: bytes = b"") -> bytes:
    """Return the text of all lines, the cells of each side by side; `bytes` stand in every line."""
    separated = [part for cell in cells for part in (cell, separator)]
    return beside(_joined([*separated[:-1], b"\n"])).tobytes().translate(None, b"\0")


def _joined(cells: Iterable[Cells | bytes]) -> list[Cells | bytes]:
    """Put what stands in every line together where it is side by side: each cell is written into all lines."""
    joined: list[Cells | bytes] = []
    for cell in cells:
        if joined and isinstance(cell, bytes) and isinstance(joined[-1], bytes):
            joined[-1] += cell
        else:
            joined.append(cell)
    return joined


def beside(cells: Sequence[Cells | bytes]) -> Cells:
    """Make one cell of several."""
    count = next(len(one) for one in cells if isinstance(one, np.ndarray))
    widths = [f"S{len(one)}" if isinstance(one, bytes) else one.dtype for one in cells]
    line = np.empty(count, [(str(place), width) for place, width in enumerate(widths)])
    for place, one in enumerate(cells):
        line[str(place)] = one
    return line.view(f"S{line.itemsize}")


def where(holds: Mask, cells: Cells, word: bytes) -> Cells:
    """Return the cells where `holds` is true, and `word` elsewhere."""
    return cells if holds.all() else np.where(holds, cells, np.bytes_(word))


def words(values: Sequence[T], number: Integers, spell: Callable[[T], str] = str) -> Cells:
    """Return for each line the value with its number, spelled. Each value that occurs is spelled once."""
    occurring, place = distinct(number)
    texts = [spell(values[one]).encode() for one in occurring.tolist()]
    cells: Cells = np.array(texts, np.bytes_)[place]
    return cells


def is_one(values: Integers | Mask) -> bool:
    """Is one value in all lines?"""
    return bool((values == values[0]).all())


def distinct(number: Integers) -> tuple[Integers, Integers]:
    """Return which numbers occur, rising, and of each one its place among them. Small numbers need no sort."""
    if number.max(initial=0) > len(number):
        return np.unique(number, return_inverse=True)
    occurs = np.bincount(number, minlength=1) > 0
    return np.flatnonzero(occurs), (np.cumsum(occurs) - 1)[number]


def numbers(values: Integers) -> Cells:
    """Spell whole numbers in decimal."""
    return _digits(values) if values.min(initial=0) >= 0 else beside([_signs(values), _digits(_magnitudes(values))])


def seconds(microseconds: Integers) -> Cells:
    """Spell times in microseconds as seconds: "1795243228.188806"."""
    whole, rest = np.divmod(_magnitudes(microseconds), 1_000_000)
    fraction = _digits(rest + 1_000_000)
    fraction.view(np.uint8)[1::8] = ord(".")  # in the place of the leading 1, which has kept the zeros behind it
    return beside([_signs(microseconds), _digits(whole), fraction])


def _signs(values: Integers) -> Cells:
    return np.where(values < 0, b"-", b"")


def _magnitudes(values: Integers) -> NDArray[np.uint64]:
    return np.where(values < 0, -values, values).astype(np.uint64)


def _digits(values: Integers) -> Cells:
    """Spell whole numbers that are not negative, from their last four digits to their first.

    Of numbers that lie close together, as times do, the first groups are equal: these are spelled once.
    """
    most = int(values.max(initial=0))
    least = int(values.min(initial=most))
    places = -(-len(str(most)) // 4)
    differ = next(count for count in range(1, places + 1) if least // GROUP**count == most // GROUP**count)
    head = most // GROUP**differ
    rest: Integers = (values - head * GROUP**differ).astype(np.uint32 if most % GROUP**differ < 1 << 32 else np.uint64)
    digits, zeros = np.empty((len(values), places), np.uint32), ZEROS if head else LAST_ZERO
    if head:
        digits[:, :-differ] = np.frombuffer((b"%d" % head).rjust(4 * (places - differ), b"\0"), np.uint32)
    for place in range(places - 1, places - differ, -1):
        higher = rest // GROUP
        group = (rest - higher * GROUP).astype(np.intp)
        if not head:
            group += np.where(higher == 0, zeros * GROUP, ZEROS * GROUP)
            zeros = NO_ZEROS
        digits[:, place] = _groups()[group]
        rest = higher
    digits[:, -differ] = _groups()[zeros * GROUP :][rest]
    return digits.view(f"S{4 * places}").reshape(-1)


@cache
def _groups() -> NDArray[np.uint32]:
    """Return every group of four digits, spelled in three ways, as the word of its octets: at `zeros * GROUP + group`.

    A word is looked up four times as fast as a byte string of its size.
    """
    group = np.arange(GROUP)[:, None]
    digits = group // (1000, 100, 10, 1) % 10 + ord("0")
    no_zeros, last_zero = (
        np.where(group < (1000, 100, 10, 1), 0, digits),
        np.where(group < (1000, 100, 10, 0), 0, digits),
    )
    return np.concatenate([digits, no_zeros, last_zero]).astype(np.uint8).view(np.uint32).reshape(-1)


def addresses(ip_version: Integers, upper: Integers, lower: Integers) -> Cells:
    """Spell addresses, held as two words of 64 bits, as `ipaddress` does."""
    is_v4 = ip_version == 4
    if is_v4.all():
        return _ipv4(lower)
    # As plain octets: in a byte string numpy looks for its end.
    octets = np.zeros(len(lower), [("v4", "V16"), ("more", "V24")])
    octets["v4"][is_v4] = _ipv4(lower[is_v4]).view("V16")
    cells: Cells = octets.view("S40")
    cells[~is_v4] = _ipv6(upper[~is_v4], lower[~is_v4])
    return cells


def _ipv4(lower: Integers) -> Cells:
    octets = lower.astype(">u4").view(np.uint8).reshape(-1, 4)
    parts = _spelled("%d.", 1 << 8, np.uint32).take(octets)
    parts[:, 3] = _spelled("%d", 1 << 8, np.uint32).take(octets[:, 3])
    return parts.view("S16").reshape(-1)


def _ipv6(upper: Integers, lower: Integers) -> Cells:
    """Spell IPv6 addresses (RFC 5952 §4): groups of 16 bits without their leading zeros, a colon behind each."""
    groups = np.stack([upper, lower], axis=1).astype(">u8").view(">u2").astype(np.uint16)
    parts = _spelled("%x:", 1 << 16, np.uint64)[groups]
    parts[:, 7] = _spelled("%x", 1 << 16, np.uint64)[groups[:, 7]]
    left_out, colons = _left_out()
    zeros = np.packbits(groups == 0, axis=1)[:, 0]
    np.copyto(parts, colons[zeros], where=left_out[zeros])
    narrow = parts.view([("text", "S5"), ("nothing", "V3")])["text"]
    cells: Cells = np.ascontiguousarray(narrow).view("S40").reshape(-1)
    mapped = np.flatnonzero((upper == 0) & (lower >> np.uint64(32) == 0xFFFF))
    cells[mapped] = [str(ipaddress.IPv6Address(int(one))).encode() for one in lower[mapped]]  # else from 3.13 on
    return cells


@cache
def _spelled(how: str, count: int, word: type[np.unsignedinteger[Any]]) -> Integers:
    """Return the first numbers in text, each as the word of its octets (see `_groups`)."""
    octets = np.dtype(word).itemsize
    return np.array([how % number for number in range(count)], f"S{octets}").view(word)


@cache
def _left_out() -> tuple[Mask, NDArray[np.uint64]]:
    """Say which groups are not spelled, and what stands there: of the first longest run of zeros only "::".

    Shapes (256, 8): the first index has a bit for each of the 8 groups that is zero, the highest for the first one.
    """
    left_out, colons = np.zeros((256, 8), np.bool_), np.zeros((256, 8), "S8")
    for zeros in range(256):
        run = max(re.finditer("11+", f"{zeros:08b}"), key=lambda run: len(run.group()), default=None)
        if run is not None:
            left_out[zeros, slice(*run.span())] = True
            colons[zeros, run.start()] = b":" if run.start() else b"::"  # the group before it brings the other one
    return left_out, colons.view(np.uint64)
