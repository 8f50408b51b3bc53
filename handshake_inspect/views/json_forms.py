"""JSON objects of one form, many at a time: the text that they share, with cells in between.

In: for each form one object, as `contract` makes it, and the cells of all objects by their paths. Out: cells that
together are one object. So the contract stays the only description of the names in an object and their order: it makes
one object for each form, and not one for each connection.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable, Mapping

import numpy as np

from handshake_inspect.cells import Cells, Integers, distinct, words
from handshake_inspect.views.contract import Json

#: What stands in the text of an object where a cell is to stand: a string that no other string can be.
_SLOT = re.compile(r'"\\u0000(.*?)\\u0000"')
#: How many forms are remembered.
MOST_FORMS = 4096

encode = json.JSONEncoder().encode


class Forms:
    """The forms so far, by number."""

    def __init__(self) -> None:
        #: Texts, and between them the paths of cells.
        self._parts: dict[int, list[str]] = {}

    def filled(self, form: Integers, example: Callable[[int], Json], cells: Mapping[str, Cells]) -> list[Cells | bytes]:
        """Return the objects, one for each number in `form`. `example(i)` gives the whole object of line `i`.

        Objects of one form may differ only at the paths for which there are cells.
        """
        if len(self._parts) > MOST_FORMS:
            self._parts.clear()
        occurring, place = distinct(form)
        lines = np.empty(len(occurring), np.int64)
        lines[place] = np.arange(len(place))
        for number, line in zip(occurring.tolist(), lines.tolist(), strict=True):
            if number not in self._parts:
                self._parts[number] = _parts(example(line), cells)
        side_by_side: list[Cells | bytes] = []
        for at, texts in enumerate(zip(*(self._parts[number] for number in occurring.tolist()), strict=True)):
            if at % 2:
                side_by_side.append(cells[texts[0]])
            elif len({*texts}) == 1:
                side_by_side.append(texts[0].encode())
            else:
                side_by_side.append(words(texts, place))
        return side_by_side


def _parts(found: Json, paths: Iterable[str]) -> list[str]:
    """Split the text of an object at these paths."""
    for path in paths:
        *above, name = path.split(".")
        inner = found
        for one in above:
            inner = inner[one]
        inner[name] = f"\0{path}\0"
    return _SLOT.split(encode(found))
