"""The segments of both places in one order.

In: the segments of a connection, those that each place saw in the order of its capture. Out: `Moment`s. Each capture
keeps its order, and nothing arrives before it was sent; between these the times decide, as well as they can be
compared.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Sequence

from handshake_inspect.joined.model import JoinedSegment, Moment, Sighting

#: A segment, where it was seen, and whether that is where it arrives.
_Seen = tuple[JoinedSegment, Sighting, bool]


def moments(first: Iterable[_Seen], second: Iterable[_Seen]) -> Sequence[Moment]:
    """Merge the segments of both places."""
    queues = deque(first), deque(second)
    #: What is still to be sent; and what stands in both queues.
    unsent = {id(segment) for queue in queues for segment, _, arrives in queue if not arrives}
    twice = unsent & {id(segment) for queue in queues for segment, _, arrives in queue if arrives}
    merged: list[Moment] = []
    while any(queues):
        segment, _, arrives = _next(queues, unsent).popleft()
        if not arrives:
            unsent.remove(id(segment))
        if segment.near is not None and segment.far is not None and id(segment) not in twice:
            # The other place has it in another connection.
            merged.append(Moment(segment, sent=True, arrived=True))
        elif arrives and merged and merged[-1].segment is segment:
            merged[-1] = Moment(segment, sent=True, arrived=True)
        else:
            merged.append(Moment(segment, sent=not arrives, arrived=arrives))
    return merged


def _next(queues: tuple[deque[_Seen], deque[_Seen]], unsent: set[int]) -> deque[_Seen]:
    """Return the queue whose head comes next: the earlier one, except that nothing arrives before it was sent."""
    filled = [queue for queue in queues if queue]
    ready = [queue for queue in filled if not (queue[0][2] and id(queue[0][0]) in unsent)]
    return min(ready or filled, key=lambda queue: queue[0][1].common_ns)
