"""The names of one part of a run, renumbered as those of the whole run: another process or machine counts by itself.

In: `Names` of a part. Out: a `Renumbering` of its tables.
"""

from __future__ import annotations

from dataclasses import fields
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from handshake_inspect.plain import mutable
from handshake_inspect.table import Names, Table, bounded_number

T = TypeVar("T", bound=Table)
Numbers = NDArray[Any]

#: What the columns refer to that hold numbers of names.
REFERS_TO = {"encapsulation": "encapsulation", "tunnel": "tunnel", "options": "options", "options_elsewhere": "options"}


@mutable
class Renumbering:
    """The numbers in the run, by the numbers in a part. Numbers that are not given stay as they are."""

    encapsulation: Numbers
    tunnel: Numbers
    options: Numbers
    captures: Numbers | None = None

    def of(self, table: T) -> T:
        """Return a table of a part with the numbers of the run."""
        columns = dict(table.columns)
        for name, what in REFERS_TO.items():
            if name in columns:
                columns[name] = getattr(self, what)[columns[name]]
        if self.captures is not None and "capture" in columns:
            columns["capture"] = self.captures[columns["capture"]]
        return type(table)(columns)


def renumbering(own: Names, of_run: Names, captures: Numbers | None = None) -> Renumbering:
    """Number the names of a part in the run; new names get new numbers. `captures`: the numbers of its captures."""
    numbers = {kind.name: numbered(getattr(own, kind.name).values, of_run, kind.name) for kind in fields(Names)}
    return Renumbering(**numbers, captures=captures)


def numbered(values: list[Any], of_run: Names, kind: str) -> NDArray[np.uint32]:
    """Return the numbers in the run of names of one kind."""
    known = getattr(of_run, kind)
    number = known.number if kind == "options" else lambda name: bounded_number(known, name)
    return np.array([number(value) for value in values], np.uint32)
