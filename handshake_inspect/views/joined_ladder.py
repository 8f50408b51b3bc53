"""The ladder of one connection between two places: each segment from where it was sent to where it arrived.

In: a `JoinedConnection` and its `Moment`s. Out: lines of `rich` text, complete without colour. The end on the left is
the originator; its states and times are those of the place near it, those on the right of the other place. Both times
are by one clock, as far as the difference of the two is known. A segment that arrives before anything else happens is
one line; otherwise it is sent on one line and arrives on another, so that segments that cross are seen to cross.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from rich.text import Text

from handshake_inspect.connections.connection import ENDS, Connection, End, Pair, StateAt, end_names
from handshake_inspect.joined.model import JoinedConnection, JoinedSegment, Moment, Sighting
from handshake_inspect.quantities import counted, milliseconds, seconds
from handshake_inspect.views.escape import printable
from handshake_inspect.views.joined_account import account, change_text
from handshake_inspect.views.joined_folding import FoldedFlights, fold_flights
from handshake_inspect.views.joined_layout import DOT, JoinedLayout
from handshake_inspect.views.ladder_cells import Cells, LadderOptions
from handshake_inspect.views.ladder_layout import flow, flow_together, wrap
from handshake_inspect.views.ladder_states import LEGEND, StateWalk, sign_of, state_text
from handshake_inspect.views.rungs import LONG_NS
from handshake_inspect.views.segment_words import spelled_numbers
from handshake_inspect.views.words import octets

#: How the arrow of a segment ends that was not seen to arrive.
DIED, UNKNOWN = "✗", "?"
ENDINGS = {"lost": DIED, "unseen": UNKNOWN}
STYLES = {"lost": "red", "partly": "red", "unseen": "yellow", "copied": "magenta", "made": "red", "unsent": "yellow"}
WAY_LEGEND = {
    "lost": f"{DIED} died on the way",
    "unseen": f"─{UNKNOWN} not seen at the other place",
    "partly": "cut into other pieces on the way: by a network card (offload)",
    "recut": "cut into other pieces on the way, or put together: by a network card (offload)",
    "split": "╌ under way: what stands between happened meanwhile",
}
EMPTY = ("", "", Text())


def joined_ladder(
    connection: JoinedConnection, moments: Sequence[Moment], options: LadderOptions | None = None
) -> list[Text]:
    """Return the lines of the ladder, header and account included."""
    drawing = _Drawing(connection, moments, options or LadderOptions())
    return [
        *drawing.header(),
        Text(),
        drawing.heading(),
        *drawing.rows(),
        *drawing.legend(),
        Text(),
        *account(connection, moments, width=drawing.options.width, names=drawing.names),
    ]


@dataclass
class _End:
    """One side of the picture: an end, and the place near it."""

    #: As the connection has it.
    end: End
    #: The name of the capture.
    place: str
    #: As its place tells it; None: it saw nothing.
    connection: Connection | None
    #: What its place calls this end.
    own: End

    def __post_init__(self) -> None:
        self.walk = StateWalk(self.connection) if self.connection is not None else None


class _Drawing:
    """Draws the lines of one ladder."""

    def __init__(self, connection: JoinedConnection, moments: Sequence[Moment], options: LadderOptions) -> None:
        self.connection, self.options = connection, options
        self.names = end_names(connection.preferred.handshake.kind)
        self.shown = fold_flights(moments) if options.fold else list(moments)
        self.left, self.right = (self._end(end) for end in ENDS)
        times = [sight.common_ns for moment in moments for sight in _sights(moment.segment)]
        self.zero_ns = min(times, default=0)
        self.in_seconds = max(times, default=0) - self.zero_ns >= LONG_NS
        self.cells = Cells(options, {})
        flights = [moment.segment for moment in self.shown if isinstance(moment, Moment)]
        sights = [sight for segment in flights for sight in _sights(segment)]
        self.layout = JoinedLayout.fitting(
            options.width,
            frame=max([5, *(len(str(sight.frame)) for sight in sights)]),
            time=max([7, *(len(self.time(sight)) for sight in sights)]),
            label=max([0, *(self.cells.label(segment.step).cell_len for segment in flights)]),
        )
        self.signs: set[str] = set()
        self.used: set[str] = set()

    def _end(self, end: End) -> _End:
        """Return a side of the picture; the inspection of its place may have the ends exchanged."""
        is_second = end != self.connection.near_first
        exchanged = self.connection.exchanged.at(second=is_second)
        own: End = end if not exchanged else "responder" if end == "originator" else "originator"
        return _End(end, self.connection.captures.at(second=is_second), self.connection.seen.at(second=is_second), own)

    def header(self) -> list[Text]:
        """Return the lines above the ladder: the ends, and the duration."""
        connection, preferred = self.connection, self.connection.preferred
        seen = [one for one in (connection.seen.first, connection.seen.second) if one is not None]
        title = [Text(printable(f"stream {one.stream} of {one.capture}"), "bold") for one in seen]
        sockets = [Text(f"{self.names[end]} {preferred.originator if end == 'originator' else preferred.responder}")
                   for end in ENDS]  # fmt: skip
        initial = [
            Text(f"{letter} = {'not captured' if (number := connection.initial_seq[end]) is None else number}", "cyan")
            for letter, end in zip("xy", ENDS, strict=True)
        ]
        sent = connection.ways.originator.sent + connection.ways.responder.sent
        facts = [Text(counted(sent, "segment") + " sent")]
        return flow_together([title, sockets, initial, facts], self.options.width)

    def heading(self) -> Text:
        """Return the names of the columns."""
        unit = "s" if self.in_seconds else "ms"
        left, right = (Text(self.names[end], "bold") for end in ENDS)
        places = (printable(side.place) for side in (self.left, self.right))
        return self.layout.row(("frame", unit, left), self.layout.lane_names(*places), ("frame", unit, right))

    def legend(self) -> list[Text]:
        """Return the legend of the signs that were used."""
        used = self.used - ({"partly"} if "recut" in self.used else set())
        said = [text for name, text in WAY_LEGEND.items() if name in used]
        said += [f"{sign} {LEGEND[sign]}" for sign in LEGEND if sign in self.signs]
        indent = self.layout.time + 2
        lines = flow([Text(text, "dim") for text in said], self.options.width - indent)
        return [Text(), *(Text(" " * indent).append_text(line) for line in lines)] if said else []

    # The rows.

    def rows(self) -> Iterator[Text]:
        """Yield the lines of all moments, with the states that changed."""
        before = [
            self.state(side.walk.before_first(), side) if side.walk else Text() for side in (self.left, self.right)
        ]
        if any(before):
            yield self.layout.row(("", "", before[0]), Text(), ("", "", before[1]))
        for row in self.shown:
            yield from self.fold_lines(row) if isinstance(row, FoldedFlights) else self.moment_lines(row)

    def moment_lines(self, moment: Moment) -> Iterator[Text]:
        """Yield the line of a moment, and the remarks below it."""
        segment = moment.segment
        to_right = segment.sender == "originator"
        sights = (segment.near if moment.sent else None, segment.far if moment.arrived else None)
        left, right = sights if to_right else sights[::-1]
        passed, cells, dots = [], [], []
        for side, sight in ((self.left, left), (self.right, right)):
            above, now = self.states_after(side, sight)
            passed.append(above)
            cells.append(("", "", now) if sight is None else (str(sight.frame), self.time(sight), now))
            dots.append("" if sight is None else DOT)
        for line in range(max(map(len, passed))):
            states = [above[line] if line < len(above) else Text() for above in passed]
            yield self.layout.row(("", "", states[0]), Text(), ("", "", states[1]))
        label, *more = wrap(self.cells.label(segment.step), self.layout.label_room, indent=0)
        yield self.layout.row(cells[0], self.flight(moment, label), cells[1], (dots[0], dots[1]))
        yield from (self.layout.under_flight(text, to_right=to_right) for text in more)
        yield from self.said_below(moment)

    def flight(self, moment: Moment, label: Text) -> Text:
        """Draw a segment as far as it goes."""
        segment = moment.segment
        recut = segment.fate in ("recut", "partly")
        begins = "place" if moment.sent else "before" if recut or segment.near is not None else "way"
        here = moment.arrived or segment.fate == "missed"
        ends = "place" if here else "later" if recut or segment.far is not None else ENDINGS[segment.fate]
        self.used |= {segment.fate} | ({"split"} if "later" in ends else set())
        style = STYLES.get(segment.fate, "red" if "RST" in segment.step.flags.split(",") else "bright_black")
        return self.layout.flight(label, to_right=segment.sender == "originator", begins=begins, ends=ends, style=style)

    def said_below(self, moment: Moment) -> Iterator[Text]:
        """Return remarks at the line on which a segment arrives or ends."""
        segment = moment.segment
        ended = moment.arrived or segment.far is None
        said = []
        if segment.fate == "copied":
            said.append(Text("a copy, made on the way", STYLES["copied"]))
        elif segment.fate == "made":
            said.append(
                Text(f"not sent by the {self.names[segment.sender]}: made on the way, or missed near it", "red")
            )
        elif segment.fate == "unsent":
            said.append(
                Text(f"not seen near the {self.names[segment.sender]}, where nothing was captured then", "yellow")
            )
        elif segment.fate == "unseen":
            said.append(Text("died, or nothing was captured there then", "yellow"))
        elif segment.fate == "missed":
            said.append(Text(f"arrived: acknowledged in frame {segment.proof} there; that capture missed it", "dim"))
        for part in segment.died:
            some = f"{part.payload_octets:,} of its {segment.step.payload_octets:,} octets died"
            said.append(Text(f"{some}: from seq={spelled_numbers(part, self.options.numbers)[0]} on", "red"))
        if ended and segment.late:
            said.append(Text("overtaken: it arrived after what was sent later", "magenta"))
        if ended:
            said += [Text(change_text(*change), "yellow") for change in segment.changes]
        for line in flow(said, self.layout.below):
            yield self.layout.under_lane(line)

    def fold_lines(self, folded: FoldedFlights) -> Iterator[Text]:
        """Yield the line that stands for folded segments."""
        sizes = [f"{octets(folded.octets(end))} from the {self.names[end]}" for end in ENDS if folded.octets(end)]
        said = ", ".join([counted(folded.segments, "segment"), *sizes, "all arrived as they were sent"])
        for side in (self.left, self.right):
            for moment in folded.moments:
                self.states_after(side, _sight_at(moment, side.end))
        for line in wrap(Text(f"… {said} …", "dim"), self.layout.below):
            yield self.layout.under_lane(line)

    # The cells.

    def states_after(self, side: _End, sight: Sighting | None) -> tuple[list[Text], Text]:
        """Return the states that an end passed within what its place saw, and its state after that, if it changed."""
        if side.walk is None or sight is None or sight.step is None:
            return [], Text()
        passed, now = side.walk.after(sight.step)
        above = [pair[0] if side.own == "originator" else pair[1] for pair in passed]
        return [self.state_text(at) for at in above if at is not None], self.state_text(now[side.own])

    def state(self, states: Pair[StateAt] | None, side: _End) -> Text:
        """Return the state of an end."""
        return Text() if states is None else self.state_text(states[side.own])

    def state_text(self, at: StateAt | None) -> Text:
        """Return a state as text, and note its sign for the legend."""
        if at is not None and sign_of(at):
            self.signs.add(sign_of(at))
        return state_text(at)

    def time(self, sight: Sighting) -> str:
        """Return the time at which a place saw something, since the beginning."""
        since = sight.common_ns - self.zero_ns
        return seconds(since) if self.in_seconds else milliseconds(since)


def _sights(segment: JoinedSegment) -> list[Sighting]:
    return [sight for sight in (segment.near, segment.far) if sight is not None]


def _sight_at(moment: Moment, end: End) -> Sighting | None:
    """Return what the place near an end saw at a moment, if anything."""
    segment = moment.segment
    if segment.sender == end:
        return segment.near if moment.sent else None
    return segment.far if moment.arrived else None
