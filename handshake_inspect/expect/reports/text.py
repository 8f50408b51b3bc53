"""For people: a line for each expectation that is not met, the ladders that show why, and a sum at the end.

In: captures that were checked. Out: lines of `rich` text.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from rich.text import Text

from handshake_inspect.expect.checked import CheckedCapture
from handshake_inspect.quantities import counted
from handshake_inspect.views.escape import printable


def capture_lines(capture: CheckedCapture) -> Iterator[Text]:
    """Yield what is not as expected in one capture."""
    for _, _, message in capture.messages():
        yield Text.assemble(("FAILED ", "bold red"), printable(message))
    for check in capture.failed:
        if check.difference:
            yield Text()
            yield from (_difference_line(line) for line in check.difference)
    for ladder in capture.ladders.values():
        yield Text()
        yield from ladder
    undrawn = len(capture.failed_streams) - len(capture.ladders)
    if undrawn > 0:
        which = "ladder" if undrawn == 1 else "ladders"
        yield Text()
        yield Text(
            f"the {which} of {undrawn:,} more: handshake-inspect show {printable(capture.name)} --stream N", "dim"
        )
    if capture.failed:
        yield Text()


def sum_line(captures: Sequence[CheckedCapture]) -> Text:
    """Return how many there were, and how many are not as expected."""
    checked = sum(len(one.looked_at) for one in captures)
    failed = sum(len(one.failed_streams) for one in captures)
    failing = sum(bool(one.failed) for one in captures)
    of_captures = f" in {counted(len(captures), 'capture')}" if len(captures) > 1 else ""
    if not failing:  # where only numbers were expected no connection was looked at
        what = counted(checked, "connection") if checked else counted(sum(one.met for one in captures), "expectation")
        return Text.assemble(("ok", "green"), f": {what}{of_captures}")
    if not failed:
        return Text(f"{counted(failing, 'capture')} of {len(captures):,} failed", "bold red")
    return Text(f"{failed:,} of {checked:,} connections failed{of_captures}", "bold red")


def _difference_line(line: str) -> Text:
    style = {"-": "red", "+": "green", "@": "cyan"}.get(line[:1], "")
    return Text(printable(line), style)
