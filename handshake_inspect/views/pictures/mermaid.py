"""The ladder as a sequence diagram of Mermaid, which the usual forges draw out of a fenced block of Markdown.

In: a `Ladder`. Out: lines of text. States are notes on the side of their end, arithmetic stands below its segment. An
arrow with a cross is an RST, a dotted one with a cross a segment that its receiver ignores. What the diagram does not
have, lanes and colours, is left out. See the syntax of sequence diagrams, and its way to write any character: #NNN;.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

from handshake_inspect.connections.connection import ENDS, End, StateAt
from handshake_inspect.views.escape import printable
from handshake_inspect.views.finding_lines import finding_text
from handshake_inspect.views.icmp_lines import details, label
from handshake_inspect.views.pictures.measured import flowed, wrapped
from handshake_inspect.views.pictures.words import basis_words, deadline_words, verdict_words
from handshake_inspect.views.rungs import (
    CallRung,
    Deadline,
    ErrorRung,
    FoldRung,
    Ladder,
    Row,
    Rung,
    Written,
    sender_of,
)
from handshake_inspect.views.segment_words import (
    VERDICT_SIGNS,
    flags_words,
    numbers_words,
    option_words,
    sum_words,
    window_words,
)

#: What is written by its number: the first letter of the word "end", which a diagram of Mermaid must not have, and what
#: does not stand for itself for certain.
_UNSAFE = re.compile(r"\bend\b|[^A-Za-z0-9 =+,.()\[\]\-/_'…✓✗→·⋯≥≤§×]", re.IGNORECASE)
#: Who the ends are in the diagram, and on which side their notes stand.
_IDS: dict[End, str] = {"originator": "L", "responder": "R"}
_SIDES: dict[End, str] = {"originator": "left of L", "responder": "right of R"}
_BREAK = "<br/>"
#: Characters on a line.
LINE = 56


def diagram(ladder: Ladder, *, title: str, facts: Sequence[str] = ()) -> Iterator[str]:
    """Yield the lines of the diagram, without the fence around it."""
    yield "sequenceDiagram"
    for end in ENDS:
        yield f"    participant {_IDS[end]} as {_text(ladder.addresses[end])}"
    initial = [f"{letter} = {'not captured' if one is None else one}" for letter, one in ladder.initial_numbers]
    said = [title, *initial, *facts, verdict_words(ladder.connection)]
    said += [ladder.beginning] if ladder.beginning else []
    yield f"    Note over L,R: {_lines(flowed(said, LINE, 1))}"
    for row in ladder.rows:
        yield from _row(ladder, row)
    for deadline in ladder.deadlines:
        yield from _deadline(deadline)


def _row(ladder: Ladder, row: Row) -> Iterator[str]:
    if isinstance(row, Rung):
        yield _segment(ladder, row)
        yield from _notes_of_states(row.written)
        yield from _remarks(row)
    elif isinstance(row, ErrorRung):
        yield from _error(ladder, row)
        yield from _remarks(row)
    elif isinstance(row, CallRung):
        side = _SIDES["responder" if row.is_right else "originator"]
        yield f"    Note {side}: {_lines([row.mark.text])}"
    elif isinstance(row, FoldRung):
        yield _note_over(f"⋯ {row.text} ⋯")
    else:
        yield from _notes_of_states(row.written)


def _segment(ladder: Ladder, row: Rung) -> str:
    """Return the arrow of a segment with its control bits, payload and arithmetic."""
    step, numbers = row.step, ladder.spelling.numbers
    window = " ".join(filter(None, window_words(step)))
    again = "again" if step.retransmission else ""
    first = [f"{row.time} {ladder.unit}", flags_words(step), numbers_words(step, numbers), window, again]
    sums = [f"{sum_words(line, numbers)} {VERDICT_SIGNS[line.holds]} {line.reason}" for line in step.arithmetic]
    ignored = [f"ignored: {step.ignored}"] if step.ignored is not None else []
    lines = [" ".join(filter(None, first)), option_words(step, numbers), row.payload, *sums, *ignored]
    arrow = "--x" if step.ignored is not None else "-x" if "RST" in step.flags.split(",") else "->>"
    peer: End = "responder" if step.sender == "originator" else "originator"
    return f"    {_IDS[step.sender]}{arrow}{_IDS[peer]}: {_lines(lines)}"


def _error(ladder: Ladder, row: ErrorRung) -> Iterator[str]:
    """Yield an ICMP error: an arrow from the other end, or a note for a router, which is not in the diagram."""
    error = row.error
    quoted = details(error, ladder.spelling.numbers, ladder.spellings)
    said = _lines([f"{row.time} {ladder.unit} {label(error).plain}", *(one.plain for one in quoted)])
    if not row.from_end:
        yield f"    Note over L,R: {said}"
        return
    sender = sender_of(error)
    yield f"    {_IDS[sender]}{'--x' if error.was_sent is False else '-->>'}{_IDS[error.quotes]}: {said}"


def _notes_of_states(written: Written) -> Iterator[str]:
    for end in ENDS:
        at = written[end]
        if at is not None and at.state is not None:
            yield f"    Note {_SIDES[end]}: {_state(at)}"


def _state(at: StateAt) -> str:
    basis = basis_words(at)
    return _lines([at.state or "", f"({basis})" if basis else ""])


def _remarks(row: Rung | ErrorRung) -> Iterator[str]:
    said = [f"comment: {one}" for one in row.step.comments] if isinstance(row, Rung) else []
    said += row.marks or ()
    said += [finding_text(one).plain for one in row.findings]
    yield from (_note_over(one) for one in said if one.strip())


def _deadline(deadline: Deadline) -> Iterator[str]:
    written = {end: at for end in ENDS if (at := deadline.written[end]) is not None}
    side = "over L,R" if len(written) > 1 else _SIDES[deadline.wait.owner]  # one socket may be both ends
    state = _state(written[deadline.wait.owner])
    yield f"    Note {side}: {_BREAK.join(filter(None, [_lines(deadline_words(deadline)), state]))}"


def _note_over(said: str) -> str:
    return f"    Note over L,R: {_lines([said])}"


def _lines(said: Sequence[str]) -> str:
    """Return some lines as one text; those that are too long are broken."""
    return _BREAK.join(_text(part) for line in said for part in wrapped(line, LINE, 1))


def _text(said: str) -> str:
    """Return text escaped so that Mermaid takes it for text only."""
    return _UNSAFE.sub(lambda found: f"#{ord(found[0][0])};{found[0][1:]}", printable(said))
