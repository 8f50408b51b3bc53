"""For people: a line for each failure, the ladders that show why, and a summary at the end.

In: captures that were checked. Out: lines of `rich` text.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice

from rich.text import Text

from handshake_inspect.expect.checked import CheckedCapture, CheckedRun
from handshake_inspect.quantities import counted
from handshake_inspect.views.escape import printable

#: Failures of one capture that are named: nobody reads more.
MOST_MESSAGES = 200
#: Lines that are printed of a difference.
MOST_LINES = 200


def capture_lines(capture: CheckedCapture, ladders: int) -> Iterator[Text]:
    """Yield the failures of one capture, with so many ladders at most."""
    messages = (message for _, _, message in capture.messages())
    for message in islice(messages, MOST_MESSAGES):
        yield Text.assemble(("FAILED ", "bold red"), printable(message))
    more = sum(1 for _ in messages)
    if more:
        yield Text(f"… and {counted(more, 'more failure')}; --format json names them all", "dim")
    for check in capture.failed:
        if check.difference:
            yield Text()
            yield from (_difference_line(line) for line in check.difference[:MOST_LINES])
    for ladder in islice(capture.ladders.values(), ladders):
        yield Text()
        yield from ladder
    undrawn = len(capture.failed_streams) - min(len(capture.ladders), ladders)
    if undrawn > 0:
        which = "ladder" if undrawn == 1 else "ladders"
        yield Text()
        yield Text(
            f"the {which} of {undrawn:,} more: handshake-inspect show {printable(capture.name)} --stream N", "dim"
        )
    if capture.failed:
        yield Text()


def lines(run: CheckedRun, ladders: int) -> Iterator[Text]:
    """Yield the whole report of a run, with so many ladders at most."""
    for capture in run.captures:
        yield from capture_lines(capture, ladders)
        ladders = max(0, ladders - len(capture.ladders))
    if run.captures:
        yield sum_line(run)


def sum_line(run: CheckedRun) -> Text:
    """Return the summary: how many checks there were, and how many failed."""
    captures = len(run.captures)
    of_captures = f" in {counted(captures, 'capture')}" if captures > 1 else ""
    if run.unusable and not run.failed_captures:
        return Text(f"not all could be checked: {counted(run.looked_at, 'connection')}{of_captures} as expected")
    if not run.failed_captures:  # where only numbers were expected no connection was looked at
        what = counted(run.looked_at, "connection") if run.looked_at else counted(run.met, "expectation")
        return Text.assemble(("ok", "green"), f": {what}{of_captures}")
    if not run.failed_connections:
        return Text(f"{counted(run.failed_captures, 'capture')} of {captures:,} failed", "bold red")
    return Text(f"{run.failed_connections:,} of {run.looked_at:,} connections failed{of_captures}", "bold red")


def _difference_line(line: str) -> Text:
    style = {"-": "red", "+": "green", "@": "cyan"}.get(line[:1], "")
    return Text(printable(line), style)
