"""Findings for people: grouped by code with some examples, or connection by connection.

In: groups of findings, connections. Out: lines of `rich` text, the worst first.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from rich.text import Text

from handshake_inspect.connections.connection import Connection, Finding, Frame, RunFinding
from handshake_inspect.quantities import counted
from handshake_inspect.views.escape import printable
from handshake_inspect.views.ladder_layout import wrap
from handshake_inspect.views.styled import styled

STYLES = {"error": "bold red", "warn": "yellow", "note": "cyan", "chat": "dim"}
#: Frames of one finding that are named.
FRAMES_NAMED = 4
#: Of those about a run so many are named for each code.
ABOUT_NAMED = 3
INDENT = 6


@dataclass(frozen=True)
class Group:
    """All findings of one code."""

    code: str
    severity: str
    #: What the code means, in a sentence.
    meaning: str
    #: How many connections show it.
    connections: int
    #: Some of them, and what was found of each.
    examples: Sequence[tuple[Connection, Finding]] = ()
    #: What was found of listeners, hosts and captures.
    run: Sequence[RunFinding] = ()


def group_lines(groups: Iterable[Group], width: int, *, captures: int) -> Iterator[Text]:
    """Yield the lines of groups; with several `captures`, each example names its capture."""
    for number, group in enumerate(groups):
        if number:
            yield Text()
        how_many = f"  {counted(group.connections, 'connection')}" if group.connections else ""
        yield Text.assemble(severity_text(group.severity), " ", (group.code, "bold"), how_many)
        yield from _indented(Text(printable(group.meaning), "dim"), width)
        for about in group.run[:ABOUT_NAMED]:
            said = Text.assemble((printable(about.about), "bold"), f"  {printable(about.message)}")
            yield from _indented(said, width)
        if len(group.run) > ABOUT_NAMED:
            yield from _indented(Text(f"… and {len(group.run) - ABOUT_NAMED:,} more", "dim"), width)
        for connection, finding in group.examples:
            yield from _indented(_example(connection, finding, captures), width)
        more = group.connections - len({connection.stream for connection, _ in group.examples})
        if group.examples and more > 0:
            yield from _indented(Text(f"… and {counted(more, 'more connection')}", "dim"), width)


def _example(connection: Connection, finding: Finding, captures: int) -> Text:
    where = f"stream {connection.stream}"
    if captures > 1:
        where += f" of {printable(connection.capture)}"
    frames = f", {frames_text(finding.frames)}" if finding.frames else ""
    return Text.assemble((f"{where}{frames}: ", "bold"), printable(finding.message))


def connection_lines(
    connection: Connection, findings: Sequence[Finding], width: int, *, captures: int
) -> Iterator[Text]:
    """Yield the findings of one connection."""
    of = f" of {printable(connection.capture)}" if captures > 1 else ""
    ends = f"{connection.originator} → {connection.responder}"
    kinds = f"{connection.handshake.kind}, {connection.teardown.kind}"
    yield Text.assemble((f"stream {connection.stream}{of}", "bold"), f"  {ends}  {kinds}")
    for finding in findings:
        frames = f" ({frames_text(finding.frames)})" if finding.frames else ""
        yield from _indented(finding_text(finding, frames), width)


def run_lines(found: Iterable[RunFinding], width: int) -> Iterator[Text]:
    """Yield the findings of the run."""
    for one in found:
        said = Text.assemble(severity_text(one.severity), " ", (one.code, "bold"), f"  {printable(one.about)}: ")
        yield from wrap(said.append(printable(one.message)), width, indent=INDENT)


def finding_text(finding: Finding, frames: str = "") -> Text:
    """Return a finding on a line: "warn half-open: half-open for 3.049 s ..."."""
    said = f"{frames}: {printable(finding.message)}"
    return styled((finding.severity, STYLES[finding.severity]), " ", (finding.code, "bold"), said)


def severity_text(severity: str) -> Text:
    """Return a severity in its colour."""
    return Text(severity, STYLES[severity])


def frames_text(frames: Sequence[Frame]) -> str:
    """Return "frame 3", "frames 3, 5 and 9", "frames 3, other.pcap 5"."""
    named = [str(one) if isinstance(one, int) else f"{printable(one[0])} {one[1]}" for one in frames[:FRAMES_NAMED]]
    more = "…" if len(frames) > FRAMES_NAMED else ""
    return f"{'frame' if len(frames) == 1 else 'frames'} {', '.join(named)}{more}"


def _indented(text: Text, width: int) -> Iterator[Text]:
    for line in wrap(text, width - INDENT):
        yield Text(" " * INDENT).append_text(line)
