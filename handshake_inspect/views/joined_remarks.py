"""Remarks on two joined captures, one line each.

In: `Joined`. Out: sentences for standard error.
"""

from __future__ import annotations

from collections.abc import Iterator

from handshake_inspect.joined.join import Joined
from handshake_inspect.quantities import counted, duration


def joined_remarks(joined: Joined) -> Iterator[str]:
    """Yield remarks that limit what the results mean."""
    first, second = (inspection.captures[0] for inspection in joined.inspections)
    swapped, known = joined.swapped
    if swapped:
        some = "" if swapped == known else f", of {swapped:,} of {known:,} connections"
        yield f"{first.name} was captured near the server, {second.name} near the client{some}: by the times or the TTL"
    if joined.contradiction_ns:
        apart = duration(joined.contradiction_ns)
        yield f"the clocks drifted apart by {apart} or more, or one was set: each connection is judged by its own times"
    for capture in (first, second):
        if capture.dropped:
            dropped = counted(capture.dropped, "frame")
            yield f"{capture.name} itself lost {dropped}: what only the other capture has may have been among them"
    alone = len(joined) - joined.pairs
    if joined.pairs and alone:
        yield f"{counted(alone, 'connection')} of {len(joined):,} in one of the captures only"
