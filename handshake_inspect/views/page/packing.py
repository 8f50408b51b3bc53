"""Ladders, packed: those of equal behaviour differ in their numbers alone, so that their markup stands once.

In: markup, ladder by ladder. Out: *shapes*, which are markup without its numbers, and for each ladder which shape it
has and the numbers that go into it. Ten thousand ladders are 90 MB of markup; packed so they are 2 MB, deflated alone
7. The page's script (`js/ladder.js`) puts both together again, and knows nothing of what they show.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from markupsafe import Markup

from handshake_inspect.views.page.embedded import packed

#: Where a number goes. No markup holds it: whatever is printed is printable.
SLOT = "\0"
#: Stands before each of several texts: what no markup holds, and what is no number.
_BEFORE = "\1 "
#: Shapes that are unpacked together.
SHAPES_IN_BLOCK = 32


class Packed(NamedTuple):
    """A part of all ladders, as it stands in the page."""

    #: "ladders-0", "shapes-3".
    id: str
    data: Markup


@dataclass(frozen=True)
class Parted:
    """Some ladders, split into shapes and numbers."""

    #: Each once, in order of first appearance.
    shapes: list[str]
    #: Of each ladder: which of the shapes it has, and its numbers, joined by commas.
    ladders: list[tuple[int, str]]


def parted(ladders: Iterable[str]) -> Parted:
    """Split markup into shapes and numbers."""
    known: dict[bytes, int] = {}
    apart = zip(*_apart(list(ladders)), strict=True)
    found = [(known.setdefault(shape, len(known)), numbers.decode()) for shape, numbers in apart]
    return Parted([shape.decode() for shape in known], found)


def _apart(texts: Sequence[str]) -> tuple[list[bytes], list[bytes]]:
    """Return each text with SLOT for each number in it, and these numbers, with commas between them.

    All texts at once: a regular expression takes 100 µs for one of 9 kB, this 15.
    """
    octets = np.frombuffer(_BEFORE.join(["", *texts]).encode(), np.uint8).copy()
    is_digit = octets - np.uint8(ord("0")) < 10
    begins = np.flatnonzero(is_digit[1:] & ~is_digit[:-1]) + 1
    commas = octets.copy()
    commas[begins - 1] = ord(",")
    is_digit[begins - 1] = True
    numbers = commas[is_digit | (octets == ord(_BEFORE[0]))].tobytes()
    octets[begins] = ord(SLOT)
    shapes = octets.tobytes().translate(None, b"0123456789")
    return shapes.split(_BEFORE.encode())[1:], [one[1:] for one in numbers.split(_BEFORE[0].encode())[1:]]


def merged(parts: Sequence[Parted], which: Iterable[int]) -> Parted:
    """Put the ladders of several parts in one order. `which`: of which part each is the next."""
    known: dict[str, int] = {}
    rest = [iter(part.ladders) for part in parts]
    found = []
    for number in which:
        shape, numbers = next(rest[number])
        found.append((known.setdefault(parts[number].shapes[shape], len(known)), numbers))
    return Parted([*known], found)


def packed_parts(parts: Iterable[Parted]) -> Iterator[Packed]:
    """Pack ladders and the shapes of all of them, each of which stands once, numbered by first appearance."""
    known: dict[str, int] = {}
    waiting: list[str] = []
    for number, part in enumerate(parts):
        for shape in part.shapes:
            if shape not in known:
                known[shape] = len(known)
                waiting.append(shape)
        place = [known[shape] for shape in part.shapes]
        yield Packed(f"ladders-{number}", packed([[place[shape], numbers] for shape, numbers in part.ladders]))
        while len(waiting) >= SHAPES_IN_BLOCK:
            yield _block(len(known) - len(waiting), waiting[:SHAPES_IN_BLOCK])
            del waiting[:SHAPES_IN_BLOCK]
    if waiting:
        yield _block(len(known) - len(waiting), waiting)


def _block(first: int, shapes: Sequence[str]) -> Packed:
    return Packed(f"shapes-{first // SHAPES_IN_BLOCK}", packed(shapes))
