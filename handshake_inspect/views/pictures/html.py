"""The ladder as HTML: a fragment that a page can hold, and a page of its own.

In: a `Ladder`. Out: markup. The rungs are a table, in the order in which it is read aloud: when, the state on the left,
the segment, the state on the right, and why its numbers are right. The states of both ends are lanes down its sides,
told by colour, by pattern (how it is known) and by word. The style sheet is `ladder.css`, with the colours of
`views.palette`; no script is needed, and nothing is fetched.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from functools import cache, lru_cache
from importlib.resources import files

from handshake_inspect.connections.connection import ENDS, End, Pair, StateAt, Step
from handshake_inspect.views import palette
from handshake_inspect.views.finding_lines import finding_text
from handshake_inspect.views.icmp_lines import details, label
from handshake_inspect.views.pictures.markup import sentence, text
from handshake_inspect.views.pictures.words import (
    basis_words,
    deadline_words,
    kind_of,
    legend_of,
    pattern_of,
    role_of,
)
from handshake_inspect.views.rungs import (
    CallRung,
    Deadline,
    ErrorRung,
    FoldRung,
    Ladder,
    Row,
    Rung,
    Standing,
    Written,
    sender_of,
)
from handshake_inspect.views.segment_words import (
    VERDICT_SIGNS,
    Numbers,
    flags_words,
    numbers_words,
    option_words,
    spelled_numbers,
    sum_number,
    sum_words,
    window_words,
)
from handshake_inspect.views.words import frame_text

_UNKNOWN = StateAt(None, None)
#: Where words begin that a terminal colours.
_STYLED = re.compile(r'<span class="(?:good|bad|odd)">')
_NOTHING: Written = Pair(None, None)
#: Classes of lines of arithmetic by their verdict.
_VERDICTS = {True: "good", False: "bad", None: "odd"}
#: Spellings of numbers, and how each is headed.
_SPELLINGS: dict[Numbers, str] = {
    "symbolic": "in letters",
    "relative": "counted",
    "absolute": "in the header",
}
#: Whither the arrow of an end goes, and to whom.
_SIDES: dict[End, tuple[str, End]] = {
    "originator": ("to-right", "responder"),
    "responder": ("to-left", "originator"),
}


def fragment(
    ladder: Ladder, *, title: str, facts: Sequence[str] = (), level: int = 2, most_rows: int | None = None
) -> str:
    """Return the ladder as one `<article class="ladder">`, for a page that has `style_sheet()` in it.

    `level`: of its heading. `most_rows`: a longer ladder is cut there, and says so.
    """
    rows: Sequence[Row | Deadline] = [*ladder.rows, *ladder.deadlines]
    cut = 0 if most_rows is None else len(rows) - most_rows
    parts = [
        f'<article class="ladder">{_header(ladder, title, facts, level)}{_table_head(ladder)}',
        *_Rows(ladder).of(rows[:most_rows] if cut > 0 else rows),
        "</tbody></table>",
        f'<p class="cut">… and {cut:,} more rows that are not drawn here.</p>' if cut > 0 else "",
        _legend(ladder),
        _account(ladder),
        "</article>\n",
    ]
    return "".join(parts)


def page(ladder: Ladder, *, title: str, facts: Sequence[str] = ()) -> str:
    """Return a page of its own with this ladder on it."""
    policy = "default-src 'none'; style-src 'unsafe-inline'"
    return (
        '<!DOCTYPE html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        f'<meta http-equiv="Content-Security-Policy" content="{policy}">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f"<title>{text(title)}</title>\n<style>\n{style_sheet()}{_PAGE_STYLE}</style>\n</head>\n<body>\n<main>\n"
        f"{fragment(ladder, title=title, facts=facts, level=1)}</main>\n</body>\n</html>\n"
    )


@cache
def style_sheet() -> str:
    """Return the text that a page needs in `<style>` for its fragments."""
    return f"{palette.css()}\n{files(__package__).joinpath('ladder.css').read_text(encoding='utf-8')}"


_PAGE_STYLE = """body { margin: 0; background: var(--bg); color: var(--text); }
main { max-width: 76rem; margin: 0 auto; padding: clamp(0.75rem, 3vw, 2.5rem); }
"""


# --- around the rungs ------------------------------------------------------------------------------------------------


def _header(ladder: Ladder, title: str, facts: Sequence[str], level: int) -> str:
    initial = [
        f"<li><var>{letter}</var> = {'not captured' if number is None else number}</li>"
        for letter, number in ladder.initial_numbers
    ]
    said = [ladder.addresses.originator, ladder.addresses.responder]
    more = [*facts, ladder.beginning] if ladder.beginning else facts
    items = [*(f"<li>{text(one)}</li>" for one in said), *initial, *(f"<li>{text(one)}</li>" for one in more)]
    return f'<h{level}>{text(title)}</h{level}><ul class="facts">{"".join(items)}</ul>'


def _table_head(ladder: Ladder) -> str:
    columns = {
        "when": ladder.unit,
        "left": ladder.names.originator,
        "segment": '<span class="hidden">segment</span>',
        "right": ladder.names.responder,
        "why": "why the number is right",
    }
    heads = [f'<th scope="col" class="{name}">{said}</th>' for name, said in columns.items()]
    classes = "rungs" if ladder.spelling.clock == "relative" else "rungs clocked"
    return f'<table class="{classes}" aria-label="segments by time"><thead><tr>{"".join(heads)}</tr></thead><tbody>'


def _legend(ladder: Ladder) -> str:
    keys = [f'<li><i class="swatch {pattern}"></i>{said}</li>' for pattern, said in legend_of(ladder)]
    letters = [f"<li><var>{letter}</var> {meaning}</li>" for letter, meaning in ladder.letters]
    return f'<ul class="legend">{"".join(keys)}{"".join(letters)}</ul>'


def _account(ladder: Ladder) -> str:
    """Return the account below the ladder, with the verdicts in their usual colours."""
    one = ladder.connection
    roles = {
        "Opening": palette.OPENING_ROLES.get(one.handshake.kind, "unknown"),
        "Closing": palette.CLOSING_ROLES.get(one.teardown.kind, "unknown"),
        "TIME-WAIT": "waiting",
    }
    told = []
    for heading, said in ladder.account():
        lines = [_coloured(sentence(line), roles[heading]) if heading in roles else sentence(line) for line in said]
        if lines:
            told.append(f"<dt>{heading}</dt><dd>{'<br>'.join(lines)}</dd>")
    return f'<dl class="account">{"".join(told)}</dl>'


def _coloured(markup: str, role: str) -> str:
    """Give the first styled words of a sentence the colour of a role, which terminal styles cannot name."""
    return _STYLED.sub(f'<span class="strong state-{role}">', markup, count=1)


# --- the rungs -------------------------------------------------------------------------------------------------------


class _Rows:
    """Writes the rows of one ladder, and keeps the states of the row before: a lane changes where an arrow meets it."""

    def __init__(self, ladder: Ladder) -> None:
        self._ladder = ladder
        self._numbers = ladder.spelling.numbers
        self._was: Pair[StateAt] = Pair(_UNKNOWN, _UNKNOWN)
        #: The lanes of a row that changes nothing.
        self._going_on = _going_on(self._was)
        self._others = tuple(one for one in _SPELLINGS if one != self._numbers)
        self._begins = {end: _label_begins(end, ladder.names) for end in ENDS}

    def of(self, rows: Sequence[Row | Deadline]) -> Iterator[str]:
        """Yield each row as a `<tr>`."""
        if rows:
            self._was = rows[0].states
            self._going_on = _going_on(self._was)
        for row in rows:
            if isinstance(row, Rung):
                yield self._segment(row)
            elif isinstance(row, ErrorRung):
                yield self._error(row)
            elif isinstance(row, Standing):
                yield self._row("standing", row, row.written, "")
            elif isinstance(row, CallRung):
                who = "by-right" if row.is_right else "by-left"
                yield self._row("called", row, _NOTHING, f'<p class="call {who}">{text(row.mark.text)}</p>')
            elif isinstance(row, FoldRung):
                yield self._row("folded", row, _NOTHING, f"<p>{text(row.text)}</p>")
            else:
                told = f'<span class="hidden">{self._ladder.names[row.wait.owner]}: </span>'
                told += "<br>".join(map(text, deadline_words(row)))
                yield self._row("deadline", row, row.written, f"<p>{told}</p>")

    def _row(
        self, kind: str, row: Row | Deadline, written: Written, middle: str, classes: str = "segment", why: str = ""
    ) -> str:
        was, now = self._was, row.states
        left, right = self._going_on
        if was.originator is not now.originator or written.originator is not None:
            left = _lane("left", was.originator, now.originator, written.originator)
        if was.responder is not now.responder or written.responder is not None:
            right = _lane("right", was.responder, now.responder, written.responder)
        if was is not now:
            self._was, self._going_on = now, _going_on(now)
        return (
            f'<tr class="{kind}"><td class="when">{row.time}</td>{left}<td class="{classes}">{middle}</td>{right}'
            f'<td class="why">{why}</td></tr>'
        )

    def _segment(self, row: Rung) -> str:
        step = row.step
        classes = f"segment {kind_of(step.flags)}{' ignored' if step.ignored is not None else ''}"
        middle = f'{self._begins[step.sender]}{self._label(row)}</span><i class="shaft"></i>'
        sums = "".join(
            [
                _sum(_VERDICTS[line.holds], sum_words(line, self._numbers), VERDICT_SIGNS[line.holds], line.reason)
                for line in step.arithmetic
            ]
        )
        kind = "rung" if row.marks is None else "rung marked"
        return self._row(kind, row, row.written, middle + self._below(row), classes, sums + _more(step, self._others))

    def _label(self, row: Rung) -> str:
        """Return the text on the arrow."""
        step = row.step
        label = f"<b>{flags_words(step)}</b> {numbers_words(step, self._numbers)}"
        if step.at_closed_window:
            window, remark = window_words(step)
            label += f' <b class="odd">{window}</b> {remark}'
        return f'{label} <b class="odd">again</b>' if step.retransmission else label

    def _below(self, row: Rung) -> str:
        """Return what stands below an arrow: options, the payload, why it is ignored, what was noticed."""
        step = row.step
        options = option_words(step, self._numbers)
        said = [f'<p class="offer">{options}</p>'] if options else []
        if row.payload:
            said.append(f'<p class="payload">{text(row.payload)}</p>')
        if step.ignored is not None:
            said.append(f'<p class="bad">ignored: {text(step.ignored)}</p>')
        said += [f'<p class="comment">comment: {text(comment)}</p>' for comment in step.comments]
        return "".join(said) + _said(row)

    def _error(self, row: ErrorRung) -> str:
        error, names = row.error, self._ladder.names
        classes = "segment icmp ignored" if error.was_sent is False else "segment icmp"
        classes += "" if row.from_end else " from-the-way"
        begins = _label_begins(sender_of(error), names, "" if row.from_end else "somebody on the way")
        middle = f'{begins}<b>{text(label(error).plain)}</b></span><i class="shaft"></i>{_said(row)}'
        quoted = details(error, self._numbers, self._ladder.spellings)
        why = "".join(f"<p>{sentence(one)}</p>" for one in quoted)
        return self._row("rung" if row.marks is None else "rung marked", row, _NOTHING, middle, classes, why)


def _label_begins(sender: End, names: Pair[str], sender_name: str = "") -> str:
    """Begin the label of an arrow; read aloud, it says from whom to whom."""
    side, peer = _SIDES[sender]
    begins = f"{sender_name or names[sender]} to {names[peer]}: "
    return f'<span class="what {side}" tabindex="0"><span class="hidden">{begins}</span>'


def _said(row: Rung | ErrorRung) -> str:
    """Return the remarks and findings of a row."""
    if not (row.marks or row.findings):
        return ""
    said = [f'<p class="mark">{text(one)}</p>' for one in row.marks or ()]
    said += [f'<p class="finding {one.severity}">{sentence(finding_text(one))}</p>' for one in row.findings]
    return "".join(said)


def _more(step: Step, others: tuple[Numbers, ...]) -> str:
    """Return the tooltip of a segment: its numbers in the `others` of the spellings."""
    one, other = others
    (seq, ack), (seq_2, ack_2) = spelled_numbers(step, one), spelled_numbers(step, other)
    frame = step.frame if isinstance(step.frame, int) else text(frame_text(step.frame))
    said = (
        f'<span class="more"><b>frame {frame}</b><b>{_SPELLINGS[one]}</b><b>{_SPELLINGS[other]}</b>'
        f"<i>seq</i><i>{seq}</i><i>{seq_2}</i>"
    )
    if ack is not None:
        said += f"<i>ack</i><i>{ack}</i><i>{ack_2}</i>"
    for line in step.arithmetic:
        if line.holds is False:
            said += f"<i>{line.name} must be</i><i>{sum_number(line, one)}</i><i>{sum_number(line, other)}</i>"
    if step.window_octets is not None:
        said += f"<i>window</i><i>{step.window_octets}</i><i>{step.window}</i>"
    return f"{said}</span>"


@lru_cache(maxsize=1 << 12)
def _sum(verdict: str, said: str, sign: str, reason: str) -> str:
    """Return a line of arithmetic with its verdict."""
    return f'<p class="{verdict}">{text(said)} <b>{sign}</b> <span>{text(reason)}</span></p>'


@lru_cache(maxsize=1 << 10)
def _going_on(states: Pair[StateAt]) -> tuple[str, str]:
    """Return the cells of both lanes where nothing changes."""
    left, right = states.originator, states.responder
    return _lane("left", left, left, None), _lane("right", right, right, None)


@lru_cache(maxsize=1 << 10)
def _lane(side: str, was: StateAt, now: StateAt, written: StateAt | None) -> str:
    """Return the cell of a lane: coloured by state, patterned by basis, labelled where a state begins."""
    classes = f"{side} now-{role_of(now)} {pattern_of(now)}"
    if was != now:
        classes += f" was-{role_of(was)} was-{pattern_of(was)}"
    if written is None or written.state is None:
        return f'<td class="{classes}"></td>'
    basis = basis_words(written)
    said = f"<small>{basis}</small>" if basis else ""
    return f'<td class="{classes}"><b class="state-{role_of(written)}">{written.state}</b>{said}</td>'
