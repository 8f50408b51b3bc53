"""The picture of a session over a Unix socket: the calls of both ends, and the wire on which nothing was.

In: the calls, and how many frames were captured meanwhile. Out: lines of `rich` text, laid out as the ladder, whose
lane stays empty. Read unix(7).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from rich.cells import cell_len
from rich.text import Text

from handshake_inspect.quantities import counted, milliseconds
from handshake_inspect.views.account import paragraphs_as_lines
from handshake_inspect.views.escape import printable
from handshake_inspect.views.ladder_calls import SocketCall, call_marks
from handshake_inspect.views.ladder_cells import LadderOptions
from handshake_inspect.views.ladder_layout import Layout, flow_together
from handshake_inspect.views.words import time_of_day

WHY = (
    "the kernel copies what one socket sends into the receive queue of the other. There is no address, no port and no "
    "segment, so there is nothing to sniff; b'' after the other's close() comes without a FIN. `ss -xp` lists such "
    "sockets while they are open, `strace` shows the octets."
)


def unix_lines(
    calls: Sequence[SocketCall], frames: int, *, title: str, where: str, options: LadderOptions
) -> Iterator[Text]:
    """Yield the lines of the picture."""
    marks = call_marks(calls, [], payload=options.payload_octets > 0)
    zero_ns = min((call.entered_ns for call in calls if call.name == "connect"), default=0)
    right = [cell_len(mark.text) for mark in marks if mark.end != "client"]
    layout = Layout.fitting(options.width, frame=0, time=8, label=0, with_payload=0, calls=right)
    yield from flow_together(
        [[Text(printable(title), "bold")], [Text(where), Text(counted(frames, "frame"))]], options.width
    )
    yield Text()
    unit = "ms" if options.clock == "relative" else "time"
    yield layout.row(unit, Text("client", "bold"), Text(), Text("server", "bold"))
    for mark in marks:
        relative = options.clock == "relative"
        when = milliseconds(mark.time_ns - zero_ns) if relative else time_of_day(mark.time_ns, options.clock)
        yield from layout.call(when, printable(mark.text), printable(mark.short), is_right=mark.end != "client")
    yield Text()
    captured = f"{counted(frames, 'frame')} captured on {where} while this happened."
    yield from paragraphs_as_lines([("Wire", [Text(captured)]), ("Why", [Text(WHY)])], options.width)
