"""Which rows of two connections are drawn beside each other, if both ladders are.

In: a `Difference`. Out: lines of two places. Equal rows stand beside each other; between them, rows of the same sender.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from difflib import SequenceMatcher

from handshake_inspect.compared.difference import Difference
from handshake_inspect.compared.normal import traits

#: Rows of each behind the first inequality that are put beside each other; nobody looks at more.
ROWS_MAX = 200


@dataclass(frozen=True)
class Line:
    """The places of a row of A and of one of B; None: there is none."""

    a: int | None
    b: int | None
    is_same: bool = False


def aligned(found: Difference) -> list[Line]:
    """Return the lines in which the rows of both connections stand beside each other."""
    a, b = ([traits(row) for row in one.rows] for one in (found.a, found.b))
    equal = next((n for n, (one, other) in enumerate(zip(a, b, strict=False)) if one != other), min(len(a), len(b)))
    lines = [Line(place, place, is_same=True) for place in range(equal)]
    rest = range(equal, min(len(a), equal + ROWS_MAX)), range(equal, min(len(b), equal + ROWS_MAX))
    for are_equal, of_a, of_b in _blocks(a, b, *rest):
        if are_equal:
            lines += [Line(one, other, is_same=True) for one, other in zip(of_a, of_b, strict=True)]
            continue
        for are_paired, some_a, some_b in _blocks([row[0] for row in a], [row[0] for row in b], of_a, of_b):
            if are_paired:
                lines += [Line(one, other) for one, other in zip(some_a, some_b, strict=True)]
            else:
                lines += [Line(one, None) for one in some_a] + [Line(None, other) for other in some_b]
    return lines


def parting(found: Difference, lines: Sequence[Line]) -> int:
    """Return the line of the first difference; else of the first row that only one has, or the end of the lines."""
    if found.parted is None:
        return next((number for number, line in enumerate(lines) if not line.is_same), len(lines))
    at_a, at_b = found.parted
    behind = (
        number
        for number, line in enumerate(lines)
        if (line.a is not None and line.a >= at_a) or (line.b is not None and line.b >= at_b)
    )
    return next(behind, len(lines))


def _blocks(a: Sequence[object], b: Sequence[object], of_a: range, of_b: range) -> Iterator[tuple[bool, range, range]]:
    """Cut these places of both into blocks, in order: equal ones, of equal length, and different ones."""
    matcher = SequenceMatcher(None, [a[n] for n in of_a], [b[n] for n in of_b], autojunk=False)
    for operation, begin_a, end_a, begin_b, end_b in matcher.get_opcodes():
        yield operation == "equal", of_a[begin_a:end_a], of_b[begin_b:end_b]
