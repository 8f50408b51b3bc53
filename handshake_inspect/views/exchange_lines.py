"""The picture of one UDP exchange: every datagram on its arrow, ICMP errors, and the socket calls of both ends.

In: an exchange with its datagrams and errors; the calls and the payload, where they are known. Out: lines of `rich`
text, laid out as the ladder, so that both can be compared: where that has states, numbers and proofs, there is nothing
here. Read RFC 768 (three pages), RFC 1122 §4.1.3.3 for the ICMP errors.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from rich.cells import cell_len
from rich.text import Text

from handshake_inspect.connections.connection import Frame
from handshake_inspect.exchanges import Datagram, DatagramError, Exchange
from handshake_inspect.quantities import counted, duration, milliseconds
from handshake_inspect.views.account import paragraphs_as_lines
from handshake_inspect.views.escape import printable
from handshake_inspect.views.ladder_calls import CallMark, SocketCall, call_marks
from handshake_inspect.views.ladder_cells import LadderOptions
from handshake_inspect.views.ladder_layout import ARROW, Layout, arrow, flow_together, wrap
from handshake_inspect.views.segment_words import payload_words
from handshake_inspect.views.words import frame_text, time_of_day

#: What comes back from a port at which nobody is, in the words of `tcp.icmp`.
PORT_UNREACHABLE = "port unreachable"

Row = Datagram | DatagramError | CallMark


def exchange_lines(
    exchange: Exchange,
    events: Sequence[Datagram | DatagramError],
    *,
    title: str,
    facts: Sequence[str] = (),
    calls: Sequence[SocketCall] = (),
    payload: Mapping[Frame, bytes] | None = None,
    options: LadderOptions | None = None,
) -> list[Text]:
    """Return the lines of the picture, header and account included. The first sender stands on the left."""
    drawing = _Drawing(exchange, events, calls, payload or {}, options or LadderOptions())
    ends = [Text(f"client {exchange.originator}"), Text(f"server {exchange.responder}")]
    more = [Text(printable(fact)) for fact in facts]
    return [
        *flow_together([[Text(printable(title), "bold")], ends, more], drawing.options.width),
        Text(),
        *drawing.heading(),
        *(line for row in drawing.rows for line in drawing.lines(row)),
        Text(),
        *account(exchange, events, drawing.options.width),
    ]


class _Drawing:
    """Draws the lines of one picture."""

    def __init__(
        self,
        exchange: Exchange,
        events: Sequence[Datagram | DatagramError],
        calls: Sequence[SocketCall],
        payload: Mapping[Frame, bytes],
        options: LadderOptions,
    ) -> None:
        self.exchange, self.options, self._payload = exchange, options, payload
        marks = call_marks(calls, events, payload=options.payload_octets > 0)
        self.rows: list[Row] = sorted([*events, *marks], key=lambda row: row.time_ns)
        firsts = [call.entered_ns for call in calls if call.end == "client"]
        self.zero_ns = min([*firsts, *(event.time_ns for event in events)], default=0)
        labels = [self.label(event).cell_len for event in events]
        texts = [cell_len(mark.text) for mark in marks if mark.end != "client"]
        self.layout = Layout.fitting(
            options.width,
            frame=max([5, *(len(self.frame(event)) for event in events)]),
            time=max([7, *(len(self.time(row)) for row in self.rows)]),
            label=max([0, *labels]),
            with_payload=max([0, *labels]),
            calls=texts,
        )

    def heading(self) -> Iterator[Text]:
        """Yield the names of the columns, and the text in the columns of the states."""
        layout = self.layout
        unit = "ms" if self.options.clock == "relative" else "time"
        if layout.frame:
            unit = "frame".rjust(layout.frame) + unit.rjust(layout.time - layout.frame)
        yield layout.row(unit, Text("client", "bold"), Text(), Text("server", "bold"))
        yield layout.row("", Text("no states", "dim"), Text(), Text("no states", "dim"))

    def lines(self, row: Row) -> Iterator[Text]:
        """Yield the line of a call, a datagram or an error; of one that has no room several."""
        if isinstance(row, CallMark):
            text, short = printable(row.text), printable(row.short)
            yield from self.layout.call(self.time(row), text, short, is_right=row.end != "client")
        else:
            yield from self.arrow_lines(row)

    def arrow_lines(self, row: Datagram | DatagramError) -> Iterator[Text]:
        """Yield the line of what was captured, and below it what has no room on the arrow."""
        when = self.time(row)
        if self.layout.frame:
            when = self.frame(row).rjust(self.layout.frame) + when.rjust(self.layout.time - self.layout.frame)
        if isinstance(row, Datagram):
            to_right, style, whole = row.sender == "originator", "bright_black", True
        else:  # from the other end, or from a router on the way
            to_right, style = row.quotes == "responder", "red"
            other = self.exchange.originator if to_right else self.exchange.responder
            whole = row.source == other.ip
        label, *more = wrap(self.label(row), self.layout.lane - ARROW, indent=0)
        drawn = arrow(label, self.layout.lane, to_right=to_right, arrives=True, style=style, whole=whole)
        yield self.layout.row(when, Text(), drawn, Text())
        for text in more:
            yield self.layout.row("", Text(), self.layout.under_arrow(text, to_right=to_right), Text())

    def label(self, event: Datagram | DatagramError) -> Text:
        """Return the text on the arrow."""
        if isinstance(event, DatagramError):
            return Text(f"ICMP {event.message}", "bold red")
        label = Text(counted(event.payload_octets, "octet"), "bold")
        octets, limit = self._payload.get(event.frame, b""), self.options.payload_octets
        if said := payload_words(octets, limit, event.payload_octets):
            label.append(f" {said}", "green")
        return label

    def time(self, row: Row) -> str:
        """Return the text of the time column."""
        if self.options.clock != "relative":
            return time_of_day(row.time_ns, self.options.clock)
        return milliseconds(row.time_ns - self.zero_ns)

    def frame(self, row: Datagram | DatagramError) -> str:
        """Return the number of a frame, with its capture where that is another one."""
        return frame_text(row.frame)


def account(exchange: Exchange, events: Sequence[Datagram | DatagramError], width: int) -> Iterator[Text]:
    """Yield the paragraphs below the picture: above all, what UDP does not have."""
    paragraphs = [
        (
            "Opening",
            ["none: UDP has no handshake. Nothing was agreed before the first datagram; connect() sends nothing."],
        ),
        ("Answer", [answer(exchange)]),
        ("ICMP", refusals([event for event in events if isinstance(event, DatagramError)])),
        (
            "Closing",
            ["none: close() sends nothing, and no end is told that the other has gone. Nobody owes TIME-WAIT."],
        ),
        ("Books", [books(exchange)]),
    ]
    return paragraphs_as_lines([(heading, [Text(line) for line in said]) for heading, said in paragraphs], width)


def answer(exchange: Exchange) -> str:
    """Say whether the other end answered."""
    if exchange.first_answer_ns is not None:
        return f"after {duration(exchange.first_answer_ns)}: only this tells that a datagram arrived."
    if exchange.datagrams.responder:
        return "there is one, before the datagram by the clock of the capture."
    if exchange.errors:
        return "none, but an ICMP error."
    return "none: UDP does not say whether the datagram was lost, or the answer, or whether none was sent."


def refusals(errors: Sequence[DatagramError]) -> list[str]:
    """Say what each kind of ICMP error means."""
    alike: dict[tuple[str, str, str], int] = {}
    for error in errors:
        key = (error.message, error.source, "client" if error.quotes == "originator" else "server")
        alike[key] = alike.get(key, 0) + 1
    said = []
    for (message, source, end), count in alike.items():
        times = f", {count} times" if count > 1 else ""
        refused = " No socket has that port: this is how UDP refuses, and a connected socket is told: ECONNREFUSED"
        why = f"{refused} (RFC 1122 §4.1.3.3)." if message == PORT_UNREACHABLE else ""
        said.append(f"{message}{times}: {source} quotes a datagram of the {end}.{why}")
    return said


def books(exchange: Exchange) -> str:
    """Count both directions."""
    ends = [
        f"{name}: {counted(count, 'datagram')}, {counted(octets, 'octet')}"
        for name, count, octets in (
            ("client", exchange.datagrams.originator, exchange.octets.originator),
            ("server", exchange.datagrams.responder, exchange.octets.responder),
        )
    ]
    return f"{'; '.join(ends)}. There are no numbers: a datagram that was lost leaves no gap."
