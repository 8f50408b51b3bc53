"""What was captured: the run in a few facts, and each file with its interfaces, comments and losses.

In: an inspection. Out: plain data for the template. All names and comments are text of others.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from handshake_inspect.capture.about import About, InterfaceAbout
from handshake_inspect.capture.summary import CaptureSummary
from handshake_inspect.inspection import Inspection
from handshake_inspect.overview import Overview
from handshake_inspect.quantities import counted, duration, listed
from handshake_inspect.views.remarks import remarks
from handshake_inspect.views.words import moment, octets

#: Files, interfaces of each, and comments of each, that the page lists.
FILES_LISTED, INTERFACES_LISTED, COMMENTS_LISTED = 200, 20, 20
#: Names of captures in the title of the page.
NAMES_IN_TITLE = 3


@dataclass(frozen=True)
class Fact:
    """A number and what it counts."""

    value: str
    label: str
    #: Something was lost or damaged.
    is_bad: bool = False


@dataclass(frozen=True)
class File:
    """One capture."""

    name: str
    facts: list[str]
    interfaces: list[str]
    comments: list[str]
    #: Interfaces and comments that are not listed.
    more: str


@dataclass(frozen=True)
class Captured:
    """The run as a whole."""

    title: str
    #: From the first frame to the last one.
    span: str
    facts: list[Fact]
    #: What numbers do not say: damage, what was not read, copies, comments.
    remarks: list[str]
    files: list[File]
    more_files: int


def captured(inspection: Inspection, connections: int, exchanges: int, *, unread: Sequence[str] = ()) -> Captured:
    """Return the facts about the captures. The page is about so many connections, and UDP exchanges.

    `unread`: files that could not be read, each with the reason.
    """
    run = inspection.overview
    return Captured(
        title=_title(run),
        span=_span(run),
        facts=_facts(run, connections, exchanges, len(unread)),
        remarks=[f"not read: {line}" for line in unread] + list(remarks(run, udp_listed=True, findings_listed=True)),
        files=[_file(one) for one in run.captures[:FILES_LISTED]],
        more_files=max(0, len(run.captures) - FILES_LISTED),
    )


def _title(run: Overview) -> str:
    names = [one.name.rpartition("/")[2] if one.name != "-" else "standard input" for one in run.captures]
    if len(names) > NAMES_IN_TITLE:
        return f"{counted(len(names), 'capture')}, {names[0]} and others"
    return listed(names)


def _span(run: Overview) -> str:
    times = [time for one in run.captures for time in (one.first_ns, one.last_ns) if time is not None]
    if not times:
        return "no frames"
    return f"{moment(min(times), 'utc')}, {duration(max(times) - min(times))}"


def _facts(run: Overview, connections: int, exchanges: int, unread: int) -> list[Fact]:
    dropped = [one.dropped for one in run.captures if one.dropped is not None]
    facts = [Fact(f"{connections:,}", "connection" if connections == 1 else "connections")]
    if connections != run.connections:
        facts.append(Fact(f"{run.connections:,}", "captured in all"))
    facts += [
        Fact(f"{sum(one.segments for one in run.captures):,}", "segments"),
        Fact(f"{sum(one.frames for one in run.captures):,}", "frames"),
    ]
    if exchanges:
        facts.append(Fact(f"{exchanges:,}", "UDP exchange" if exchanges == 1 else "UDP exchanges"))
    facts.append(Fact(f"{sum(dropped):,}" if dropped else "not said", "frames dropped", is_bad=sum(dropped) > 0))
    if unread:
        facts.append(Fact(f"{unread:,}", "file not read" if unread == 1 else "files not read", is_bad=True))
    if run.damage:
        facts.append(Fact(f"{len(run.damage):,}", "places damaged", is_bad=True))
    return facts


def _file(capture: CaptureSummary) -> File:
    about = capture.about
    facts = [
        capture.format,
        *capture.link_types,
        counted(capture.frames, "frame"),
        counted(capture.segments, "segment"),
        *([counted(capture.datagrams, "datagram")] if capture.datagrams else []),
        *([f"from {moment(capture.first_ns, 'utc')}"] if capture.first_ns is not None else []),
        *([f"{counted(capture.dropped, 'frame')} dropped"] if capture.dropped else []),
        *(said for said in (about.application, about.os, about.hardware) if said),
    ]
    comments = [*about.comments, *(comment for one in about.interfaces for comment in one.comments)]
    return File(
        name=capture.name,
        facts=facts,
        interfaces=[_interface(one) for one in about.interfaces[:INTERFACES_LISTED]],
        comments=[comment.strip() for comment in comments[:COMMENTS_LISTED]],
        more=_more(about, len(comments)),
    )


def _interface(one: InterfaceAbout) -> str:
    said = [
        one.name or "without a name",
        one.description,
        one.filter and f"filter {one.filter}",
        one.hardware,
        one.os,
        one.snaplen and f"frames up to {octets(one.snaplen)}",
        f"{one.dropped:,} dropped" if one.dropped else None,
    ]
    return " · ".join(part for part in said if part)


def _more(about: About, comments: int) -> str:
    more = []
    if len(about.interfaces) > INTERFACES_LISTED:
        more.append(counted(len(about.interfaces) - INTERFACES_LISTED, "more interface"))
    if comments > COMMENTS_LISTED:
        more.append(counted(comments - COMMENTS_LISTED, "more comment"))
    return listed(more)
