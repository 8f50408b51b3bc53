"""One line per segment with both states: what `sniff` prints while connections live.

In: a connection and one of its steps. Out: a line of styled text; the originator stands on the left.
"""

from __future__ import annotations

from rich.text import Text

from handshake_inspect.connections.connection import Connection, StateAt, Step
from handshake_inspect.views.escape import printable
from handshake_inspect.views.ladder_layout import STATE, pad
from handshake_inspect.views.ladder_states import state_text
from handshake_inspect.views.words import time_of_day


def segment_line(connection: Connection, step: Step) -> Text:
    """Return the line: time of day, stream, originator, its state, direction, responder, its state, segment."""
    to_right = step.sender == "originator"
    line = Text(f"{time_of_day(step.time_ns, 'local')} {connection.stream:>4}  ")
    line.append(f"{connection.originator} ").append_text(pad(_known(step.states.originator), STATE))
    line.append(" → " if to_right else " ← ", "bold")
    line.append(f"{connection.responder} ").append_text(pad(_known(step.states.responder), STATE))
    line.append(f"  {step.flags or 'no control bits'}", "bold").append(f" seq={step.symbolic_seq}")
    if step.symbolic_ack is not None:
        line.append(f" ack={step.symbolic_ack}")
    if step.payload_octets:
        line.append(f" len={step.payload_octets}")
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
