"""Two captures compared, in words: what differs, in which connections, and how many are the same.

In: a `Comparison` and both inspections. Out: lines of `rich` text. Connections that differ in the same way are reported
once, for the first of them.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from rich.text import Text

from handshake_inspect.compared.comparison import AlikePairs, Comparison
from handshake_inspect.compared.difference import Difference, Turn
from handshake_inspect.compared.normal import Row
from handshake_inspect.connections.connection import ENDS, IcmpError, Pair, end_names
from handshake_inspect.inspection import Inspection
from handshake_inspect.quantities import counted, listed, octets_in_words
from handshake_inspect.views.escape import printable
from handshake_inspect.views.icmp_lines import label as error_label
from handshake_inspect.views.ladder_cells import Cells, LadderOptions
from handshake_inspect.views.ladder_layout import wrap
from handshake_inspect.views.verdict_lines import verdict_lines

#: Streams of each capture that are named of those that differ alike, and connections that only one capture has.
STREAMS_NAMED, ONLY_NAMED = 4, 20
INDENT = 2
#: Room for the headings of what differs: "TIME-WAIT  A  ".
HEADING = 11


def heading(names: Sequence[str], compared: Sequence[int], known: Sequence[int]) -> list[Text]:
    """Return the names of the two captures, and how many of the connections of each are compared."""
    return [
        Text.assemble(
            (letter, "bold"), f"  {printable(name)}: {f'{count:,} of ' * (count < of)}{counted(of, 'connection')}"
        )
        for letter, name, count, of in zip("AB", names, compared, known, strict=True)
    ]


def difference_lines(alike: AlikePairs, width: int) -> Iterator[Text]:
    """Return the first difference of pairs that differ in the same way, with the rows of both."""
    found = alike.first
    yield from wrap(_who_and_where(alike.streams, found), width)
    for letter, text in zip("AB", _shown_there(found), strict=False):
        yield from _hanging(Text(f"{'':{INDENT}}{letter}  "), text, width)
    for name, ours, theirs in unequal_lines(found):
        start = Text(f"{'':{INDENT}}{name:{HEADING}}")
        yield from _hanging(start, Text.assemble("A  ", ours), width)
        yield from _hanging(Text(" " * start.cell_len), Text.assemble("B  ", theirs), width)


def _hanging(start: Text, text: Text, width: int) -> Iterator[Text]:
    for number, line in enumerate(wrap(text, width - start.cell_len, indent=3)):
        yield (Text(" " * start.cell_len) if number else start.copy()).append_text(line)


def _who_and_where(streams: Sequence[tuple[int, int]], found: Difference) -> Text:
    where = "differ, though their segments do not" if found.level == "segments" else "differ"
    if found.parted is not None:
        at_a, at_b = (place + 1 for place in found.parted)
        where = f"part at segment {at_a}" if at_a == at_b else f"part at segment {at_a} of A, {at_b} of B"
    if len(streams) == 1:
        return Text("stream {} of A and stream {} of B ".format(*streams[0]) + where, "bold")
    named = [", ".join(map(str, some[:STREAMS_NAMED])) for some in zip(*streams, strict=True)]
    more = ", …" if len(streams) > STREAMS_NAMED else ""
    head = Text(f"{len(streams):,} connections {where}", "bold")
    return head.append(f": streams {named[0]}{more} of A, {named[1]}{more} of B", "not bold")


def _shown_there(found: Difference) -> list[Text]:
    """Return the rows of both at their first difference."""
    if found.parted is None:
        return []
    names = [end_names(one.connection.handshake.kind) for one in (found.a, found.b)]
    if found.turns is not None:
        return [turn_text(*one) for one in zip(found.turns, names, strict=True)]
    return [row_text(*one, found.is_of_states) for one in zip(found.there, names, strict=True)]


def turn_text(turn: Turn | None, names: Pair[str]) -> Text:
    """Return a turn of a conversation in one line: "48 octets from the server"."""
    if turn is None:
        return Text("nothing more", "dim")
    what = octets_in_words(turn.octets) if turn.what == "octets" else turn.what
    ignored = ", ignored" if turn.is_ignored else ""
    return Text(what, "bold").append(f" from the {names[turn.sender]}{ignored}", "not bold")


def row_text(row: Row | None, names: Pair[str], with_states: bool = False) -> Text:
    """Return a row in one line: "FIN,ACK seq=u ack=v from the client"."""
    if row is None:
        return Text("no segment any more", "dim")
    if isinstance(row, IcmpError):
        return error_label(row).append(f" to the {names[row.quotes]}", "not bold")
    cells = Cells(LadderOptions(), {})
    text, offer = cells.label(row), cells.options_said(row)
    if offer:
        text.append(" ").append_text(offer)
    text.append(f" from the {names[row.sender]}")
    if row.ignored is not None:
        text.append(f", ignored: {row.ignored}", "red")
    if with_states:
        states = [f"{names[end]} {row.states[end].state or 'unknown'}" for end in ENDS]
        text.append(f", then {listed(states)}")
    return text


def unequal_lines(found: Difference) -> Iterator[tuple[str, str, str]]:
    """Yield the parts of the verdicts that differ, each with its heading and both values."""
    both = [
        verdict_lines(verdict, end_names(one.connection.handshake.kind))
        for one, verdict in zip((found.a, found.b), found.verdicts, strict=True)
    ]
    said = False
    for (name, ours), (_, theirs) in zip(*both, strict=True):
        if ours != theirs:
            said = True
            yield name, ours, theirs
    if not said and "states" in found.unequal:
        yield "states", _states(found.verdicts[0].states), _states(found.verdicts[1].states)


def _states(states: Pair[tuple[str, ...] | None]) -> str:
    return " / ".join(" > ".join(one or ("unknown",)) for one in (states.originator, states.responder))


def only_lines(letter: str, inspection: Inspection, streams: Sequence[int], width: int) -> Iterator[Text]:
    """Return the connections that only one of the captures has."""
    for stream in streams[:ONLY_NAMED]:
        one = inspection.connections[stream]
        ends = f"{one.originator} → {one.responder}"
        sizes = counted(one.segments.originator + one.segments.responder, "segment")
        said = f", {ends}: opening {one.handshake.kind}, closing {one.teardown.kind}, {sizes}"
        yield from wrap(Text.assemble((f"only in {letter}: stream {stream}", "bold"), said), width)
    if len(streams) > ONLY_NAMED:
        yield Text(f"only in {letter}: {len(streams) - ONLY_NAMED:,} more; --format json lists them", "dim")


def summary(found: Comparison) -> Text:
    """Return the last line: how many are the same, and how many are not."""
    different = sum(len(alike.streams) for alike in found.different)
    counts = {"different": different, "only in A": len(found.only_a), "only in B": len(found.only_b)}
    parts = [f"{count:,} {what}" for what, count in counts.items() if count]
    if found.is_same:
        return Text(f"the same: {counted(found.same, 'connection')}", "green")
    if not found.same and not parts:
        return Text("there was no connection to compare", "red")
    return Text(f"{', '.join(parts)}, {found.same:,} the same", "red")


def notes(found: Comparison) -> Iterator[Text]:
    """Return remarks about differences that were not compared."""
    of_these = {
        "the same but for the address or port of the server": found.same_elsewhere,
        "the same in mid-transfer by the number of segments and octets, which alone were compared": found.same_by_sums,
    }
    for what, count in of_these.items():
        if count:
            yield Text(f"{what}: {counted(count, 'connection')}", "dim")
