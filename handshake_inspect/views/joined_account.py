"""The account below a joined ladder: what was lost or changed on the path, the clocks and the delays.

In: a `JoinedConnection` and its `Moment`s. Out: wrapped lines, each a short sentence that can be read aloud.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence

from rich.text import Text

from handshake_inspect.connections.connection import ENDS, End, Pair
from handshake_inspect.joined.model import Change, Delays, JoinedConnection, JoinedError, JoinedSegment, Moment
from handshake_inspect.quantities import counted, duration, listed
from handshake_inspect.views.account import paragraphs_as_lines
from handshake_inspect.views.escape import printable

#: Kinds of segments that are named one by one; and frames of one kind.
MOST_NAMED = 20
MOST_NUMBERS = 6
EVIDENCE = {
    "times": "by the times",
    "ttl": "by the TTL",
    "other connections": "by its other connections",
    "order of the files": "by the order of the files alone",
}


def account(connection: JoinedConnection, moments: Sequence[Moment], *, width: int, names: Pair[str]) -> Iterator[Text]:
    """Return the lines below the ladder."""
    teller = _Teller(connection, names)
    paragraphs: list[tuple[str, Iterable[str | Text]]] = [
        ("Places", teller.places()),
        ("Way", [sentence for end in ENDS for sentence in teller.way(end, moments)]),
        ("ICMP", teller.errors()),
        ("Changed", teller.changed()),
        ("Clocks", teller.clocks()),
        ("Delays", teller.delays()),
    ]
    return paragraphs_as_lines([(heading, list(map(_text, said))) for heading, said in paragraphs], width)


def _text(said: str | Text) -> Text:
    return Text(said) if isinstance(said, str) else said


class _Teller:
    """Makes the sentences about one connection."""

    def __init__(self, connection: JoinedConnection, names: Pair[str]) -> None:
        self._connection, self._names = connection, names

    def _place(self, end: End) -> str:
        """Return the name of the capture near an end."""
        return printable(self._connection.captures.at(second=end != self._connection.near_first))

    def _direction(self, sender: End) -> str:
        receiver: End = "responder" if sender == "originator" else "originator"
        return f"{self._names[sender]} → {self._names[receiver]}"

    def places(self) -> Iterator[str]:
        """Say which capture is near which end, and how that is known."""
        connection = self._connection
        near = [f"{self._place(end)} near the {self._names[end]}" for end in ENDS]
        yield f"{listed(near)}, {EVIDENCE[connection.near_known_by]}."

    # The way.

    def way(self, sender: End, moments: Sequence[Moment]) -> Iterator[Text]:
        """Say how many segments of an end arrived, and name those that did not simply arrive."""
        way = self._connection.ways[sender]
        if not way.sent and way.is_smooth:
            return
        receiver: End = "responder" if sender == "originator" else "originator"
        near, far = (f"near the {self._names[end]}" for end in (sender, receiver))
        came = way.arrived + len(way.missed)
        some = f"{came:,}" if came else "none"
        every = "all" if way.sent > 1 else "it"
        arrived = f"{every if way.sent and came == way.sent else some} arrived"
        line = Text(f"{self._direction(sender)}: {counted(way.sent, 'segment')} sent, {arrived}")
        line.append("." if not way.is_smooth else ", once and in order." if way.sent else ".")
        yield line
        sent = {one.near.frame: one for one in _segments(moments, sender) if one.near is not None}
        arriving = {one.far.frame: one for one in _segments(moments, sender) if one.far is not None}
        for what, frames, seen, place, style in (
            ("Died on the way", way.lost, sent, near, "red"),
            ("Died on the way, or the other capture did not run then", way.unseen, sent, near, "yellow"),
            ("Died in part, when it was cut into pieces", way.partly, sent, near, "red"),
            (f"Acknowledged, so they arrived; not captured {far}", way.missed, sent, near, "dim"),
            ("Copied on the way", way.copied, arriving, far, "magenta"),
            ("Overtaken on the way", way.late, arriving, far, "magenta"),
            ("Arrived in other pieces", way.recut, sent, near, "dim"),
            (f"Not sent by the {self._names[sender]}, or missed {near}", way.made, arriving, far, "red"),
            (f"Not seen {near}, where nothing was captured then", way.unsent, arriving, far, "yellow"),
        ):
            if frames:
                yield Text().append(f"{what}: ", style).append(f"{_named(frames, seen)} {place}.")

    def errors(self) -> Iterator[str]:
        """Say which ICMP errors quote segments, and where each was seen."""
        seen: dict[tuple[str, End, bool, bool], list[JoinedError]] = {}
        for one in self._connection.icmp_errors:
            frames = one.frames
            key = (one.error.message, one.quotes, frames.first is not None, frames.second is not None)
            seen.setdefault(key, []).append(one)
        for (message, quotes, *at), some in seen.items():
            where = []
            for end in ENDS:
                second = end != self._connection.near_first
                if at[second]:
                    frames_there = [str(one.frames.at(second=second)) for one in some]
                    where.append(f"{_numbers(frames_there)} near the {self._names[end]}")
            only = "" if all(at) else " only"
            many = counted(len(some), "error")
            yield f"{many} ({message}) quoting the {self._names[quotes]}: {listed(where)}{only}."

    # What was changed.

    def changed(self) -> list[str]:
        """Say what was changed on the path."""
        connection = self._connection
        said = [self._change(change) for change in connection.changes]
        for end in ENDS:
            routers = connection.ways[end].routers
            if routers:
                said.append(f"{self._direction(end)}: the TTL falls by {routers} ({counted(routers, 'router')}).")
        cut = [self._place(end) for end in ENDS if connection.cuts_options.at(second=end != connection.near_first)]
        if not said and connection.at_both:
            options = "" if cut else "options of the SYNs, "
            said.append(f"Nothing: sockets, numbers, {options}TTL, windows and control bits are the same.")
        if cut and connection.at_both:
            said.append(
                f"Options not captured: cut off in {listed(cut)} (snap length); only what both have is compared."
            )
        return said

    def _change(self, change: Change) -> str:
        what = change_text(change.what, change.before, change.after)
        some = "" if change.segments == change.arrived else f" ({change.segments:,} of its {change.arrived:,} segments)"
        return f"The {self._names[change.sender]}'s {what}{some}."

    # The clocks.

    def clocks(self) -> Iterator[str]:
        """Say how far the clocks are apart, and how sure that is."""
        connection, clock = self._connection, self._connection.clock
        if clock is None and connection.at_both:
            yield (
                "How far they are apart cannot be told: it takes segments of both ends that both places saw, and clocks"
                " that neither drift nor are set meanwhile."
            )
        if clock is None:
            return
        if clock.known_by == "same":
            yield "One clock stamped both captures, as you say."
            return
        one, other = ENDS if connection.near_first == "originator" else ENDS[::-1]
        there, here = f"The one near the {self._names[other]}", f"the one near the {self._names[one]}"
        source = {"all": "all connections together tell so", "connection": "this connection alone tells so"}
        yield f"{clocks_apart(clock.offset_ns, clock.uncertainty_ns, there, here)}: {source[clock.known_by]}."

    def delays(self) -> Iterator[str]:
        """Say how long segments were under way, and how sure that is."""
        connection = self._connection
        clock = connection.clock
        known = [(end, delays) for end in ENDS if (delays := connection.ways[end].delays) is not None]
        if clock is not None and known:
            said = "; ".join(f"{self._direction(end)} {_range(delays)}" for end, delays in known)
            sure = f": each ± {duration(clock.uncertainty_ns)}" if clock.uncertainty_ns else ""
            yield f"{said}{sure}."
        if connection.round_trip_ns is not None:
            yield f"There and back at least {duration(connection.round_trip_ns)}, whatever the clocks show."


def clocks_apart(offset_ns: int, uncertainty_ns: int, there: str, here: str) -> str:
    """Return how far the clock `there` is ahead of the one `here`; if that may be 0, how far at most."""
    if abs(offset_ns) <= uncertainty_ns:
        at_most = duration(abs(offset_ns) + uncertainty_ns)
        return f"They cannot be told apart, and may be one (--same-clock): {at_most} lies between them at most"
    ahead = "ahead of" if offset_ns >= 0 else "behind"
    return f"{there} is {duration(abs(offset_ns))} {ahead} {here}, ± {duration(uncertainty_ns)}"


def change_text(what: str, before: str, after: str) -> str:
    """Return a change: "MSS 1460 → 1200"."""
    return printable(f"{what} {before} → {after}")


def _range(delays: Delays) -> str:
    least, median, greatest = map(duration, (delays.least_ns, delays.median_ns, delays.greatest_ns))
    return least if least == greatest else f"{least} to {greatest}, half of them up to {median}"


def _segments(moments: Sequence[Moment], sender: End) -> Iterator[JoinedSegment]:
    return (moment.segment for moment in moments if moment.segment.sender == sender)


def _named(frames: Sequence[int], seen: Mapping[int, JoinedSegment]) -> str:
    """Return segments by their frames and text, equal ones together."""
    said: dict[str, list[int]] = {}
    for frame in frames:
        said.setdefault(_says(seen[frame]) if frame in seen else "", []).append(frame)
    shown = [_alike(some, what) for what, some in said.items()]
    if len(shown) > MOST_NAMED:
        shown = [*shown[:MOST_NAMED], f"{len(shown) - MOST_NAMED:,} more"]
    return listed(shown)


def _alike(frames: Sequence[int], says: str) -> str:
    """Return frames with equal text: all of a few, else the first and the last."""
    times = f", {len(frames):,} times" if len(frames) > MOST_NUMBERS else ""
    named = _numbers([str(frame) for frame in frames])
    return f"{named} ({says}{times})" if says else named


def _numbers(frames: Sequence[str]) -> str:
    shown = [*frames[: MOST_NUMBERS - 2], "...", frames[-1]] if len(frames) > MOST_NUMBERS else frames
    return f"frame {shown[0]}" if len(frames) == 1 else f"frames {', '.join(shown)}"


def _says(segment: JoinedSegment) -> str:
    step = segment.step
    ack = "" if step.symbolic_ack is None else f" ack={step.symbolic_ack}"
    octets = f" len={step.payload_octets}" if step.payload_octets else ""
    died = "".join(f"; {part.payload_octets:,} octets from seq={part.symbolic_seq} on died" for part in segment.died)
    return f"{step.flags or 'no control bits'} seq={step.symbolic_seq}{ack}{octets}{died}"
