"""Prints both accounts of a run side by side, ours and the kernel's, and the verdict; the exit code is its answer.

In: an `Agreement`. Out: for each end of each connection two columns of states with their times, a mark between them,
and why a row has only one side or was translated; then the lines of `DIFFERENCES` that were used, and the verdict.
"""

from __future__ import annotations

import textwrap
from collections.abc import Collection, Iterator, Sequence
from typing import TYPE_CHECKING

from rich.text import Text

from handshake_inspect.cli.output import text_width, write_lines
from handshake_inspect.connections.connection import end_names
from handshake_inspect.lab.kernel.agreement import Agreement, ConnectionAgreement, EndAgreement, Fit, Row, compare
from handshake_inspect.lab.kernel.differences import BY_CODE, DIFFERENCES
from handshake_inspect.quantities import counted
from handshake_inspect.views.ladder_order import start_ns

if TYPE_CHECKING:
    from handshake_inspect.inspection import Inspection
    from handshake_inspect.lab.calls import SocketCall
    from handshake_inspect.lab.kernel.account import KernelAccount

#: Between the two columns, by how a row fits.
MARKS = {
    "agrees": ("✓", "green"),
    "contradicts": ("✗", "bold red"),
    "not-taken": ("?", "yellow"),
    "not-seen": ("·", "dim"),
    "not-captured": ("·", "dim"),
}
#: Beside a row that only one side has and that needs no translation.
ALONE = {
    "contradicts": "one of the two is wrong",
    "not-seen": "between two samples",
    "not-captured": "in no captured segment",
}
#: Why a count of our changes is not among those that agree.
SHORTFALLS: tuple[tuple[Fit, str], ...] = (
    ("not-seen", "it does not show"),
    ("not-taken", "assumed, but did not happen"),
)
TIME_WIDTH, STATE_WIDTH = 10, 13
#: A remark that has less room stands below its row.
REMARK_WIDTH_MIN = 24


def verify(inspection: Inspection, account: KernelAccount, calls: Sequence[SocketCall] = ()) -> int:
    """Print both accounts and the verdict; return the exit code: 1 if they contradict. Raises LabError.

    `calls`: the socket calls of the ladder above, if there is one, so that both count the time from the same moment.
    """
    agreement = compare(inspection, account)
    write_lines(agreement_lines(agreement, account, inspection, calls))
    return int(agreement.contradicts)


def agreement_lines(
    agreement: Agreement, account: KernelAccount, inspection: Inspection, calls: Sequence[SocketCall]
) -> Iterator[Text]:
    """Return all lines: how the kernel was asked, both columns of each end, the translations used, the verdict."""
    yield Text("")
    yield how_asked(account)
    contradictions: list[str] = []
    drawn: list[ConnectionAgreement] = []
    for one in agreement.connections:
        names = end_names(inspection.connections[one.stream].handshake.kind)
        zero_ns = start_ns(calls, inspection.steps(one.stream))
        contradictions += [f"{names[end.end]}: {row}" for end in one.distinct for row in end.contradictions]
        if not any(one.shape == other.shape for other in drawn):
            for end in one.distinct:
                yield Text("")
                yield from end_lines(end, names[end.end], zero_ns)
            drawn.append(one)
    if len(drawn) < len(agreement.connections):
        yield Text("")
        yield Text(
            f"{counted(len(agreement.connections) - len(drawn), 'more connection')} went like one of these", "dim"
        )
    codes = {row.note for end in agreement.ends for row in end.rows}
    if codes - {None}:
        yield Text("")
        yield from translation_lines(codes)
    yield Text("")
    yield verdict(agreement, contradictions)


def how_asked(account: KernelAccount) -> Text:
    """Return where the kernel's states come from."""
    if account.traced:
        said = f"every change, by the tracepoint sock:inet_sock_set_state; {counted(account.samples, 'sample')}"
    else:
        gap = account.longest_gap_ns / 1e6
        said = f"{counted(account.samples, 'sample')}, up to {gap:.1f} ms apart: {account.why_sampled}"
    head = "The kernel's own account"
    lines = textwrap.wrap(f"{head} · {said}", text_width(), break_on_hyphens=False)
    found = Text("\n".join(lines))
    found.stylize("bold", 0, len(head))
    return found


def end_lines(end: EndAgreement, name: str, zero_ns: int) -> Iterator[Text]:
    """Return both columns of one end."""
    yield Text.assemble((name, "bold"), f" {end.endpoint}")
    heading = f"{'ms':>{TIME_WIDTH}}  {'capture':{STATE_WIDTH}}   {'kernel':{STATE_WIDTH}}{'ms':>{TIME_WIDTH}}"
    yield Text(heading, "dim")
    if not end.rows:
        yield Text(f"{'':{TIME_WIDTH}}  neither says anything", "dim")
    for row in end.rows:
        yield from row_lines(row, zero_ns)


def row_lines(row: Row, zero_ns: int) -> Iterator[Text]:
    """Return one row: time and state of ours, a mark, state and time of the kernel's, a remark."""
    own, kernel = row.own, row.kernel
    style = "bold red" if row.fit == "contradicts" else ""
    line = Text()
    line.append(f"{milliseconds(own.time_ns if own else None, zero_ns)}  ", "dim")
    line.append(f"{own.state if own else '':{STATE_WIDTH}} ", style)
    line.append(*MARKS[row.fit])
    line.append(f" {kernel.state if kernel else '':{STATE_WIDTH}}", style)
    line.append(milliseconds(kernel.time_ns if kernel else None, zero_ns), "dim")
    before = own is not None and own.time_ns is None
    remark = BY_CODE[row.note].kernel if row.note else "" if before else ALONE.get(row.fit, "")
    line.rstrip()
    if remark:
        yield from beside(line, remark, style or "dim")
    else:
        yield line


def beside(line: Text, remark: str, style: str) -> Iterator[Text]:
    """Return a row with a remark behind it, or below it if the terminal is too narrow."""
    column = len(line.plain.ljust(2 * TIME_WIDTH + 2 * STATE_WIDTH + 5)) + 2
    if text_width() - column >= REMARK_WIDTH_MIN:
        first, *rest = textwrap.wrap(remark, text_width() - column, break_on_hyphens=False)
        line.pad_right(column - len(line.plain))
        yield line.append(first, style)
    else:
        column, rest = TIME_WIDTH + 2, textwrap.wrap(remark, text_width() - TIME_WIDTH - 2, break_on_hyphens=False)
        yield line
    for part in rest:
        yield Text(" " * column + part, style)


def milliseconds(time_ns: int | None, zero_ns: int) -> str:
    """Return a time since `zero_ns`, right-aligned; blank if there is none."""
    return f"{'' if time_ns is None else f'{(time_ns - zero_ns) / 1e6:.3f}':>{TIME_WIDTH}}"


def translation_lines(codes: Collection[str | None] | None = None) -> Iterator[Text]:
    """Return the table of differences, or its lines with these codes."""
    yield Text("How Linux says it, and what that is in RFC 9293:", "bold")
    for one in DIFFERENCES:
        if codes is None or one.code in codes:
            yield Text.assemble(f"  {one.kernel} ", ("= ", "dim"), (one.means, "bold"))
            for line in textwrap.wrap(one.reason, text_width() - 6, break_on_hyphens=False):
                yield Text(f"      {line}", "dim")


def verdict(agreement: Agreement, contradictions: Sequence[str]) -> Text:
    """Return the line with the verdict."""
    if contradictions:
        return Text(f"kernel and capture contradict each other: {'; '.join(contradictions)}", "bold red")
    return Text(how_far(agreement), "bold green")


def how_far(agreement: Agreement) -> str:
    """Return how many of our changes the kernel confirms, and why it does not confirm the others."""
    agreed, changes = agreement.count("agrees"), counted(agreement.changes, "change")
    if agreement.why_sampled is not None:
        return f"sampled: {agreed} of {changes} seen, none contradicts"
    rest = [f"{agreement.count(fit)} {why}" for fit, why in SHORTFALLS if agreement.count(fit)]
    return "; ".join([f"kernel and capture agree: {agreed} of {changes}", *rest])
