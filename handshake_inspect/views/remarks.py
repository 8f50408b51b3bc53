"""What goes to standard error beside the results: what was damaged, not read, lost, collapsed or not listed.

In: a run. Out: one line for each; none for an ordinary capture.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence

from handshake_inspect.capture.about import About
from handshake_inspect.capture.order import Disorder
from handshake_inspect.capture.summary import CaptureSummary
from handshake_inspect.connections.connection import RunFinding
from handshake_inspect.connections.endless.retention import LetGo
from handshake_inspect.overview import Overview
from handshake_inspect.quantities import counted, duration, listed
from handshake_inspect.views.escape import printable
from handshake_inspect.views.table import SERIOUS
from handshake_inspect.views.words import of_kind

#: How segments were captured more than once, by the kind of their copies; in other words where it is another capture.
COPIES = {
    "loopback": "twice within 0.1 ms, as loopback shows them",
    "mirror": "again within 10 ms, as a port mirror or a bridge shows them",
    "router": "again on the other side of a router",
}
#: Kinds of unread frames that are named; more than these are summed up.
KINDS_NAMED = 12
#: Captures without a TCP segment that are named: a folder may have thousands.
EMPTY_NAMED = 10
#: Comments on a whole capture that are printed, and characters of each: the JSON has all.
COMMENTS_PRINTED, COMMENT_CHARACTERS = 5, 300


def remarks(
    run: Overview,
    *,
    udp_listed: bool = False,
    udp_lister: str = "--udp",
    findings_listed: bool = False,
    empty_listed: bool = False,
    interrupted: bool = False,
) -> Iterator[str]:
    """Yield the lines, except for what is `listed` in the results: UDP, findings of the run, empty captures.

    `udp_lister`: what lists UDP, for a reader whose command has not done so. `interrupted`: of a capture without a
    frame nothing is said, for nobody has looked whether it has one.
    """
    for place in run.damage:
        yield (
            f"{printable(place.capture)}: damaged at octet {place.offset:,}, after"
            f" {counted(place.frames_before, 'frame')}: {printable(place.message)}"
        )
    begun = [one for one in run.captures if one.frames or not interrupted]
    yield from _captures(begun, udp_listed=udp_listed, empty_listed=empty_listed)
    yield from _let_go(run.let_go)
    yield from _unread(run.unread)
    datagrams = sum(capture.datagrams for capture in run.captures)
    if datagrams and not udp_listed:
        yield f"UDP: {counted(datagrams, 'datagram')}; {udp_lister} lists who asked and who answered"
    yield from _icmp_errors(run)
    yield from _copies(run)
    if not findings_listed:
        yield from _found_of_the_run(run)
    if run.one_sided:
        all_of_them = counted(run.connections, "connection")
        yield f"{run.one_sided:,} of {all_of_them} captured in one direction only"


def _captures(captures: Sequence[CaptureSummary], *, udp_listed: bool, empty_listed: bool) -> Iterator[str]:
    """Yield remarks on each capture: no segment, lost frames, comments, disorder.

    Of a live capture without a segment nothing is said: the command that captured says what it saw.
    """
    empty = 0
    for capture in captures:
        name = printable(capture.name)
        is_listed = empty_listed or (udp_listed and capture.datagrams)
        if capture.segments == 0 and capture.format != "live" and not is_listed:
            empty += 1
            if empty <= EMPTY_NAMED:
                yield f"{name}: no TCP segment in {counted(capture.frames, 'frame')}"
        if capture.dropped:
            yield f"{name}: {counted(capture.dropped, 'frame')} dropped while capturing: numbers may be missing"
        yield from _about(name, capture.about)
        yield from (f"{name}: {line}" for line in _disorder(capture.disorder))
    if empty > EMPTY_NAMED:
        yield f"{counted(empty - EMPTY_NAMED, 'more capture')} without a TCP segment"


def _unread(unread: Counter[str]) -> Iterator[str]:
    """Return the kinds of frames that were not read, the most frequent first."""
    if not unread:
        return
    kinds = sorted(unread.items(), key=lambda one: (-one[1], one[0]))  # not in the order in which they came
    said = [f"{count:,} {printable(of_kind(count, kind))}" for kind, count in kinds[:KINDS_NAMED]]
    if len(kinds) > KINDS_NAMED:
        said.append(f"{sum(count for _, count in kinds[KINDS_NAMED:]):,} of other kinds")
    yield f"not read: {listed(said)}"


def _icmp_errors(run: Overview) -> Iterator[str]:
    """Yield how many ICMP errors belong to no connection, or are second copies."""
    if run.unmatched_icmp_errors:
        count = run.unmatched_icmp_errors
        quote = counted(count, "ICMP error about TCP quotes", "ICMP errors about TCP quote")
        yield f"{quote} a segment of no connection that was captured"
    if run.icmp_error_copies:
        copies = counted(run.icmp_error_copies, "ICMP error")
        yield f"{copies} captured again: told once"


def _about(name: str, about: About) -> Iterator[str]:
    """Yield the comments in a capture."""
    if about.files > 1:
        yield f"{name}: {about.files:,} pcap files, one behind the other: read as one"
    comments = about.comments  # not those on interfaces: capturing programs write them by themselves
    for comment in comments[:COMMENTS_PRINTED]:
        said = comment.strip()
        cut = said[:COMMENT_CHARACTERS] + "…" * (len(said) > COMMENT_CHARACTERS)
        yield f"{name}: comment: {printable(cut)}"
    if len(comments) > COMMENTS_PRINTED:
        yield f"{name}: {counted(len(comments) - COMMENTS_PRINTED, 'more comment')}; --format json has them"
    if about.frame_comments:
        verb = "has" if len(about.frame_comments) == 1 else "have"
        yield f"{name}: {counted(len(about.frame_comments), 'frame')} {verb} comments; show prints them"
    if about.left_out:
        kinds = [f"{count:,} {kind}" for kind, count in about.left_out.items()]
        yield f"{name}: not kept, for there are too many: {listed(kinds)}"


def _disorder(found: Disorder) -> Iterator[str]:
    """Yield what was done about frames whose times step back."""
    if found.frames:
        frames = counted(found.frames, "frame")
        yield f"{frames} out of order by up to {duration(found.largest_ns)}: put in order of time"
    if found.jumps:
        yield (
            f"the clock jumps back {counted(found.jumps, 'time')}, by up to {duration(found.largest_jump_ns)}, first at"
            f" frame {found.first_jump_frame:,}: kept in the order of the file, intervals across it are not known"
            " (captures put behind each other? reordercap sorts them)"
        )


def _let_go(let_go: LetGo) -> Iterator[str]:
    """Yield what a run without an end has dropped, and does not list."""
    if let_go.connections:
        gone = f"{counted(let_go.connections, 'connection')} of {counted(let_go.segments, 'segment')}"
        if let_go.told:
            yield f"over before the end, written first and let go (--keep): {gone}"
            yield "a scan or a flood, which only the whole run shows, was looked for in the other connections alone"
        else:
            yield f"let go after their TIME-WAIT, only counted: {gone}"
    if let_go.exchanges:
        yield f"let go after a while, only counted: {counted(let_go.exchanges, 'UDP exchange')}"


def _copies(run: Overview) -> Iterator[str]:
    """Yield why segments were captured more than once."""
    names = [printable(capture.name) for capture in run.captures]
    where = f"in both {names[0]} and {names[1]}" if len(names) == 2 else "in several of the captures"
    for kind, count in run.copies.items():
        if count:
            yield f"{counted(count, 'segment')} captured {COPIES.get(kind, where)}: counted once"


def _found_of_the_run(run: Overview) -> Iterator[str]:
    """Yield the findings of the run: for each code the one that most connections show."""
    codes: dict[str, list[RunFinding]] = {}
    for one in run.findings:
        if one.severity in SERIOUS and one.connections:  # the others are about captures, and said above
            codes.setdefault(one.code, []).append(one)
    for found in codes.values():
        first = found[0]
        others = f" (and {counted(len(found) - 1, 'other')})" if len(found) > 1 else ""
        yield f"{first.severity} {first.code}: {printable(first.about)}{others}: {printable(first.message)}"
