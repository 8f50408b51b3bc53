"""One line per segment with both states, and per ICMP error: what `sniff` prints while connections live.

In: a connection and one of its steps or errors. Out: styled text; the originator stands on the left. Where there is no
width to fit to, a line is complete in itself; on a terminal the addresses stand once, above the first segment of their
stream.
"""

from __future__ import annotations

from collections.abc import Iterator

from rich.text import Text

from handshake_inspect.connections.connection import Connection, IcmpError, StateAt, Step
from handshake_inspect.views.escape import printable
from handshake_inspect.views.icmp_lines import details, label
from handshake_inspect.views.ladder_cells import closed_window
from handshake_inspect.views.ladder_layout import STATE, pad, wrap
from handshake_inspect.views.ladder_states import state_text
from handshake_inspect.views.words import time_of_day

#: Narrower terminals get times of day in milliseconds.
WIDTH_FOR_MICROSECONDS = 100
#: A segment stands beside the states if it has this much room, else below them.
SEGMENT_MIN = 24


def segment_line(connection: Connection, step: Step | IcmpError) -> Text:
    """Return the line: time of day, stream, originator, its state, direction, responder, its state, segment."""
    left, right = _states(step)
    line = Text(f"{time_of_day(step.time_ns, 'local')} {connection.stream:>4}  ")
    line.append(f"{connection.originator} ").append_text(pad(left, STATE))
    line.append_text(_direction(step))
    line.append(f"{connection.responder} ").append_text(pad(right, STATE))
    return line.append("  ").append_text(_said(step))


def fitted_lines(connection: Connection, step: Step | IcmpError, width: int, *, first: bool) -> Iterator[Text]:
    """Yield the same for a terminal of `width`; `first`: nothing of this stream was printed yet."""
    time = time_of_day(step.time_ns, "local")
    begin = f"{time if width >= WIDTH_FOR_MICROSECONDS else time[:-3]} {connection.stream:>3}  "
    if first:
        names = Text(f"{connection.originator} → {connection.responder}", "bold")
        yield from _hanging(Text(f"{connection.stream:>{len(begin) - 2}}  "), names, width)
    left, right = _states(step)
    line = Text(begin).append_text(pad(left, STATE)).append_text(_direction(step))
    line.append_text(pad(right, STATE)).append("  ")
    if width - line.cell_len < SEGMENT_MIN:
        yield line
        line = Text(" " * len(begin))
    yield from _hanging(line, _said(step), width)


def _hanging(begin: Text, rest: Text, width: int) -> Iterator[Text]:
    """Yield `begin` and `rest` on one line; what does not fit goes below, where `rest` begins."""
    start = begin.cell_len
    for number, part in enumerate(wrap(rest, max(width - start, STATE), indent=0)):
        line = Text(" " * start) if number else begin
        yield line.append_text(part)


def _direction(step: Step | IcmpError) -> Text:
    to_right = step.quotes == "responder" if isinstance(step, IcmpError) else step.sender == "originator"
    return Text(" → " if to_right else " ← ", "bold")


def _states(step: Step | IcmpError) -> tuple[Text, Text]:
    """Return both states after a segment; an ICMP error moves none."""
    if isinstance(step, IcmpError):
        return Text(), Text()
    return _known(step.states.originator), _known(step.states.responder)


def _said(step: Step | IcmpError) -> Text:
    if isinstance(step, IcmpError):
        return Text(", ").join([label(step), *details(step, "symbolic")])
    return _segment(step)


def _segment(step: Step) -> Text:
    """Return the segment, and what is wrong with it."""
    line = Text().append(step.flags or "no control bits", "bold").append(f" seq={step.symbolic_seq}")
    if step.symbolic_ack is not None:
        line.append(f" ack={step.symbolic_ack}")
    if step.payload_octets:
        line.append(f" len={step.payload_octets}")
    line.append_text(closed_window(step))
    if step.retransmission:
        line.append(" again", "yellow")
    for number in step.arithmetic:
        if number.holds is False:
            line.append(f"  {printable(str(number))}", "red")
    if step.ignored is not None:
        line.append(f"  ignored: {printable(step.ignored)}", "red")
    return line


def _known(at: StateAt) -> Text:
    return state_text(at) if at.state is not None else Text("-")
