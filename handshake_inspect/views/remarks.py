"""What goes to standard error beside the results: what was damaged, not read, lost, collapsed or not listed.

In: an inspection. Out: one line for each; none for an ordinary capture.
"""

from __future__ import annotations

from collections.abc import Iterator

from handshake_inspect.capture.about import About
from handshake_inspect.inspection import Inspection
from handshake_inspect.views.escape import printable
from handshake_inspect.views.words import counted, listed

#: Kinds of unread frames that are named; more than these are summed up.
KINDS_NAMED = 12
#: Comments on a whole capture that are printed, and characters of each: the JSON has all.
COMMENTS_PRINTED, COMMENT_CHARACTERS = 5, 300


def remarks(inspection: Inspection, *, udp_listed: bool = False, udp_lister: str = "--udp") -> Iterator[str]:
    """Yield the lines. `udp_lister`: what lists UDP, for a reader whose command has not done so.

    Of a live capture without a segment nothing is said: the command that captured says what it saw.
    """
    for place in inspection.damage:
        yield (
            f"{printable(place.capture)}: damaged at octet {place.offset:,}, after"
            f" {counted(place.frames_before, 'frame')}: {printable(place.message)}"
        )
    for capture in inspection.captures:
        name = printable(capture.name)
        if capture.segments == 0 and capture.format != "live" and not (udp_listed and capture.datagrams):
            yield f"{name}: no TCP segment in {counted(capture.frames, 'frame')}"
        if capture.dropped:
            yield f"{name}: {counted(capture.dropped, 'frame')} dropped while capturing: numbers may be missing"
        yield from _about(name, capture.about)
    if inspection.unread:
        kinds = inspection.unread.most_common()
        said = [f"{count:,} {printable(kind)}" for kind, count in kinds[:KINDS_NAMED]]
        if len(kinds) > KINDS_NAMED:
            said.append(f"{sum(count for _, count in kinds[KINDS_NAMED:]):,} of other kinds")
        yield f"not read: {listed(said)}"
    datagrams = sum(capture.datagrams for capture in inspection.captures)
    if datagrams and not udp_listed:
        yield f"UDP: {counted(datagrams, 'datagram')}; {udp_lister} lists who asked and who answered"
    if inspection.unmatched_icmp_errors:
        count = inspection.unmatched_icmp_errors
        quote = counted(count, "ICMP error about TCP quotes", "ICMP errors about TCP quote")
        yield f"{quote} a segment of no connection that was captured"
    if inspection.icmp_error_copies:
        copies = counted(inspection.icmp_error_copies, "ICMP error")
        yield f"{copies} captured twice within 0.1 ms, as loopback shows them: told once"
    duplicates = inspection.duplicates
    if duplicates:
        yield f"{counted(duplicates, 'segment')} captured twice within 0.1 ms, as loopback shows them: counted once"


def _about(name: str, about: About) -> Iterator[str]:
    """Say what people wrote into a capture."""
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
