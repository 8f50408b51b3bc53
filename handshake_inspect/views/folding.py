"""Long data transfers in few lines: runs of segments that change nothing become one `Fold`.

In: the steps of a connection. Out: the same steps, with the middle of every long quiet run replaced. A step is quiet
if it has only ACK and PSH, moves no state, closes or opens no window, is not ignored, repeated or commented, names no
octets that came twice, and all of its arithmetic holds.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass

from handshake_inspect.connections.connection import End, Frame, Step

#: Quiet runs up to this length are shown in full.
SHOWN_IN_FULL = 12
#: Steps shown before and after what is folded.
KEPT_AT_ENDS = 3


@dataclass(frozen=True)
class Fold:
    """Some steps that are not shown one by one."""

    steps: Sequence[Step]
    #: Whether acknowledgments, here or later, cover all of their octets; None if they carry none.
    acknowledged: bool | None

    def octets(self, sender: End) -> int:
        """Return the payload octets that `sender` sent in these steps."""
        return sum(step.payload_octets for step in self.steps if step.sender == sender)

    @property
    def data_segments(self) -> int:
        """The number of steps with payload."""
        return sum(step.payload_octets > 0 for step in self.steps)


def fold(steps: Sequence[Step], unfolded: Collection[Frame] = ()) -> Iterator[Step | Fold]:
    """Yield the steps with long quiet runs folded; the frames `unfolded` are never folded."""
    if len(steps) <= SHOWN_IN_FULL:
        yield from steps
        return
    start = 0
    while start < len(steps):
        end = start
        while end < len(steps) and steps[end].frame not in unfolded and _quiet(steps, end):
            end += 1
        if end - start > SHOWN_IN_FULL:
            inner = steps[start + KEPT_AT_ENDS : end - KEPT_AT_ENDS]
            yield from steps[start : start + KEPT_AT_ENDS]
            yield Fold(inner, _acknowledged(inner, steps[start:]))
            yield from steps[end - KEPT_AT_ENDS : end]
            start = end
        else:
            end = max(end, start + 1)
            yield from steps[start:end]
            start = end


def _quiet(steps: Sequence[Step], index: int) -> bool:
    step = steps[index]
    return (
        index > 0
        and step.states == steps[index - 1].states
        and set(step.flags.split(",")) <= {"ACK", "PSH", ""}
        and step.ignored is None
        and not step.retransmission
        and not step.comments
        and not step.at_closed_window
        and not any(block.is_duplicate for block in step.sack or ())
        and all(line.holds is not False for line in step.arithmetic)
    )


def _acknowledged(folded: Sequence[Step], followed_by: Sequence[Step]) -> bool | None:
    """Do acknowledgments reach the end of everything that was sent in `folded`?"""
    ends: dict[End, int] = {}
    for step in folded:
        if step.payload_octets:
            end = step.relative_seq + step.payload_octets
            ends[step.sender] = max(end, ends.get(step.sender, end))
    reached: dict[End, int] = {}
    for step in followed_by:
        if step.relative_ack is not None:
            peer: End = "responder" if step.sender == "originator" else "originator"
            reached[peer] = max(step.relative_ack, reached.get(peer, step.relative_ack))
    if not ends:
        return None
    return all(sender in reached and reached[sender] >= end for sender, end in ends.items())
