"""One line per segment with both states, per ICMP error, and per TIME-WAIT that is over: what `sniff` prints.

In: a connection, something that happened to it, and the states before. Out: styled text; the originator stands on the
left, and a state that has changed stands out. Where there is no width to fit to, a line is complete in itself; on a
terminal the addresses stand once, above the first segment of their stream.
"""

from __future__ import annotations

from collections.abc import Iterator

from rich.text import Text

from handshake_inspect.connections.connection import Connection, End, IcmpError, Pair, StateAt, Step, TimeWait
from handshake_inspect.tcp.time_wait import profile_of
from handshake_inspect.views.escape import printable
from handshake_inspect.views.icmp_lines import details, label
from handshake_inspect.views.ladder_cells import closed_window
from handshake_inspect.views.ladder_layout import STATE, hanging, pad
from handshake_inspect.views.ladder_states import CLOSING_STYLE, STATE_STYLES, sign_of, state_text
from handshake_inspect.views.segment_words import sack_words
from handshake_inspect.views.words import time_of_day

#: What gets a line: a segment, an ICMP error that quotes one, a TIME-WAIT at its end.
Happening = Step | IcmpError | TimeWait
#: Narrower terminals get times of day in milliseconds.
WIDTH_FOR_MICROSECONDS = 100
#: A segment stands beside the states if it has this much room, else below them.
SEGMENT_MIN = 24


def time_of(happening: Happening) -> int:
    """Return when it happened, nanoseconds since the Unix epoch."""
    return happening.earliest_end_ns if isinstance(happening, TimeWait) else happening.time_ns


def segment_line(
    connection: Connection, happening: Happening, *, before: Pair[StateAt] | None = None, where: str = ""
) -> Text:
    """Return the line: time of day, stream, originator, its state, direction, responder, its state, segment.

    `before`: the states after the segment before, if that was printed. `where`: the interface, if there are several.
    """
    left, right = _states(happening, before)
    line = Text(f"{time_of_day(time_of(happening), 'local')} {connection.stream:>4}  ")
    line.append(f"{where}  " if where else "").append(f"{connection.originator} ").append_text(pad(left, STATE))
    line.append_text(_direction(happening))
    line.append(f"{connection.responder} ").append_text(pad(right, STATE))
    return line.append("  ").append_text(_said(happening))


def fitted_lines(
    connection: Connection,
    happening: Happening,
    width: int,
    *,
    before: Pair[StateAt] | None = None,
    first: bool,
    where: str = "",
) -> Iterator[Text]:
    """Yield the same for a terminal of `width`; `first`: nothing of this stream was printed yet."""
    time = time_of_day(time_of(happening), "local")
    begin = f"{time if width >= WIDTH_FOR_MICROSECONDS else time[:-3]} {connection.stream:>3}  "
    if first:
        names = Text(f"{connection.originator} → {connection.responder}", "bold")
        names.append(f"  {where}" if where else "", "dim")
        yield from hanging(Text(f"{connection.stream:>{len(begin) - 2}}  "), names, width)
    left, right = _states(happening, before)
    line = Text(begin).append_text(pad(left, STATE)).append_text(_direction(happening))
    line.append_text(pad(right, STATE)).append("  ")
    if width - line.cell_len < SEGMENT_MIN:
        line.rstrip()
        yield line
        line = Text(" " * len(begin))
    yield from hanging(line, _said(happening), width)


def _direction(happening: Happening) -> Text:
    if isinstance(happening, TimeWait):
        return Text("   ")
    to_right = happening.quotes == "responder" if isinstance(happening, IcmpError) else happening.sender == "originator"
    return Text(" → " if to_right else " ← ", "bold")


def _states(happening: Happening, before: Pair[StateAt] | None) -> tuple[Text, Text]:
    """Return both states after it; an ICMP error moves none, the end of TIME-WAIT its owner's only."""
    if isinstance(happening, IcmpError):
        return Text(), Text()
    if isinstance(happening, TimeWait):
        closed, other = _state(StateAt("CLOSED", "timer"), None), Text()
        return (closed, other) if happening.owner == "originator" else (other, closed)

    def shown(end: End) -> Text:
        return _state(happening.states[end], before[end] if before is not None else None)

    return shown("originator"), shown("responder")


def _state(now: StateAt, before: StateAt | None) -> Text:
    """Return a state: if it has changed on a ground of its colour, or underlined if that is assumed; else faint."""
    if now.state is None:
        return Text("-")
    text, sign = state_text(now), sign_of(now)
    if before is None or before.state != now.state:
        style = STATE_STYLES.get(now.state, CLOSING_STYLE)
        return Text.assemble((now.state, f"{style} {'underline' if sign else 'reverse'}"), sign)
    return Text(text.plain, "dim") if sign_of(before) == sign else text


def _said(happening: Happening) -> Text:
    if isinstance(happening, TimeWait):
        return Text(f"2MSL over ({profile_of(happening.profile).assumption})", "dim")
    if isinstance(happening, IcmpError):
        return Text(", ").join([label(happening), *details(happening, "symbolic")])
    return _segment(happening)


def _segment(step: Step) -> Text:
    """Return the segment, and what is wrong with it."""
    line = Text().append(step.flags or "no control bits", "bold").append(f" seq={step.symbolic_seq}")
    if step.symbolic_ack is not None:
        line.append(f" ack={step.symbolic_ack}")
    if step.payload_octets:
        line.append(f" len={step.payload_octets}")
    if said := sack_words(step, "symbolic"):
        line.append(f" {said}")
    line.append_text(closed_window(step))
    if step.retransmission:
        line.append(" again", "yellow")
    for number in step.arithmetic:
        if number.holds is False:
            line.append(f"  {printable(str(number))}", "red")
    if step.ignored is not None:
        line.append(f"  ignored: {printable(step.ignored)}", "red")
    return line
