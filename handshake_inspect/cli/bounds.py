"""Numbers of the command line that have bounds: `[0 to 65535]` in a help, where Click would write `[0<=x<=65535]`.

In: text. Out: a number. What is out of bounds is refused in one line that names them.
"""

from __future__ import annotations

import math
import re
from typing import Any

import click


def in_words(least: float | None, most: float | None, *, least_is_too_little: bool = False) -> str:
    """Return what Click's ranges take, as it stands in a help and behind "is not in the range"."""
    if most is not None:
        return f"{least} to {most}"
    return f"more than {least}" if least_is_too_little else f"{least} or more"


class Whole(click.IntRange):
    """A whole number."""

    name = "integer"

    def _describe_range(self) -> str:
        return in_words(self.min, self.max)


class OneStream(Whole):
    """The number of one connection, where other commands take a list of them (`0,3-5`)."""

    def __init__(self, several: str) -> None:
        super().__init__(min=0)
        #: What to do for several.
        self.several = several

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> int:
        """Read the value of an option. Raises click.BadParameter."""
        if re.fullmatch(r"\d[\d ]*[-,][-,\d ]*", str(value)):
            self.fail(f"{value!r} is a list, and one connection is wanted here: {self.several}", param, ctx)
        return int(super().convert(value, param, ctx))


class Seconds(click.FloatRange):
    """Seconds: FloatRange lets `nan` pass, which is outside of no bounds, and nothing waits for `inf`."""

    name = "number"

    def _describe_range(self) -> str:
        return in_words(self.min, self.max, least_is_too_little=self.min_open)

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> float:
        """Read the value of an option. Raises click.BadParameter."""
        seconds = float(super().convert(value, param, ctx))
        if not math.isfinite(seconds):
            self.fail(f"{value!r} is no number of seconds", param, ctx)
        return seconds


#: 0 is a port too: of a filter, for nothing forbids it on the wire; of a server it leaves the choice to the kernel.
PORT = Whole(0, 65535)
