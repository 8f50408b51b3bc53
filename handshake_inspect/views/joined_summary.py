"""The summary below a table of joined connections: where each capture was taken, the clocks, what was changed.

In: `Joined`, and the numbers of the connections that were listed. Out: wrapped lines.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from rich.text import Text

from handshake_inspect.arrays import Rows
from handshake_inspect.joined.join import Joined
from handshake_inspect.quantities import counted, listed
from handshake_inspect.views.account import paragraphs_as_lines
from handshake_inspect.views.escape import printable
from handshake_inspect.views.joined_account import clocks_apart

#: The two captures, in the table and below it.
FIRST, SECOND = "A", "B"


def joined_summary(joined: Joined, numbers: Rows, width: int) -> Iterator[Text]:
    """Return the lines below the table."""
    paragraphs: list[tuple[str, Iterable[str]]] = [
        ("Places", _places(joined)),
        ("Clocks", _clocks(joined)),
        ("Changed", _changed(joined, numbers)),
    ]
    return paragraphs_as_lines([(heading, list(map(Text, said))) for heading, said in paragraphs], width)


def _places(joined: Joined) -> Iterator[str]:
    first, second = (printable(inspection.captures[0].name) for inspection in joined.inspections)
    yield f"{FIRST} is {first}, {SECOND} is {second}."
    swapped, known = joined.swapped
    if not joined.pairs:
        return
    if not known:
        yield f"{FIRST} near the originators, by the order of the files alone."
        return
    near = "originators" if swapped * 2 <= known else "responders"
    many = max(swapped, known - swapped)
    of = "" if many == known else f" of {many:,} of {known:,} connections"
    yield f"{FIRST} near the {near}{of}, by the times or the TTL."


def _clocks(joined: Joined) -> Iterator[str]:
    offset = joined.offset
    if offset is not None:
        apart = clocks_apart(offset.middle_ns, offset.uncertainty_ns, f"That of {SECOND}", f"that of {FIRST}")
        yield f"{apart}: all connections together tell so."
    elif joined.pairs:
        yield "How far they are apart all connections together do not tell."


def _changed(joined: Joined, numbers: Rows) -> Iterator[str]:
    changed = joined.changed(numbers)
    if changed:
        said = listed([f"{what} of {counted(many, 'connection')}" for what, many in changed.items()])
        yield f"{said[:1].upper()}{said[1:]}."
    elif joined.pairs:
        yield "Nothing, the TTL left out of account: every router lowers it."
