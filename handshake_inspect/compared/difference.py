"""Two connections, segment by segment: are they the same, and if not, where do they first differ?

In: two connections with their normal rows. Out: None, or a `Difference`. A `Level` says how closely they are compared:
after an upgrade, other options are of interest at once, and bare ACKs seldom.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import zip_longest
from typing import Literal, NamedTuple

from handshake_inspect.compared.normal import ErrorTraits, Row, SegmentTraits, Verdict, traits, verdict
from handshake_inspect.connections.connection import ENDS, Connection, End, IcmpError, Pair

#: What counts. Each level counts all that the one behind it does, and more: what is the same at one is so at the next.
#: "segments": every segment, and its options. "conversation": what was said, and in which order; not bare ACKs, what
#: was said again, and how octets are cut into segments. "verdict": how it opened and closed, in which states, and what
#: was found.
Level = Literal["segments", "conversation", "verdict"]
LEVELS: tuple[Level, ...] = ("segments", "conversation", "verdict")

#: Whether the second FIN carries the ACK of the first, or that is a segment of its own, is a matter of bare ACKs.
_ALIKE_TEARDOWNS = {"three-segment": "four-way"}


class Turn(NamedTuple):
    """What one end sends before the other one sends something."""

    sender: End
    #: "SYN", "octets", "FIN", "RST"; the control bits of what is ignored; an ICMP error.
    what: str
    octets: int
    is_ignored: bool


@dataclass(frozen=True)
class ComparedConnection:
    """One of the two connections, with its rows."""

    connection: Connection
    rows: Sequence[Row]

    @property
    def verdict(self) -> Verdict:
        """How it opened and closed."""
        return verdict(self.connection)


@dataclass(frozen=True)
class Difference:
    """Two connections that are not the same."""

    level: Level
    a: ComparedConnection
    b: ComparedConnection
    #: The places in the rows of both from which on they are not the same any more; None if what counts is the same
    #: in all of them. Behind the last row: there is no such row.
    parted: tuple[int, int] | None
    #: The two verdicts, as far as they count.
    verdicts: tuple[Verdict, Verdict]
    #: The rows of both in these places; None: there is none.
    there: tuple[Row | None, Row | None] = (None, None)
    #: What both say there, where a conversation is compared; None: nothing any more.
    turns: tuple[Turn | None, Turn | None] | None = None

    @property
    def is_of_states(self) -> bool:
        """Is the first difference one of states only, after equal segments?"""
        ours, theirs = self._traits_there
        return self.parted is not None and self.turns is None and ours == theirs

    @property
    def way(self) -> Hashable:
        """The kind of difference: equal for pairs that can be reported together."""
        return self.parted, self.turns or self._traits_there, *self.unequal.items()

    @property
    def _traits_there(self) -> tuple[object, object]:
        ours, theirs = (row and traits(row) for row in self.there)
        return ours, theirs

    @property
    def unequal(self) -> dict[str, tuple[object, object]]:
        """Return the parts of both verdicts that differ."""
        return {
            name: (ours, theirs)
            for name, ours, theirs in zip(Verdict._fields, *self.verdicts, strict=True)
            if ours != theirs
        }

    def without_rows(self) -> Difference:
        """Return the same without the rows that no report needs: they are many."""
        return replace(self, a=replace(self.a, rows=()), b=replace(self.b, rows=()))


def difference(a: ComparedConnection, b: ComparedConnection, level: Level) -> Difference | None:
    """Return the first difference between two connections; None if they are the same."""
    verdicts = that_counts(a.verdict, level), that_counts(b.verdict, level)
    for seen in _SEEN[level]:
        for one, other in zip_longest(seen(a.rows), seen(b.rows)):
            if one is None or other is None or one.what != other.what:
                places = (len(a.rows) if one is None else one.place, len(b.rows) if other is None else other.place)
                there = one and a.rows[one.place], other and b.rows[other.place]
                turns = (_turn(one), _turn(other)) if level == "conversation" else None
                return Difference(level, a, b, places, verdicts, there, turns)
    return None if verdicts[0] == verdicts[1] else Difference(level, a, b, None, verdicts)


def _turn(seen: _ComparedRow | None) -> Turn | None:
    return seen.what if seen is not None and isinstance(seen.what, Turn) else None


class _ComparedRow(NamedTuple):
    """The compared traits of a row, or of several rows, and where these begin."""

    what: object
    place: int


def _segments(rows: Sequence[Row]) -> list[_ComparedRow]:
    return [_ComparedRow(traits(row), place) for place, row in enumerate(rows)]


def _states(rows: Sequence[Row]) -> list[_ComparedRow]:
    return [_ComparedRow(None if isinstance(row, IcmpError) else row.states, place) for place, row in enumerate(rows)]


def _conversation(rows: Sequence[Row]) -> list[_ComparedRow]:
    """What was said, and with which row each turn begins; octets that were said before are not said again."""
    found: list[_ComparedRow] = []
    last: Turn | None = None
    speech = {end: Speech(end) for end in ENDS}
    said = [(place, turn) for place, row in enumerate(rows) for turn in _said(traits(row), speech)]
    said += [(len(rows) - 1, turn) for one in speech.values() for turn in one.left()]
    for place, turn in said:
        goes_on = last is not None and turn.what == "octets" == last.what and turn.sender == last.sender
        last = last._replace(octets=last.octets + turn.octets) if last is not None and goes_on else turn
        place_of = found.pop().place if goes_on else place
        found.append(_ComparedRow(last, place_of))
    return found


#: In what two connections are compared, one after the other: states follow from segments, so they part there first.
_SEEN: Mapping[Level, tuple[Callable[[Sequence[Row]], list[_ComparedRow]], ...]] = {
    "segments": (_segments, _states),
    "conversation": (_conversation,),
    "verdict": (),
}


def that_counts(whole: Verdict, level: Level) -> Verdict:
    """Return a verdict without what counts among segments only: was the ACK of the first FIN a segment of its own?"""
    if level == "segments":
        return whole
    teardown = _ALIKE_TEARDOWNS.get(whole.teardown, whole.teardown)
    states = Pair(_without_passing(whole.states.originator), _without_passing(whole.states.responder))
    return whole._replace(teardown=teardown, states=states)


def _without_passing(states: tuple[str, ...] | None) -> tuple[str, ...] | None:
    """Leave out FIN-WAIT-2 if TIME-WAIT follows it (RFC 9293 §3.3.2, figure 5)."""
    if states is None or "TIME-WAIT" not in states:
        return states
    return tuple(state for state in states if state != "FIN-WAIT-2")


def _said(row: SegmentTraits | ErrorTraits, speech: Mapping[End, Speech]) -> list[Turn]:
    """Return what is new in a row."""
    if isinstance(row, ErrorTraits):
        return [Turn(row.quotes, f"ICMP type {row.type} code {row.code}", 0, row.was_sent is False)]
    bits = row.flags.split(",")
    if "RST" in bits or row.ignored is not None:
        what = "RST" if "RST" in bits else row.flags
        is_something = row.payload_octets or {"SYN", "FIN", "RST"} & {*bits}
        return [Turn(row.sender, what, row.payload_octets, row.ignored is not None)] if is_something else []
    own, begin = speech[row.sender], row.seq + ("SYN" in bits)
    syn = own.once("SYN") if "SYN" in bits else []
    return [*syn, *own.octets(begin, begin + row.payload_octets, is_last="FIN" in bits)]


class Speech:
    """What one end has sent so far, independent of order, segment sizes and repeats."""

    def __init__(self, end: End) -> None:
        self._end = end
        #: Ranges of numbers, rising, which do not touch each other.
        self._spans: list[tuple[int, int]] = []
        self._once: set[str] = set()
        #: The number of its FIN, which is the last thing that it says: also if octets before it come later.
        self._fin: int | None = None

    def once(self, what: str) -> list[Turn]:
        """Return a text if it was not said before."""
        is_new = what not in self._once
        self._once.add(what)
        return [Turn(self._end, what, 0, False)] if is_new else []

    def octets(self, begin: int, stop: int, *, is_last: bool) -> list[Turn]:
        """Return the new octets from `begin` to `stop`, and the FIN if there is no hole before it."""
        before = sum(after - first for first, after in self._spans)
        touching = [one for one in self._spans if one[0] <= stop and begin <= one[1]]
        merged = (min([begin, *(one[0] for one in touching)]), max([stop, *(one[1] for one in touching)]))
        if stop > begin:
            self._spans = sorted([*(one for one in self._spans if one not in touching), merged])
        new = sum(after - first for first, after in self._spans) - before
        self._fin = stop if is_last and self._fin is None else self._fin
        fin = self.once("FIN") if self._is_whole() else []
        return [*([Turn(self._end, "octets", new, False)] if new else []), *fin]

    def _is_whole(self) -> bool:
        """Has everything before the FIN been sent? Numbers count from the SYN, which is 0."""
        first = 1 if "SYN" in self._once else self._spans[0][0] if self._spans else self._fin
        return self._spans == [(first, self._fin)] or (not self._spans and first == self._fin is not None)

    def left(self) -> list[Turn]:
        """Return the FIN if it was sent, and a hole before it was never closed."""
        return self.once("FIN") if self._fin is not None else []
